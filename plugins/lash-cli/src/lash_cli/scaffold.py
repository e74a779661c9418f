"""`lash plugins new`: a plugin's project, from the template that the SDK tests."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .failures import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE: Final = Path(__file__).parent / "template"
"""The same as `cookiecutter-plugin/` of the repository."""


def new_plugin(answers: Mapping[str, str], folder: str, *, ask: bool) -> int:
    """
    Make a project in *folder*, and print where it is and what comes next.

    Raises:
        CommandError: The name can't be a plugin's, or the folder is there already.
    """
    from cookiecutter.exceptions import CookiecutterException
    from cookiecutter.main import cookiecutter

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said) if not ask else contextlib.nullcontext():
            made = cookiecutter(
                str(TEMPLATE), no_input=not ask, extra_context=dict(answers), output_dir=folder
            )
    except CookiecutterException as error:
        way_out = "another name, or another --output; lash plugins new --help"
        raise CommandError(f"no project was made: {error}", way_out=way_out) from error
    print(made)
    print("next: cd there, then what its README says under “Work on it”")
    return 0

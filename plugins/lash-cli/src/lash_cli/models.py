"""`lash models pull NAME`: weights for models that run on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk.errors import Unavailable

from .failures import OK, USAGE, CommandError
from .screen import Terminal
from .words import clean

if TYPE_CHECKING:
    from types import ModuleType


def pull(name: str) -> int:
    """Fetch the weights of *name* unless they're here, with progress; print the path."""
    weights = _weights()
    known = weights.KNOWN
    if name not in known:
        raise CommandError(
            f"no weights are known as {name!r}", way_out=" or ".join(sorted(known)), code=USAGE
        )
    screen = Terminal()
    with screen.progress(f"pulling {name}") as watch:
        path = weights.pull(name, watch)
    size = path.stat().st_size / 1_000_000
    screen.note(
        f"{name} is here ({size:.0f} MB, {known[name].licence}): lash run --model local:{name} …"
    )
    print(clean(str(path)))
    return OK


def _weights() -> ModuleType:
    try:
        from lash_model_local import weights
    except ModuleNotFoundError as error:
        raise Unavailable("pulling weights", "lash-model-local") from error
    return weights

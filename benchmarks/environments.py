"""
A virtual environment for each system that isn't ours, made when it's first needed.

They're under `benchmarks/.venvs`, each from its pinned file in
`benchmarks/requirements`, and made anew once that file has changed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
VENVS: Final = HERE / ".venvs"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """
    One system that's measured.

    Attributes:
        file: Its script, below this folder.
        requirements: Its pinned file; empty where the project's own
            environment will do.
        peer: Whether it's somebody else's.
        borrows: Whether it runs in our environment, and has its packages added.
    """

    name: str
    file: str
    requirements: str = ""
    peer: bool = False
    borrows: bool = False

    def ready(self) -> None:
        """Make the system's environment, unless it's there and as pinned."""
        if not self.requirements:
            return
        pinned = HERE / "requirements" / self.requirements
        stamp = self._venv / "pinned"
        wanted = hashlib.sha256(pinned.read_bytes()).hexdigest()
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        print(f"making the environment of {self.name} …", file=sys.stderr)
        quiet = {**os.environ, "UV_LINK_MODE": "copy", "UV_SYSTEM_CERTS": "1"}
        uv = [sys.executable, "-m", "uv"]
        for command in (
            [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(self._venv)],
            [*uv, "pip", "sync", "--quiet", "--python", self.python_of_venv, str(pinned)],
        ):
            subprocess.run(command, check=True, env=quiet)
        stamp.write_text(wanted)

    @property
    def python(self) -> str:
        """The interpreter that runs the system's script."""
        own = bool(self.requirements) and not self.borrows
        return self.python_of_venv if own else sys.executable

    @property
    def command(self) -> list[str]:
        """What starts the system's worker."""
        path = [str(each) for each in self._venv.glob("lib/*/site-packages")]
        return [
            self.python,
            str(HERE / "worker.py"),
            str(HERE / self.file),
            *(path if self.borrows else []),
        ]

    @property
    def python_of_venv(self) -> str:
        """The interpreter of the system's environment."""
        return str(self._venv / "bin" / "python")

    @property
    def _venv(self) -> Path:
        return VENVS / self.name


BARE: Final = System(name="bare", file="systems/bare.py")
LASH: Final = System(name="lash-sdk", file="systems/lash.py")
HOOKS: Final = System(name="hooks", file="systems/hooks.py", requirements="hooks.txt", borrows=True)
OPENING: Final = System(name="opening", file="systems/opening.py")
PEERS: Final = tuple(
    System(name=name, file=f"peers/{stem}.py", requirements=f"{stem}.txt", peer=True)
    for name, stem in (
        ("agno", "agno"),
        ("pydantic-ai", "pydantic_ai"),
        ("openai-agents", "openai_agents"),
        ("langgraph", "langgraph"),
        ("google-adk", "google_adk"),
        ("strands", "strands"),
    )
)
SAVERS: Final = ("langgraph",)
"""The peers that keep sessions on PostgreSQL by themselves, and are measured there."""
FASTEST: Final = ("agno", "pydantic-ai")
"""The peers of the quick form: the rivals for S1 and S2, and for S3."""

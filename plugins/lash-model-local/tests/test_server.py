"""A server is shared, comes back when killed, and never outlives us."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lash_model_local.server import Server, Settings, lease, release
from lash_sdk.errors import ModelError

PARENT = """
import asyncio, sys, time
from pathlib import Path
from lash_model_local.server import Server, Settings

server = Server(Settings(weights=Path(sys.argv[1]), prefixes=Path(sys.argv[2])))
print(asyncio.run(server.address()), server.pid, flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    """Return whether there's such a process, zombies aside."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def gone(pid: int, patience: float = 5.0) -> bool:
    """Return whether the process ends in time."""
    until = time.monotonic() + patience
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not is_alive(pid)


async def test_it_listens_on_loopback_only(server: Server) -> None:
    """Nobody else on the network may talk to somebody's model."""
    assert (await server.address()).startswith("http://127.0.0.1:")


async def test_all_who_ask_at_once_get_one_process(settings: Settings) -> None:
    """Weights are loaded once; who gives up waiting takes nobody along."""
    server = Server(replace(settings, context=256))
    waiting = [asyncio.ensure_future(server.address()) for _ in range(4)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    first, *others = await asyncio.gather(*waiting, return_exceptions=True)
    pid = server.pid
    server.end()

    assert isinstance(first, asyncio.CancelledError)
    assert 1 == len(set(map(str, others)))
    assert pid is not None
    assert gone(pid)


async def test_the_last_lease_ends_the_process(settings: Settings) -> None:
    """Two apps in one process share the weights, and neither pulls the rug."""
    mine = replace(settings, context=256)
    first, second = lease(mine), lease(mine)
    await first.address()
    pid = first.pid
    assert pid is not None
    await release(first)
    between = is_alive(pid)
    await release(second)

    assert first is second
    assert between
    assert gone(pid)


async def test_a_killed_server_is_started_again(settings: Settings) -> None:
    """The kernel's retry finds a server, whatever happened to the last one."""
    server = Server(replace(settings, context=256))
    before = await server.address()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await server.lost()
    after = await server.address()
    alive = server.pid
    server.end()

    assert before.startswith("http://127.0.0.1:") and after.startswith("http://")
    assert pid != alive


async def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    """The server's last words are all there is to go by."""
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GGUF but not really")
    server = Server(Settings(weights=wrong, prefixes=tmp_path))

    with pytest.raises(ModelError, match="the local server ended") as error:
        await server.address()
    server.end()
    assert "server_failed" == error.value.code
    assert not error.value.retryable


@pytest.mark.parametrize("forks", [False, True])
def test_no_orphan_is_left_when_the_parent_is_killed(
    weights: Path, tmp_path: Path, forks: bool
) -> None:
    """Not even if a forked child still holds the lifeline."""
    fork = "import os\nif os.fork() == 0:\n    time.sleep(8)\n    os._exit(0)\n"
    script = PARENT.replace("time.sleep(60)", fork + "time.sleep(60)", forks)
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(weights), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    pid = int(parent.stdout.readline().split()[1])
    time.sleep(0.1)  # the fork
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert gone(pid)

"""What a store does when its place fails it: C101 to C105, C107 and C108."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from .. import errors
from ..errors import LashError, SchemaTooNew, StoreError
from ..messages import Blob
from .store_cases import needs
from .store_crew import Answer
from .store_turns import loaded, revision, turn

if TYPE_CHECKING:
    from pathlib import Path

    from ..graph import Node
    from ..ports import Store
    from .store_crew import Crew
    from .store_place import Place

MARK = "the bytes that are damaged"


class StoreFaults:
    """The part of `StoreContract` on full disks, damaged files, and ends."""

    @needs("process", "file")
    async def test_c101_a_store_without_room_refuses_and_goes_on(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        Reads work, nothing acknowledged is lost, and with room the commit succeeds.
        """
        with crew.working(1) as (child,):
            await child.enter(place)
            assert Answer(1) == await child.ask("commit", "a", 0)
            await child.ask("limit", 256 * 1024)
            refused = await child.ask("fill", "a", 1, 4 * 1024 * 1024)
            assert issubclass(getattr(errors, refused.error), StoreError)
            assert Answer(1) == await child.ask("head", "a")
            await child.ask("limit", -1)
            assert Answer(2) == await child.ask("fill", "a", 1, 4 * 1024 * 1024)

        assert 4 == len((await loaded(opened, "a"))[0])

    @needs("process", "file")
    async def test_c102_a_handle_opens_again_after_an_error(
        self, opened: Store, place: Place, crew: Crew
    ) -> None:
        """
        Whatever the operating system said, it was about one commit.
        """
        with crew.working(1) as (child,):
            await child.enter(place)
            await child.ask("commit", "a", 0)
            await child.ask("limit", 256 * 1024)
            assert (await child.ask("fill", "a", 1, 4 * 1024 * 1024)).error
            await child.ask("limit", -1)
            assert Answer(None) == await child.ask("close")
            await child.enter(place)
            assert Answer(1) == await child.ask("head", "a")
            assert Answer(2) == await child.ask("commit", "a", 1)

        assert 4 == len((await loaded(opened, "a"))[0])

    @needs("process", "file")
    async def test_c103_a_byte_that_was_changed_is_noticed(
        self, opened: Store, place: Place
    ) -> None:
        """
        Each byte of a node, one after the other: an error or the truth, never a lie.
        """
        await opened.commit(turn("a", 0, text=MARK))
        path, data, nodes = await _closed(opened, place)
        where = data.index(nodes[0].data)
        noticed = 0

        for at in range(where, where + len(nodes[0].data)):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            found = await _found(place)
            noticed += found is None
            assert found in (None, nodes), f"byte {at}"
        assert len(nodes[0].data) == noticed

    @needs("process", "file")
    async def test_c104_a_file_that_was_cut_off_is_noticed(
        self, opened: Store, place: Place
    ) -> None:
        """
        A store that begins anew on what's left hides the loss.
        """
        for at in range(20):
            await opened.commit(turn("a", at, text=MARK * 40))
        path, data, nodes = await _closed(opened, place)

        for size in (1, 50, 100, 4096, len(data) // 2, len(data) - 4096, len(data) - 1):
            path.write_bytes(data[:size])
            assert await _found(place) in (None, nodes), f"{size} bytes"

    @needs("newer")
    async def test_c105_what_is_newer_is_left_alone(self, opened: Store, place: Place) -> None:
        """
        An old version that writes into a new file destroys what it doesn't know.
        """
        await opened.commit(turn("a", 0))
        await opened.close()
        assert place.newer is not None
        place.newer()
        before = _print(place)

        with pytest.raises(SchemaTooNew):
            await opened.open()
        assert before == _print(place)

    async def test_c107_a_store_is_closed_once_or_twice(self, opened: Store) -> None:
        """
        Afterwards it says that it's closed, or works; it doesn't hang or guess.
        """
        await opened.commit(turn("a", 0))
        await opened.close()
        await opened.close()

        with suppress(LashError):
            await asyncio.wait_for(opened.commit(turn("a", 1)), 60)
        with suppress(LashError):
            assert await opened.node("a-0:0") is not None
        await opened.open()
        assert await revision(opened, "a") in (1, 2)

    async def test_c107_closing_finishes_what_was_accepted(self, opened: Store) -> None:
        """
        Whoever got a receipt finds it; whoever got an error doesn't.
        """
        tasks = [asyncio.ensure_future(opened.commit(turn(f"s{at}", 0))) for at in range(20)]
        await asyncio.sleep(0)
        await opened.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await opened.open()

        for at, result in enumerate(results):
            told = await opened.receipt(f"s{at}", f"s{at}-0")
            assert (told is None) == isinstance(result, LashError)
            assert told is None or told == result

    async def test_c108_nothing_is_left_behind(self, opened: Store) -> None:
        """
        No thread that runs on, no file or socket that somebody else has to close.
        """
        await opened.close()
        before = set(threading.enumerate())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for at in range(3):
                await opened.open()
                blob = Blob.of(b"x", "text/plain")
                await opened.commit(turn("a", at, blobs=(blob,)))
                pages = opened.load("a")
                await anext(pages)
                await opened.close()
                del pages
            gc.collect()
            left = [thread for thread in _new_threads(before) if thread.is_alive()]

        assert [] == [warning.message for warning in caught]
        assert [] == left


async def _closed(store: Store, place: Place) -> tuple[Path, bytes, list[Node]]:
    """Close the store; return its file, what's in it, and the nodes of session "a"."""
    nodes, _ = await loaded(store, "a")
    await store.close()
    assert place.file is not None
    return place.file, place.file.read_bytes(), nodes


def _print(place: Place) -> tuple[str, int]:
    """Return the hash of a place's file and how many rows it has, as far as that's known."""
    data = place.file.read_bytes() if place.file else b""
    return sha256(data).hexdigest(), place.rows() if place.rows else 0


async def _found(place: Place) -> list[Node] | None:
    """Return what another store finds of session "a"; None if it finds damage."""
    store = place.handle()
    try:
        await store.open()
        return (await loaded(store, "a"))[0]
    except LashError:
        return None
    finally:
        await store.close()


def _new_threads(before: set[threading.Thread]) -> Iterator[threading.Thread]:
    """Yield the threads that weren't there, once they had the time to end."""
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith("asyncio_"):  # the loop's own
            thread.join(10)
            yield thread

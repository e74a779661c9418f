"""What a store does with the file it's given, ours or not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from lash_sdk.commits import Commit
from lash_sdk.errors import (
    InvalidHistory,
    InvalidInput,
    SchemaTooNew,
    StoreCorrupt,
    StoreError,
    StoreFull,
)
from lash_sdk.graph import chain
from lash_sdk.messages import Blob, assistant, user
from lash_sdk.testing.store_turns import loaded, turn
from lash_store_sqlite import SqliteStore
from lash_store_sqlite.connection import BUSY_TIMEOUT, connect, create
from lash_store_sqlite.schema import APPLICATION_ID, PAGE_SIZE, VERSION


def bytes_of(path: Path) -> dict[str, str]:
    """Return the hash of each file in a folder."""
    return {found.name: sha256(found.read_bytes()).hexdigest() for found in path.iterdir()}


async def limited(store: SqliteStore, pages: int) -> None:
    """Let the writer's connection have only so many pages, as a full disk does."""
    writer = store._writer  # pyright: ignore[reportPrivateUsage]
    assert writer is not None
    await writer.submit(lambda db: int(db.pragma("max_page_count", pages)), seek=lambda db: None)


async def test_every_pragma_holds(tmp_path: Path) -> None:
    """
    A file system that can't keep a promise must not be found out by a power cut.
    """
    store = SqliteStore(path := tmp_path / "a.db")
    await store.open()
    db = connect(str(path), 1)

    assert "wal" == db.pragma("journal_mode")
    assert 2 == db.pragma("synchronous")
    assert 200 == db.pragma("busy_timeout")
    assert (APPLICATION_ID, VERSION) == (db.pragma("application_id"), db.pragma("user_version"))
    assert PAGE_SIZE == db.pragma("page_size")
    db.close()
    await store.close()


def test_sqlite_is_past_the_corruption_of_the_log() -> None:
    """
    Versions 3.7.0 to 3.51.2 can lose a reset of the log to a second connection.
    """
    assert (3, 51, 3) <= tuple(int(n) for n in apsw.sqlite_lib_version().split("."))


async def test_a_file_that_somebody_is_just_making_is_waited_for(tmp_path: Path) -> None:
    """
    On a busy disk that takes longer than SQLite itself waits.
    """
    path = tmp_path / "a.db"
    maker = apsw.Connection(str(path))
    maker.execute("begin exclusive")
    store = SqliteStore(path)
    opening = asyncio.ensure_future(store.open())
    await asyncio.wait([opening], timeout=2 * BUSY_TIMEOUT / 1000)
    maker.execute("rollback")
    maker.close()
    await opening

    assert 1 == (await store.commit(turn("a", 0))).revision
    await store.close()


async def test_an_opened_file_holds_no_session(tmp_path: Path) -> None:
    """
    Opening makes the file and its tables, and nothing else.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    await store.close()

    db = apsw.Connection(str(tmp_path / "a.db"))
    tables = [name for (name,) in db.execute("select name from sqlite_schema where type='table'")]
    assert 12 == len(tables)
    assert [0] * 12 == [db.execute(f"select count(*) from {name}").get for name in tables]
    db.close()


@pytest.mark.parametrize(
    "data",
    [b"not a database at all", b"x", b"\0" * 8192, b"SQLite format 3\0" + b"\1" * 84],
    ids=["text", "short", "zeros", "header"],
)
async def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path, data: bytes) -> None:
    """
    A wrong path must cost its owner nothing.
    """
    (tmp_path / "a.db").write_bytes(data)
    before = bytes_of(tmp_path)

    with pytest.raises(StoreCorrupt, match=r"a\.db.*another path"):
        await SqliteStore(tmp_path / "a.db").open()
    assert before == bytes_of(tmp_path)


async def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """
    Nor may its journal mode change, or a log appear beside it.
    """
    db = apsw.Connection(str(tmp_path / "a.db"))
    db.execute("create table theirs (x); insert into theirs values (1)")
    db.close()
    before = bytes_of(tmp_path)

    with pytest.raises(StoreCorrupt, match="isn't a session store"):
        await SqliteStore(tmp_path / "a.db").open()
    assert before == bytes_of(tmp_path)


@pytest.mark.parametrize("missing", [1, 4096, PAGE_SIZE, PAGE_SIZE + 1])
async def test_a_file_whose_end_is_missing_is_refused_untouched(
    tmp_path: Path, missing: int
) -> None:
    """
    What a copy that broke off lacks would read as zeros, and so as nulls.
    """
    store = SqliteStore(path := tmp_path / "a.db")
    await store.open()
    await store.commit(turn("a", 0))
    await store.close()
    (tmp_path / "a.db-claims").unlink(missing_ok=True)
    os.truncate(path, path.stat().st_size - missing)
    before = bytes_of(tmp_path)

    with pytest.raises(StoreCorrupt):
        await SqliteStore(path).open()
    assert before == bytes_of(tmp_path)


async def test_a_newer_schema_is_refused_untouched(tmp_path: Path) -> None:
    """
    An old version that writes into a new file destroys what it doesn't know.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    await store.close()
    db = apsw.Connection(str(tmp_path / "a.db"))
    db.pragma("user_version", VERSION + 1)
    db.close()
    before = bytes_of(tmp_path)

    with pytest.raises(SchemaTooNew) as refused:
        await SqliteStore(tmp_path / "a.db").open()
    assert (VERSION + 1, VERSION) == (refused.value.found, refused.value.known)
    assert before == bytes_of(tmp_path)


@pytest.mark.parametrize("path", ["missing/a.db", ".", "file/a.db"])
async def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path, path: str) -> None:
    """
    The message says which path, and what would help.
    """
    (tmp_path / "file").write_text("x")
    store = SqliteStore(tmp_path / path)

    with pytest.raises(StoreError, match=r"can't open .*(folder|another path)"):
        await store.open()
    with pytest.raises(StoreError, match="isn't open"):
        await store.head("a")


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, existing: bool) -> None:
    """
    Root may write anywhere, so an ordinary user is asked to try.
    """
    folder = tmp_path / "closed"
    folder.mkdir()
    if existing:
        create(str(folder / "a.db"), 1)
        (folder / "a.db").chmod(0o444)
    folder.chmod(0o555)
    script = (
        "import asyncio, os, sys\n"
        "from lash_store_sqlite.store import SqliteStore\n"
        "os.chdir(sys.argv[1])\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setuid(65534)\n"
        "asyncio.run(SqliteStore('a.db').open())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True
    )

    assert 1 == ended.returncode
    assert "StoreError: can't " in ended.stderr
    assert "'a.db'" in ended.stderr


def test_a_file_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    """
    SQLite would make its log beside it, as read-only as the file, and in the way for good.
    """
    tmp_path.chmod(0o777)
    create(str(tmp_path / "a.db"), 1)
    (tmp_path / "a.db").chmod(0o444)
    before = bytes_of(tmp_path)
    script = (
        "import asyncio, os, sys\n"
        "from lash_store_sqlite.store import SqliteStore\n"
        "os.chdir(sys.argv[1])\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setuid(65534)\n"
        "asyncio.run(SqliteStore('a.db').open())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True
    )

    assert "StoreError: can't write 'a.db': make it writable" in ended.stderr
    assert before == bytes_of(tmp_path)


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_was_taken_away_takes_no_commit(tmp_path: Path, replaced: bool) -> None:
    """
    SQLite would go on in a file without a name, and all that it acknowledges would be lost.
    """
    path = tmp_path / "a.db"
    other = SqliteStore(tmp_path / "other.db")
    await other.open()
    await other.close()
    store = SqliteStore(path)
    await store.open()
    await store.commit(turn("a", 0))
    path.rename(tmp_path / "kept.db")
    if replaced:
        (tmp_path / "other.db").rename(path)

    for write in (store.commit(turn("a", 1)), store.fork("a", "b")):
        with pytest.raises(StoreError, match=r"a\.db' was moved, replaced or deleted"):
            await write
    several = [store.commit(turn("a", 1, operation=each)) for each in "xyz"]
    refused = await asyncio.gather(*several, return_exceptions=True)
    assert [StoreError] * 3 == [type(each) for each in refused]
    head = await store.head("a")
    assert head is not None
    assert 1 == head.revision

    (tmp_path / "kept.db").rename(path)
    assert 2 == (await store.commit(turn("a", 1))).revision
    await store.close()


def test_a_disk_too_full_to_open_says_so(tmp_path: Path) -> None:
    """
    SQLite's own memory beside the file needs room too, and to it that's any error of the disk.
    """
    create(str(tmp_path / "a.db"), 1)
    script = (
        "import asyncio, resource, sys\n"
        "from lash_store_sqlite import SqliteStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))\n"
        "asyncio.run(SqliteStore(sys.argv[1]).open())\n"
    )
    path = str(tmp_path / "a.db")
    ended = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)

    assert 1 == ended.returncode
    assert f"StoreFull: no room left beside {path!r}" in ended.stderr


async def test_a_full_disk_refuses_the_commit_and_no_more(tmp_path: Path) -> None:
    """
    What was acknowledged can be read, and once there's room work goes on.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    await store.commit(turn("a", 0))
    await limited(store, 40)
    large = turn("a", 1, text="x" * 1_000_000)

    with pytest.raises(StoreFull, match=r"a\.db"):
        await store.commit(large)
    assert 2 == len((await loaded(store, "a"))[0])
    assert 2 == (await store.commit(turn("a", 1, operation="small"))).revision
    await limited(store, 100_000)
    assert 3 == (await store.commit(turn("a", 2, operation="late"))).revision
    await store.close()


async def test_bytes_are_at_most_twice_the_payload_and_linear(tmp_path: Path) -> None:
    """
    Peers that store all of history with each turn fill a disk.
    """
    store = SqliteStore(path := tmp_path / "a.db")
    leaf: str | None = None
    sizes: list[int] = []
    payload = 0
    for half in range(2):
        await store.open()
        for number in range(half * 100, half * 100 + 100):
            name = sha256(b"%d" % number).hexdigest()[:32]
            said = [user("u" * 60), assistant("x" * 2048)]
            nodes = chain(name, leaf, said)
            leaf = nodes[-1].id
            payload += sum(len(node.data) for node in nodes)
            await store.commit(
                Commit(
                    session="a",
                    expected=number,
                    operation=name,
                    at=1.0,
                    turns=number + 1,
                    nodes=nodes,
                    leaf=leaf,
                )
            )
        await store.close()
        sizes.append(path.stat().st_size)

    assert sizes[1] <= 2 * payload
    assert sizes[1] - sizes[0] <= 1.1 * sizes[0]


@pytest.mark.parametrize(
    ("table", "column"),
    [("nodes", "body"), ("usage", "body"), ("commits", "hash"), ("commits", "parts")],
)
async def test_a_changed_byte_is_found(tmp_path: Path, table: str, column: str) -> None:
    """
    We notice, we stop, we don't guess; other sessions stay readable.
    """
    store = SqliteStore(path := tmp_path / "a.db")
    await store.open()
    commits = [turn("a", 0), turn("b", 0)]
    await store.commit(_with_usage(commits[0]))
    await store.commit(commits[1])
    db = apsw.Connection(str(path))
    key, body = next(db.execute(f"select key, {column} from {table} order by key"))
    changed = bytes([*body[:-3], body[-3] ^ 1, *body[-2:]])
    db.execute(f"update {table} set {column}=? where key=?", (changed, key))
    db.close()

    with pytest.raises(StoreCorrupt):
        await loaded(store, "a")
    assert list(commits[1].nodes) == (await loaded(store, "b"))[0]
    await store.close()


async def test_a_changed_blob_is_found(tmp_path: Path) -> None:
    """
    A picture that isn't what its hash says is never shown.
    """
    store = SqliteStore(path := tmp_path / "a.db")
    await store.open()
    blob = Blob.of(b"picture", "image/png")
    await store.commit(turn("a", 0, blobs=(blob,)))
    db = apsw.Connection(str(path))
    db.execute("update blobs set body=?", (b"pictur3",))
    db.close()

    with pytest.raises(StoreCorrupt, match=blob.sha256):
        await store.blob(blob.sha256)
    await store.close()


async def test_what_does_not_fit_is_refused_whole(tmp_path: Path) -> None:
    """
    Blobs without bytes, wrong hashes, unknown parents: nothing of them is kept.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    await store.commit(turn("other", 0))
    lost = Blob(sha256="0" * 64, size=1, media_type="image/png")
    wrong = Blob(sha256="0" * 64, size=1, media_type="image/png", data=b"x")
    loose = chain("t", "nobody:0", [user("x")])
    theirs = chain("t", "other-0:1", [user("x")])

    for commit, error in (
        (turn("a", 0, blobs=(lost,)), InvalidInput),
        (turn("a", 0, blobs=(wrong,)), InvalidInput),
        (turn("a", 0, operation="\ud800"), InvalidInput),
        (Commit(session="a", expected=0, operation="t", nodes=loose), InvalidHistory),
        (Commit(session="a", expected=0, operation="t", nodes=theirs), InvalidHistory),
        (Commit(session="a", expected=0, operation="t", leaf="t:0"), InvalidHistory),
        (Commit(session="a", expected=0, operation="t", consumed=("k",)), InvalidInput),
        (Commit(session="a", expected=0, operation="t", children=("c",)), InvalidInput),
        (Commit(session="a", expected=0, operation="t", restore="other-0:1"), InvalidHistory),
    ):
        with pytest.raises(error):
            await store.commit(commit)
        assert await store.head("a") is None
    await store.close()


def test_a_url_names_a_path(tmp_path: Path) -> None:
    """
    Three slashes are relative and four absolute, as everywhere.
    """
    assert "a.db" == SqliteStore.from_url("sqlite:///a.db").path
    assert "a b.db" == SqliteStore.from_url("sqlite:///a%20b.db").path
    assert f"{tmp_path}/a.db" == SqliteStore.from_url(f"sqlite:///{tmp_path}/a.db").path


@pytest.mark.parametrize(
    "url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite://host/a.db", "a.db"]
)
def test_another_url_is_refused(url: str) -> None:
    """
    The message shows both forms that are right.
    """
    with pytest.raises(InvalidInput, match="expected 'sqlite:"):
        SqliteStore.from_url(url)


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """
    Closing twice is fine; using what's closed is a mistake with a name.
    """
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    await store.open()
    await store.close()
    await store.close()

    with pytest.raises(StoreError, match="isn't open"):
        await store.commit(turn("a", 0))
    assert ["a.db"] == os.listdir(tmp_path)


def _with_usage(commit: Commit) -> Commit:
    from dataclasses import replace

    from lash_sdk.usage import Usage, UsageRow

    row = UsageRow(id="r", turn="t", session="a", source="s", model="m", usage=Usage(input=12))
    return replace(commit, usage=(row,))

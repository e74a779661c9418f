"""
The schema on record: what a file of each version has in it.

A file that a release wrote is opened by every later one. So a table that changes
takes a new `VERSION`, a step in `migration`, and a golden schema beside the old
ones, which stay, with their rows, as that release wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw
import pytest

from lash_sdk.errors import StoreCorrupt
from lash_sdk.messages import assistant, user
from lash_sdk.testing.store_turns import loaded, turn
from lash_store_sqlite import SqliteStore
from lash_store_sqlite.migration import STEPS, migrate
from lash_store_sqlite.schema import APPLICATION_ID, PAGE_SIZE, VERSION

GOLDEN: Final = Path(__file__).parent / "golden"

STATE: Final = "a0fd9dc8481cd7dd68e36f4a4fa42917e061f2ad8f711c92b85618b9ea5ffcd6"
PICTURE: Final = "2cea274d0bedc39ec4ab6ba9e59ec889e3ed6fb56a1cf088a64d9b383378dc97"

LATER: Final[Mapping[int, str]] = {
    **STEPS,
    VERSION + 1: "alter table sessions add column mood text; update sessions set mood='calm'",
    VERSION + 2: "create table moods as select distinct mood from sessions",
}
"""Steps that a later release might have."""


def dump(path: Path) -> str:
    """Return the schema that a file has."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        found = db.execute("select sql from sqlite_schema where sql is not null order by rowid")
        return "".join([f"{sql};\n" for (sql,) in found])


def contents(db: apsw.Connection) -> list[object]:
    """Return everything that a database has, its version too."""
    tables = db.execute("select name from sqlite_schema where type='table' order by name")
    rows = {name: list(db.execute(f"select * from {name}")) for (name,) in list(tables)}
    return [db.pragma("user_version"), list(db.execute("select sql from sqlite_schema")), rows]


def write_golden(path: Path, version: int) -> None:
    """Make a file as the release of that version left it."""
    with closing(apsw.Connection(str(path))) as db:
        db.execute(f"pragma page_size={PAGE_SIZE}")
        db.pragma("application_id", APPLICATION_ID)
        db.pragma("user_version", version)
        for name in ("schema", "rows"):
            db.execute((GOLDEN / f"{name}-{version}.sql").read_text(encoding="utf-8"))
        db.execute("pragma journal_mode=wal")


async def test_the_schema_is_the_one_on_record(tmp_path: Path) -> None:
    """
    Nobody changes a table and finds out from the users' files.
    """
    store = SqliteStore(path := tmp_path / "a.db")
    await store.open()
    await store.close()

    assert (GOLDEN / f"schema-{VERSION}.sql").read_text(encoding="utf-8") == dump(path)


@pytest.mark.parametrize("version", range(1, VERSION + 1))
async def test_a_file_of_each_version_opens(tmp_path: Path, version: int) -> None:
    """
    With everything in it: history, state, bytes, ledger, forks, and what still waits.
    """
    write_golden(tmp_path / "a.db", version)
    store = SqliteStore(tmp_path / "a.db")
    await store.open()

    nodes, usage = await loaded(store, "a")
    said = [user("hello"), assistant("answer 0"), user("hello"), assistant("answer 1")]
    assert said == [node.value for node in nodes]
    assert [("a-0/1", 1, 2), ("a-1/1", 2, 2)] == [
        (row.id, row.usage.input, row.usage.output) for row in usage
    ]
    head, fork, kid = [await store.head(id) for id in ("a", "f", "kid")]
    assert head is not None and fork is not None and kid is not None
    assert (2, "a-1:1", {"plugin/weather": STATE}) == (head.revision, head.leaf, head.manifest)
    assert (("a", 1), "a-0:1") == (fork.forked_from, fork.leaf)
    assert ("a", "a-2") == (kid.parent, kid.pending)
    assert [b'{"value":{"city":"Bern"},"version":3}', b"picture"] == [
        await store.blob(ref) for ref in (STATE, PICTURE)
    ]
    assert [("k", "waits")] == [(item.key, item.body) for item in await store.pending("a")]
    assert [("a-2", "1", "heard", {"text": "hi"})] == [
        (row.turn, row.key, row.kind, row.body) for row in await store.journal("a")
    ]
    assert await store.delete("gone") is False
    assert 3 == (await store.commit(turn("a", 2, turn="a-2"))).revision
    await store.close()
    with closing(apsw.Connection(str(tmp_path / "a.db"))) as db:
        assert VERSION == db.pragma("user_version")


def test_each_version_has_its_step() -> None:
    """
    A version that nothing leads to leaves every older file behind.
    """
    assert list(range(2, VERSION + 1)) == sorted(STEPS)


def test_a_file_takes_the_steps_it_lacks_and_keeps_its_rows(tmp_path: Path) -> None:
    """
    One after the other, each on what the one before it made, and once.
    """
    write_golden(tmp_path / "a.db", VERSION)
    with closing(apsw.Connection(str(tmp_path / "a.db"))) as db:
        before = list(db.execute("select id, head from sessions"))
        migrate(db, VERSION + 2, LATER)
        migrate(db, VERSION + 2, LATER)

        assert VERSION + 2 == db.pragma("user_version")
        assert before == list(db.execute("select id, head from sessions"))
        assert [("calm",)] == list(db.execute("select mood from moods"))


@pytest.mark.parametrize("step", ["create table sessions (x)", "insert into nodes values (1)", "?"])
def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, step: str) -> None:
    """
    Also the steps before it: a file between two versions could be read by neither.
    """
    write_golden(tmp_path / "a.db", VERSION)
    with closing(apsw.Connection(str(tmp_path / "a.db"))) as db:
        before = contents(db)
        with pytest.raises(apsw.Error):
            migrate(db, VERSION + 2, {**LATER, VERSION + 2: step})

        assert not db.in_transaction
        assert before == contents(db)
        migrate(db, VERSION + 2, LATER)


async def test_opening_an_older_file_takes_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whoever upgrades does nothing for it.
    """
    write_golden(tmp_path / "a.db", VERSION)
    monkeypatch.setattr("lash_store_sqlite.connection.VERSION", VERSION + 1)
    monkeypatch.setattr("lash_store_sqlite.connection.STEPS", LATER)
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    assert 4 == len((await loaded(store, "a"))[0])
    await store.close()

    with closing(apsw.Connection(str(tmp_path / "a.db"))) as db:
        assert VERSION + 1 == db.pragma("user_version")
        assert {("calm",)} == set(db.execute("select mood from sessions"))


async def test_a_version_that_never_was_is_refused(tmp_path: Path) -> None:
    """
    Versions count from one: a file of version zero isn't from us.
    """
    write_golden(tmp_path / "a.db", VERSION)
    with closing(apsw.Connection(str(tmp_path / "a.db"))) as db:
        db.pragma("user_version", 0)

    with pytest.raises(StoreCorrupt, match="isn't a session store"):
        await SqliteStore(tmp_path / "a.db").open()

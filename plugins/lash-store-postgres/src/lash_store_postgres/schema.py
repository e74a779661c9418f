"""
The tables and functions: made, recognised, and brought up to date.

They lie in a schema of their own. One row says whose they are and of which version;
a schema that has anything else in it is left alone.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Final, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from lash_sdk.errors import SchemaTooNew, StoreCorrupt, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .address import Address

Connection: TypeAlias = AsyncConnection[TupleRow]

PRODUCT: Final = "lash-sdk"
VERSION: Final = 1
"""The schema that this module writes, and the newest it reads."""

OLDEST: Final = 140000
"""The oldest server that's supported."""

STEPS: Final[Mapping[int, str]] = {}
"""
The SQL that makes each version out of the one before it, by the version it makes.

There's none yet: versions count from the first release that's tagged.
"""

# not `to_regclass`: it remembers what wasn't there, also once somebody else has made it
_TABLE: Final = """
select n.oid, exists (select from pg_class c where c.relnamespace = n.oid and c.relname = 'about')
from pg_namespace n where n.nspname = %s
"""
_OTHERS: Final = """
select exists (select from pg_class where relnamespace = %(schema)s)
  or exists (select from pg_proc where pronamespace = %(schema)s)
"""


def named(text: str, address: Address) -> bytes:
    """Return SQL of ours with the schema's name put in, which was checked."""
    return text.replace("@schema@", address.quoted).replace("@name@", address.schema).encode()


async def prepare(db: Connection, address: Address) -> None:
    """
    Make the tables unless they're there, and bring older ones up to date.

    Many processes may do this at once: one does, the others find it done.

    Raises:
        StoreCorrupt: The schema has something else in it.
        SchemaTooNew: A newer version wrote it; it's left untouched.
        StoreError: The server is too old, or its database isn't in UTF-8.
    """
    if db.info.server_version < OLDEST:
        raise StoreError(f"{address.text}: expected PostgreSQL 14 or newer")
    if (encoding := db.info.parameter_status("server_encoding")) != "UTF8":
        raise StoreError(f"{address.text}: expected a database in UTF8, found {encoding}")
    if await version(db, address) != VERSION:
        await migrate(db, address, VERSION, STEPS)


async def version(db: Connection, address: Address) -> int:
    """
    Return which version of the tables there is; 0 if there's none.

    Raises:
        StoreCorrupt, SchemaTooNew: As `prepare` says.
    """
    query = await db.execute(_TABLE, (address.schema,))
    schema, there = await query.fetchone() or (None, False)
    if not there:
        if schema is not None:
            query = await db.execute(_OTHERS, {"schema": schema})
            if await query.fetchone() != (False,):
                raise _foreign(address)
        return 0
    try:
        about = named("select product, version from @schema@.about", address)
        rows = await (await db.execute(about)).fetchall()
    except (psycopg.errors.UndefinedColumn, psycopg.errors.WrongObjectType):
        raise _foreign(address) from None
    if len(rows) != 1 or rows[0][0] != PRODUCT:
        raise _foreign(address)
    found = rows[0][1]
    if not isinstance(found, int) or found < 1:
        raise _foreign(address)
    if found > VERSION:
        raise SchemaTooNew(address.text, found=found, known=VERSION)
    return found


async def migrate(db: Connection, address: Address, target: int, steps: Mapping[int, str]) -> None:
    """
    Bring the schema up to version *target*, or change nothing.

    Whoever comes second waits, and finds it done.
    """
    lock = key(address, "schema")
    async with db.transaction():
        await db.execute("select pg_advisory_xact_lock(%s)", (lock,))
        found = await version(db, address)
        if found == 0:
            await db.execute(named("create schema if not exists @schema@", address))
            await db.execute(named(_file("tables.sql"), address))
            await db.execute(
                named("insert into @schema@.about values (%s, %s)", address), (PRODUCT, VERSION)
            )
            found = VERSION
        for number in range(found + 1, target + 1):
            await db.execute(named(steps[number], address))
        await db.execute(named(_file("functions.sql"), address))
        await db.execute(named("update @schema@.about set version = %s", address), (target,))


def key(address: Address, *names: str) -> int:
    """Return the number of a lock: 63 bits of the names' sha256, the schema's among them."""
    text = "\0".join((PRODUCT, address.schema, *names))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _file(name: str) -> str:
    return files(__package__).joinpath("sql", name).read_text(encoding="utf-8")


def _foreign(address: Address) -> StoreCorrupt:
    return StoreCorrupt(
        f"{address.text}: the schema isn't a session store; choose another with ?schema="
    )

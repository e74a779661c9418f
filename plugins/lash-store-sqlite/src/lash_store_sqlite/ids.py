"""Node ids and the keys they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lash_sdk.errors import StoreCorrupt

from .schema import PARTS, SHIFT

if TYPE_CHECKING:
    import apsw

_FIND: Final = """
select f.key, exists (select 1 from nodes n where n.key = f.key) as shown from (
  select key from aliases where turn=?1 and ordinal=?2
  union all
  select c.key << 20 | ?2 from commits c
  where c.operation=?1 and c.nodes > ?2 and ?2 >= 0
  and not exists (select 1 from aliases a where a.key = (c.key << 20 | ?2))
) f
where shown or exists (select 1 from hidden h where h.key = f.key)
"""
_NAME: Final = """
select c.operation, a.turn, a.ordinal from commits c left join aliases a on a.key=?1
where c.key=?1 >> 20
"""


class Found(NamedTuple):
    """A node that an id stands for, and whether nothing hides it."""

    key: int
    shown: bool


def split(id: str) -> tuple[str, int]:
    """Return the turn and the ordinal of a node id; (id, -1) if it has none."""
    turn, _, digits = id.rpartition(":")
    if digits.isdecimal() and digits.isascii() and len(digits) <= 7:
        ordinal = int(digits)
        if ordinal < PARTS and str(ordinal) == digits:
            return turn, ordinal
    return id, -1


def joined(turn: str, ordinal: int) -> str:
    """Return the node id that `split` would take apart."""
    return turn if ordinal < 0 else f"{turn}:{ordinal}"


def find(db: apsw.Connection, id: str) -> Found | None:
    """Return the node with this id, also if it's hidden; None if the id is free."""
    row: tuple[int, int] | None = db.execute(_FIND, split(id)).fetchone()
    return Found(row[0], bool(row[1])) if row else None


def key_of(db: apsw.Connection, id: str) -> int | None:
    """Return the key of the node with this id, or None if there's none to see."""
    found = find(db, id)
    return found.key if found and found.shown else None


def id_of(db: apsw.Connection, key: int) -> str:
    """
    Return the id of the node with this key.

    Raises:
        StoreCorrupt: Its commit isn't there.
    """
    row = db.execute(_NAME, (key,)).fetchone()
    if row is None:
        raise StoreCorrupt(f"commit {commit_of(key)} isn't there")
    operation, turn, ordinal = row
    return id_from(key, operation, turn, ordinal)


def id_from(key: int, operation: str, turn: str | None, ordinal: int | None) -> str:
    """Return a node's id, from its commit's operation and its alias, if any."""
    if turn is None or ordinal is None:
        return f"{operation}:{index_of(key)}"
    return joined(turn, ordinal)


def first_key(commit: int) -> int:
    """Return the key of a commit's first part."""
    return commit << SHIFT


def commit_of(key: int) -> int:
    """Return the key of the commit that a part is in."""
    return key >> SHIFT


def index_of(key: int) -> int:
    """Return a part's place in its commit."""
    return key & (PARTS - 1)

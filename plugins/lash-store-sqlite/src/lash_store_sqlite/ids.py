"""Node ids and the keys they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .schema import PARTS, SHIFT

if TYPE_CHECKING:
    import apsw

_FIND = """
select key from aliases where turn=?1 and ordinal=?2
union all
select key << 20 | ?2 from commits
where operation=?1 and nodes > ?2 and ?2 >= 0
and not exists (select 1 from aliases where key=commits.key << 20 | ?2)
"""
_NAME = """
select c.operation, a.turn, a.ordinal from commits c left join aliases a on a.key=?1
where c.key=?1 >> 20
"""


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


def key_of(db: apsw.Connection, id: str) -> int | None:
    """Return the key of the node with this id, or None if there's no such node."""
    row: tuple[int] | None = db.execute(_FIND, split(id)).fetchone()
    return row[0] if row else None


def id_of(db: apsw.Connection, key: int) -> str:
    """Return the id of the node with this key, whose commit is there."""
    operation, turn, ordinal = next(db.execute(_NAME, (key,)))
    return id_from(key, operation, turn, ordinal)


def id_from(key: int, operation: str, turn: str | None, ordinal: int | None) -> str:
    """Return a node's id, from its commit's operation and its alias, if any."""
    if turn is None or ordinal is None:
        return f"{operation}:{key & (PARTS - 1)}"
    return joined(turn, ordinal)


def first_key(commit: int) -> int:
    """Return the key of a commit's first part."""
    return commit << SHIFT

"""What nobody is to see any more: tombstones, vacuumed nodes, blobs without a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lash_sdk.errors import InvalidHistory

from .ids import key_of
from .journal import attached
from .pieces import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

_OWNER: Final = """
select s.id from commits c join sessions s on s.key = c.session where c.key = ?1 >> 20
"""
_HEADS: Final = """
select c.leaf from sessions s join commits c on c.key = s.head where s.state = 1
"""
_CHILDREN: Final = """
select n.key from nodes n join commits c on c.key = n.key >> 20
where n.key = ?1 + 1 and (n.key & 0xfffff) < c.nodes
union all
select n.key from commits c join nodes n on n.key = c.key << 20 where c.base = ?1
"""
_HIDE: Final = "insert into hidden select key, kind, body from nodes where key=?"
_LIVE_ATTACHMENTS: Final = """
select a.blob from attachments a join commits c on c.key = a.key >> 20
where c.nodes = 0
or exists (select 1 from nodes n where n.key >= c.key << 20 and n.key < (c.key << 20) + c.nodes)
"""
_DEAD_ATTACHMENTS: Final = """
delete from attachments where blob not in (select key from blobs)
"""
_DEAD_MANIFESTS: Final = """
delete from manifests where key not in (select manifest from commits where manifest is not null)
"""


def tombstone(db: apsw.Connection, session: str, nodes: Sequence[str]) -> int:
    """
    Hide those of *nodes* that *session* wrote; return how many.

    Raises:
        InvalidHistory: A head, or a node that stays visible, stands on one.
    """
    hide = {key: id for id, key in _own(db, session, nodes)}
    for (leaf,) in db.execute(_HEADS):
        if leaf in hide:
            raise InvalidHistory(f"a session's head stands on node {hide[leaf]!r}")
    for key, id in hide.items():
        if any(child not in hide for (child,) in db.execute(_CHILDREN, (key,))):
            raise InvalidHistory(f"a node that stays visible stands on node {id!r}")
    for key in hide:
        db.execute(_HIDE, (key,))
        db.execute("delete from nodes where key=?", (key,))
    return len(hide)


def _own(db: apsw.Connection, session: str, nodes: Sequence[str]) -> Iterator[tuple[str, int]]:
    for id in nodes:
        key = key_of(db, id)
        if key is not None and db.execute(_OWNER, (key,)).get == session:
            yield id, key


def vacuum(db: apsw.Connection) -> int:
    """Forget what is hidden, but not that it was; return how many nodes."""
    db.execute("update hidden set kind='', body=null where body is not null")
    return db.changes()


def collect(db: apsw.Connection) -> int:
    """Remove the blobs that nothing reaches; return how many bytes."""
    dead = _dead(db)
    db.executemany("delete from blobs where key=?", [(key,) for key, _ in dead])
    db.execute(_DEAD_ATTACHMENTS)
    db.execute(_DEAD_MANIFESTS)
    return sum([size for _, size in dead])


def count(db: apsw.Connection) -> int:
    """Return how many bytes `collect` would remove."""
    return sum([size for _, size in _dead(db)])


def _dead(db: apsw.Connection) -> list[tuple[int, int]]:
    live = set(_roots(db))
    return [row for row in db.execute("select key, length(body) from blobs") if row[0] not in live]


def _roots(db: apsw.Connection) -> Iterator[int]:
    """Yield the keys of blobs that a commit or a journal refers to, repeatedly."""
    for (key,) in db.execute("select distinct manifest from commits where manifest is not null"):
        yield from manifest(db, key).values()
    for (key,) in db.execute(_LIVE_ATTACHMENTS):
        yield key
    yield from attached(db)

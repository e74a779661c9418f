"""
Sessions taken out, all but their ids.

A commit goes once nothing comes after it: its session is deleted, and no fork
began there. One that has to stay keeps the nodes that a living session reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .ids import commit_of, first_key, index_of
from .schema import DELETED, NAMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

_CHILDREN: Final = "select key from sessions where pending is not null and parent=?"
_WAITING: Final = "select key from sessions where parent=? and pending=?"
_FORGET: Final = (
    "delete from journal where session=?",
    "delete from inbox where session=?",
    "update sessions set state=2, updated=null, parent=null, pending=null,"
    " generation=0, holder=null where key=?",
)
_COMMIT: Final = """
select c.session, c.revision, c.parent,
  s.state = 2
  and not exists (select 1 from commits n where n.session=c.session and n.revision=c.revision + 1)
  and not exists (select 1 from sessions f where f.origin=c.key)
from commits c join sessions s on s.key = c.session where c.key=?
"""
_NODES: Final = ("nodes", "hidden", "aliases")
_OTHERS: Final = ("usage", "plugin_rows")
_CUT: Final = {
    table: f"delete from {table} where key >= ? and key < ?"  # noqa: S608 - names of ours
    for table in (*_NODES, *_OTHERS, "attachments")
}
_DEAD: Final = """
with recursive line (key) as (
  values (?)
  union all
  select o.session from line
  join sessions s on s.key = line.key join commits o on o.key = s.origin
)
select line.key from line join sessions s on s.key = line.key where s.state = 2
"""
_ROOTS: Final = """
select h.leaf from sessions s join commits h on h.key = s.head
where s.origin is not null and s.state = 1
union all
select o.leaf from sessions s join commits o on o.key = s.origin
where s.origin is not null and s.state = 1
union all
select b.base from sessions s join commits b on b.session = s.key
where s.origin is not null and s.state = 1
"""


def delete(db: apsw.Connection, session: str) -> bool:
    """Take *session* out, all but its id; return whether there was one."""
    row = db.execute("select key, state from sessions where id=?", (session,)).fetchone()
    key, state = row or (None, DELETED)
    if key is None or state == DELETED:
        return False
    if state == NAMED and not _journaled(db, key):
        return False
    _remove(db, key)
    return True


def deleted(db: apsw.Connection, session: str) -> bool | None:
    """Return True if *session* was deleted, None if it wasn't."""
    state: int | None = db.execute("select state from sessions where id=?", (session,)).get
    return True if state == DELETED else None


def orphan(db: apsw.Connection, session: int | None, turn: str) -> None:
    """Take out the children that still wait for that turn of *session*."""
    for (key,) in list(db.execute(_WAITING, (session, turn))):
        _remove(db, key)


def _journaled(db: apsw.Connection, key: int) -> bool:
    found: int = db.execute("select exists (select 1 from journal where session=?)", (key,)).get
    return bool(found)


def _remove(db: apsw.Connection, key: int) -> None:
    """Take a session out, and those that wait for a turn of its."""
    left = [key]
    while left:
        key = left.pop()
        for statement in _FORGET:
            db.execute(statement, (key,))
        left += [child for (child,) in db.execute(_CHILDREN, (key,))]
        dead = [line for (line,) in db.execute(_DEAD, (key,))]
        _free(db, db.execute("select head from sessions where key=?", (key,)).get)
        _sweep(db, dead)


def _free(db: apsw.Connection, commit: int | None) -> None:
    """Remove a commit and those before it, up to one that something comes after."""
    while commit is not None:
        row = db.execute(_COMMIT, (commit,)).fetchone()
        if row is None:
            return
        session, revision, parent, free = row
        if not free:
            return
        _cut(db, _CUT, commit)
        db.execute("delete from commits where key=?", (commit,))
        if revision == 1:
            db.execute("update sessions set origin=null where key=?", (session,))
        commit = parent


def _sweep(db: apsw.Connection, sessions: Iterable[int]) -> None:
    """Remove what no living session reaches from commits that had to stay."""
    commits = [key for session in sessions for key in _commits(db, session)]
    if not commits:
        return
    live = _live(db)
    for commit in commits:
        kept = live.get(commit, -1) + 1
        _cut(db, _NODES, commit, kept)
        _cut(db, _OTHERS, commit)
        if not kept:
            _cut(db, ("attachments",), commit)
            db.execute("update commits set manifest=null where key=?", (commit,))


def _commits(db: apsw.Connection, session: int) -> list[int]:
    return [key for (key,) in db.execute("select key from commits where session=?", (session,))]


def _live(db: apsw.Connection) -> dict[int, int]:
    """Return the last node that a living fork reaches, by commit."""
    live: dict[int, int] = {}
    for (root,) in list(db.execute(_ROOTS)):
        for commit, index in _path(db, root):
            seen = live.get(commit)
            live[commit] = index if seen is None else max(seen, index)
            if seen is not None:
                break
    return live


def _path(db: apsw.Connection, node: int | None) -> Iterator[tuple[int, int]]:
    """Yield the commits on the path up from *node*, and their last node on it."""
    while node is not None:
        yield commit_of(node), index_of(node)
        node = db.execute("select base from commits where key=?", (commit_of(node),)).get


def _cut(db: apsw.Connection, tables: Iterable[str], commit: int, start: int = 0) -> None:
    """Remove the rows of a commit's parts, from index *start* on."""
    for table in tables:
        db.execute(_CUT[table], (first_key(commit) + start, first_key(commit + 1)))

"""Where sessions stand, or stood: heads, lists of them, receipts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from lash_sdk.commits import Head, Receipt
from lash_sdk.errors import SessionDeleted, StoreCorrupt
from lash_sdk.ports import SessionSummary

from .ids import id_of
from .pieces import refs
from .schema import DELETED, NAMED

if TYPE_CHECKING:
    import apsw


@dataclass(frozen=True, slots=True)
class Memo:
    """What a transaction has read already, by key: manifests, and node ids."""

    manifests: dict[int | None, dict[str, str]] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)

    def manifest(self, db: apsw.Connection, key: int | None) -> dict[str, str]:
        """Return a manifest with the refs of its blobs."""
        if key not in self.manifests:
            self.manifests[key] = refs(db, key)
        return self.manifests[key]

    def id(self, db: apsw.Connection, key: int | None) -> str | None:
        """Return a node's id."""
        if key is None:
            return None
        return self.ids.get(key) or id_of(db, key)


class Stand(NamedTuple):
    """A row of `COLUMNS`: where a commit left its session."""

    session: str
    revision: int
    leaf: int | None
    turns: int
    manifest: int | None
    updated: float
    operation: str
    maker: str | None
    pending: str | None
    origin: str | None
    last: int | None

    def head(self, db: apsw.Connection, memo: Memo) -> Head:
        """Return it, with ids for its keys."""
        return Head(
            session=self.session,
            revision=self.revision,
            leaf=memo.id(db, self.leaf),
            turns=self.turns,
            manifest=memo.manifest(db, self.manifest),
            updated=self.updated,
            operation=self.operation,
            parent=self.maker,
            pending=self.pending,
            forked_from=None if self.origin is None else (self.origin, self.last or 0),
        )


_HEAD: Final = "select state, head, updated, pending from sessions where id=?"
COLUMNS: Final = """
s.id, c.revision, c.leaf, c.turns, c.manifest, c.at, coalesce(c.operation, ''),
  m.id, c.pending, o.id, f.revision
"""
JOINS: Final = """
join sessions s on s.key = c.session
left join sessions m on m.key = c.maker
left join commits f on f.key = s.origin
left join sessions o on o.key = f.session
"""
_AT: Final = f"select {COLUMNS} from commits c {JOINS} where c.key=?"  # noqa: S608 - ours
_RECEIPT: Final = """
select c.key, s.id, c.operation, c.revision, c.leaf
from commits c join sessions s on s.key = c.session
where c.operation=? and s.id=? and s.state = 1
"""
_CHANGES: Final = """
select c.key, s.id, c.operation, c.revision, c.leaf
from commits c join sessions s on s.key = c.session
where c.key > ? and c.operation is not null and s.state = 1
order by c.key limit ?
"""
_SESSIONS: Final = """
select s.id, coalesce(c.revision, 0), coalesce(c.turns, 0), s.updated, p.id,
  exists (select 1 from journal j where j.session = s.key) as unfinished
from sessions s left join commits c on c.key = s.head left join sessions p on p.key = s.parent
where (s.state = 1 and s.pending is null or s.state = 0 and unfinished)
and (?1 is null or s.updated < ?1) and substr(s.id, 1, ?2) = ?3
order by s.updated desc, s.key desc limit ?4
"""


def head(db: apsw.Connection, session: str) -> Head | None:
    """
    Return where *session* stands, or None if nothing made it yet.

    Raises:
        SessionDeleted: It's gone.
    """
    row = db.execute(_HEAD, (session,)).fetchone()
    if row is None:
        return None
    state, key, updated, pending = row
    if state == DELETED:
        raise SessionDeleted(session)
    if state == NAMED:
        return None
    if key is None:
        return Head(session=session, revision=0, leaf=None, turns=0, manifest={}, updated=updated)
    found = at(db, key, Memo())
    return found if found.pending == pending else replace(found, pending=pending)


def at(db: apsw.Connection, commit: int, memo: Memo) -> Head:
    """
    Return where a commit left its session.

    Raises:
        StoreCorrupt: It isn't there.
    """
    row = db.execute(_AT, (commit,)).fetchone()
    if row is None:
        raise StoreCorrupt(f"commit {commit} isn't there")
    return Stand(*row).head(db, memo)


def receipt(db: apsw.Connection, session: str, operation: str) -> Receipt | None:
    """Return the receipt of an operation that landed."""
    row = db.execute(_RECEIPT, (operation, session)).fetchone()
    return _receipt(db, row) if row else None


def changes(db: apsw.Connection, cursor: int, limit: int) -> list[Receipt]:
    """Return the receipts of the first commits after *cursor*, of any session."""
    return [_receipt(db, row) for row in list(db.execute(_CHANGES, (cursor, limit)))]


def _receipt(db: apsw.Connection, row: tuple[int, str, str, int, int | None]) -> Receipt:
    key, session, operation, revision, leaf = row
    return Receipt(
        session=session,
        operation=operation,
        revision=revision,
        leaf=None if leaf is None else id_of(db, leaf),
        cursor=key,
    )


def sessions(
    db: apsw.Connection, before: float | None, limit: int, prefix: str
) -> list[SessionSummary]:
    """Return sessions updated before then, newest first."""
    rows = db.execute(_SESSIONS, (before, len(prefix), prefix, max(limit, 0)))
    return [
        SessionSummary(
            id=id,
            revision=revision,
            turns=turns,
            updated=updated,
            parent=parent,
            unfinished=bool(unfinished),
        )
        for id, revision, turns, updated, parent, unfinished in rows
    ]

"""Where a session stands, as the writer needs it: keys, not ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lash_sdk.errors import InvalidHistory, SessionDeleted, StoreCorrupt

from .ids import commit_of, id_from, index_of, key_of
from .schema import DELETED, MADE, NAMED

if TYPE_CHECKING:
    import apsw

COLUMNS: Final = """
s.key, s.state, s.parent, s.pending, s.generation, s.holder,
  c.key, c.revision, c.turns, c.hash, c.manifest,
  c.leaf, l.operation, a.turn, a.ordinal
"""
JOINS: Final = """
left join commits c on c.key = s.head and s.state = 1
left join commits l on l.key = c.leaf >> 20
left join aliases a on a.key = c.leaf
"""
_FIND: Final = f"select {COLUMNS} from sessions s {JOINS} where s.id = ?"  # noqa: S608 - ours
_NAMED: Final = "insert into sessions (id, state) values (?, ?) returning key"
_COMMIT: Final = "select session, revision, nodes, key from commits where key=?"
_ORIGIN: Final = """
select o.session, o.revision from sessions s join commits o on o.key = s.origin where s.key=?
"""


class Place(NamedTuple):
    """A row of the sessions and the commit it stands at; all empty without one."""

    session: int | None = None
    state: int = NAMED
    parent: int | None = None
    pending: str | None = None
    generation: int = 0
    holder: str | None = None
    head: int | None = None
    revision: int | None = None
    turns: int | None = None
    hash: bytes | None = None
    manifest: int | None = None
    leaf: int | None = None
    operation: str | None = None
    turn: str | None = None
    ordinal: int | None = None

    @property
    def made(self) -> bool:
        """Whether there's such a session."""
        return self.state == MADE

    @property
    def leaf_id(self) -> str | None:
        """The id of the leaf."""
        if self.leaf is None or self.operation is None:
            return None
        return id_from(self.leaf, self.operation, self.turn, self.ordinal)


class End(NamedTuple):
    """The commit that wrote a node."""

    session: int
    revision: int
    nodes: int
    key: int


def look(db: apsw.Connection, id: str) -> Place:
    """Return where a session stands, deleted or not."""
    row = db.execute(_FIND, (id,)).fetchone()
    return Place(*row) if row else Place()


def find(db: apsw.Connection, id: str) -> Place:
    """
    Return where a session stands.

    Raises:
        SessionDeleted: It's gone.
    """
    place = look(db, id)
    if place.state == DELETED:
        raise SessionDeleted(id)
    return place


def named(db: apsw.Connection, id: str, place: Place | None = None) -> int:
    """Return the key of a session's row, which needn't be there yet."""
    place = look(db, id) if place is None else place
    if place.session is not None:
        return place.session
    key: int = db.execute(_NAMED, (id, NAMED)).get
    return key


def reach(db: apsw.Connection, place: Place, id: str) -> int:
    """
    Return the key of a node that a session sees: its own, or its origin's.

    Raises:
        InvalidHistory: It sees no such node.
    """
    if id == place.leaf_id and place.leaf is not None:
        return place.leaf
    key = key_of(db, id)
    if key is None or not _sees(db, place.session, _commit(db, key)):
        raise InvalidHistory(f"no node {id!r} in this session")
    return key


def end(db: apsw.Connection, place: Place, id: str) -> int:
    """
    Return the key of the commit that ends in a node.

    Raises:
        InvalidHistory: The session sees no such node, or it ends no commit.
    """
    key = reach(db, place, id)
    commit = _commit(db, key)
    if index_of(key) != commit.nodes - 1:
        raise InvalidHistory(f"node {id!r} doesn't end a commit")
    return commit.key


def _commit(db: apsw.Connection, node: int) -> End:
    row = db.execute(_COMMIT, (commit_of(node),)).fetchone()
    if row is None:
        raise StoreCorrupt(f"commit {commit_of(node)} isn't there")
    return End(*row)


def _sees(db: apsw.Connection, session: int | None, commit: End) -> bool:
    """Return whether a commit is one of the session's, or of those that it came from."""
    at, last = session, commit.revision
    while at is not None:
        if commit.session == at and commit.revision <= last:
            return True
        at, last = db.execute(_ORIGIN, (at,)).fetchone() or (None, 0)
    return False

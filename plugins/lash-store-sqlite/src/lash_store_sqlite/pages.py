"""
A session's history, read back: pages of nodes, each checked on the way.

A page tells of one revision. What a fork shares with its origin is told in its
first: the path from the root to the node where it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from lash_sdk.commits import Part, chain_hash, node_part, part_hash, usage_part
from lash_sdk.errors import SessionDeleted, StoreCorrupt
from lash_sdk.graph import Node, read_node
from lash_sdk.json import decode
from lash_sdk.ports import Page

from .heads import Memo, at
from .ids import commit_of, first_key, id_from, index_of, key_of
from .pieces import unpack
from .schema import DELETED, PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

    from lash_sdk.usage import UsageRow

PAGE_NODES: Final = 500
"""How many nodes a page holds at most."""

PAGES: Final = 250
"""How many pages are read in one go, if they're short."""

_SESSION: Final = """
select s.key, s.state, s.origin, coalesce(c.revision, 0)
from sessions s left join commits c on c.key = s.head where s.id=?
"""
_LINKS: Final = """
select key, revision, nodes from commits where session=? and revision > ? order by revision
"""
_PATH: Final = """
with recursive path (key, size, base) as (
  select key, (?1 & 0xfffff) + 1, base from commits where key = ?1 >> 20
  union all
  select c.key, (path.base & 0xfffff) + 1, c.base
  from path join commits c on c.key = path.base >> 20
)
select key, size from path
"""
_LINE: Final = """
with recursive line (key, parent) as (
  select key, parent from commits where key=?
  union all
  select c.key, c.parent from line join commits c on c.key = line.parent
)
select key from line
"""
_COMMIT: Final = """
select s.id, c.revision, c.operation, c.base, c.hash, p.hash, c.parts
from commits c join sessions s on s.key = c.session
left join commits p on p.key = c.parent where c.key=?
"""
_NODES: Final = """
select n.key, a.turn, a.ordinal, n.kind, n.body
from nodes n left join aliases a on a.key = n.key
where n.key >= ? and n.key < ? order by n.key
"""
_HIDDEN: Final = "select count(*) from hidden where key >= ? and key < ?"
_USAGE: Final = "select key, id, body from usage where key >= ? and key < ? order by key"


class Span(NamedTuple):
    """Nodes of one commit that follow each other."""

    commit: int
    start: int
    stop: int


class Plan(NamedTuple):
    """
    What goes into one page.

    Attributes:
        last: Whether it's the revision's last, which has its usage and its head.
    """

    commit: int
    revision: int
    spans: tuple[Span, ...]
    last: bool

    @property
    def size(self) -> int:
        """How many nodes it has, hidden ones included."""
        return sum([span.stop - span.start for span in self.spans])


Plans: TypeAlias = list[Plan]


# --- what goes into which page -------------------------------------------------


def plan(db: apsw.Connection, session: str, since: int) -> Plans:
    """
    Return what the pages of a session hold after revision *since*, oldest first.

    Raises:
        SessionDeleted: The id was used by a session that's gone.
        StoreCorrupt: A commit is missing, or one of the origin's isn't what was stored.
    """
    row = db.execute(_SESSION, (session,)).fetchone()
    if row is None:
        return []
    key, state, origin, revision = row
    if state == DELETED:
        raise SessionDeleted(session)
    links = list(db.execute(_LINKS, (key, max(since, 0))))
    if [link[1] for link in links] != list(range(max(since, 0) + 1, revision + 1)):
        raise StoreCorrupt(f"session {session!r}: a commit is missing")
    plans: Plans = []
    for commit, number, nodes in links:
        spans = [Span(commit, 0, nodes)] if nodes else []
        if number == 1 and origin is not None:
            spans = _shared(db, commit, origin)
        plans += _pages(commit, number, spans)
    return plans


def _shared(db: apsw.Connection, fork: int, origin: int) -> list[Span]:
    """Return the path to where a fork began; check what lies beside it."""
    leaf = db.execute("select leaf from commits where key=?", (fork,)).get
    spans = [Span(key, 0, size) for key, size in db.execute(_PATH, (leaf,))]
    spans.reverse()
    memo = Memo()
    beside = {key for (key,) in db.execute(_LINE, (origin,))}
    for key in beside.difference([span.commit for span in spans]):
        _Commit(db, key, memo)
    return spans


def _pages(commit: int, revision: int, spans: Sequence[Span]) -> Iterator[Plan]:
    """Yield the plans of one revision's pages: at least one."""
    page: list[Span] = []
    room = PAGE_NODES
    for span in spans:
        start = span.start
        while span.stop - start > room:
            page.append(span._replace(start=start, stop=start + room))
            yield Plan(commit, revision, tuple(page), last=False)
            start += room
            page, room = [], PAGE_NODES
        page.append(span._replace(start=start))
        room -= span.stop - start
    yield Plan(commit, revision, tuple(page), last=True)


def batches(plans: Plans) -> Iterator[Plans]:
    """Yield *plans* in pieces that are worth a transaction each."""
    batch: Plans = []
    size = 0
    for each in plans:
        if batch and (size + each.size > PAGE_NODES or len(batch) == PAGES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += each.size
    if batch:
        yield batch


# --- what is in them -----------------------------------------------------------


def read(db: apsw.Connection, session: str, plans: Plans) -> tuple[list[Page], StoreCorrupt | None]:
    """
    Return pages, every hash in them checked, and what's wrong with the one after.

    Raises:
        SessionDeleted: It was, since they were planned.
    """
    if db.execute("select state from sessions where id=?", (session,)).get == DELETED:
        raise SessionDeleted(session)
    memo = Memo()
    found: list[Page] = []
    try:
        for each in plans:
            found.append(_page(db, each, memo))
    except StoreCorrupt as error:
        return found, error
    return found, None


def _page(db: apsw.Connection, plan: Plan, memo: Memo) -> Page:
    commit = _Commit(db, plan.commit, memo)
    nodes: list[Node] = []
    for span in plan.spans:
        holder = commit if span.commit == plan.commit else _Commit(db, span.commit, memo)
        nodes += holder.read_nodes(span.start, span.stop)
    if not plan.last:
        return Page(revision=plan.revision - 1, nodes=tuple(nodes))
    return Page(
        revision=plan.revision,
        nodes=tuple(nodes),
        usage=commit.read_usage(),
        head=at(db, plan.commit, memo),
    )


def node(db: apsw.Connection, id: str) -> Node | None:
    """Return a node by its id, checked against its hash."""
    key = key_of(db, id)
    if key is None:
        return None
    index = index_of(key)
    return _Commit(db, commit_of(key), Memo()).read_nodes(index, index + 1)[0]


class _Commit:
    """A stored commit, its chain hash checked, whose parts can be read."""

    def __init__(self, db: apsw.Connection, key: int, memo: Memo) -> None:
        self._db = db
        self._memo = memo
        self._first = first_key(key)
        row = db.execute(_COMMIT, (key,)).fetchone()
        if row is None:
            raise StoreCorrupt(f"commit {key} isn't there")
        self._session, self._revision, operation, self._base, hash, parent, hashes = row
        self._operation: str = operation or ""
        self._hashes = [hashes[at : at + 32].hex() for at in range(0, len(hashes), 32)]
        before = "" if parent is None else parent.hex()
        if chain_hash(before, self._operation, self._hashes) != hash.hex():
            raise self._corrupt(f"commit {self._operation!r}")

    def read_nodes(self, start: int, stop: int) -> list[Node]:
        """Return those of its nodes that nothing hides, each checked against its hash."""
        first, end = self._first + start, self._first + stop
        nodes: list[Node] = []
        for key, turn, ordinal, kind, data in list(self._db.execute(_NODES, (first, end))):
            id = id_from(key, self._operation, turn, ordinal)
            above = key - 1 if index_of(key) else self._base
            found = read_node(id, self._memo.id(self._db, above), kind, decode(data), data)
            self._check(index_of(key), node_part(found))
            self._memo.ids[key] = id
            nodes.append(found)
        if len(nodes) + self._count_hidden(first, end, len(nodes)) != stop - start:
            raise self._corrupt(f"commit {self._operation!r}")
        return nodes

    def _count_hidden(self, first: int, end: int, shown: int) -> int:
        if shown == end - first:
            return 0
        found: int = self._db.execute(_HIDDEN, (first, end)).get
        return found

    def read_usage(self) -> tuple[UsageRow, ...]:
        """Return its ledger rows, each checked against its hash."""
        rows: list[UsageRow] = []
        for key, id, data in self._db.execute(_USAGE, (self._first, self._first + PARTS)):
            row = unpack(id, data, self._operation, self._session)
            self._check(index_of(key), usage_part(row))
            rows.append(row)
        return tuple(rows)

    def _check(self, index: int, part: Part) -> None:
        if self._hashes[index : index + 1] != [part_hash(part)]:
            raise self._corrupt(f"{part[0]} {part[1]!r}")

    def _corrupt(self, what: str) -> StoreCorrupt:
        return StoreCorrupt(
            f"session {self._session!r}: {what} isn't what was stored;"
            f" revision {self._revision - 1} is the last good one"
        )

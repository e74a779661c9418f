"""
A session's history, read back: pages of nodes, each checked on the way.

A page tells of one revision. What a fork shares with its origin is told in its
first: the path from the root to the node where it began.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from lash_sdk.commits import Seal, chain_hash, usage_part
from lash_sdk.errors import SessionDeleted, StoreCorrupt
from lash_sdk.graph import Node
from lash_sdk.ports import Page
from lash_sdk.usage import Unread

from .heads import COLUMNS, JOINS, Memo, Stand
from .ids import commit_of, first_key, index_of, joined, key_of
from .pieces import unpack
from .schema import DELETED, PARTS, SHIFT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import apsw

    from lash_sdk.usage import UsageRow

LAST: Final = PARTS - 1
"""The bits of a key that are its index: `index_of`, where a call a node is too much."""

PAGE_NODES: Final = 500
"""How many nodes a page holds at most."""

BATCH: Final = 2000
"""How many nodes are read in one go, unless a page alone has more."""

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
_COMMITS: Final = f"""
select c.key, c.base, c.hash, p.hash, c.parts, {COLUMNS}
from json_each(?) w join commits c on c.key = w.value {JOINS}
left join commits p on p.key = c.parent
"""  # noqa: S608 - ours
# a cross join goes range by range, and through each by its keys: in the order of the path
_NODES: Final = """
select n.key, n.kind, cast(n.body as blob) from json_each(?) w cross join nodes n
where n.key >= w.value ->> 0 and n.key < w.value ->> 1
"""
_ALIASES: Final = """
select a.key, a.turn, a.ordinal from json_each(?) w cross join aliases a
where a.key >= w.value ->> 0 and a.key < w.value ->> 1
"""
_HIDDEN: Final = "select count(*) from hidden where key >= ? and key < ?"
_USAGE: Final = """
select u.key, u.id, cast(u.body as blob)
from json_each(?1) w cross join usage u
where u.key >= w.value << 20 and u.key < (w.value + 1) << 20
"""


class Span(NamedTuple):
    """Nodes of one commit that follow each other."""

    commit: int
    start: int
    stop: int

    @property
    def keys(self) -> tuple[int, int]:
        """The key of the first, and the one after the last."""
        first = first_key(self.commit)
        return first + self.start, first + self.stop


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
        if number == 1 and origin is not None:
            plans += _pages(commit, number, _shared(db, commit, origin))
        elif nodes <= PAGE_NODES:
            spans = (Span(commit, 0, nodes),) if nodes else ()
            plans.append(Plan(commit, number, spans, last=True))
        else:
            plans += _pages(commit, number, [Span(commit, 0, nodes)])
    return plans


def _shared(db: apsw.Connection, fork: int, origin: int) -> list[Span]:
    """Return the path to where a fork began; check what lies beside it."""
    leaf = db.execute("select leaf from commits where key=?", (fork,)).get
    spans = [Span(key, 0, size) for key, size in db.execute(_PATH, (leaf,))]
    spans.reverse()
    line = {key for (key,) in db.execute(_LINE, (origin,))}
    beside = line.difference([span.commit for span in spans])
    rows = _Rows(db, [Plan(key, 0, (), last=False) for key in beside])
    for key in beside:
        rows.commit(key)
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
        wanted = each.size + 1  # its commit is read too
        if batch and size + wanted > BATCH:
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += wanted
    if batch:
        yield batch


# --- what is in them -----------------------------------------------------------


def read(db: apsw.Connection, session: str, plans: Plans) -> tuple[list[Page], StoreCorrupt | None]:
    """
    Return pages, the chain of commits checked, and what's wrong with the one after.

    Raises:
        SessionDeleted: It was, since they were planned.
    """
    if db.execute("select state from sessions where id=?", (session,)).get == DELETED:
        raise SessionDeleted(session)
    found: list[Page] = []
    try:
        rows = _Rows(db, plans)
        for each in plans:
            found.append(rows.page(each))
    except StoreCorrupt as error:
        return found, error
    return found, None


def node(db: apsw.Connection, id: str) -> Node | None:
    """Return a node by its id."""
    key = key_of(db, id)
    if key is None:
        return None
    index, commit = index_of(key), commit_of(key)
    span = Span(commit, index, index + 1)
    rows = _Rows(db, [Plan(commit, 0, (span,), last=False)])
    return rows.nodes(span)[0]


class _Commit(NamedTuple):
    """A stored commit, whose hash is right."""

    base: int | None
    seal: Seal
    stand: Stand


class _Rows:
    """What's read of several commits in one go, from which pages are made."""

    def __init__(self, db: apsw.Connection, plans: Plans) -> None:
        spans = [span for plan in plans for span in plan.spans]
        ranges = _many([span.keys for span in spans])
        own = [plan.commit for plan in plans if plan.last]
        keys = {plan.commit for plan in plans}.union([span.commit for span in spans])
        self._db = db
        self._memo = Memo()
        self._rows = {row[0]: row for row in db.execute(_COMMITS, _many(keys))}
        self._commits: dict[int, _Commit] = {}
        self._nodes = _by_commit(db.execute(_NODES, ranges))
        self._aliases = {key: joined(turn, at) for key, turn, at in db.execute(_ALIASES, ranges)}
        self._usage = _by_commit(db.execute(_USAGE, _many(own)))

    def page(self, plan: Plan) -> Page:
        """
        Return the page of a plan.

        Raises:
            StoreCorrupt: A commit isn't chained to the one before it, or a row is missing.
        """
        commit = self.commit(plan.commit)
        nodes: list[Node] = []
        for span in plan.spans:
            nodes += self.nodes(span)
        if not plan.last:
            return Page(revision=plan.revision - 1, nodes=tuple(nodes))
        return Page(
            revision=plan.revision,
            nodes=tuple(nodes),
            usage=self._ledger(plan.commit, commit),
            head=commit.stand.head(self._db, self._memo),
        )

    def nodes(self, span: Span) -> list[Node]:
        """Return those nodes of a span that nothing hides; what's in them isn't read yet."""
        base, seal, stand = self.commit(span.commit)
        memo, aliases, check = self._memo, self._aliases, seal.check
        usual = f"{stand.operation}:"
        first, end = span.keys
        nodes: list[Node] = []
        id, before = "", -1
        for key, kind, data in self._nodes.get(span.commit, ()):
            if not first <= key < end:
                continue
            above: str | None = id
            if key - 1 != before:  # the first, or one after what's hidden
                above = memo.id(self._db, key - 1 if index_of(key) else base)
            before, id = key, f"{usual}{key & LAST}"
            if key in aliases:
                id = aliases[key]
            nodes.append(Node.stored(id, above, kind, data, check))
        if nodes:
            memo.ids[before] = id
        if len(nodes) < end - first:
            hidden: int = self._db.execute(_HIDDEN, (first, end)).get
            if len(nodes) + hidden != end - first:
                raise seal.broken(f"commit {stand.operation!r}")
        return nodes

    def commit(self, key: int) -> _Commit:
        """
        Return a commit.

        Raises:
            StoreCorrupt: It isn't chained to the one before it, or isn't there.
        """
        if key not in self._commits:
            row = self._rows.get(key)
            if row is None:
                raise StoreCorrupt(f"commit {key} isn't there")
            self._commits[key] = _commit(*row)
        return self._commits[key]

    def _ledger(self, key: int, commit: _Commit) -> Sequence[UsageRow]:
        found = self._usage.get(key)
        return Unread(partial(_ledger, commit, found)) if found else ()


def _commit(
    key: int, base: int | None, hash: bytes, before: bytes | None, parts: bytes, *columns: Any
) -> _Commit:
    stand = Stand._make(columns)
    hashes = parts.hex(",", 32).split(",") if parts else []
    seal = Seal(session=stand.session, revision=stand.revision, hashes=hashes)
    if chain_hash(before.hex() if before else "", stand.operation, hashes) != hash.hex():
        raise seal.broken(f"commit {stand.operation!r}")
    return _Commit(base, seal, stand)


def _ledger(commit: _Commit, found: Sequence[tuple[int, str, bytes]]) -> list[UsageRow]:
    """Return a commit's ledger rows, each checked against its hash."""
    stand = commit.stand
    rows = [unpack(id, data, stand.operation, stand.session) for _, id, data in found]
    for row in rows:
        commit.seal.check(usage_part(row))
    return rows


def _many(values: Iterable[int | tuple[int, int]]) -> tuple[str]:
    """Return *values* as SQL takes them: as one JSON array."""
    return (json.dumps(list(values)),)


def _by_commit(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    """Return *rows*, which begin with a part's key, by their commits."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[0] >> SHIFT, []).append(row)
    return found

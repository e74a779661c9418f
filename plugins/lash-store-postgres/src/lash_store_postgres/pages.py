"""
A session's history, read back: pages of nodes, each checked on the way.

A page tells of one revision. What a fork shares with its origin is told in its
first: the path from the root to the node where it began.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from psycopg.types.numeric import Int8

from lash_sdk.commits import usage_part
from lash_sdk.errors import SessionDeleted, StoreCorrupt
from lash_sdk.graph import Node
from lash_sdk.ports import Page
from lash_sdk.usage import Unread

from .links import LINKS, MANIFESTS, Link, linked, manifested
from .pieces import unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from psycopg.rows import TupleRow

    from lash_sdk.usage import UsageRow

    from .server import Server

PAGE_NODES: Final = 500
"""How many nodes a page holds at most."""

PAGES: Final = 250
"""How many pages are read in one go, if they're short."""

_SESSION: Final = """
select state, origin, revision from @schema@.sessions where id = %b::text
"""
_COMMITS: Final = """
select c.key, c.revision, c.nodes
from @schema@.sessions s join @schema@.commits c on c.session = s.key
where s.id = %b::text and c.revision > %b::bigint order by c.revision
"""
_PATH: Final = """
with recursive path (key, size, above, place, depth) as (
  select c.key, f.leaf_place + 1, c.base_commit, c.base_place, 0
    from @schema@.commits f join @schema@.commits c on c.key = f.leaf_commit
    where f.key = %b::bigint
  union all
  select c.key, path.place + 1, c.base_commit, c.base_place, depth + 1
    from path join @schema@.commits c on c.key = path.above
)
select key, size from path order by depth desc
"""
_LINE: Final = """
with recursive line (key, parent) as (
  select key, parent from @schema@.commits where key = %b::bigint
  union all
  select c.key, c.parent from line join @schema@.commits c on c.key = line.parent
)
select key from line
"""
_NODES: Final = """
select n.commit, n.place, n.id, n.kind, n.hidden, case when not n.hidden then n.body end
from unnest(%b::bigint[], %b::bigint[], %b::bigint[]) as w (key, start, stop)
join @schema@.nodes n on n.commit = w.key and n.place >= w.start - 1 and n.place < w.stop
order by n.commit, n.place
"""
_USAGE: Final = """
select u.commit, u.place, u.id, u.body
from unnest(%b::bigint[]) as w (key) join @schema@.usage u on u.commit = w.key
order by u.commit, u.place
"""
_NODE: Final = "select commit, place from @schema@.nodes where id = %b::text and not hidden"


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


async def load(server: Server, session: str, since: int) -> AsyncIterator[Page]:
    """
    Yield what was committed after revision *since*, oldest first.

    Raises:
        SessionDeleted: The id was used by a session that's gone, or it's gone by now.
        StoreCorrupt: A commit is missing, or a part isn't what was stored.
    """
    for batch in _batches(await _plan(server, session, since)):
        for page in await _read(server, session, batch):
            yield page


# --- what goes into which page -------------------------------------------------


async def _plan(server: Server, session: str, since: int) -> Plans:
    since = max(since, 0)
    # in this order: what's committed meanwhile makes no gap, nor what's deleted
    before, links, after = await server.several(
        (_SESSION, [session]), (_COMMITS, [session, Int8(since)]), (_SESSION, [session])
    )
    origin = _origin(session, after)
    numbers = [number for _, number, _ in links]
    least = before[0][2] if before else 0
    if numbers != list(range(since + 1, since + 1 + len(links))) or least > since + len(links):
        raise StoreCorrupt(f"session {session!r}: a commit is missing")
    plans: Plans = []
    for commit, number, nodes in links:
        spans = [Span(commit, 0, nodes)] if nodes else []
        if number == 1 and origin is not None:
            spans = await _shared(server, commit, origin)
        plans += _pages(commit, number, spans)
    return plans


def _origin(session: str, rows: Sequence[TupleRow]) -> int | None:
    """Return the commit that a session was forked from, if it's there and was."""
    state, origin, _ = rows[0] if rows else (0, None, 0)
    if state == 2:
        raise SessionDeleted(session)
    found: int | None = origin
    return found


async def _shared(server: Server, fork: int, origin: int) -> list[Span]:
    """Return the path to where a fork began; check what lies beside it."""
    path, line = await server.several((_PATH, [Int8(fork)]), (_LINE, [Int8(origin)]))
    keys = [Int8(key) for (key,) in line]
    linked(await server.rows(LINKS, keys))
    return [Span(key, 0, size) for key, size in path]


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


def _batches(plans: Plans) -> Iterator[Plans]:
    """Yield *plans* in pieces that are worth a round trip each."""
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


async def _read(server: Server, session: str, plans: Plans) -> list[Page]:
    """Return pages, every hash in them checked."""
    spans = [span for plan in plans for span in plan.spans]
    own = [plan.commit for plan in plans if plan.last]
    keys = {plan.commit for plan in plans}.union([span.commit for span in spans])
    links, manifests, nodes, usage, states = await server.several(
        (LINKS, [_ints(sorted(keys))]),
        (MANIFESTS, [_ints(own)]),
        (_NODES, [_ints([span[field] for span in spans]) for field in range(3)]),
        (_USAGE, [_ints(own)]),
        (_SESSION, [session]),
    )
    _origin(session, states)  # last: what's missing because it was deleted isn't damaged
    found = _Found(linked(links), nodes, usage)
    heads = manifested(manifests)
    return [found.page(plan, heads) for plan in plans]


def _ints(numbers: Sequence[int]) -> list[Int8]:
    return [Int8(number) for number in numbers]


async def node(server: Server, id: str) -> Node | None:
    """Return a node by its id."""
    rows = await server.rows(_NODE, id)
    if not rows:
        return None
    commit, place = rows[0]
    span = Span(commit, place, place + 1)
    links, nodes = await server.several(
        (LINKS, [_ints([commit])]), (_NODES, [_ints([number]) for number in span])
    )
    return next(iter(_Found(linked(links), nodes, ()).nodes(span)), None)


class _Found:
    """Rows of several commits, from which pages are made."""

    def __init__(
        self, links: Mapping[int, Link], nodes: Sequence[TupleRow], usage: Sequence[TupleRow]
    ) -> None:
        self._links = links
        self._nodes: dict[tuple[int, int], TupleRow] = {}
        self._usage: dict[int, list[TupleRow]] = {}
        for commit, place, *rest in nodes:
            self._nodes[commit, place] = tuple(rest)
        for commit, *rest in usage:
            self._usage.setdefault(commit, []).append(tuple(rest))

    def page(self, plan: Plan, manifests: Mapping[int, Mapping[str, str]]) -> Page:
        """Return the page of a plan."""
        nodes = tuple([node for span in plan.spans for node in self.nodes(span)])
        if not plan.last:
            return Page(revision=plan.revision - 1, nodes=nodes)
        link = self._link(plan.commit)
        head, usage = link.head(manifests), self._ledger(link)
        return Page(revision=plan.revision, nodes=nodes, usage=usage, head=head)

    def nodes(self, span: Span) -> Iterator[Node]:
        """Yield those nodes that nothing hides; what's in them isn't read yet."""
        link = self._link(span.commit)
        seal = link.seal().check
        above = link.base
        if span.start:
            above, *_ = self._row(link, span.start - 1)
        for place in range(span.start, span.stop):
            id, kind, hidden, data = self._row(link, place)
            if not hidden:
                if data is None:
                    raise link.seal().broken(f"node {id!r}")
                yield Node.stored(id, above, kind, data, seal)
            above = id

    def _row(self, link: Link, place: int) -> TupleRow:
        row = self._nodes.get((link.key, place))
        if row is None:
            raise link.broken()
        return row

    def _link(self, key: int) -> Link:
        if key not in self._links:
            raise StoreCorrupt(f"commit {key} isn't there")
        return self._links[key]

    def _ledger(self, link: Link) -> Sequence[UsageRow]:
        found = self._usage.get(link.key)
        return Unread(partial(_ledger, link, found)) if found else ()


def _ledger(link: Link, found: Sequence[TupleRow]) -> list[UsageRow]:
    """Return a commit's ledger rows, each checked against its hash."""
    rows = [unpack(id, data, link.operation, link.session) for _, id, data in found]
    seal = link.seal()
    for row in rows:
        seal.check(usage_part(row))
    return rows

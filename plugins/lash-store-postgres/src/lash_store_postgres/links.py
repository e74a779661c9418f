"""Commits, read back: each one's hash checked against the one before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lash_sdk.commits import Head, Receipt, Seal, chain_hash
from lash_sdk.errors import StoreCorrupt

from .pieces import manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg.rows import TupleRow

_COLUMNS: Final = """
  c.key, s.id, c.revision, coalesce(c.operation, ''), c.at, c.turns, c.nodes,
  b.id, l.id, k.id, c.pending, o.id, f.revision, c.manifest,
  encode(c.hash, 'hex'), encode(p.hash, 'hex'), c.parts
"""
_JOINS: Final = """
left join @schema@.sessions s on s.key = c.session
left join @schema@.commits p on p.key = c.parent
left join @schema@.nodes b on b.commit = c.base_commit and b.place = c.base_place
left join @schema@.nodes l on l.commit = c.leaf_commit and l.place = c.leaf_place
left join @schema@.sessions k on k.key = c.maker
left join @schema@.commits f on f.key = s.origin
left join @schema@.sessions o on o.key = f.session
"""
_MANIFEST: Final = """
  m.key, m.names, m.refs, m.hash = sha256(array_send(m.names) || array_send(m.refs))
"""

# ruff: noqa: S608 - put together from pieces above, which nobody outside has a say in

LINKS: Final = f"""
select {_COLUMNS}
from unnest(%b::bigint[]) as w (key) join @schema@.commits c on c.key = w.key {_JOINS}
"""
"""The commits of these keys, with the ids of what they refer to."""

HEAD: Final = f"""
select q.state, q.head, q.updated, q.pending, {_MANIFEST}, {_COLUMNS}
from @schema@.sessions q left join @schema@.commits c on c.key = q.head {_JOINS}
left join @schema@.manifests m on m.key = c.manifest
where q.id = %b::text
"""
"""Where a session stands, the manifest and the commit of that; in one look, for it may move."""

MANIFESTS: Final = f"""
select {_MANIFEST} from @schema@.manifests m
where m.key = any (
  select c.manifest from unnest(%b::bigint[]) as w (key) join @schema@.commits c on c.key = w.key)
"""
"""The manifests that the commits of these keys have."""


class Link(NamedTuple):
    """A commit; without an operation it's a fork's first."""

    key: int
    session: str
    revision: int
    operation: str
    at: float
    turns: int
    nodes: int
    base: str | None
    leaf: str | None
    maker: str | None
    pending: str | None
    origin: str | None
    last: int | None
    manifest: int | None
    hash: str
    before: str | None
    parts: bytes

    def head(self, manifests: Mapping[int, Mapping[str, str]]) -> Head:
        """
        Return where it left its session.

        Raises:
            StoreCorrupt: Its manifest isn't there.
        """
        if self.manifest is not None and self.manifest not in manifests:
            raise StoreCorrupt(f"manifest {self.manifest} isn't there")
        return Head(
            session=self.session,
            revision=self.revision,
            leaf=self.leaf,
            turns=self.turns,
            manifest={} if self.manifest is None else manifests[self.manifest],
            updated=self.at,
            operation=self.operation,
            parent=self.maker,
            pending=self.pending,
            forked_from=None if self.origin is None else (self.origin, self.last or 0),
        )

    def receipt(self) -> Receipt:
        """Return its receipt."""
        return Receipt(
            session=self.session,
            operation=self.operation,
            revision=self.revision,
            leaf=self.leaf,
            cursor=self.key,
        )

    def seal(self) -> Seal:
        """Return what its parts have to be."""
        hashes = [self.parts[at : at + 32].hex() for at in range(0, len(self.parts), 32)]
        return Seal(session=self.session, revision=self.revision, hashes=hashes)

    def broken(self) -> StoreCorrupt:
        """Return the error for a commit that isn't what was stored."""
        return self.seal().broken(f"commit {self.operation!r}")


def linked(rows: Sequence[TupleRow]) -> dict[int, Link]:
    """
    Return commits by their keys.

    Raises:
        StoreCorrupt: One isn't chained to the one before it.
    """
    links = {row[0]: Link(*row) for row in rows}
    for link in links.values():
        if chain_hash(link.before or "", link.operation, link.seal().hashes) != link.hash:
            raise link.broken()
    return links


def manifested(rows: Sequence[TupleRow]) -> dict[int, dict[str, str]]:
    """
    Return manifests by their keys.

    Raises:
        StoreCorrupt: One isn't what was stored.
    """
    for key, _, _, sound in rows:
        if not sound:
            raise StoreCorrupt(f"manifest {key} isn't what was stored")
    return {key: manifest(names, refs) for key, names, refs, _ in rows}

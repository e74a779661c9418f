"""
A session as one file of JSON lines, that any store reads back.

A header, then the parts of its commits, oldest first: what a commit refers to, its
nodes and ledger rows, and a line that closes it. The last line has the hash of all
before it. What's read is checked whole before anything of it is written.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lash_sdk.commits import Commit, Component, Stored
from lash_sdk.errors import InvalidHistory, LashError, SessionExists, StoreCorrupt
from lash_sdk.graph import Graph, Node, read_value
from lash_sdk.json import decode, digest, encode
from lash_sdk.messages import Blob, Message, blobs
from lash_sdk.ports import InboxItem
from lash_sdk.usage import UsageRow

from .conversation import read_head
from .failures import CommandError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from lash_sdk.commits import Head
    from lash_sdk.ports import Page, Store

FORMAT: Final = 2
"""It grows when a reader must know."""

Line = dict[str, Any]


# --- writing -------------------------------------------------------------------


async def written(store: Store, session: str) -> tuple[list[str], StoreCorrupt | None]:
    """
    Return a session's lines, without their ends, and what's wrong after them.

    A damaged session is told up to its last good revision.

    Raises:
        CommandError: There's no such session.
        StoreError: None of it can be read.
    """
    head = await read_head(store, session)
    parts: list[Line] = []
    last, damage = head if head.revision == 0 else None, None
    try:
        pending: list[Line] = []
        told: set[str] = set()
        async for page in store.load(session):
            pending += [part async for part in _page(store, page, told)]
            if page.head is not None and page.revision <= head.revision:
                parts, pending, last = parts + pending, [], page.head
    except StoreCorrupt as error:
        damage = error
    if last is None:
        raise damage or StoreCorrupt(f"session {session!r} has no commit")
    if damage is None:
        items = await store.pending(session)
        parts += [{"part": "inbox", "key": item.key, "body": item.body} for item in items]
    return list(_sealed([_header(last), *parts])), damage


def _header(head: Head) -> Line:
    return {
        "lash": "session",
        "format": FORMAT,
        "session": head.session,
        "revision": head.revision,
        "turns": head.turns,
        "leaf": head.leaf,
        "updated": head.updated,
        "parent": head.parent,
        "forked_from": None if head.forked_from is None else list(head.forked_from),
    }


def _sealed(parts: Sequence[Line]) -> Iterator[str]:
    """Yield *parts* in canonical form, then the hash of it all."""
    hash = hashlib.sha256()
    for each in parts:
        line = encode(each).decode("ascii")
        hash.update(line.encode("ascii") + b"\n")
        yield line
    yield encode({"part": "end", "lines": len(parts), "sha256": hash.hexdigest()}).decode("ascii")


async def _page(store: Store, page: Page, told: set[str]) -> AsyncIterator[Line]:
    """Yield a page's parts; what was *told* already isn't told again."""
    said = [node.value for node in page.nodes if isinstance(node.value, Message)]
    for blob in blobs(said):
        if blob.sha256 not in told:
            told.add(blob.sha256)
            data = base64.b64encode(await store.blob(blob.sha256)).decode("ascii")
            yield {"part": "blob", **blob.to_json(), "base64": data}
    for ref in sorted((page.head.manifest if page.head else {}).values()):
        if ref not in told:
            told.add(ref)
            yield {"part": "component", "ref": ref, "body": decode(await store.blob(ref))}
    for node in page.nodes:
        yield {
            "part": "node",
            "id": node.id,
            "parent": node.parent,
            "kind": node.kind,
            "body": node.value.to_json(),
        }
    for row in page.usage:
        yield {"part": "usage", "body": row.to_json()}
    if page.head is not None:
        yield {
            "part": "commit",
            "revision": page.revision,
            "operation": page.head.operation,
            "at": page.head.updated,
            "turns": page.head.turns,
            "leaf": page.head.leaf,
            "manifest": dict(page.head.manifest),
        }


# --- reading -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A file that was read and found whole."""

    session: str
    commits: tuple[Commit, ...]
    inbox: tuple[InboxItem, ...]

    @property
    def nodes(self) -> int:
        """How many nodes it has."""
        return sum([len(commit.nodes) for commit in self.commits])


@dataclass(slots=True)
class _Reader:
    """What was read since the last commit, and what all of it may refer to."""

    session: str
    parent: str | None
    bodies: dict[str, Stored] = field(default_factory=dict)
    blobs: dict[str, Blob] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    usage: list[UsageRow] = field(default_factory=list)
    manifest: Mapping[str, str] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    inbox: list[InboxItem] = field(default_factory=list)

    def take(self, line: Line) -> None:
        """Take in one part; raises what a part that isn't whole raises."""
        match line["part"]:
            case "blob":
                data = base64.b64decode(line["base64"], validate=True)
                blob = Blob.of(data, line["media_type"])
                _same("blob", line["sha256"], blob.sha256)
                self.blobs[blob.sha256] = blob
            case "component":
                _same("component", line["ref"], digest(encode(line["body"])))
                self.bodies[line["ref"]] = Stored.from_json(line["body"])
            case "node":
                value = read_value(line["id"], line["kind"], line["body"])
                self.nodes.append(Node.of(line["id"], line["parent"], value))
            case "usage":
                self.usage.append(UsageRow.from_json(line["body"]))
            case "commit":
                self.close(line)
            case "inbox":
                self.inbox.append(InboxItem(key=line["key"], body=line["body"]))
            case part:
                raise ValueError(f"expected a part of format {FORMAT}, found {part!r}")

    def close(self, line: Line) -> None:
        """Make a commit of the parts since the one before."""
        revision = len(self.commits) + 1
        if line["revision"] != revision:
            raise ValueError(f"expected revision {revision}, found {line['revision']!r}")
        said = [node.value for node in self.nodes if isinstance(node.value, Message)]
        commit = Commit(
            session=self.session,
            expected=revision - 1,
            operation=line["operation"] or f"{self.session}/fork",
            at=line["at"],
            turns=line["turns"],
            nodes=tuple(self.nodes),
            leaf=line["leaf"],
            components=tuple(self._changed(line["manifest"])),
            blobs=tuple([self.blobs[blob.sha256] for blob in blobs(said)]),
            usage=tuple(self.usage),
            parent=self.parent if revision == 1 else None,
        )
        self.commits.append(commit.check())
        self.manifest = line["manifest"]
        self.nodes, self.usage = [], []

    def _changed(self, manifest: Mapping[str, str]) -> Iterator[Component]:
        for name in sorted({*manifest, *self.manifest}):
            ref = manifest.get(name)
            if ref is None:
                yield Component(name=name, version=0, value=None)
            elif ref != self.manifest.get(name):
                body = self.bodies[ref]
                yield Component(name=name, version=body.version, value=body.value)


def read(lines: Iterable[str]) -> Archive:
    """
    Return what *lines* hold, every hash and every link in them checked.

    Raises:
        CommandError: They aren't a session, or not the whole of one.
    """
    hash = hashlib.sha256()
    reader: _Reader | None = None
    header: Line = {}
    end: Line = {}
    number = 0
    for number, text in enumerate(map(str.rstrip, lines), 1):
        try:
            line = _line(text)
            if end:
                raise ValueError("there's more after the end")
            if reader is None:
                header, reader = line, _begin(line)
            elif line["part"] == "end":
                said, found = [line["lines"], line["sha256"]], [number - 1, hash.hexdigest()]
                _same("the file was changed since its export", said, found)
                end = line
            else:
                reader.take(line)
        except ValueError as error:  # ours, and what base64 says
            raise _broken(number, str(error)) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise _broken(number, f"{type(error).__name__}: {error}") from error
        except LashError as error:
            raise _broken(number, str(error)) from error
        hash.update(text.encode("utf-8", "surrogatepass") + b"\n")
    if reader is None or not end:
        raise _broken(number, "it ends too early; export it again")
    return _whole(reader, header, number)


def _line(text: str) -> Line:
    body = decode(text.encode("utf-8", "surrogatepass"))
    if not isinstance(body, dict):
        raise ValueError(f"expected an object, found {body!r}")
    return body


def _begin(header: Line) -> _Reader:
    if header.get("lash") != "session":
        raise ValueError("expected an exported session")
    if header["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT}, found {header['format']!r}")
    return _Reader(session=str(header["session"]), parent=header["parent"])


def _whole(reader: _Reader, header: Line, number: int) -> Archive:
    """Return the archive if its commits come to what its header says."""
    try:
        graph, leaf = Graph(), None
        for commit in reader.commits:
            graph, leaf = graph.load(commit.nodes, commit.leaf), commit.leaf
        _same("header", [header["revision"], header["leaf"]], [len(reader.commits), leaf])
    except (InvalidHistory, ValueError) as error:
        raise _broken(number, str(error)) from error
    return Archive(session=reader.session, commits=tuple(reader.commits), inbox=tuple(reader.inbox))


def _same(what: str, said: object, found: object) -> None:
    if said != found:
        raise ValueError(f"{what}: expected {said!r}, found {found!r}")


def _broken(number: int, why: str) -> CommandError:
    return CommandError(f"line {number}: {why}", way_out="a file that lash sessions export wrote")


# --- putting it in -------------------------------------------------------------


async def restore(store: Store, archive: Archive) -> None:
    """
    Put the session into *store*; if that was begun before, go on with it.

    Raises:
        SessionExists: There's a session of its id, and it isn't the beginning of this.
        SessionDeleted: There was one.
        CommandError: A session that it was forked from, or a fork of it, is there.
        StoreError: The store couldn't; what's there can be gone on with.
    """
    id, commits = archive.session, archive.commits
    head = await store.head(id)
    if head is not None:
        known = commits[head.revision - 1] if 0 < head.revision < len(commits) else None
        if known is None or known.operation != head.operation or known.leaf != head.leaf:
            raise SessionExists(id)
    for commit in commits[head.revision if head else 0 :]:
        try:
            await store.commit(commit)
        except InvalidHistory as error:
            raise CommandError(
                f"session {id!r} shares history with another session of that store: {error}",
                way_out="another --store for it; a session and its fork can't be imported into one",
            ) from error
    for item in archive.inbox:
        await store.enqueue(id, item)


# --- looking at everything -----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """
    What was found of one session.

    Attributes:
        problem: Why it isn't whole; empty if it is.
    """

    session: str
    revision: int = 0
    nodes: int = 0
    blobs: int = 0
    problem: str = ""


async def verified(store: Store, session: str) -> Verified:
    """Return what's found once every stored part of a session was read and checked."""
    revision = nodes = 0
    refs: set[str] = set()
    try:
        head = await store.head(session)
        if head is None:
            begun = "journal" in store.capabilities and await store.journal(session)
            return Verified(session=session, problem="" if begun else "it isn't there")
        graph = Graph()
        async for page in store.load(session):
            at = page.head.leaf if page.head else None
            graph = graph.load(page.nodes, at)
            said = [node.value for node in page.nodes if isinstance(node.value, Message)]
            refs |= {blob.sha256 for blob in blobs(said)}
            refs |= set(page.head.manifest.values()) if page.head else set()
            revision, nodes = page.revision, nodes + len(page.nodes)
        path = graph.at(head.leaf).path()
        said = [node.value for node in path if isinstance(node.value, Message)]
        Commit(session=session, expected=0, operation="", nodes=path).check()
        for ref in sorted(refs):
            await store.blob(ref)
        await store.journal(session)
        await store.pending(session)
    except (StoreCorrupt, InvalidHistory) as error:
        return Verified(session=session, revision=revision, nodes=nodes, problem=str(error))
    return Verified(session=session, revision=revision, nodes=nodes, blobs=len(refs))

"""A session out of a store: history, ledger, and the state of everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from .. import errors
from ..commits import Commit, Component, Head, Stored
from ..dispatch.live import Live
from ..dispatch.toolbox import COMPONENT as TOOLS
from ..graph import Graph, History, Node, chain
from ..hooks.plugin import Plugin
from ..json import Json, decode
from ..messages import Message, blobs
from ..plugins.state import PREFIX, forked, read
from ..policy import Policy
from ..ports import Access, Birth, Store
from ..runner.prepare import sync_tools
from ..runner.settle import PROTOCOL, ProtocolState
from ..usage import Ledger
from .actions import actions

POLICY = "policy"
ACCESS = "access"
"""The component that a session's `Access` is kept as."""


async def open_live(
    live: Live, opened: Callable[[str], Live | None], *, keep: frozenset[str], unseen: bool = False
) -> None:
    """
    Fill *live* from its store, then let its plugins hear that it's open.

    A fork shares the history of the session it was made of, if that one is
    *opened*. What was configured replaces the app's policy, but not the parts in
    *keep*, which the caller chose. One that waits for its parent's commit is only
    there for who asks for an *unseen* one.

    Raises:
        SessionBusy: Its parent's turn, which made it, isn't committed.
        PluginFault: A plugin's state can't be restored, or a hook failed.
        PluginConflict: Two plugins have a tool or an action of one name.
        StoreError: The store couldn't read it.
    """
    head = await live.store.head(live.id)
    if head is not None and head.pending is not None and not unseen:
        raise errors.SessionBusy(live.id)
    origin = opened(head.forked_from[0]) if head and head.forked_from else None
    if head is None or origin is None or not _share(live, head, origin):
        await load(live, head)
    await _load_states(live, head)
    _supply(live)
    await _load_components(live, head, keep)
    sync_tools(live)
    actions(live)
    if live.plans.on_session_opened is not None:
        await live.plans.on_session_opened(live.context())
    await live.tell_faults()


async def bear(store: Store, id: str, birth: Birth) -> None:
    """
    Make a session by its first commit, unless it's made by that already.

    Raises:
        SessionExists: The id has history.
        OperationMismatch: It was made by that operation, but otherwise.
    """
    components = list(birth.components)
    if birth.policy is not None:
        components.append(Component(name=POLICY, version=1, value=birth.policy.to_json()))
    if birth.access is not None:
        components.append(Component(name=ACCESS, version=1, value=birth.access.to_json()))
    nodes = chain(birth.operation, None, birth.values)
    said = [value for value in birth.values if isinstance(value, Message)]
    commit = Commit(
        session=id,
        expected=0,
        operation=birth.operation,
        at=time.time(),
        turns=birth.turns,
        nodes=nodes,
        leaf=nodes[-1].id if nodes else None,
        components=tuple(components),
        blobs=tuple(blobs(said)),
        parent=birth.parent,
        pending=birth.pending,
    )
    try:
        await store.commit(commit.check())
    except errors.RevisionConflict as error:
        raise errors.SessionExists(id) from error


async def reload(live: Live, *, keep: frozenset[str]) -> None:
    """
    Put everything that the store has of *live* in its place, while it's open.

    Raises:
        PluginFault: A plugin's state can't be restored.
        StoreError: The store couldn't read it.
    """
    head = await live.store.head(live.id)
    await load(live, head)
    await _load_states(live, head)
    await _load_components(live, head, keep)


async def _load_states(live: Live, head: Head | None) -> None:
    manifest = head.manifest if head else {}
    saved = [await _load_state(live, instance, manifest) for instance in live.instances]
    live.saved = tuple(saved)
    if head is not None and head.forked_from is not None and head.revision == 1:
        for instance, state in zip(live.instances, saved, strict=True):
            if state is not None and isinstance(instance, Plugin):
                instance.state = forked(instance, state)


async def _load_state(live: Live, instance: object, manifest: Mapping[str, str]) -> Any:
    """Give *instance* its state and return it; sessions share what's the same."""
    if not isinstance(instance, Plugin) or type(instance).State is None:
        return None
    ref, known = manifest.get(PREFIX + instance.name), live.registry.states
    if ref is None:
        state = read(instance, None, None)
    elif (state := known.get((instance.name, ref))) is None:
        state = known[instance.name, ref] = read(instance, *await component(live, ref))
    instance.state = state
    return state


async def _load_components(live: Live, head: Head | None, keep: frozenset[str]) -> None:
    manifest = head.manifest if head else {}
    tools = manifest.get(TOOLS)
    live.toolbox.restore((await component(live, tools))[1] if tools else None)
    if ref := manifest.get(ACCESS):
        live.toolbox.restrict(Access.from_json((await component(live, ref))[1]))
    live.protocol_state = live.protocol.start()
    if ref := manifest.get(PROTOCOL):
        _restore_protocol(live, (await component(live, ref))[1])
    live.policy = live.given
    if ref := manifest.get(POLICY):
        _restore_policy(live, (await component(live, ref))[1], keep)


async def load(live: Live, head: Head | None) -> None:
    """
    Put what the store has of *live* in its place.

    Raises:
        StoreCorrupt: A stored part isn't what its hash says, or nodes form no graph.
    """
    graph, ledger = Graph(), Ledger()
    if head is not None:
        nodes: list[Node] = []
        async for page in live.store.load(live.id):
            nodes += page.nodes
            ledger.add(page.usage)
        try:
            graph = graph.load(nodes, head.leaf)
        except errors.InvalidHistory as error:
            raise errors.StoreCorrupt(f"session {live.id!r}: {error}") from error
        live.inherited = await _inherited(live, head)
    live.graph, live.history, live.ledger = graph, History.of(graph.path()), ledger
    _stand(live, head)


def _share(live: Live, head: Head, origin: Live) -> bool:
    """
    Give *live* the history of its *origin*, and return True, if nothing moved since.

    It wouldn't see the origin's branches out of the store, so not if there are any.
    """
    same = (origin.id, origin.revision) == head.forked_from and origin.graph.leaf == head.leaf
    if not same or head.revision != 1 or origin.graph.branched:
        return False
    live.graph, live.history, live.ledger = origin.graph, origin.history, Ledger()
    live.inherited = Ledger(origin.ledger.rows + origin.inherited.rows)
    _stand(live, head)
    return True


def _stand(live: Live, head: Head | None) -> None:
    live.revision = head.revision if head else 0
    live.turns = head.turns if head else 0
    live.parent = head.parent if head else live.parent


async def _inherited(live: Live, head: Head) -> Ledger:
    """Return what the sessions that this one was forked from had used by then."""
    ledger = Ledger()
    with suppress(errors.SessionDeleted):
        while head.forked_from is not None:
            origin, upto = head.forked_from
            async for page in live.store.load(origin):
                if page.revision <= upto:
                    ledger.add(page.usage)
            if (found := await live.store.head(origin)) is None:
                break
            head = found
    return ledger


async def component(live: Live, ref: str) -> tuple[int, Json]:
    """Return a component of the head: its version and its value."""
    stored = Stored.from_json(decode(await live.store.blob(ref)))
    return stored.version, stored.value


def _supply(live: Live) -> None:
    """
    Take the session's protocol and projector from the plugin that owns each.

    Raises:
        PluginConflict: Two plugins supply one.
    """
    plans = live.plans
    if plans.protocol is not None:
        live.protocol = _only(live, "protocol") or live.protocol
    if plans.tool_projector is not None:
        live.projector = _only(live, "tool_projector") or live.projector


def _only(live: Live, hook: str) -> Any:
    found = getattr(live.plans, hook)(live.context())
    if len(found) > 1:
        names = " and ".join(repr(plugin.name) for plugin, _value in found)
        raise errors.PluginConflict(f"{hook} is supplied by {names}; disable one")
    return found[0][1] if found else None


def _restore_protocol(live: Live, value: Json) -> None:
    saved = ProtocolState.from_json(value)
    if saved.name != live.protocol.name:
        why = f"session {live.id!r} was made with it; now it's {live.protocol.name!r}"
        raise errors.Unavailable(f"protocol {saved.name!r}", why=why)
    live.protocol_state = saved.state


def _restore_policy(live: Live, value: Json, keep: frozenset[str]) -> None:
    kept = Policy.from_json(value)
    live.policy = live.policy.with_overrides(
        model=None if "model" in keep else kept.model or None,
        instructions=None if "instructions" in keep else kept.instructions,
        limits=None if "limits" in keep else kept.limits,
    )

"""What changes a session outside its turns: settings, tools, branches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..commits import Commit, Component, Receipt
from ..contexts import ConfigContext
from ..dispatch.live import Live
from ..dispatch.toolbox import ToolState
from ..errors import InvalidHistory, InvalidInput, RevisionConflict, StoreError, TurnInterrupted
from ..graph import Content, Graph, Note, chain, check_pairs
from ..hooks.answers import Visibility
from ..json import check
from ..messages import Message, blobs
from ..outcomes import Ending
from ..plugins.state import save
from ..policy import Policy
from ..ports import Claim, Model
from ..runner.ask import CONTEXT
from .asks import mint
from .lane import Lane
from .opening import POLICY
from .recovery import fork_journal

TASKS = frozenset(("tasks",))
"""The role of `transform_policy` and `on_config_changed`."""


async def commit(lane: Lane, claim: Claim | None, **parts: Any) -> Receipt:
    """
    Commit a change, made of a commit's *parts*, while the session is held.

    The revision grows by one; what isn't among *parts* stays as it is.

    Raises:
        TurnInterrupted: A turn never finished.
        RevisionConflict: Somebody else committed meanwhile; the session has
            been read anew.
    """
    live = lane.live
    await check_finished(lane, claim)
    given: dict[str, Any] = {
        "operation": mint(),
        "at": time.time(),
        "turns": live.turns,
        "leaf": live.graph.leaf,
        "usage": live.owed(),
        **parts,
    }
    body = Commit(session=live.id, expected=live.revision, **given).check()
    try:
        receipt = await live.store.commit(body)
    except RevisionConflict:
        await lane.refresh()
        raise
    except StoreError:  # maybe after the commit landed
        if (known := await live.store.receipt(live.id, body.operation)) is None:
            raise
        receipt = known
    live.revision = receipt.revision
    live.paid(body.usage)
    lane.feed.wake()
    return receipt


async def check_finished(lane: Lane, claim: Claim | None) -> None:
    """
    Accept a change of a session that has no turn to finish.

    Raises:
        TurnInterrupted: It has one.
    """
    if (found := await lane.find(claim)) is not None:
        raise TurnInterrupted(lane.live.id, found.turn)


async def configure(lane: Lane, policy: Policy, model: Model | None) -> Policy:
    """
    Commit *policy* as the session's, as plugins want it, and return it.

    *model* is the object in use from then on, None if it's known by name. If its
    window is smaller than the one before, plugins may rewrite the history.
    """
    live = lane.live
    before = live.policy
    if live.plans.transform_policy is not None:
        policy = live.plans.transform_policy(live.context(TASKS), policy)
    if model is not None and policy.model != model.name:
        model = None  # a plugin chose another, by name
    if policy == before:
        lane.model = model
        return policy
    # of a model object only this process knows
    kept = policy if model is None else replace(policy, model="")
    component = Component(name=POLICY, version=1, value=kept.to_json())
    async with lane.door.held() as claim:
        shrinks = live.plans.transform_history is not None and _shrinks(lane, policy, model)
        await _branch(lane, claim, [component], await rewritten(live) if shrinks else {})
    live.policy, lane.model = policy, model
    if live.plans.on_config_changed is not None:
        await live.plans.on_config_changed(ConfigContext(live, before, policy, roles=TASKS))
    await live.tell_faults()
    return policy


async def rewrite(lane: Lane) -> Receipt | None:
    """
    Commit the history as plugins want it, as a branch; return None if they leave it.

    Raises:
        SessionBusy: A turn is running.
        TurnInterrupted: A turn never finished.
    """
    async with lane.door.held() as claim:
        await check_finished(lane, claim)
        parts = await rewritten(lane.live)
        receipt = await _branch(lane, claim, [], parts) if parts else None
    await lane.live.tell_faults()
    return receipt


async def _branch(
    lane: Lane, claim: Claim | None, components: list[Component], parts: dict[str, Any]
) -> Receipt:
    """Commit *components*, and *parts* of a new history if there are any."""
    live = lane.live
    try:
        if parts:
            components = [*components, *save(live.instances, live.saved)]
        receipt = await commit(lane, claim, components=tuple(components), **parts)
    except BaseException:
        lane.live.roll_back()
        raise
    if parts:
        await lane.refresh()
    return receipt


def _shrinks(lane: Lane, policy: Policy, model: Model | None) -> bool:
    """Return whether the window gets smaller, or known for the first time."""
    had, has = _window(lane, lane.live.policy, lane.model), _window(lane, policy, model)
    return has is not None and (had is None or has < had)


def _window(lane: Lane, policy: Policy, model: Model | None) -> int | None:
    if model is None and not policy.model:
        return None
    return (model or lane.live.model(policy.model)).window


async def apply_tools(lane: Lane, state: ToolState) -> ToolState:
    """Commit which tools the session hides and shows; return the state."""
    toolbox = lane.live.toolbox
    toolbox.check(state)
    async with lane.door.held() as claim:
        await commit(lane, claim, components=(state.to_component(),))
    return toolbox.apply(state)


async def set_tools(lane: Lane, names: Sequence[str], word: Visibility) -> ToolState:
    """Commit that tools *names* are hidden or shown; return the state."""
    state = lane.live.toolbox.state
    overrides = {**state.overrides, **dict.fromkeys(names, word)}
    return await apply_tools(lane, replace(state, overrides=overrides))


async def append(
    lane: Lane, values: Sequence[Content], *, after: str | None = None, operation: str | None = None
) -> Receipt:
    """
    Commit *values* as nodes after the leaf, or as a branch after node *after*.

    Raises:
        InvalidInput: There are none, or one is neither a message nor a note.
        InvalidHistory: The path they end isn't one that a model accepts.
        SessionBusy: A turn is running.
        TurnInterrupted: A turn never finished.
    """
    live = lane.live
    async with lane.door.held() as claim:
        start = live.graph.leaf if after is None else live.graph.node(after).id
        name = operation or mint()
        messages = check_values(values)
        nodes = chain(name, start, values)
        grown = live.graph.load(nodes, nodes[-1].id)
        if start != live.graph.leaf:
            check_pairs([n.value for n in grown.path() if isinstance(n.value, Message)])
        receipt = await commit(
            lane,
            claim,
            operation=name,
            nodes=nodes,
            leaf=nodes[-1].id,
            turns=live.turns + turns_on(grown) - turns_on(live.graph),
            blobs=tuple(blobs(messages)),
        )
        await lane.refresh()
    return receipt


def check_values(values: Sequence[object]) -> list[Message]:
    """
    Return the messages among what's to be appended.

    Raises:
        InvalidInput: There's nothing, or something that can't be stored.
    """
    if not values:
        raise InvalidInput("append: expected messages or notes, found nothing")
    for value in values:
        if isinstance(value, Note):
            check(value.body, where=f"note {value.type!r}")
        elif not isinstance(value, Message):
            raise InvalidInput(f"append: expected a Message or a Note, found {value!r}")
    return [value.check() for value in values if isinstance(value, Message)]


async def checkout(lane: Lane, node: str) -> Receipt:
    """
    Commit *node* as the leaf, with the state that belongs to it.

    A node inside a turn stands for the end of the turn before it, which the
    receipt names.

    Raises:
        InvalidHistory: There's no such node, or nothing ends before it.
        SessionBusy: A turn is running.
        TurnInterrupted: A turn never finished.
    """
    async with lane.door.held() as claim:
        graph = lane.live.graph
        end = ending(graph, node)
        turns = lane.live.turns + turns_on(graph.at(end)) - turns_on(graph)
        receipt = await commit(lane, claim, restore=end, leaf=end, turns=turns)
        await lane.refresh()
    return receipt


async def fork(lane: Lane, id: str, *, at: str | None, journal: str | None) -> None:
    """Make session *id* where this one is, or was, or where a lost turn began."""
    live = lane.live
    if journal is not None:
        await fork_journal(live, id, journal)
        lane.unsettled.pop(journal, None)
    else:
        end = None if at is None else ending(live.graph, at)
        await live.store.fork(live.id, id, at=end)


def ending(graph: Graph, node: str) -> str:
    """
    Return the nearest node up from *node* that a commit ended with.

    Raises:
        InvalidHistory: There's no such node, or none ends a commit.
    """
    at: str | None = graph.node(node).id
    while at is not None:
        operation, _, ordinal = at.rpartition(":")
        if not ordinal.isdigit() or f"{operation}:{int(ordinal) + 1}" not in graph:
            return at
        at = graph.node(at).parent
    raise InvalidHistory(f"node {node!r}: no commit ends at it or before it")


def turns_on(graph: Graph) -> int:
    """Return how many turns ended on the active path."""
    return sum(node.kind == Ending.kind for node in graph.path())


async def rewritten(live: Live) -> dict[str, Any]:
    """
    Return the parts of a commit whose history is as plugins want it; none if they leave it.

    The path is kept as far as its messages are; what stands with a message that
    comes after, such as tool records, is told again with it.
    """
    if live.plans.transform_history is None:
        return {}
    wanted = tuple(await live.plans.transform_history(live.context(CONTEXT), live.history))
    parent, kept, whole = None, 0, True
    beside: dict[int, list[Content]] = {}
    last: list[Content] = []
    for node in live.graph.path():
        if isinstance(node.value, Message):
            whole = whole and kept < len(wanted) and wanted[kept] == node.value
            kept += whole
            last = beside.setdefault(id(node.value), [])
        elif not whole:
            last.append(node.value)
        if whole:
            parent = node.id
    if whole and kept == len(wanted):
        return {}
    operation = mint()
    new = wanted[kept:]
    nodes = chain(operation, parent, [v for m in new for v in (m, *beside.get(id(m), ()))])
    leaf = nodes[-1].id if nodes else parent
    return {
        "operation": operation,
        "nodes": nodes,
        "leaf": leaf,
        "turns": turns_on(live.graph.load(nodes, leaf)),
        "blobs": tuple(blobs(new)),
    }

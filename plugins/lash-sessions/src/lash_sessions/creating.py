"""Sessions are made: where they start, what they go by, who sees them when."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lash_sdk.commits import Component
from lash_sdk.errors import InvalidInput, OperationMismatch, SessionDeleted, SessionExists
from lash_sdk.journal import Deed
from lash_sdk.messages import Message, user
from lash_sdk.policy import Policy
from lash_sdk.ports import Access, Asker, Birth, Model, SessionSpec
from lash_sdk.session import Snapshot
from lash_sdk.session.roles import components

from .errors import UnknownSession
from .requests import (
    Current,
    Empty,
    Existing,
    Handoff,
    Root,
    SessionHandle,
    SessionRequest,
    as_request,
)
from .state import COMPONENT, Origin, State, recall, remember

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lash_sdk.dispatch.live import Live
    from lash_sdk.graph import Content

    from .tree import Made, Tree


async def create(tree: Tree, asker: Asker, given: object) -> SessionHandle:
    """
    Make the session that's asked for; all of it, or nothing.

    Within a turn the same effect that asks again finds the session it made.

    Raises:
        SessionExists: Its id is taken: by history, an open session, or one that's
            being made.
        InvalidInput: The request can't be used.
        UnknownSession: There's no session to start from.
    """
    request = as_request(given)
    live: Live = asker.live
    id, key = await _choose(tree, asker, request)
    known = tree.made.get(id)
    if known is not None and key is not None and known.origin.key == key:
        return known.handle
    if id == live.id or id in tree.reserved or tree.host.live(id) is not None:
        raise SessionExists(id)
    tree.reserved.add(id)
    try:
        plan = await _plan(tree, live, id, key, request)
        if key is not None and await _is_there(tree, live, id):
            live.do(Deed(child=id))  # the process may have ended before that was on record
            made = await _again(tree, replace(plan, birth=None), key)
        else:
            made = await _carry_out(tree, live, plan)
    except OperationMismatch as error:
        raise SessionExists(id) from error
    finally:
        tree.reserved.discard(id)
    if isinstance(request.relation, Handoff):
        remember(live, successor=id)
        if live.aside is None:
            await tree.host.commit(live.id, f"handoff:{id}")
    return made.handle


async def _choose(tree: Tree, asker: Asker, request: SessionRequest) -> tuple[str, str | None]:
    """Return the new session's id, and the key by which asking again finds it."""
    aside = asker.live.aside
    key = None
    if aside is not None and asker.key is not None:
        key = f"{asker.key}#{tree.count(aside.turn, (asker.key, asker.attempt, 'made'))}"
    if request.id is not None:
        return request.id, key
    if key is None:
        return fresh(), None
    for again in range(1000):  # an id that was taken back is never used again
        text = f"lash-session:{key}:{again}"
        id = hashlib.sha256(text.encode()).hexdigest()[:24]
        try:
            await tree.host.store.head(id)
        except SessionDeleted:
            continue
        return id, key
    raise InvalidInput(f"no id is left for a session made by {key!r}")


async def _plan(
    tree: Tree, live: Live, id: str, key: str | None, request: SessionRequest
) -> SessionSpec:
    """Return the session to be made; nothing is written yet."""
    start = await _start(tree, live, request)
    model, policy = _policy(tree, live, request, start)
    root = isinstance(request.relation, Root)
    relation = request.relation
    origin = Origin(
        maker=live.id,
        relation=relation.kind,  # type: ignore[arg-type]
        reason=relation.reason if isinstance(relation, Handoff) else "",
        metadata=relation.metadata if isinstance(relation, Handoff) else None,
        source=request.source,
        authority=None if request.authority is None else dict(request.authority.to_json()),
        key=key,
        portable=request.portable,
    )
    seed = None if request.first_turn is None else dict(user(request.first_turn).to_json())
    state = State(origin=origin, seed=seed).to_component()
    turns = 0 if start is None else start.turns
    if isinstance(relation, Handoff):
        turns = live.turns + (live.aside is not None)
    birth = Birth(
        operation=f"create:{id}",
        parent=None if root else live.id,
        pending=None if root else live.aside.turn if live.aside else f"adopt:{id}",
        values=_values(start, request),
        turns=turns,
        components=(*_inherited(tree, live, request, start), state),
        policy=policy,
        access=_access(live, request),
    )
    return SessionSpec(
        id=id,
        model=model,
        tools=() if request.base_tools == "left out" else live.toolbox.host,
        more=request.tools,
        parts=request.parts,
        birth=birth,
        unseen=True,
    )


async def _is_there(tree: Tree, live: Live, id: str) -> bool:
    """Return whether a session of that id waits for the running turn of its maker."""
    head = await tree.host.store.head(id)
    turn = live.aside.turn if live.aside is not None else None
    return head is not None and head.parent == live.id and head.pending == turn


async def _again(tree: Tree, spec: SessionSpec, key: str) -> Made:
    """
    Open a session that the same effect made, before its process ended.

    Raises:
        SessionExists: Another one made it.
    """
    made = await tree.open(spec)
    if made.origin.key != key:
        await tree.forget(spec.id)
        raise SessionExists(spec.id)
    return made


async def _carry_out(tree: Tree, live: Live, spec: SessionSpec) -> Made:
    """Make and open the session; whatever goes wrong, nothing of it stays."""
    birth = spec.birth
    assert birth is not None  # noqa: S101 - it's to be made
    aside = live.aside
    try:
        if aside is not None and birth.parent is not None:
            live.do(Deed(child=spec.id))
        made = await tree.open(spec)
        if aside is None and birth.pending is not None:
            await tree.host.commit(live.id, birth.pending, children=(spec.id,))
    except BaseException as error:
        if aside is not None:
            aside.children.pop(spec.id, None)
        await tree.forget(spec.id)
        if not isinstance(error, (SessionExists, OperationMismatch)):
            await _take_back(tree, spec.id, birth)
        raise
    return made


async def _take_back(tree: Tree, id: str, birth: Birth) -> None:
    try:
        head = await tree.host.store.head(id)
    except SessionDeleted:
        return
    if head is not None and head.operation == birth.operation and head.pending == birth.pending:
        await tree.host.store.delete(id)


# --- what it begins with -------------------------------------------------------


async def _start(tree: Tree, live: Live, request: SessionRequest) -> Snapshot | None:
    """Return the snapshot that a request starts from; None starts from nothing."""
    start = request.start
    if isinstance(start, Empty):
        return None
    looks = live.role("snapshot", live.context())
    if isinstance(start, Current):
        found: Snapshot = looks.snapshot_current()
        return found
    if not isinstance(start, Existing):
        return start.snapshot
    try:
        found = await looks.snapshot_session(start.session)
    except InvalidInput as error:
        raise UnknownSession(start.session) from error
    return found


def _values(start: Snapshot | None, request: SessionRequest) -> tuple[Content, ...]:
    path: Sequence[Any] = () if start is None else start.graph.path()
    return (*[node.value for node in path], *request.nodes)


def _inherited(
    tree: Tree, live: Live, request: SessionRequest, start: Snapshot | None
) -> tuple[Component, ...]:
    """Return the state of plugins and tools that a session begins with."""
    if request.plugins == "fresh":
        return ()
    found: tuple[Component, ...] = () if start is None else start.components
    if not found:
        source = live if start is None else tree.host.live(start.session)
        found = () if source is None else components(source)
    return tuple([each for each in found if each.name != COMPONENT])


def _policy(
    tree: Tree, live: Live, request: SessionRequest, start: Snapshot | None
) -> tuple[Model | None, Policy]:
    """Return a model object if it's to have one, and the policy as it's kept."""
    base = live.policy if start is None else start.policy
    base = request.policy or base
    policy = base.with_overrides(
        model=request.model, instructions=request.instructions, limits=request.limits
    )
    model = request.model_object
    if model is None and request.model is None:
        for source in (live.id, "" if start is None else start.session):
            lane = tree.host.lanes.get(source)
            if lane and lane.model is not None and lane.model.name == policy.model:
                model = lane.model
    # of a model object only this process knows
    return model, policy if model is None else replace(policy, model="")


def _access(live: Live, request: SessionRequest) -> Access | None:
    """Return the tools a session may ever see: never more than its maker."""
    extra = {tool.name for tool in request.tools}
    wanted = request.access.only
    if request.base_tools == "left out":
        wanted = tuple(sorted(extra))
    only = None if wanted is None else set(wanted)
    if live.toolbox.only is not None:
        only = set(live.toolbox.only) if only is None else only & live.toolbox.only
    if only is not None:
        only |= extra
    hidden = tuple(sorted(live.toolbox.barred.union(request.access.hidden)))
    if only is None and not hidden:
        return None
    return Access(only=None if only is None else tuple(sorted(only)), hidden=hidden)


def fresh() -> str:
    """Return an id that nobody has."""
    return os.urandom(12).hex()


def take_first_turn_input(live: Live) -> Message | None:
    """Return the input that waited for a session's first turn; once, then None."""
    seed = recall(live).seed
    if seed is None:
        return None
    remember(live, seed=None)
    return Message.from_json(seed)

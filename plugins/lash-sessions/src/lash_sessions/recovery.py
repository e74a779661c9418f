"""What a process that ended had begun in other sessions is brought to an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lash_sdk.errors import LashError, ModelError

from . import spending, turns
from .state import recall

if TYPE_CHECKING:
    from lash_sdk.dispatch.live import Live
    from lash_sdk.journal import Deed

    from .tree import Made, Tree

log = logging.getLogger("lash.plugin.sessions")


async def recover(tree: Tree, live: Live, deeds: Sequence[Deed], *, closing: bool) -> None:
    """
    Finish the turns that an interrupted turn of *live* had begun in its children.

    With *closing* they're settled without being run. What they cost is passed on.
    A child that only its maker's code can open waits for that code to ask again.
    """
    ids = list(dict.fromkeys([deed.child for deed in deeds if deed.child is not None]))
    await asyncio.gather(*[_one(tree, live, id, closing=closing) for id in ids])


async def go_on(tree: Tree, live: Live) -> None:
    """
    Let turns go on that outlived the turn of *live* that began them, and then their process.

    They run in the background as before, under their old ids. Once for each session
    and process: what it leaves running itself isn't touched.
    """
    if live.id in tree.looked:
        return
    tree.looked.add(live.id)
    for id in recall(live).left:
        made = await tree.reopen(id)
        if made is None or not made.origin.portable:
            continue
        await go_on(tree, made.live)
        turn: str | None = tree.host.lanes[id].interrupted
        if made.running is None and turn is not None:
            turns.go_on(tree, made, turn)


async def _one(tree: Tree, live: Live, id: str, *, closing: bool) -> None:
    made = await tree.reopen(id)
    if made is None:
        if live.aside is not None and tree.host.live(id) is None:
            live.aside.children.pop(id, None)  # it was never made, or is gone
        return
    if not made.origin.portable and not closing:
        await spending.pass_on(tree, made)
        await tree.forget(id)
        return
    async with tree.slot(made.maker):
        try:
            await _finish(made, closing=closing)
        except ModelError:
            pass  # the turn is committed as stopped
        except LashError:
            log.exception("child %r of session %r can't be finished", id, live.id)
    await spending.pass_on(tree, made)
    if closing:
        await tree.forget(id)


async def _finish(made: Made, *, closing: bool) -> None:
    if not made.session.interrupted:
        return
    if closing:
        await made.session.discard()
    else:
        await made.session.resume()

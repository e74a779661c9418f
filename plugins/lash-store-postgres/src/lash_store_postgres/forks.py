"""A session made on another's nodes: two rows, whatever its length."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from lash_sdk.commits import part_hash
from lash_sdk.errors import SessionDeleted, SessionExists, StoreCorrupt

from . import heads
from .commits import tail

if TYPE_CHECKING:
    from lash_sdk.commits import Head

    from .server import Server

_FORK: Final = """
select o_outcome, o_commit from @schema@.fork(
  %b::text, %b::text, %b::text, %b::bytea, %b::bytea, %b::double precision, %b::text)
"""


async def fork(server: Server, session: str, id: str, at: str | None) -> Head:
    """
    Return the head of session *id*, made on what *session* saw at a node.

    Raises:
        SessionDeleted, SessionExists, InvalidHistory: As the port says.
    """
    part = part_hash(("fork", id, b""))
    link = (bytes.fromhex(part), tail("", [part]))
    call = uuid4().hex  # tells our own fork, if the reply to it is lost, from anybody else's
    outcome, commit = await server.call(_FORK, session, id, at, *link, time.time(), call)
    if outcome == "deleted":
        raise SessionDeleted(session)
    if outcome == "gone":
        raise SessionDeleted(id)
    if outcome == "exists":
        raise SessionExists(id)
    try:
        return await heads.at(server, commit)
    except StoreCorrupt:
        await heads.head(server, id)  # it may be deleted by now
        raise

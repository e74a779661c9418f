"""What the server refuses, in this library's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg

from lash_sdk.errors import (
    InvalidHistory,
    InvalidInput,
    LashError,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

AGAIN: Final = frozenset(("40001", "40P01", "55P03"))
"""States after which nothing was done, and the same may succeed."""

BUSY: Final = AGAIN | {"57014", "53300", "53400"}
FULL: Final = frozenset(("53100",))
READ_ONLY: Final = frozenset(("25006",))
CORRUPT: Final = frozenset(("XX001", "XX002", "42P01", "42703", "42883", "3F000"))
"""Damage, or a table or a function of ours that isn't there any more."""

_OURS: Final[Mapping[str, tuple[type[LashError], str]]] = {
    "LA001": (InvalidHistory, "node {!r} is there already: an id is used once"),
    "LA002": (InvalidHistory, "no node {!r} in this session"),
    "LA003": (InvalidHistory, "node {!r} doesn't end a commit"),
    "LA004": (InvalidInput, "inbox key {!r} doesn't wait"),
    "LA005": (InvalidInput, "session {!r} isn't a pending child of this commit"),
    "LA006": (InvalidInput, "blob {!r} has no bytes and isn't stored"),
    "LA008": (InvalidHistory, "session {!r} has no commit"),
    "LA009": (InvalidHistory, "a session's head stands on node {!r}"),
    "LA010": (InvalidHistory, "a node that stays visible stands on node {!r}"),
}


def state(error: BaseException) -> str:
    """Return the server's state of an error; empty if the server didn't say."""
    return (error.sqlstate or "") if isinstance(error, psycopg.Error) else ""


def unknown(error: BaseException) -> bool:
    """Return whether what was asked for may have been done all the same."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    return not state(error) or state(error)[:2] == "08" or state(error)[:3] == "57P"


def stale(error: BaseException) -> bool:
    """Return whether the connection is of no use any more."""
    return unknown(error) or state(error) in READ_ONLY


def translated(error: Exception, where: str) -> LashError:
    """Return *error* in this library's words, with the place and the way out."""
    code = state(error)
    if isinstance(error, LashError):
        return error
    if code in BUSY:
        return StoreBusy(f"{where}: others kept it busy: try again")
    if code in _OURS and isinstance(error, psycopg.Error):
        kind, text = _OURS[code]
        return kind(text.format(error.diag.message_detail or ""))
    if code == "23505":
        return InvalidHistory(f"{where}: a node is there already")
    if code in FULL:
        return StoreFull(f"no room left for {where}: make room and try again")
    if code in READ_ONLY:
        return StoreError(f"{where} is read-only: it may have failed over; name its new primary")
    if code in CORRUPT:
        return StoreCorrupt(f"{where}: {_said(error)}; restore it from a backup")
    if isinstance(error, (psycopg.DataError, UnicodeEncodeError)):
        return InvalidInput(f"PostgreSQL can't hold a value: {_said(error)}")
    return StoreError(f"{where}: {_said(error)}")


def _said(error: Exception) -> str:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or " ".join(str(error).split())

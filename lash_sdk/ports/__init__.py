"""
What the kernel asks of the outside: a store, a model, a host of sessions.

A port is a promise, not code. `lash_sdk.testing` has a contract for each.
"""

from .host import (
    ROLES,
    Access,
    Asker,
    Birth,
    ManagerFactory,
    SessionHost,
    SessionManager,
    SessionSpec,
)
from .model import Chunk, Emit, Finish, Model, ModelAnswer, ModelFactory, ModelRequest
from .store import BASE, Claim, InboxItem, JournalRow, Page, SessionSummary, Store, StoreFactory

__all__ = [
    "BASE",
    "ROLES",
    "Access",
    "Asker",
    "Birth",
    "Chunk",
    "Claim",
    "Emit",
    "Finish",
    "InboxItem",
    "JournalRow",
    "ManagerFactory",
    "Model",
    "ModelAnswer",
    "ModelFactory",
    "ModelRequest",
    "Page",
    "SessionHost",
    "SessionManager",
    "SessionSpec",
    "SessionSummary",
    "Store",
    "StoreFactory",
]

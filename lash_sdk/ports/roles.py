"""
The ten session roles: what a hook, a tool or an application may ask a session for.

The first five are the kernel's: `lash_sdk.session.roles.Own` says what they take and
return. The others concern several sessions; the package that brings them says it of
those. A session is named by its id, and None is the one that asks.
"""

from __future__ import annotations

from ..json import frozen


@frozen
class Appended:
    """
    Nodes were added.

    Attributes:
        nodes: Their ids; none while they wait for the running turn's commit.
        leaf: The leaf that's committed.
    """

    nodes: tuple[str, ...]
    leaf: str | None


@frozen
class StaleBranch:
    """Nothing was written: *required* isn't on the path to the leaf any more."""

    required: str
    leaf: str | None

"""A plugin of the command line's own: it notes what goes wrong with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lash_sdk import Plugin, hooks

from .notes import take_note

if TYPE_CHECKING:
    from lash_sdk.contexts import FaultContext


class FaultNotes(Plugin):
    """Keeps each fault for `lash plugins doctor`."""

    name = "lash-cli-notes"
    phase = "late"

    @hooks.on_fault
    def note(self, ctx: FaultContext) -> None:
        """Keep one."""
        take_note(ctx.fault, off=ctx.off)

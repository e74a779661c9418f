"""The role that watches commands, for one who asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .roles import Role

if TYPE_CHECKING:
    from .monitors import MonitorSnapshot, MonitorSpec, MonitorStatus, MonitorUpdate


class Watching(Role):
    """Commands that are watched."""

    __slots__ = ()

    async def start_monitor(self, spec: MonitorSpec) -> MonitorStatus:
        """
        Watch a command; one that runs already is left as it is.

        Raises:
            OSError: It can't be started.
        """
        return await self._tree.monitors.start(self._live, spec)

    async def monitor_status(self) -> MonitorSnapshot:
        """Return how all monitors are doing; those that are armed are started first."""
        return await self._tree.monitors.status(self._live)

    async def take_updates(self) -> Sequence[MonitorUpdate]:
        """Return what monitors told since the last time, oldest first."""
        return await self._tree.monitors.take_updates(self._live)

    async def wait_for_updates(self) -> None:
        """Return once there's something to take."""
        await self._tree.monitors.wait(self._live)

    def ack_wake(self, monitors: Sequence[str]) -> None:
        """Let monitors wake the session again."""
        self._tree.monitors.ack_wake(self._live.id, monitors)

    async def stop_monitor(self, monitor: str) -> MonitorStatus:
        """
        Stop a monitor and all that its command started; it stays so.

        Raises:
            UnknownMonitor: There's none of that id.
        """
        return await self._tree.monitors.stop(self._live, monitor)

"""A file that records are written to, by a thread of its own: nobody waits for it."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

WAITING: Final = 10_000
"""Records that wait for a slow disk; then new ones are dropped, and counted."""

log = logging.getLogger("lash.plugin.observe-jsonl")


class Sink:
    """
    One file, appended to. What goes wrong with it is logged, once, and stops nothing.

    Attributes:
        dropped: Records that found no room.
    """

    def __init__(self, path: Path) -> None:
        """
        Open the file.

        Raises:
            OSError: It can't be.
        """
        self.dropped = 0
        self._file = path.open("ab", buffering=0)
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue()
        self._failed = False
        self._thread = threading.Thread(target=self._write, name="lash-trace", daemon=True)
        self._thread.start()

    def put(self, record: Mapping[str, Any]) -> None:
        """Take a record; it's written soon."""
        if self._queue.qsize() >= WAITING:
            self.dropped += 1
            return
        self._queue.put(record)

    def close(self) -> None:
        """Write what waits, say how much was dropped, and close the file."""
        if self.dropped:
            self._queue.put({"event": "Dropped", "records": self.dropped})
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        going = True
        with self._file:
            while going:
                records = [self._queue.get()]
                while not self._queue.empty():
                    records.append(self._queue.get())
                going = None not in records
                self._append([record for record in records if record is not None])

    def _append(self, records: list[Mapping[str, Any]]) -> None:
        try:
            self._file.write("".join(f"{json.dumps(each)}\n" for each in records).encode("ascii"))
        except (OSError, ValueError, TypeError):
            if not self._failed:
                log.exception("the trace can't be written")
            self._failed = True

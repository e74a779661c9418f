"""Where batteries put their files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")

ROOM: Final = str(_MEMORY) if os.access(_MEMORY, os.W_OK) else None
"""
The folder for temporary folders: memory-backed where there is such a thing.

A process that's killed loses nothing that it wrote, flushed or not. What a power cut
leaves is put together from the recorded writes, so no battery waits for a disk.
"""

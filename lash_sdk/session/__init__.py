"""
A session: its handle, its turns as seen from outside, its life.

`handle` is what applications hold, `view` what can be read of it, `lane` the one
live session behind all handles of an id, `door` who may change it, `opening` how
it comes out of a store, `changes` what moves its head outside a turn, `recovery`
what an interrupted turn left, `stream` a turn watched while it runs, `record` a
turn looked at afterwards, `observe` and `feed` a session watched across turns,
`snapshot` what it is at once.
"""

from .actions import act
from .asks import Ask, Desk, Rules
from .handle import Session
from .lane import Lane
from .observe import Committed, Seen
from .opening import open_live
from .record import TurnRecord
from .recovery import left_over
from .snapshot import Snapshot
from .stream import Stream

__all__ = [
    "Ask",
    "Committed",
    "Desk",
    "Lane",
    "Rules",
    "Seen",
    "Session",
    "Snapshot",
    "Stream",
    "TurnRecord",
    "act",
    "left_over",
    "open_live",
]

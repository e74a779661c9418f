"""
A session: its handle, its turns as seen from outside, its life.

`handle` is what applications hold, `view` what can be read of it, `lane` the one
live session behind all handles of an id, `door` who may change it, `opening` how
it comes out of a store, `changes` what moves its head outside a turn, `recovery`
what an interrupted turn left, `stream` a turn watched while it runs, `record` a
turn looked at afterwards, `observe` and `feed` a session watched across turns,
`snapshot` what it is at once, `roles` and `host` what hooks and other sessions ask.
"""

from .actions import act
from .asks import Ask, Desk, Rules
from .handle import Session
from .host import Host
from .lane import Lane
from .observe import Committed, Seen
from .opening import bear, open_live
from .record import TurnRecord
from .recovery import left_over
from .roles import Roles
from .snapshot import Snapshot
from .stream import Stream

__all__ = [
    "Ask",
    "Committed",
    "Desk",
    "Host",
    "Lane",
    "Roles",
    "Rules",
    "Seen",
    "Session",
    "Snapshot",
    "Stream",
    "TurnRecord",
    "act",
    "bear",
    "left_over",
    "open_live",
]

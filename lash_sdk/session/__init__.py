"""
A session: its handle, its turns as seen from outside, its life.

`handle` is what applications hold, `view` what can be read of it, `lane` the one
live session behind all handles of an id, `door` who may change it, `opening` how
it comes out of a store, `changes` what moves its head outside a turn, `recovery`
what an interrupted turn left, `stream` a turn watched while it runs, `record` a
turn looked at afterwards, `observe` and `feed` a session watched across turns,
`snapshot` what it is at once, `roles` and `host` what hooks and other sessions ask.
"""

from .actions import act as act
from .asks import Ask as Ask
from .asks import Desk as Desk
from .asks import Rules as Rules
from .handle import Session as Session
from .host import Host as Host
from .lane import Lane as Lane
from .observe import Committed as Committed
from .observe import Seen as Seen
from .opening import bear as bear
from .opening import open_live as open_live
from .record import TurnRecord as TurnRecord
from .recovery import left_over as left_over
from .roles import Roles as Roles
from .snapshot import Snapshot as Snapshot
from .stream import Stream as Stream

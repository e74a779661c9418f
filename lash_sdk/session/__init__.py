"""
A session: its handle, its turns as seen from outside, its life.

`handle` is what applications hold, `view` what can be read of it, `lane` the one
live session behind all handles of an id, `door` who may change it and `line` who waits
for that, `opening` how it comes out of a store, `changes` what moves its head outside
a turn, `recovery` what an interrupted turn left. `asks` is what a turn is asked for
with, `output` the form of its answer, `stream` a turn watched while it runs, `record`
a turn looked at afterwards. `observe` and `feed` are a session watched across turns,
`snapshot` what it is at once, `actions` what people ask of its plugins, `roles` and
`host` what hooks and other sessions ask.
"""

from .handle import Session as Session
from .observe import Committed as Committed
from .observe import Seen as Seen
from .record import TurnRecord as TurnRecord
from .snapshot import Snapshot as Snapshot
from .stream import Stream as Stream

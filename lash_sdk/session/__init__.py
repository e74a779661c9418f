"""
A session: its handle, its turns as seen from outside, its life.

`handle` is what applications hold, `lane` the one live session behind all
handles of an id, `opening` how it comes out of a store, `stream` a turn watched
while it runs, `record` a turn looked at afterwards.
"""

from .actions import act
from .handle import Session
from .lane import Ask, Lane
from .opening import open_live
from .record import TurnRecord
from .stream import Stream

__all__ = ["Ask", "Lane", "Session", "Stream", "TurnRecord", "act", "open_live"]

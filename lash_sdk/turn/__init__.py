"""The turn machine: its law in `machine`, what it holds in `state`."""

from .machine import TABLE as TABLE
from .machine import advance as advance
from .machine import cancelled as cancelled
from .machine import own_ids as own_ids
from .machine import waits_for as waits_for
from .state import Phase as Phase
from .state import Turn as Turn
from .state import begun as begun
from .state import changed as changed

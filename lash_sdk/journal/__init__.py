"""
The effect journal: nothing that a turn heard from outside is asked for again.

It stands at one seam with two doors: a whole effect, and one call of a batch.
Each event that enters is a row. On resume, an effect whose row is there is
answered from it; a plain `Seam` stands there when nothing is recorded.
"""

from .facts import INPUT, Began, CallResult, Deed, Heard, Intent, read_row, rebased
from .journal import Closing, Journal
from .seam import Seam

__all__ = [
    "INPUT",
    "Began",
    "CallResult",
    "Closing",
    "Deed",
    "Heard",
    "Intent",
    "Journal",
    "Seam",
    "read_row",
    "rebased",
]

"""
The effect journal: nothing that a turn heard from outside is asked for again.

It stands at one seam with two doors: a whole effect, and one call of a batch.
Each event that enters is a row. On resume, an effect whose row is there is
answered from it; a plain `Seam` stands there when nothing is recorded.
"""

from .facts import INPUT as INPUT
from .facts import Began as Began
from .facts import CallResult as CallResult
from .facts import Deed as Deed
from .facts import Heard as Heard
from .facts import Intent as Intent
from .facts import read_row as read_row
from .facts import rebased as rebased
from .journal import Closing as Closing
from .journal import Journal as Journal
from .seam import Seam as Seam

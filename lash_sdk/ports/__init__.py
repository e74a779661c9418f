"""
What the kernel asks of the outside: a store, a model, a host of sessions.

A port is a promise, not code. `lash_sdk.testing` has a contract for each.
"""

from .host import ROLES as ROLES
from .host import Access as Access
from .host import Asker as Asker
from .host import Birth as Birth
from .host import ManagerFactory as ManagerFactory
from .host import SessionHost as SessionHost
from .host import SessionManager as SessionManager
from .host import SessionSpec as SessionSpec
from .model import Chunk as Chunk
from .model import Emit as Emit
from .model import Finish as Finish
from .model import Model as Model
from .model import ModelAnswer as ModelAnswer
from .model import ModelFactory as ModelFactory
from .model import ModelRequest as ModelRequest
from .store import BASE as BASE
from .store import Claim as Claim
from .store import InboxItem as InboxItem
from .store import JournalRow as JournalRow
from .store import Page as Page
from .store import SessionSummary as SessionSummary
from .store import Store as Store
from .store import StoreFactory as StoreFactory

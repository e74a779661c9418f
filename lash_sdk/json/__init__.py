"""JSON: its one canonical form, and the values that are stored in it."""

from .canonical import DEPTH as DEPTH
from .canonical import DIGITS as DIGITS
from .canonical import INNER as INNER
from .canonical import Json as Json
from .canonical import JsonObject as JsonObject
from .canonical import check as check
from .canonical import decode as decode
from .canonical import digest as digest
from .canonical import encode as encode
from .canonical import encode_known as encode_known
from .canonical import short as short
from .canonical import unique as unique
from .values import Tagged as Tagged
from .values import Value as Value
from .values import frozen as frozen
from .values import maker as maker
from .values import plain as plain
from .values import read as read
from .values import wrong as wrong

"""Where a store is: a URL of PostgreSQL's, and a schema in its database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lash_sdk.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES: Final = ("postgresql", "postgres")
SCHEMA: Final = "lash"
"""The schema that a URL without `schema=` means."""

DEFAULTS: Final[Mapping[str, str]] = {
    "connect_timeout": "5",
    "fallback_application_name": "lash-store-postgres",
    "client_encoding": "utf8",
    # a server that vanished is noticed
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""Parameters of the driver's, unless the URL says otherwise."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_EXPECTED: Final = "expected 'postgresql://user:password@host:port/database?schema=name'"


class Address:
    """
    What a URL says; its secrets are in nothing that's shown.

    Attributes:
        conninfo: What the driver takes, secrets included.
        schema: The name of the schema that has the tables.
        text: The same without secrets, for messages.
    """

    __slots__ = ("conninfo", "schema", "text")

    def __init__(self, url: str) -> None:
        """
        Take a URL apart: `schema` is ours, every other parameter the driver's.

        Raises:
            InvalidInput: It's none; the message has nothing of it.
        """
        base, _, query = url.partition("?")
        pairs = [pair for pair in query.split("&") if pair]
        ours = [unquote_plus(pair[7:]) for pair in pairs if pair.startswith("schema=")]
        rest = "&".join([pair for pair in pairs if not pair.startswith("schema=")])
        self.schema = ours[-1] if ours else SCHEMA
        if not _NAME.fullmatch(self.schema) or self.schema.startswith("pg_"):
            raise InvalidInput("schema: expected a name of a-z, 0-9 and _, not pg_…")
        said = _read(f"{base}?{rest}") if base.partition("://")[0] in SCHEMES else None
        if said is None:
            raise InvalidInput(_EXPECTED)
        self.conninfo = make_conninfo(**{**DEFAULTS, **said})
        at = "@".join([said[key] for key in ("user", "host") if said.get(key)])
        port = f":{said['port']}" if said.get("port") else ""
        self.text = f"postgresql://{at}{port}/{said.get('dbname', '')}?schema={self.schema}"

    def __repr__(self) -> str:
        return f"Address({self.text!r})"

    @property
    def quoted(self) -> str:
        """The schema's name as it stands in SQL."""
        return f'"{self.schema}"'


def _read(conninfo: str) -> dict[str, str] | None:
    """Return what a URL says; None if the driver can't read it."""
    try:
        said = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
    except (psycopg.Error, UnicodeError, ValueError):
        return None  # its message would repeat the password
    ports = said.get("port", "").split(",")
    return said if all(not port or port.isdecimal() for port in ports) else None

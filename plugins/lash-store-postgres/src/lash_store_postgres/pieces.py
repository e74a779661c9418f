"""A commit's parts that aren't nodes, read back: manifests, blobs, ledger rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from lash_sdk.errors import StoreCorrupt
from lash_sdk.json import decode, encode
from lash_sdk.usage import Usage, UsageRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lash_sdk.commits import Commit
    from lash_sdk.json import Json

    from .server import Server

_BLOB: Final = "select body from @schema@.blobs where hash = %b::bytea"


def manifest(names: Sequence[bytes] | None, refs: Sequence[bytes] | None) -> dict[str, str]:
    """Return a manifest, from its row."""
    decoded = [name.decode("utf-8", "surrogatepass") for name in names or ()]
    return dict(zip(decoded, [ref.hex() for ref in refs or ()], strict=True))


async def read_blob(server: Server, ref: str) -> bytes:
    """
    Return the bytes behind a hash, once they're known to have it.

    Raises:
        StoreCorrupt: There are none, or their hash is another.
    """
    try:
        hash = bytes.fromhex(ref)
    except ValueError:
        hash = b""
    found = await server.rows(_BLOB, hash)
    if not found:
        raise StoreCorrupt(f"no blob {ref!r}")
    data: bytes = found[0][0]
    if hashlib.sha256(data).digest() != hash:
        raise StoreCorrupt(f"blob {ref!r} isn't what its hash says")
    return data


def pack(row: UsageRow, commit: Commit) -> bytes:
    """Return what of a row its key doesn't say: mostly, its model and figures."""
    turn = None if row.turn == commit.operation else row.turn
    session = None if row.session == commit.session else row.session
    body: list[Json] = [turn, session, row.source, row.model, row.usage.to_json()]
    return encode([*body, True] if row.estimated else body)


def unpack(id: str, data: bytes, operation: str, session: str) -> UsageRow:
    """Return the row that was packed into a commit of *session*."""
    match decode(data):
        case [turn, owner, str() as source, str() as model, usage, *estimated]:
            return UsageRow(
                id=id,
                turn=turn if isinstance(turn, str) else operation,
                session=owner if isinstance(owner, str) else session,
                source=source,
                model=model,
                usage=Usage.from_json(usage),
                estimated=bool(estimated),
            )
        case _:
            raise StoreCorrupt(f"usage row {id!r} isn't one")

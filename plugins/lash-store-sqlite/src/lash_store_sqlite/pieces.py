"""A commit's parts that aren't nodes: components, blobs, usage and plugin rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, TypeAlias

from lash_sdk.errors import InvalidInput, StoreCorrupt
from lash_sdk.json import decode, encode
from lash_sdk.usage import Usage, UsageRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from lash_sdk.commits import Commit, Component, PluginRow
    from lash_sdk.json import Json
    from lash_sdk.messages import Blob

Manifest: TypeAlias = dict[str, int]
"""Component name to the key of its blob."""

_MANIFEST: Final = "select hash, body from manifests where key=?"
_PUT_MANIFEST: Final = "insert into manifests (hash, body) values (?, ?) returning key"
_PUT_BLOB: Final = "insert into blobs (hash, body) values (?, ?) returning key"
_USAGE: Final = "insert into usage values (?, ?, ?, ?) on conflict do nothing"


def manifest(db: apsw.Connection, key: int | None) -> Manifest:
    """
    Return the manifest of a commit, from the key that the commit has.

    Raises:
        StoreCorrupt: It isn't what was stored.
    """
    if key is None:
        return {}
    hash, data = db.execute(_MANIFEST, (key,)).fetchone() or (b"", b"")
    if hashlib.sha256(data).digest() != hash:
        raise StoreCorrupt(f"manifest {key} isn't what was stored")
    body = decode(data)
    if not isinstance(body, dict):
        raise StoreCorrupt(f"manifest {key} isn't an object")
    return {name: blob for name, blob in body.items() if isinstance(blob, int)}


def refs(db: apsw.Connection, key: int | None) -> dict[str, str]:
    """Return the manifest with the refs of its blobs."""
    return {name: _ref(db, blob) for name, blob in manifest(db, key).items()}


def put_components(
    db: apsw.Connection, components: Sequence[Component], before: int | None
) -> int | None:
    """Return the key of a manifest with *components* taken in."""
    if not components:
        return before
    old = manifest(db, before)
    new = dict(old)
    for component in components:
        if component.value is None:
            new.pop(component.name, None)
        else:
            data = component.data
            new[component.name] = _put_blob(db, hashlib.sha256(data).digest(), data)
    if new == old:
        return before
    data = encode(new)
    made: int = db.execute(_PUT_MANIFEST, (hashlib.sha256(data).digest(), data)).get
    return made


def attach(db: apsw.Connection, blobs: Sequence[Blob], first: int) -> None:
    """
    Keep the blobs of messages.

    Raises:
        InvalidInput: Bytes aren't what their hash says, or aren't anywhere.
    """
    for key, blob in enumerate(blobs, first):
        found = keep(db, blob)
        if found is None:
            raise InvalidInput(f"blob {blob.sha256!r} has no bytes and isn't stored")
        db.execute("insert into attachments values (?, ?)", (key, found))


def keep(db: apsw.Connection, blob: Blob) -> int | None:
    """
    Return the key of a blob, kept if it brings its bytes; None if nobody has them.

    Raises:
        InvalidInput: Its bytes aren't what its hash says.
    """
    if blob.data is None:
        return blob_key(db, blob.sha256)
    hash = hashlib.sha256(blob.data).digest()
    if hash.hex() != blob.sha256 or len(blob.data) != blob.size:
        raise InvalidInput(f"blob: expected {blob.sha256!r}, found {hash.hex()!r}")
    return _put_blob(db, hash, blob.data)


def blob_key(db: apsw.Connection, ref: str) -> int | None:
    """Return the key of the blob with this hash, or None if there's none."""
    try:
        hash = bytes.fromhex(ref)
    except ValueError:
        return None
    key: int | None = db.execute("select key from blobs where hash=?", (hash,)).get
    return key


def read_blob(db: apsw.Connection, ref: str) -> bytes:
    """
    Return the bytes behind a hash, once they're known to have it.

    Raises:
        StoreCorrupt: There are none, or their hash is another.
    """
    row = db.execute("select hash, body from blobs where key=?", (blob_key(db, ref),)).fetchone()
    if row is None:
        raise StoreCorrupt(f"no blob {ref!r}")
    hash, data = row
    if hashlib.sha256(data).digest() != hash:
        raise StoreCorrupt(f"blob {ref!r} isn't what its hash says")
    return bytes(data)


def _put_blob(db: apsw.Connection, hash: bytes, data: bytes) -> int:
    key: int | None = db.execute("select key from blobs where hash=?", (hash,)).get
    if key is None:
        made: int = db.execute(_PUT_BLOB, (hash, data)).get
        return made
    return key


def _ref(db: apsw.Connection, key: int) -> str:
    hash: bytes | None = db.execute("select hash from blobs where key=?", (key,)).get
    if hash is None:
        raise StoreCorrupt(f"component blob {key} isn't there")
    return hash.hex()


def put_rows(db: apsw.Connection, rows: Sequence[PluginRow], first: int) -> None:
    """Keep the rows that plugins brought."""
    for key, row in enumerate(rows, first):
        db.execute(
            "insert into plugin_rows values (?, ?, ?, ?)",
            (key, row.plugin, row.name, encode(row.body)),
        )


def put_usage(db: apsw.Connection, commit: Commit, session: int, first: int) -> None:
    """Keep the rows of the ledger that aren't there yet."""
    rows = [(key, session, u.id, pack(u, commit)) for key, u in enumerate(commit.usage, first)]
    db.executemany(_USAGE, rows)


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

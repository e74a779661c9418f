"""JSON: its one canonical form, and values that are stored in it."""

from .canonical import (
    DEPTH,
    DIGITS,
    INNER,
    Json,
    JsonObject,
    check,
    decode,
    digest,
    encode,
    encode_known,
)
from .values import Value, read

__all__ = [
    "DEPTH",
    "DIGITS",
    "INNER",
    "Json",
    "JsonObject",
    "Value",
    "check",
    "decode",
    "digest",
    "encode",
    "encode_known",
    "read",
]

"""Compression of cached values."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from types import NoneType
from typing import Any

ZLIB_HEADER = b"\x78"
"""The first byte of a zlib stream. No JSON text starts with it, so that readers need no other marker."""
MAX_VALUE_BYTES = 64 * 1024 * 1024
"""A value that decompresses to more than this was not written by opsconsole."""


def compress(value: bytes, threshold: int | None) -> bytes:
    """A value as it is stored: compressed when it has more than `threshold` bytes and compression makes it smaller."""
    if threshold is None or len(value) <= threshold:
        return value
    compressed = zlib.compress(value)
    return compressed if len(compressed) < len(value) else value


def decompress_all(stored: Iterable[Any]) -> list[bytes | None]:
    """The original values: see `decompress`. Raises ValueError for anything else than bytes and None."""
    stored = list(stored)
    if not set(map(type, stored)) <= {bytes, NoneType}:
        raise ValueError("not values")
    return [value if value is None or value[:1] != ZLIB_HEADER else decompress(value) for value in stored]


def decompress(stored: bytes | None) -> bytes | None:
    """The original value; None when there is none or it cannot be decompressed."""
    if stored is None or not stored.startswith(ZLIB_HEADER):
        return stored
    stream = zlib.decompressobj()
    try:
        value = stream.decompress(stored, MAX_VALUE_BYTES)
    except zlib.error:
        return None
    return value if stream.eof else None

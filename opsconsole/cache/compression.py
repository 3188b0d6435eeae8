"""Compression of cached values."""

from __future__ import annotations

import zlib

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

"""Looks into one key of a family: its type, TTL, size and value, never more of it than a person reads."""

from __future__ import annotations

import json
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import redis

from opsconsole.cache.compression import ZLIB_HEADER, decompress
from opsconsole.cache.connection import SCAN_COUNT, if_permitted, scan, translating_errors
from opsconsole.cache.families import Family, check
from opsconsole.core.text import safe

MAX_KEYS = 200
"""The most keys of a family that are listed."""
MAX_ELEMENTS = 100
"""The elements that are read of a list, set, hash, sorted set or stream."""
MAX_BYTES = 1 << 20
"""A value of more bytes is read in part, and not decompressed."""
MAX_LINES, MAX_LINE = 500, 300


@dataclass(frozen=True, slots=True)
class KeysFound:
    """Keys of a family, by name; `more` when there are others. about
    `scanned` keys were examined; `done` when none is left to examine.
    """

    keys: tuple[str, ...]
    scanned: int
    more: bool
    done: bool


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key and its value. `ttl_seconds` is None for a key that does not expire; `memory` and `length` are in bytes,
    None where the server does not report them; `elements` is the number of elements of a collection. `lines` are the
    value as text that is safe to show; `cut` when there is more of it, `compressed` when it is stored so.
    """

    key: str
    type: str
    ttl_seconds: int | None
    memory: int | None
    length: int | None
    elements: int | None
    lines: tuple[str, ...]
    cut: bool
    compressed: bool


def find(client: redis.Redis, family: Family, parts: Mapping[str, str]) -> Iterator[KeysFound]:
    """The keys of a family with these parts: the one key when all parts are given, otherwise by a scan of the server's
    keys. Yields what was found after each step; the caller may stop at any step. Raises BadKey, Unavailable.
    """
    check(parts)
    if set(family.parts) <= parts.keys():
        yield KeysFound((family.key(**parts),), 1, more=False, done=True)
        return
    pattern = family.glob(**parts)
    found: dict[str, None] = {}  # SCAN may return a key twice
    cursor, scanned, started = 0, 0, False
    while cursor or not started:
        started = True
        cursor, keys = scan(client, cursor, pattern)
        scanned += SCAN_COUNT
        for key in keys:
            own = family.parse(key)
            if own is not None and parts.items() <= own.items():
                found[key.decode()] = None
        listed = tuple(sorted(islice(found, MAX_KEYS)))
        if len(found) > MAX_KEYS:
            yield KeysFound(listed, scanned, more=True, done=True)
            return
        yield KeysFound(listed, scanned, more=False, done=not cursor)


def look(client: redis.Redis, key: str) -> KeyValue | None:
    """A key's value; None when it does not exist. Raises Unavailable."""
    with translating_errors():
        kind = _text(client.type(key))
        if kind == "none":
            return None
        ttl = int(client.ttl(key))
    found, _ = if_permitted(lambda: client.memory_usage(key))
    memory = found if isinstance(found, int) else None
    with translating_errors():
        length, elements, lines, is_cut, compressed = _read(client, key, kind, memory)
    shown = tuple(safe(each, MAX_LINE) for each in lines[:MAX_LINES])
    cut = is_cut or len(lines) > MAX_LINES
    return KeyValue(key, kind, ttl if ttl >= 0 else None, memory, length, elements, shown, cut, compressed)


_Read = tuple[int | None, int | None, Sequence[str], bool, bool]
"""Length, number of elements, lines, whether there is more, whether it is compressed."""


def _read(client: Any, key: str, kind: str, memory: int | None) -> _Read:
    if kind == "string":
        return _string(client, key)
    if kind not in _COLLECTIONS:
        return None, None, ["values of this type cannot be shown"], False, False
    size, elements = _COLLECTIONS[kind]
    count = int(size(client, key))
    if memory is not None and memory > MAX_BYTES * max(count, 1):
        return None, count, ["its elements are too large to be shown"], True, False
    lines = elements(client, key)
    return None, count, lines, count > len(lines), False


def _string(client: Any, key: str) -> _Read:
    length = int(client.strlen(key))
    stored: bytes = client.getrange(key, 0, MAX_BYTES - 1)
    is_whole = length <= MAX_BYTES
    value = decompress(stored) if is_whole and stored.startswith(ZLIB_HEADER) else None
    if value is None:
        return length, None, as_lines(stored), not is_whole, False
    return length, None, as_lines(value[:MAX_BYTES]), len(value) > MAX_BYTES, True


def _fields(client: Any, key: str) -> list[str]:
    pairs = islice(client.hscan_iter(key, count=MAX_ELEMENTS), MAX_ELEMENTS)
    return [f"{_text(name)}: {_text(value)}" for name, value in pairs]


def _items(client: Any, key: str) -> list[str]:
    return list(map(_text, client.lrange(key, 0, MAX_ELEMENTS - 1)))


def _members(client: Any, key: str) -> list[str]:
    return sorted(map(_text, islice(client.sscan_iter(key, count=MAX_ELEMENTS), MAX_ELEMENTS)))


def _ranking(client: Any, key: str) -> list[str]:
    """The highest scores first."""
    ranked = client.zrange(key, 0, MAX_ELEMENTS - 1, desc=True, withscores=True)
    return [f"{score:>14g}  {_text(member)}" for member, score in ranked]


def _entries(client: Any, key: str) -> list[str]:
    """The newest first."""
    newest = client.xrevrange(key, count=MAX_ELEMENTS)
    return [
        f"{_text(number)}  " + ", ".join(f"{_text(name)}: {_text(value)}" for name, value in fields.items())
        for number, fields in newest
    ]


_COLLECTIONS: dict[str, tuple[Callable[[Any, str], Any], Callable[[Any, str], list[str]]]] = {
    "hash": (lambda client, key: client.hlen(key), _fields),
    "list": (lambda client, key: client.llen(key), _items),
    "set": (lambda client, key: client.scard(key), _members),
    "zset": (lambda client, key: client.zcard(key), _ranking),
    "stream": (lambda client, key: client.xlen(key), _entries),
}


def as_lines(value: bytes) -> list[str]:
    """A value as lines: JSON indented, other text as it is, and anything else in hexadecimal digits. The last character
    may be cut off.
    """
    try:
        text = getincrementaldecoder("utf-8")().decode(value)
    except UnicodeDecodeError:
        return _hex(value)
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text.splitlines() or [""]


def _hex(value: bytes) -> list[str]:
    rows = range(0, min(len(value), 16 * MAX_LINES), 16)
    return [f"{start:06x}  {value[start : start + 16].hex(' ')}" for start in rows]


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)

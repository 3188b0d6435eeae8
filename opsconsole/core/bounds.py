"""What opsconsole accepts from job code, configuration and operators: texts that every database can store, numbers that
fit their columns, JSON that arrives as it was sent, and bounded sizes.

Each function returns what is wrong with a value, to follow its name in a message, or None. The caller raises the error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from opsconsole.core.text import as_text, safe
from opsconsole.core.times import LONGEST

MAX_ID = 2**63 - 1
"""The largest number of a run, command or backfill: BIGINT."""
MAX_INTEGER = 2**31 - 1
"""The largest value of an INTEGER column."""
MAX_NUMBER = 2**53
"""The largest metric: beyond it, readers of JSON lose digits."""
MAX_NAME = 100
MAX_KEY = 100_000
MAX_LINE = 500
MAX_NOTE = 1000
MAX_JSON_BYTES = 1 << 20
MAX_DEPTH = 50

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether every database accepts the text: PostgreSQL refuses NUL, and both refuse lone surrogates."""
    return _UNSTORABLE.search(text) is None


def name_problem(value: object, limit: int = MAX_NAME) -> str | None:
    """Of a name or a line: a string of 1 to `limit` printable characters."""
    if not isinstance(value, str):
        return f"must be a string, not {shown(value)}"
    if not 1 <= len(value) <= limit or not value.isprintable():
        return f"must have 1 to {limit} printable characters, not {shown(value)}"
    return None


def text_problem(value: object, limit: int) -> str | None:
    """Of a text: at most `limit` characters, without NUL and lone surrogates."""
    if not isinstance(value, str):
        return f"must be a string, not {shown(value)}"
    if len(value) > limit:
        return f"must have at most {limit:,} characters, not {len(value):,}"
    return None if is_storable(value) else f"must be valid Unicode without NUL characters, not {shown(value)}"


def key_problem(value: object) -> str | None:
    """Of a key: a text of at most MAX_KEY characters."""
    return text_problem(value, MAX_KEY)


def keys_problem(keys: Sequence[object]) -> str | None:
    """What a population must yield instead of these keys: strings that can be stored, each once."""
    if _are_keys(keys):
        return None
    seen: set[object] = set()
    for key in keys:
        if type(key) is not str:
            return f"strings, not {type(key).__name__}"
        problem = key_problem(key)
        if problem is not None:
            return f"keys that can be stored: {shown(key)} {problem}"
        if key in seen:
            return f"each key once, not {shown(key)} twice"
        seen.add(key)
    return None


def _are_keys(keys: Sequence[Any]) -> bool:
    """Whether all of these keys are valid, in a tenth of the time that checking each of them takes."""
    return (
        set(map(type, keys)) <= {str}
        and len(set(keys)) == len(keys)
        and max(map(len, keys), default=0) <= MAX_KEY
        and is_storable("".join(keys))
    )


def number_problem(value: object) -> str | None:
    """Of a metric: a finite int or float, up to MAX_NUMBER."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be an int or a float, not {type(value).__name__}"
    return None if abs(value) <= MAX_NUMBER else f"must be a number up to {MAX_NUMBER:,}, not {shown(value)}"


def whole_number_problem(value: object, low: int, high: int) -> str | None:
    """Of a whole number in this range."""
    if type(value) is not int:
        return f"must be a whole number, not {shown(value)}"
    if value < low:
        return f"must be {low:,} or more, not {shown(value)}"
    return None if value <= high else f"must be {high:,} or less, not {shown(value)}"


def duration_problem(value: object) -> str | None:
    """Of a duration: a timedelta of more than 0 and at most ten years."""
    if not isinstance(value, timedelta):
        return f"must be a timedelta such as minutes(5), not {shown(value)}"
    if value <= timedelta(0):
        return "must be more than 0"
    return None if value <= LONGEST else "must be at most 10 years"


def json_problem(value: object, limit: int = MAX_JSON_BYTES) -> str | None:
    """Of a JSON value: what is decoded is what was encoded. Keys are strings, numbers are finite and fit 64 bits."""
    is_flat = _is_flat(value)
    try:
        plain = value if is_flat else msgspec.to_builtins(value)
        encoded = msgspec.json.encode(plain)
    except UnicodeEncodeError:
        return "must have valid Unicode only"
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return f"cannot be encoded as JSON: {safe(error, 200)}"
    if len(encoded) > limit:
        return f"must have at most {limit:,} bytes as JSON, not {len(encoded):,}"
    waiting: list[tuple[Any, int]] = [] if is_flat else [(plain, 1)]
    while waiting:
        part, depth = waiting.pop()
        if isinstance(part, float) and not math.isfinite(part):
            return f"must be finite, not {part}" if part is plain else f"must have finite numbers only, not {part}"
        if isinstance(part, int) and not -(2**63) <= part < 2**64:
            return f"must have whole numbers of up to 64 bits, not {shown(part)}"
        if depth > MAX_DEPTH:
            return f"must be nested at most {MAX_DEPTH} levels deep"
        if isinstance(part, dict):
            odd = next((key for key in part if not isinstance(key, str)), None)
            if odd is not None:
                return f"must have strings as keys, not {shown(odd)}"
            waiting += [(each, depth + 1) for each in part.values()]
        elif isinstance(part, list | tuple):
            waiting += [(each, depth + 1) for each in part]
    return None


def _is_flat(value: object) -> bool:
    """Whether a value is a dict of texts and whole numbers, like the payload of most events."""
    return (
        type(value) is dict
        and all(type(key) is str for key in value)
        and all(
            each is None or type(each) in (str, bool) or (type(each) is int and -(2**63) <= each < 2**64)
            for each in value.values()
        )
    )


def shown(value: object) -> str:
    """A value as it is shown in a message; of a URL only what it is, as it may have a password."""
    if isinstance(value, str) and "://" in value:
        return "a URL"
    return safe(repr(value[:100]) if type(value) is str else as_text(value), 100)

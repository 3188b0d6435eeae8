"""Makes text from data safe to show: it cannot move the cursor, hide itself, act as markup or repeat a secret."""

from __future__ import annotations

import re
from contextlib import suppress

from opsconsole.core.redaction import redacted

MAX_READ = 100_000
"""Characters of a text that are looked at before it is cut: a secret may lie across the cut."""

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: terminal control
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, bidi controls
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # fillers
    "\ud800-\udfff"  # lone surrogates
    "\U000e0000-\U000e007f]"  # tag characters
)

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def safe(text: object, limit: int = 500) -> str:
    """`text` without secrets and with control, bidi and invisible characters as escapes, cut to `limit` characters."""
    shown = _UNSAFE.sub(_visible, redacted(as_text(text)[: limit + MAX_READ])[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def printable(text: str) -> str:
    """`text` without secrets and with control, bidi and invisible characters as escapes; its lines and tabs stay."""
    return _UNSAFE.sub(lambda match: match[0] if match[0] in "\n\t" else _visible(match), redacted(text))


def printable_json(document: str) -> str:
    """A JSON document in which such characters, which can only be in strings, are escaped as JSON does it."""
    if document.isascii() and "\x7f" not in document:
        return document
    return _UNSAFE.sub(lambda match: match[0] if match[0] in "\n\t" else _escaped(match), document)


def _escaped(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))


def as_text(value: object) -> str:
    """`str(value)`, or the name of its type if that raises, as the exceptions of a job can."""
    with suppress(Exception):
        return str(value)
    return f"<{type(value).__name__}>"


def snake_case(name: str) -> str:
    """`UniqueViolation` as `unique_violation`."""
    return _WORD_START.sub("_", name).lower()

"""Failures of items, and the kinds they are grouped by."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError

from opsconsole.authoring.batch import Failure
from opsconsole.core.database import reason
from opsconsole.core.errors import OpsconsoleError, Unavailable
from opsconsole.core.text import safe, snake_case

UNKNOWN = "failed"
LONGEST_KIND = 60

_QUOTED = re.compile(r"""(?<!\w)'[^']*'(?!\w)|"[^"]*"|`[^`]*`""")
_WORD = re.compile(r"[^\W\d_]+")
_TOKEN = re.compile(r"[a-z][a-z0-9_]*")


def failure(item: str, error: str | Exception, kind: str | None = None) -> Failure:
    """A failed item with its kind and a message that is safe to show. Raises ValueError if `kind` is not a token."""
    if kind is not None and not _TOKEN.fullmatch(kind):
        raise ValueError(f"{kind!r} is not a failure kind; use lower-case letters, digits and underscores")
    if isinstance(error, str):
        message = error
    elif isinstance(error, OpsconsoleError):
        message = error.sentence
    else:
        message = f"{type(error).__name__}: {reason(error)}"
    return Failure(item, kind or failure_kind(error, item), safe(message, 500))


def failure_kind(error: str | Exception, item: str = "") -> str:
    """A token for the cause of a failure, the same for every item that fails for that cause.

    For an exception it is the name of its class; for a database error the name that the database gives it; for a
    message its words, without `item`, quoted parts, and words that contain digits:
    `question q0417 does not exist` gives `question_does_not_exist`.
    """
    if isinstance(error, str):
        return _words(error, item) or UNKNOWN
    if isinstance(error, Unavailable):
        return unreachable(error.dependency)
    if isinstance(error, DBAPIError) and error.orig is not None:
        name = getattr(error.orig, "sqlite_errorname", None) or snake_case(type(error.orig).__name__)
        return str(name).lower()
    return snake_case(type(error).__name__)


def unreachable(dependency: str) -> str:
    """The kind of failure that an unreachable dependency causes, such as `redis_unreachable`."""
    return f"{_words(dependency, '') or 'dependency'}_unreachable"


def _words(message: str, item: str) -> str:
    text = _QUOTED.sub(" ", message.replace(item, " ") if item else message)
    kind = ""
    for part in text.lower().split():
        if any(character.isdigit() for character in part):
            continue
        for word in _WORD.findall(part.replace("'", "")):
            if len(kind) + 1 + len(word) > LONGEST_KIND:
                return kind or word[:LONGEST_KIND]
            kind = f"{kind}_{word}" if kind else word
    return kind

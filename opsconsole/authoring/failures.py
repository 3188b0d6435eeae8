"""Failures of items, and the kinds they are grouped by."""

from __future__ import annotations

import re

from opsconsole.authoring.batch import Failure
from opsconsole.core.bounds import shown
from opsconsole.core.errors import BadValue, OpsconsoleError, Unavailable
from opsconsole.core.text import safe, snake_case

UNKNOWN = "failed"
LONGEST_KIND = 60
LONGEST_MESSAGE = 500

_QUOTED = re.compile(r"""(?<!\w)'[^']*'(?!\w)|"[^"]*"|`[^`]*`""")
_WORD = re.compile(r"[^\W\d_]+")
_TOKEN = re.compile(r"[a-z][a-z0-9_]*")


def failure(item: str, error: str | BaseException, kind: str | None = None) -> Failure:
    """A failed item with its kind and a message that is safe to show. Raises BadValue if `kind` is not a token."""
    if kind is not None and not _is_token(kind):
        allowed = f"at most {LONGEST_KIND} lower-case letters, digits and underscores"
        raise BadValue(f"{shown(kind)} is not a failure kind; use {allowed}")
    if isinstance(error, str):
        message = error = error[:LONGEST_MESSAGE]
    elif isinstance(error, OpsconsoleError):
        message = error.sentence
    else:
        # SQLAlchemy, which the first frame of the console does without.
        from opsconsole.core.database_errors import reason

        message = f"{type(error).__name__}: {reason(error)}"
    return Failure(item, kind or failure_kind(error, item), safe(message, LONGEST_MESSAGE))


def failure_kind(error: str | BaseException, item: str = "") -> str:
    """A token for the cause of a failure, the same for every item that fails for that cause.

    For an exception it is the name of its class; for a database error the name that the database gives it; for a
    message its words, without `item`, quoted parts, and words that contain digits:
    `question q0417 does not exist` gives `question_does_not_exist`.
    """
    if isinstance(error, str):
        return _words(error, item) or UNKNOWN
    if isinstance(error, Unavailable):
        return unreachable(error.dependency)
    from sqlalchemy.exc import DBAPIError  # the names of the kinds are used without SQLAlchemy

    if isinstance(error, DBAPIError) and error.orig is not None:
        return _token(getattr(error.orig, "sqlite_errorname", None) or type(error.orig).__name__)
    return _token(type(error).__name__)


def unreachable(dependency: str) -> str:
    """The kind of failure that an unreachable dependency causes, such as `redis_unreachable`."""
    return f"{_words(dependency, '') or 'dependency'}_unreachable"


def _token(name: str) -> str:
    token = snake_case(name[:LONGEST_KIND])[:LONGEST_KIND]
    return token if _is_token(token) else UNKNOWN


def _is_token(kind: object) -> bool:
    return isinstance(kind, str) and len(kind) <= LONGEST_KIND and _TOKEN.fullmatch(kind) is not None


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

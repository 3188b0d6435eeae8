"""Responses in JSON; each error has a status, a code and a message that is safe to show."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp

from opsconsole.authoring.extensions import Reply
from opsconsole.authoring.parameters import BadParameter
from opsconsole.core.errors import (
    BadCron,
    BadWindow,
    BadZone,
    Exit,
    NotAllowed,
    OpsconsoleError,
    Unavailable,
    UnknownAlert,
    UnknownBackfill,
    UnknownJob,
    UnknownRun,
)
from opsconsole.core.text import printable_json, safe
from opsconsole.core.times import BadTime
from opsconsole.rules.alert_actions import UnknownSilenceTarget
from opsconsole.rules.search_words import BadSearch

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_STATUS_HEADERS = {
    401: {"www-authenticate": "Bearer"},
    408: {"connection": "close"},
    429: {"retry-after": "60"},
    503: {"retry-after": "5"},
}
_NO_BODY = (204, 304)
_UNREACHABLE = ("unavailable", "partly_cleared")
"""Errors of commands that could not be carried out because a service is unreachable."""
_BY_EXIT_CODE = {
    Exit.USAGE: (400, "bad_request"),
    Exit.REFUSED: (409, "refused"),
    Exit.NOT_ALLOWED: (403, "not_allowed"),
    Exit.NOT_LEADING: (503, "no_leader"),
}

FAILED = Reply.error(500, "failed", "the request failed; see the log of this process")


@dataclass(frozen=True, slots=True)
class Document:
    """A response that is no JSON."""

    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A response that sends itself, as an ASGI application. It may raise OpsconsoleError before it sends anything."""

    serve: ASGIApp


class HttpError(OpsconsoleError):
    """A request that is rejected before it is carried out."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        self.reply = Reply.error(status, code, message, field)
        super().__init__(message)


class Busy(HttpError):
    """A request beyond the number that may wait."""

    def __init__(self) -> None:
        super().__init__(503, "busy", "too many requests are waiting; try again later")


class CommandRefused(OpsconsoleError):
    """A command that the leader has refused with the error `code`; `reply` has the status for the exit code of the
    command line.
    """

    def __init__(self, code: str, message: str, exit_code: int) -> None:
        unreachable = Reply.error(503, "unavailable", message)
        self.reply = unreachable if code in _UNREACHABLE else refusal(message, exit_code)
        super().__init__(message)


def encode(reply: Reply) -> Reply:
    """The reply with its body as JSON.

    Raises TypeError or ValueError for a body that JSON cannot represent, and for a status that HTTP does not have.
    """
    if reply.status not in range(200, 600):
        raise ValueError(f"{reply.status!r} is not the status of a response")
    if reply.status in _NO_BODY:
        return Reply(b"", reply.status)
    body = reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body)
    is_plain = body.isascii() and b"\x7f" not in body
    return Reply(body if is_plain else _visible(body), reply.status)


def _visible(document: bytes) -> bytes:
    """A JSON document that a terminal can show: clients print what they receive."""
    return printable_json(document.decode(errors="replace")).encode()


def answered(answer: msgspec.Struct, status: int) -> Reply:
    """The reply with the answer of an operation."""
    return encode(Reply(msgspec.json.encode(answer), status))


def response(reply: Reply | Document, headers: dict[str, str] | None = None) -> Response:
    """The reply as a Starlette response."""
    if isinstance(reply, Document):
        return Response(reply.body, 200, _HEADERS | (headers or {}), media_type=reply.media_type)
    all_headers = _HEADERS | _STATUS_HEADERS.get(reply.status, {}) | (headers or {})
    return Response(encode(reply).body, reply.status, all_headers, media_type="application/json")


def refusal(message: str, exit_code: int) -> Reply:
    """The reply for a refusal with this exit code of the command line."""
    status, code = _BY_EXIT_CODE.get(Exit(exit_code), (500, "failed"))
    return Reply.error(status, code, safe(message))


def error_reply(error: OpsconsoleError) -> Reply:
    """The reply for an error that has a message for operators."""
    message = safe(error.sentence)
    match error:
        case HttpError() | CommandRefused():
            return error.reply
        case UnknownJob() | UnknownRun() | UnknownBackfill() | UnknownAlert():
            return Reply.error(404, error.code, message)
        case BadWindow():
            return Reply.error(400, "bad_date", message, "date")
        case BadTime():
            return Reply.error(400, "bad_time", message)
        case UnknownSilenceTarget():
            return Reply.error(400, "bad_target", message, "target")
        case BadParameter():
            return Reply.error(400, "bad_parameter", message, "params")
        case BadCron():
            return Reply.error(400, "bad_cron", message, "cron")
        case BadZone():
            return Reply.error(400, "bad_zone", message, "tz")
        case NotAllowed():
            return Reply.error(403, "not_allowed", "this token, or this process, is read-only")
        case BadSearch():
            return Reply.error(400, "bad_search", message, "q")
        case Unavailable():
            return Reply.error(503, "unavailable", message)
        case _:
            return refusal(message, error.exit_code)

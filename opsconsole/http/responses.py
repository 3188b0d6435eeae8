"""What programs are told: JSON, and for every error its status and one safe sentence."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from opsconsole.authoring.extensions import Reply
from opsconsole.core.errors import BadWindow, Exit, OpsconsoleError, Unavailable, UnknownJob, UnknownRun
from opsconsole.core.text import safe

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_OF_STATUS = {401: {"www-authenticate": "Bearer"}, 429: {"retry-after": "60"}, 503: {"retry-after": "5"}}
_BY_EXIT = {
    Exit.USAGE: (400, "bad_request"),
    Exit.REFUSED: (409, "refused"),
    Exit.NOT_ALLOWED: (403, "not_allowed"),
    Exit.NOT_LEADING: (503, "no_leader"),
}

FAILED = Reply.error(500, "failed", "this could not be answered; the log of this process says why")


class HttpError(OpsconsoleError):
    """An answer that ends a request before it is carried out."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        self.reply = Reply.error(status, code, message, field)
        super().__init__(message)


def encoded(reply: Reply) -> Reply:
    """The same with its body as JSON. Raises TypeError or ValueError for what has no form in JSON."""
    return reply if isinstance(reply.body, bytes) else Reply(msgspec.json.encode(reply.body), reply.status)


def response(reply: Reply, headers: dict[str, str] | None = None) -> Response:
    """As it goes over the wire."""
    said = _HEADERS | _OF_STATUS.get(reply.status, {}) | (headers or {})
    return Response(encoded(reply).body, reply.status, said, media_type="application/json")


def refused(sentence: str, exit_code: int) -> Reply:
    """What a command line would end with `exit_code` for."""
    status, code = _BY_EXIT.get(Exit(exit_code), (500, "failed"))
    return Reply.error(status, code, safe(sentence))


def of_error(error: OpsconsoleError) -> Reply:
    """What is told of an error that writes its own sentence."""
    said = safe(error.sentence)
    match error:
        case HttpError():
            return error.reply
        case UnknownJob():
            return Reply.error(404, "unknown_job", said)
        case UnknownRun():
            return Reply.error(404, "unknown_run", said)
        case BadWindow():
            return Reply.error(400, "bad_date", said, "date")
        case Unavailable():
            return Reply.error(503, "unavailable", said)
        case _:
            return refused(said, error.exit_code)

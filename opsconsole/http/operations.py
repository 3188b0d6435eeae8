"""Declares routes: a declaration routes requests, checks them, and describes the route in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from opsconsole.authoring.extensions import Answer
from opsconsole.core.bounds import MAX_ID, MAX_NOTE
from opsconsole.core.settings import Actor, Role
from opsconsole.http.fields import until
from opsconsole.rules.actions import Verb
from opsconsole.service.alerts import Alerts
from opsconsole.service.backfills import Backfills
from opsconsole.service.commands import Commands
from opsconsole.service.outcomes import Outcome
from opsconsole.service.service import Service

UTC = ZoneInfo("UTC")

R = TypeVar("R", bound=Struct, contravariant=True)

Number = Annotated[int, Meta(ge=1, le=MAX_ID, description="The number of a run, backfill, alert or row")]
Limit = Annotated[int, Meta(ge=1, le=1000, description="The most entries of a page")]
Note = Annotated[str, Meta(max_length=MAX_NOTE, description="The reason, recorded with the action")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
PastTime = Annotated[
    str, Meta(min_length=1, max_length=100, description="A time such as 2026-01-19T18:20:00Z, or how long ago: 2h")
]
FutureTime = Annotated[
    str, Meta(min_length=1, max_length=100, description="A time such as 2026-01-19T18:20:00Z, or 18:00")
]
Length = Annotated[str, Meta(min_length=1, max_length=100, description="A duration such as 90m or 2h")]


class NoFields(Struct, frozen=True, forbid_unknown_fields=True):
    """A request without parameters."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request of `actor`, whose role the commands check; `key` is its idempotency key."""

    service: Service
    actor: Actor
    key: str | None = None

    @property
    def is_viewers(self) -> bool:
        """Whether the actor may only view."""
        return self.actor.role is not Role.OPERATOR

    def zone(self, job: str | None) -> ZoneInfo:
        """The zone of times without one: the job's, and UTC without a job."""
        return UTC if job is None else self.service.queries.zone(job)

    @property
    def commands(self) -> Commands:
        """The commands, as the actor's."""
        return self.service.commands.by(self.actor, self.key)

    @property
    def backfills(self) -> Backfills:
        """The backfills, as the actor's."""
        return self.service.backfills.by(self.actor, self.key)

    @property
    def alerts(self) -> Alerts:
        """The alerts, as the actor's."""
        return self.service.alerts.by(self.actor, self.key)


@dataclass(frozen=True, slots=True)
class Sent:
    """A requested command, and the function that turns its outcome into the answer."""

    command: int
    answer: Callable[[Outcome], Answer]


class DoneAnswer(Answer, frozen=True, kw_only=True):
    """The answer to a command: its outcome as a sentence."""

    command: int
    message: str


class Lasting(Struct, frozen=True, forbid_unknown_fields=True):
    """How long something lasts: for a duration, or until a time."""

    for_: Length | None = field(default=None, name="for")
    until: FutureTime | None = None
    note: Note = ""

    def end(self, place: ZoneInfo, now: datetime) -> datetime | None:
        """When it ends; None when neither is given. Raises HttpError."""
        return until(self.for_, self.until, place, now)


def done(command: int) -> Sent:
    """A command that is answered with a sentence about its outcome."""
    return Sent(command, lambda outcome: DoneAnswer(command=command, message=outcome.done or ""))


class Handler(Protocol[R]):
    """Answers a request. Blocks, and raises OpsconsoleError."""

    def __call__(self, call: Call, request: R, /) -> Answer | Sent: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[R]):
    """A route. Fields of `request` that are in the path are taken from there; the others from the query of a GET, and
    from the body of a POST. An operation with a `verb` is a command: it waits for a leader, and only operators may
    request it, as every POST. `check` does no I/O: it raises at once what needs no leader. `resolve` reads what a
    command of an operator is about, with a thread of its own: it returns a request for `handler`, or the answer when
    nothing is to be done. A `slow` operation has that thread too, and this process carries it out, without a leader.
    """

    method: str
    path: str
    summary: str
    request: type[R]
    answer: type[Answer]
    handler: Handler[R]
    status: int = 200
    verb: Verb | None = None
    check: Callable[[Call, R], object] | None = None
    resolve: Callable[[Call, R], Answer | R] | None = None
    slow: bool = False

    @property
    def tag(self) -> str:
        """The subject under which the document lists the route."""
        return self.path.removeprefix("/api/").partition("/")[0]


AnyOperation = Operation[Any]


def get(
    path: str, summary: str, request: type[R], answer: type[Answer], handler: Handler[R], *, slow: bool = False
) -> Operation[R]:
    """A route that changes nothing."""
    return Operation(
        method="GET", path=path, summary=summary, request=request, answer=answer, handler=handler, slow=slow
    )


def post(
    verb: Verb,
    path: str,
    summary: str,
    request: type[R],
    handler: Handler[R],
    *,
    answer: type[Answer] = DoneAnswer,
    status: int = 200,
    check: Callable[[Call, R], object] | None = None,
    resolve: Callable[[Call, R], Answer | R] | None = None,
    slow: bool = False,
) -> Operation[R]:
    """A route that requests a command."""
    return Operation(
        method="POST",
        path=path,
        summary=summary,
        request=request,
        answer=answer,
        handler=handler,
        status=status,
        verb=verb,
        check=check,
        resolve=resolve,
        slow=slow,
    )

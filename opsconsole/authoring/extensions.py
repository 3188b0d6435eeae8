"""Extensions of packs: HTTP routes, panels and checks, as plain data for every interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, final

from msgspec import Meta, Struct

from opsconsole.core.problems import Severity
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.authoring.context import ExtensionContext


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request: the path parameters, the query, and the body as parsed JSON, None without one."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response. `body` is encoded as JSON, unless it is bytes that already are."""

    body: Any
    status: int = 200

    @classmethod
    def error(cls, status: int, code: str, message: str, field: str | None = None) -> Reply:
        """An error response that can name a field of the request."""
        document = {"code": code, "message": safe(message)} | ({"field": field} if field else {})
        return cls({"success": False, "error": document}, status)


class Answer(Struct, frozen=True, kw_only=True):
    """The answer to a request that succeeded."""

    success: Annotated[bool, Meta(extra_json_schema={"const": True})] = True


@final
@dataclass(frozen=True, slots=True)
class StartRun:
    """A handler that starts a run of a job, like `POST /api/cron/run/{job}`."""

    job: str


@final
@dataclass(frozen=True, slots=True)
class ClearCache:
    """A handler that clears cached keys by the fields of the body: `fields` maps their names to `user`, `subject`,
    `family`, `date` or `source`. At least one must be given.
    """

    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP route of a pack. `path` has its parameters in braces: `/cache/attempt-day/{user}/{date}`.

    `handler` is called in a thread and may raise OpsconsoleError. With `fields`, a msgspec struct, it receives an
    instance of that in place of the Request: the parameters of the path, and those of the body, or of the query of a
    GET. A wrong one is answered with 400. `answers` has the type of the answer for each status; /openapi.json describes
    both. `changes` means that a call changes something, which a viewer may not do, and HEAD does not do; without it,
    every method but GET does, and StartRun and ClearCache do.
    """

    method: str
    path: str
    handler: Callable[[ExtensionContext, Any], Reply] | StartRun | ClearCache
    changes: bool | None = None
    fields: type[Struct] | None = None
    answers: Mapping[int, Any] = field(default_factory=dict)

    @property
    def has_effect(self) -> bool:
        """Whether a call changes something."""
        if isinstance(self.handler, StartRun | ClearCache):
            return True
        return self.method != "GET" if self.changes is None else self.changes


@dataclass(frozen=True, slots=True)
class PanelContent:
    """What a panel shows: facts (name, value), a table, and an optional message."""

    facts: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of a pack in the console. If `read` raises OpsconsoleError, its message is shown instead."""

    title: str
    read: Callable[[ExtensionContext], PanelContent]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong, as a check found it: a clause such as "the queue is growing". `since` is when it began,
    where the check can determine it.
    """

    severity: Severity
    message: str
    since: datetime | None = None


CONFIGURATION = "configuration"
"""The name under which the `notes` of a pack are reported, as if a check had found them."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a pack: `read` returns what is wrong now. The leader calls it twice a minute, in a thread, and raises
    an alert for what it returns, under the pack's name and this one; all conditions of one check are one alert. It
    should take a second at most, and change nothing. With `after`, there is no alert until the conditions have lasted
    for that long: use it for what the next run of a job repairs.
    """

    name: str
    read: Callable[[ExtensionContext], Iterable[Condition]]
    after: timedelta = timedelta(0)

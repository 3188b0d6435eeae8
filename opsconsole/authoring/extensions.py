"""Extensions of packs: HTTP routes and panels, as plain data for every interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

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

    `handler` is called in a thread and may raise OpsconsoleError. `changes` means that a call changes something, which
    a viewer may not do; without it, every method but GET does.
    """

    method: str
    path: str
    handler: Callable[[ExtensionContext, Request], Reply] | StartRun | ClearCache
    changes: bool | None = None

    @property
    def has_effect(self) -> bool:
        """Whether a call changes something."""
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

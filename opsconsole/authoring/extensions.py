"""What packs bring for people and programs outside: routes and panels, as plain data that every face can show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.authoring.context import ExtensionContext


@dataclass(frozen=True, slots=True)
class Request:
    """What a program asked: the parts of the path, the query, and the body as parsed JSON, None without one."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What it is told: a body that becomes JSON, or bytes that are JSON already."""

    body: Any
    status: int = 200

    @classmethod
    def error(cls, status: int, code: str, message: str, field: str | None = None) -> Reply:
        """An answer that says what is wrong, and with which field of the question."""
        told = {"code": code, "message": safe(message)} | ({"field": field} if field else {})
        return cls({"success": False, "error": told}, status)


@final
@dataclass(frozen=True, slots=True)
class StartRun:
    """Answers by starting a run of a job, as `POST /api/cron/run/{job}` does."""

    job: str


@dataclass(frozen=True, slots=True)
class Route:
    """One question that a pack answers over HTTP. `path` has its parts in braces: `/cache/attempt-day/{user}/{date}`.

    `handler` is called in a thread of its own and may raise OpsconsoleError.
    """

    method: str
    path: str
    handler: Callable[[ExtensionContext, Request], Reply] | StartRun


@dataclass(frozen=True, slots=True)
class PanelContent:
    """What a panel shows now: facts (name, value), a table, and a sentence when there is something to say."""

    facts: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a screen that a pack fills. `read` may raise OpsconsoleError, which is then shown in its place."""

    title: str
    read: Callable[[ExtensionContext], PanelContent]

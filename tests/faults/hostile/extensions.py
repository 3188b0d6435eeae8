"""Odd routes and panels, and commands with odd arguments."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconsole.extensions import ExtensionContext, Panel, PanelContent, Reply, Request, Route
from tests.faults.hostile import damage
from tests.faults.hostile.values import NASTY, TEN_MEGABYTES

FAILED, UNAVAILABLE = 500, 503
HANGING_SECONDS = 3_600


@dataclass(frozen=True)
class OddRoute:
    """A route, what it does, and the status of its responses; None when it sends none within some seconds."""

    route: Route
    description: str
    status: int | None


@dataclass(frozen=True)
class OddCommand:
    """A command that the service would not send; the leader refuses it. `description` is what is odd about it."""

    description: str
    verb: str
    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def _raises(ctx: ExtensionContext, request: Request) -> Any:
    raise damage.NoText


def _exits(ctx: ExtensionContext, request: Request) -> Any:
    sys.exit(3)


def _hangs(ctx: ExtensionContext, request: Request) -> Any:
    time.sleep(HANGING_SECONDS)


def _recurses(ctx: ExtensionContext, request: Request) -> Any:
    return _recurses(ctx, request)


def _returning(value: Any) -> Callable[[ExtensionContext, Request], Any]:
    def handler(ctx: ExtensionContext, request: Request) -> Any:
        return value

    return handler


def _route(name: str, handler: Callable[..., Any], description: str, status: int | None = FAILED) -> OddRoute:
    return OddRoute(Route("GET", f"/hostile/{name}", handler), description, status)


ROUTES = (
    _route("raises", _raises, "raises an exception without a text"),
    _route("exits", _exits, "calls sys.exit()"),
    _route("recurses", _recurses, "calls itself without end"),
    _route("hangs", _hangs, "never returns", None),
    _route("nothing", _returning(None), "returns None"),
    _route("text", _returning("a text"), "returns a text"),
    _route("object", _returning(Reply(object())), "responds with an object that is no JSON"),
    _route("status", _returning(Reply({}, status=7)), "responds with the status 7"),
    _route("odd-text", _returning(Reply({"text": NASTY})), "responds with a lone surrogate"),
)


def _panel(name: str, read: Callable[..., Any]) -> Panel:
    return Panel(f"Odd: {name}", read)


def _panel_raises(ctx: ExtensionContext) -> PanelContent:
    raise damage.NoText


def _panel_exits(ctx: ExtensionContext) -> PanelContent:
    sys.exit(3)


def _panel_recurses(ctx: ExtensionContext) -> PanelContent:
    return _panel_recurses(ctx)


def _panel_returning(value: Any) -> Callable[[ExtensionContext], Any]:
    def read(ctx: ExtensionContext) -> Any:
        return value

    return read


ODD: Any = object()
PANELS = (
    _panel("raises an exception without a text", _panel_raises),
    _panel("calls sys.exit()", _panel_exits),
    _panel("calls itself without end", _panel_recurses),
    _panel("returns None", _panel_returning(None)),
    _panel("returns objects", _panel_returning(PanelContent(facts=ODD, columns=ODD, rows=ODD, message=ODD))),
    _panel("returns odd pairs", _panel_returning(PanelContent(facts=(ODD, ODD)))),
    _panel("returns odd texts", _panel_returning(PanelContent(rows=((NASTY, "x" * TEN_MEGABYTES),)))),
)
"""Each shows a message, or content that is safe to show."""

COMMANDS = (
    OddCommand("a verb that does not exist", "explode", "steady.table"),
    OddCommand("a job that does not exist", "trigger", "nowhere.nothing"),
    OddCommand("a job with an odd name", "trigger", "steady.table\x1b[2J"),
    OddCommand("a date that is a number", "trigger", "steady.table", {"date": 5}),
    OddCommand("a date that is none", "trigger", "steady.table", {"date": "2026-02-30"}),
    OddCommand("a selection that does not exist", "trigger", "steady.table", {"only": "odd"}),
    OddCommand("a run that does not exist", "retry", "999999999"),
    OddCommand("a run beyond 64 bits", "retry", "9" * 40),
    OddCommand("a run that is no number", "cancel", "the last one"),
    OddCommand("a list of runs that is none", "retry", "matching", {"runs": 17}),
    OddCommand("a list of runs with odd numbers", "retry", "matching", {"runs": ["the last one", {"id": 1}]}),
    OddCommand("a pause until a time that is none", "pause", "hostile", {"until": "tomorrow"}),
    OddCommand("a pause without its arguments", "pause", "nowhere"),
    OddCommand("a resumption of what is not paused", "resume", "hostile"),
    OddCommand("a backfill that is no number", "apply_backfill", "the first one"),
    OddCommand("a backfill that does not exist", "cancel_backfill", "999999999"),
    OddCommand("a clear with odd conditions", "clear", "everything", {"family": ["a", "list"], "counted": "many"}),
    OddCommand("a clear of a family that does not exist", "clear", "nowhere", {"family": "nowhere"}),
    OddCommand("a replay since a time that is none", "replay", "events", {"since": "the beginning"}),
    OddCommand("a replay without its arguments", "replay", "events"),
)

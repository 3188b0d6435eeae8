"""A pack for tests: panels and routes that raise, hang or return what cannot be shown; staleness checks that raise."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from typing import Any

from sqlalchemy import Select

from opsconsole import DAY, Job, Pack, Scope
from opsconsole.extensions import ExtensionContext, Panel, PanelContent, Reply, Request, Route
from tests.packs.counting import NEVER, everything, leave_marks, metadata

HANGING = threading.Event()
"""Set to let what hangs return."""


class Unprintable:
    """An object that ends the process that prints it."""

    def __str__(self) -> str:
        sys.exit(3)


def _exits(*_arguments: object) -> Any:
    sys.exit(3)


def _interrupts(*_arguments: object) -> Any:
    raise KeyboardInterrupt


def _raises(*_arguments: object) -> Any:
    raise ValueError("no ink")


def _hangs(*_arguments: object) -> Any:
    HANGING.wait()
    return PanelContent(message="at last")


def _nothing(_context: ExtensionContext) -> Any:
    return None


def _numbers(_context: ExtensionContext) -> Any:
    return PanelContent(facts=((1, None),), columns=(1, 2), rows=((1.5, float("nan")), (b"\xff", object)))  # type: ignore[arg-type]


def _endless(_context: ExtensionContext) -> Any:
    return PanelContent(columns=("n",), rows=((n,) for n in itertools.count()), message="many")  # type: ignore[arg-type]


def _unprintable(_context: ExtensionContext) -> Any:
    return PanelContent(rows=((Unprintable(),),))  # type: ignore[arg-type]


def _long(_context: ExtensionContext) -> Any:
    return PanelContent(facts=(("long", "x" * 1_000_000),), message="\x1b[2J\ud800")


def _good(_context: ExtensionContext) -> PanelContent:
    return PanelContent(message="all is well")


def _slowly(_context: ExtensionContext, _request: Request) -> Reply:
    time.sleep(0.2)
    return Reply({"success": True})


def _bad_window(scope: Scope) -> Select[tuple[str]]:
    if scope.window.label in ("2025-01-19", "2025-01-20"):
        sys.exit(3)
    if scope.window.label == "2025-01-21":
        raise ValueError("no ink")
    return everything(scope)


pack = Pack(
    "hostile",
    jobs=(Job("hostile.day", everything, leave_marks("hostile.day"), stale=_bad_window, cron=NEVER, covers=DAY),),
    metadata=metadata,
    panels=(
        Panel("exits", _exits),
        Panel("interrupts", _interrupts),
        Panel("raises", _raises),
        Panel("hangs", _hangs),
        Panel("returns nothing", _nothing),
        Panel("numbers", _numbers),
        Panel("endless", _endless),
        Panel("unprintable", _unprintable),
        Panel("long", _long),
        Panel("good", _good),
    ),
    routes=(
        Route("GET", "/exits", _exits),
        Route("GET", "/interrupts", _interrupts),
        Route("GET", "/hangs", _hangs),
        Route("GET", "/good", _slowly),
    ),
)

"""A pack for tests: checks that find something, raise, hang, or return what is no condition."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from opsconsole import Pack, Unavailable
from opsconsole.extensions import Check, Condition, ExtensionContext, Severity
from tests.packs.counting import metadata
from tests.packs.hostile_views import Unprintable

FOUND: dict[str, list[Condition]] = {}
"""What the check `shelf` finds."""
RAISED: dict[str, BaseException] = {}
"""What it raises, after that."""
HANGING = threading.Event()
"""Set to let `hangs` return."""


def _shelf(_context: ExtensionContext) -> Iterator[Condition]:
    yield from FOUND.get("shelf", [])
    if "shelf" in RAISED:
        raise RAISED["shelf"]


def _hangs(_context: ExtensionContext) -> Any:
    HANGING.wait()
    return ()


def _exits(_context: ExtensionContext) -> Any:
    sys.exit(3)


def _returning(value: Any) -> Any:
    return lambda _context: value


def _unavailable(_context: ExtensionContext) -> Any:
    raise Unavailable("claude", "529 overloaded")


def _rows(context: ExtensionContext) -> Iterator[Condition]:
    with context.reading() as db:
        rows = db.exec_driver_sql("SELECT count(*) FROM things").scalar_one()
    if rows:
        yield Condition(Severity.WARNING, f"there are {rows} things")


GOOD = (Check("shelf", _shelf), Check("rows", _rows))
HOSTILE = (
    Check("hangs", _hangs),
    Check("exits", _exits),
    Check("nothing", _returning(None)),
    Check("words", _returning(["all is lost"])),
    Check("number", _returning([Condition(2, "all is lost")])),  # type: ignore[arg-type]
    Check("naive", _returning([Condition(Severity.WARNING, "since", datetime(2026, 1, 1))])),  # noqa: DTZ001
    Check("unprintable", _returning([Condition(Severity.WARNING, Unprintable())])),  # type: ignore[arg-type]
    Check("endless", lambda _context: (Condition(Severity.WARNING, f"{n}") for n in itertools.count())),
    Check("escapes", _returning([Condition(Severity.CRITICAL, "\x1b[2J" + "x" * 1000)])),
    Check("unavailable", _unavailable),
)
pack = Pack("checks", jobs=(), metadata=metadata, checks=(*GOOD, *HOSTILE))

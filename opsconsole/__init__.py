"""opsconsole: the vocabulary of a job author. Names load what they need when they are first used.

What fewer jobs need has a home of its own: `opsconsole.cache`, `opsconsole.sql` and `opsconsole.extensions`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from opsconsole.core.version import VERSION

if TYPE_CHECKING:
    from opsconsole.authoring.context import Context, Items
    from opsconsole.authoring.job import LATEST, NONE, Job, Limits, Overlap, Retry, all_of
    from opsconsole.authoring.pack import Pack
    from opsconsole.authoring.scope import Scope
    from opsconsole.calendar.windows import (
        DAY,
        DAY_BEFORE,
        FOUR_WEEKS_BEFORE,
        MOMENT,
        MONTH_BEFORE,
        Window,
        hours,
        minutes,
    )
    from opsconsole.core.errors import Unavailable

__version__ = VERSION

_HOMES = {
    "opsconsole.authoring.context": ("Context", "Items"),
    "opsconsole.authoring.job": ("LATEST", "NONE", "Job", "Limits", "Overlap", "Retry", "all_of"),
    "opsconsole.authoring.pack": ("Pack",),
    "opsconsole.authoring.scope": ("Scope",),
    "opsconsole.calendar.windows": (
        "DAY",
        "DAY_BEFORE",
        "FOUR_WEEKS_BEFORE",
        "MOMENT",
        "MONTH_BEFORE",
        "Window",
        "hours",
        "minutes",
    ),
    "opsconsole.core.errors": ("Unavailable",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "DAY",
    "DAY_BEFORE",
    "FOUR_WEEKS_BEFORE",
    "LATEST",
    "MOMENT",
    "MONTH_BEFORE",
    "NONE",
    "Context",
    "Items",
    "Job",
    "Limits",
    "Overlap",
    "Pack",
    "Retry",
    "Scope",
    "Unavailable",
    "Window",
    "all_of",
    "hours",
    "minutes",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)

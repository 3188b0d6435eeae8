"""opsconsole: the vocabulary of a job author. Names load what they need when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsconsole.authoring.context import Context, Items, Serving
    from opsconsole.authoring.extensions import Panel, Reply, Request, Route, Shown, Starts
    from opsconsole.authoring.job import BY_HAND, LATEST, NONE, QUEUE, REPLACE, SKIP, Job, Limits, Retry, all_of
    from opsconsole.authoring.pack import Pack
    from opsconsole.authoring.scope import Scope
    from opsconsole.cache.families import Ask, BadKey, Family
    from opsconsole.cache.rankings import swap_ranking
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
    from opsconsole.core.database import Json, UtcTime, inserting, key_type
    from opsconsole.core.errors import Unavailable
    from opsconsole.core.settings import is_set
    from opsconsole.core.text import safe

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(("Ask", "BadKey", "Family"), "opsconsole.cache.families"),
    "swap_ranking": "opsconsole.cache.rankings",
    "Context": "opsconsole.authoring.context",
    "Items": "opsconsole.authoring.context",
    "Serving": "opsconsole.authoring.context",
    "Unavailable": "opsconsole.core.errors",
    **dict.fromkeys(("Json", "UtcTime", "inserting", "key_type"), "opsconsole.core.database"),
    **dict.fromkeys(("Panel", "Reply", "Request", "Route", "Shown", "Starts"), "opsconsole.authoring.extensions"),
    **dict.fromkeys(
        ("BY_HAND", "LATEST", "NONE", "QUEUE", "REPLACE", "SKIP", "Job", "Limits", "Pack", "Retry", "Scope", "all_of"),
        "opsconsole.authoring.job",
    ),
    "is_set": "opsconsole.core.settings",
    "safe": "opsconsole.core.text",
    **dict.fromkeys(
        ("DAY", "DAY_BEFORE", "FOUR_WEEKS_BEFORE", "MOMENT", "MONTH_BEFORE", "Window", "hours", "minutes"),
        "opsconsole.calendar.windows",
    ),
}

__all__ = [
    "BY_HAND",
    "DAY",
    "DAY_BEFORE",
    "FOUR_WEEKS_BEFORE",
    "LATEST",
    "MOMENT",
    "MONTH_BEFORE",
    "NONE",
    "QUEUE",
    "REPLACE",
    "SKIP",
    "Ask",
    "BadKey",
    "Context",
    "Family",
    "Items",
    "Job",
    "Json",
    "Limits",
    "Pack",
    "Panel",
    "Reply",
    "Request",
    "Retry",
    "Route",
    "Scope",
    "Serving",
    "Shown",
    "Starts",
    "Unavailable",
    "UtcTime",
    "Window",
    "__version__",
    "all_of",
    "hours",
    "inserting",
    "is_set",
    "key_type",
    "minutes",
    "safe",
    "swap_ranking",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)

"""opsconsole: the vocabulary of a job author. Names load what they need when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsconsole.cache.families import Ask, BadKey, Family
    from opsconsole.cache.ranking import swap_ranking
    from opsconsole.context import Context, Items, Serving
    from opsconsole.database import Json, UtcTime, inserting, key_type
    from opsconsole.errors import Unavailable
    from opsconsole.faces import Panel, Reply, Request, Route, Shown, Starts
    from opsconsole.model import (
        BY_HAND,
        LATEST,
        NONE,
        QUEUE,
        REPLACE,
        SKIP,
        Job,
        Limits,
        Pack,
        Retry,
        Scope,
        all_of,
    )
    from opsconsole.settings import is_set
    from opsconsole.text import safe
    from opsconsole.windows import DAY, DAY_BEFORE, FOUR_WEEKS_BEFORE, MOMENT, MONTH_BEFORE, Window, hours, minutes

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(("Ask", "BadKey", "Family"), "opsconsole.cache.families"),
    "swap_ranking": "opsconsole.cache.ranking",
    "Context": "opsconsole.context",
    "Items": "opsconsole.context",
    "Serving": "opsconsole.context",
    "Unavailable": "opsconsole.errors",
    **dict.fromkeys(("Json", "UtcTime", "inserting", "key_type"), "opsconsole.database"),
    **dict.fromkeys(("Panel", "Reply", "Request", "Route", "Shown", "Starts"), "opsconsole.faces"),
    **dict.fromkeys(
        ("BY_HAND", "LATEST", "NONE", "QUEUE", "REPLACE", "SKIP", "Job", "Limits", "Pack", "Retry", "Scope", "all_of"),
        "opsconsole.model",
    ),
    "is_set": "opsconsole.settings",
    "safe": "opsconsole.text",
    **dict.fromkeys(
        ("DAY", "DAY_BEFORE", "FOUR_WEEKS_BEFORE", "MOMENT", "MONTH_BEFORE", "Window", "hours", "minutes"),
        "opsconsole.windows",
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

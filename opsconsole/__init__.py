"""opsconsole: the vocabulary of a job author. Names load what they need when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsconsole.cache.families import Family
    from opsconsole.context import Context, Items
    from opsconsole.database import Json, UtcTime, key_type
    from opsconsole.model import (
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
    from opsconsole.windows import DAY, DAY_BEFORE, MOMENT, MONTH_BEFORE, Window, hours, minutes

__version__ = "0.1.0"

_HOME = {
    "Family": "opsconsole.cache.families",
    "Context": "opsconsole.context",
    "Items": "opsconsole.context",
    **dict.fromkeys(("Json", "UtcTime", "key_type"), "opsconsole.database"),
    **dict.fromkeys(
        ("LATEST", "NONE", "QUEUE", "REPLACE", "SKIP", "Job", "Limits", "Pack", "Retry", "Scope", "all_of"),
        "opsconsole.model",
    ),
    **dict.fromkeys(
        ("DAY", "DAY_BEFORE", "MOMENT", "MONTH_BEFORE", "Window", "hours", "minutes"), "opsconsole.windows"
    ),
}

__all__ = [
    "DAY",
    "DAY_BEFORE",
    "LATEST",
    "MOMENT",
    "MONTH_BEFORE",
    "NONE",
    "QUEUE",
    "REPLACE",
    "SKIP",
    "Context",
    "Family",
    "Items",
    "Job",
    "Json",
    "Limits",
    "Pack",
    "Retry",
    "Scope",
    "UtcTime",
    "Window",
    "__version__",
    "all_of",
    "hours",
    "key_type",
    "minutes",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)

"""What a pack adds to the interfaces: HTTP routes, panels and checks, and the formatters for their texts."""

from __future__ import annotations

from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.extensions import (
    Answer,
    Check,
    ClearCache,
    Condition,
    Panel,
    PanelContent,
    Reply,
    Request,
    Route,
    StartRun,
)
from opsconsole.core.humanize import count, duration, megabytes
from opsconsole.core.problems import Severity
from opsconsole.core.settings import secret
from opsconsole.core.text import safe

__all__ = [
    "Answer",
    "Check",
    "ClearCache",
    "Condition",
    "ExtensionContext",
    "Panel",
    "PanelContent",
    "Reply",
    "Request",
    "Route",
    "Severity",
    "StartRun",
    "count",
    "duration",
    "megabytes",
    "safe",
    "secret",
]

"""What a pack adds to the interfaces: HTTP routes and panels, and the formatters for their texts."""

from __future__ import annotations

from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.extensions import ClearCache, Panel, PanelContent, Reply, Request, Route, StartRun
from opsconsole.core.humanize import count, duration, megabytes
from opsconsole.core.settings import secret
from opsconsole.core.text import safe

__all__ = [
    "ClearCache",
    "ExtensionContext",
    "Panel",
    "PanelContent",
    "Reply",
    "Request",
    "Route",
    "StartRun",
    "count",
    "duration",
    "megabytes",
    "safe",
    "secret",
]

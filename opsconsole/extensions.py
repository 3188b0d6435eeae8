"""What a pack adds to the interfaces: HTTP routes and panels."""

from __future__ import annotations

from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.extensions import Panel, PanelContent, Reply, Request, Route, StartRun
from opsconsole.core.settings import is_set
from opsconsole.core.text import safe

__all__ = [
    "ExtensionContext",
    "Panel",
    "PanelContent",
    "Reply",
    "Request",
    "Route",
    "StartRun",
    "is_set",
    "safe",
]

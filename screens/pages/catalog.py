"""The pages by name. Each is loaded when it is opened: the first frame needs only the Dashboard."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from screens.pages.page import Page

PAGES = {
    "alerts": ("alerts", "AlertsScreen"),
    "audit": ("audit", "AuditScreen"),
    "backfills": ("backfills", "BackfillScreen"),
    "cache": ("cache", "CacheScreen"),
    "jobs": ("jobs", "JobsScreen"),
    "packs": ("packs", "PacksScreen"),
    "runs": ("runs", "RunsScreen"),
    "wall": ("wall", "WallScreen"),
}
"""The module in this package, and the class."""
OTHERS = ("calendar", "help", "run", "screens.dialogs.palette")


def page_class(name: str) -> type[Page]:
    """The class of a page that is opened with nothing but its host."""
    module, kind = PAGES[name]
    return cast("type[Page]", getattr(_load(module), kind))


def load_all() -> None:
    """Loads what is not loaded yet, so that no key waits for it."""
    for module in (*(module for module, _ in PAGES.values()), *OTHERS):
        _load(module)


def _load(module: str) -> object:
    return import_module(module if "." in module else f"screens.pages.{module}")

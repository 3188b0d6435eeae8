"""The terminal console. Importing this package costs nothing; Textual is loaded by the first name asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from screens.app import ConsoleApp, run

__all__ = ["ConsoleApp", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from screens import app

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

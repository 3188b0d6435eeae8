"""Contains what drawing a part of the screen raises to that part."""

from __future__ import annotations

import logging
from collections.abc import Callable

from screens.widgets.lines import Line, line, text

log = logging.getLogger(__name__)


class ContainedDrawing:
    """Draws the parts of one page or dialog."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._logged: set[str] = set()

    def __call__(self, draw: Callable[[], list[Line]]) -> list[Line]:
        """The lines that `draw` returns; the cause in one line when it raises, with a traceback in the log."""
        try:
            return draw()
        except Exception as error:
            name = type(error).__name__
            if name not in self._logged:
                self._logged.add(name)
                log.exception("%s cannot be drawn", self._what)
            return [line(" ", text(f"cannot be drawn: {name}: {_message(error)}; see the log", "bad", 300))]


def _message(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - even its text may raise
        return "no message"

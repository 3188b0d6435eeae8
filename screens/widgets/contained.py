"""Contains what drawing a part of the screen raises to that part, and what handling an event raises to that event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from textual import events

from opsconsole.core.errors import OpsconsoleError
from screens.widgets.lines import Drawing, Line, line, text

log = logging.getLogger(__name__)

OWN_EVENTS = (events.Key, events.Paste, events.Resize, events.ScreenResume, events.ScreenSuspend, events.Callback)
"""The events that handlers of this program receive while the console is in use. Textual handles the others."""


@contextmanager
def contained(what: str, show_notice: Callable[[str, str], None]) -> Iterator[None]:
    """Shows an exception of the block in one line, and logs it."""
    try:
        yield
    except OpsconsoleError as error:
        show_notice(error.sentence, "warn")
    except Exception as error:
        log.exception("%s failed", what)
        show_notice(f"{what} failed: {type(error).__name__}; see the log", "bad")


def name_of(event: events.Event) -> str:
    """What the handling of an event is called in a notice."""
    return f"the key {event.key}" if isinstance(event, events.Key) else f"the event {type(event).__name__}"


class ContainedDrawing:
    """Draws the parts of one page or dialog."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._logged: set[str] = set()

    def __call__(self, draw: Callable[[], list[Line]]) -> list[Line]:
        """The lines that `draw` returns; the cause in one line when it raises, with a traceback in the log."""
        return list(self.drawing(lambda: Drawing(draw())).lines)

    def drawing(self, draw: Callable[[], Drawing]) -> Drawing:
        """The same for a panel."""
        try:
            return draw()
        except Exception as error:
            name = type(error).__name__
            if name not in self._logged:
                self._logged.add(name)
                log.exception("%s cannot be drawn", self._what)
            return Drawing([line(" ", text(f"cannot be drawn: {name}: {_message(error)}; see the log", "bad", 300))])


def _message(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - even its text may raise
        return "no message"

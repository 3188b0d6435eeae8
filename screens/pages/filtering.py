"""The key `/` of a page with rows that can be filtered."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.timer import Timer

from screens.host import Host
from screens.keymap import bind, first_key
from screens.pages.page import Page
from screens.widgets.contained import contained
from screens.widgets.filter import FilterField

PAUSE_SECONDS = 0.15
"""A filter is applied once nothing was typed for this long: not with each letter."""


class FilterPage(Page):
    """A page with a `filter`: `/` opens it, enter keeps it, escape clears it. Its letters are no keys while it is open;
    arrows and tab stay keys. The page shows `self.filter.line(cells)` in its head. Its text is `self.filter.value`, and
    `self.applied` once typing has paused.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("filter", "filter", "filter"),
        bind("back", "back", "back"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.filter = FilterField()
        self.filter.key = first_key("filter", host.installation.keys)
        self.applied = ""
        self._pause: Timer | None = None

    def filter_changed(self) -> None:
        """Called with each new text in `self.applied`."""
        raise NotImplementedError

    def takes(self, event: events.Event) -> bool:
        """Types into the open filter before keys are looked up."""
        return self.filter.is_open and self._takes(event)

    async def on_event(self, event: events.Event) -> None:
        """Takes pastes; keys come one by one from the application."""
        if not (isinstance(event, events.Paste) and self.takes(event)):
            await super().on_event(event)

    def action_filter(self) -> None:
        self.filter.is_open = True
        self.repaint()

    def action_back(self) -> None:
        """Clears the filter; without one, closes the page."""
        if self.filter.value or self.filter.is_open:
            self.filter.clear()
            self._apply()
        else:
            self.dismiss(None)

    def set_filter(self, value: str) -> None:
        """Filters by a text that was not typed."""
        self.filter.clear()
        self.filter.insert(value)
        self._apply()

    def _takes(self, event: events.Event) -> bool:
        if isinstance(event, events.Paste):
            self.filter.paste(event.text)
        elif isinstance(event, events.Key) and event.character is not None and event.is_printable:
            self.filter.insert(event.character)
        elif isinstance(event, events.Key) and event.key in _KEYS:
            _KEYS[event.key](self.filter)
        else:
            return False
        event.stop()
        if self.filter.is_open:
            self._apply_later()
            self.repaint()
        else:
            self._apply()
        return True

    def _apply_later(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE_SECONDS, self._apply)

    def _apply(self) -> None:
        if self._pause is not None:
            self._pause.stop()
            self._pause = None
        if self.filter.value.strip() != self.applied:
            self.applied = self.filter.value.strip()
            with contained("filtering", self.host.show_notice):
                self.filter_changed()
        self.repaint()


_KEYS = {
    "backspace": FilterField.erase,
    "ctrl+u": lambda field: setattr(field, "value", ""),
    "ctrl+w": FilterField.erase_word,
    "enter": FilterField.keep,
    "escape": FilterField.clear,
}

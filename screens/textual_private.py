"""Everything that relies on private parts of Textual: check this file first after an upgrade."""

from __future__ import annotations

import logging
from typing import Any, Protocol, cast, runtime_checkable

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console, RenderableType
from rich.control import Control
from rich.text import Text
from textual import events
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual._parser import Read1
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.screen import Screen
from textual.widget import Widget

from screens.pen import Pen

log = logging.getLogger(__name__)

TEXTUALS_ESCAPE_SECONDS, ESCAPE_SECONDS = 0.1, 0.02
"""How long after an escape character the rest of a sequence may come: Textual's default, and ours. The environment
variable ESCDELAY changes it, for a terminal that sends sequences in parts.
"""


def _pen(console: Console) -> Pen:
    return Pen(COLOR_SYSTEMS.get(console.color_system or "", ColorSystem.TRUECOLOR))


class WholeLines(CompositorUpdate):
    """Textual's update of a region, in few bytes."""

    def __init__(self, update: LayoutUpdate) -> None:
        self._update = update

    def render_segments(self, console: Console) -> str:
        """The text for the terminal."""
        output: list[str] = []
        pen = _pen(console)
        for y, strips in enumerate(self._update.strips, self._update.region.y):
            output.append(Control.move_to(self._update.region.x, y).segment.text)
            output += [pen.write(strip) for strip in strips]
        return "".join([*output, pen.end()])


class ChangedCells(CompositorUpdate):
    """Textual's screen update, reduced to the cells that changed: Textual also sends the cells left of them."""

    def __init__(self, update: ChopsUpdate) -> None:
        self._update = update

    def render_segments(self, console: Console) -> str:
        """The text for the terminal."""
        output: list[str] = []
        pen = _pen(console)
        for y, first, last in self._update.spans:
            for end, (x, strip) in zip(self._update.chop_ends[y], self._update.chops[y].items(), strict=False):
                start, stop = max(x, first), min(end, last)
                if strip is not None and start < stop:
                    output.append(Control.move_to(start, y).segment.text)
                    output.append(pen.write(strip.crop(start - x, stop - x)))
        return "".join([*output, pen.end()])


class KeyParser(XTermParser):
    """Textual's parser, with an escape key that is answered at once."""

    @property
    def is_waiting(self) -> bool:
        """Whether an escape character may be a key, or the start of a sequence."""
        return self._timeout_time is not None

    def read1(self, timeout: float | None = None) -> Read1:  # type: ignore[override]
        """Textual calls this for the next character."""
        return Read1(ESCAPE_SECONDS if timeout == TEXTUALS_ESCAPE_SECONDS else timeout)


def free_strips(widget: Widget) -> None:
    """Frees the lines that Textual keeps of a widget that is closed, 50 kB of them: it remembers its last 1,024 widgets
    as arguments of a cached method.
    """
    widget._styles_cache.clear()


@runtime_checkable
class TakesKeys(Protocol):
    """A screen with fields: it takes events before they are looked up as keys."""

    def takes(self, event: events.Event, /) -> bool:
        """Takes an event; whether it did."""


class BaseApp(App[None]):
    """A Textual application that writes as little as possible and keeps tracebacks off the terminal."""

    def __init__(self, *, driver_class: type[Driver]) -> None:
        super().__init__(driver_class=driver_class)
        # Each page would get two more widgets, and be laid out and painted a second time for them.
        self._disable_notifications = self._disable_tooltips = True
        self._is_held = True

    def begin_drawing(self) -> None:
        """Draws the first frame. What is drawn before this call is not sent: Textual lays a page out, and paints it, in
        several steps.
        """
        if self._is_held:
            self._is_held = False
            self.screen.refresh()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if self._is_held:
            return
        if isinstance(renderable, ChopsUpdate):
            renderable = cast("RenderableType", ChangedCells(renderable))  # an update renders itself
        elif isinstance(renderable, LayoutUpdate):
            renderable = cast("RenderableType", WholeLines(renderable))
        super()._display(screen, renderable)

    async def on_event(self, event: events.Event) -> None:
        """Finishes each key before the next one. Textual looks a key up when it has bubbled up from the screen: of keys
        that arrive together, as over a slow line, those behind one that opens a dialog or a filter would have gone to
        what was there before.
        """
        is_key = isinstance(event, events.Key) and not event.is_forwarded
        if not is_key or self.screen.maximized is not None:
            await super().on_event(event)
        elif isinstance(event, events.Key) and not await self._check_bindings(event.key, priority=True):
            self.app_focus = True
            screen = self.screen
            if not (isinstance(screen, TakesKeys) and screen.takes(event)):
                await self._check_bindings(event.key)

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        is_bound = await super()._check_bindings(key, priority)
        if not is_bound and not priority:
            self.without_action(key)
        return is_bound

    def without_action(self, key: str) -> None:
        """Called for a key that neither a binding nor a field has used."""

    def _fatal_error(self) -> None:
        """Logs the traceback and prints one line; neither contains values of local variables."""
        error = self._exception
        log.critical("internal error in the console", exc_info=error)
        name = type(error).__name__
        self._exit_renderables.append(Text(f"opsconsole: internal error in the console ({name}); see its log"))
        self._close_messages_no_wait()


__all__ = ["BaseApp", "ChangedCells", "KeyParser", "WholeLines", "free_strips"]

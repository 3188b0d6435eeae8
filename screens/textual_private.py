"""Everything that relies on private parts of Textual: check this file first after an upgrade."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol, cast, runtime_checkable

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console, RenderableType
from rich.control import Control
from rich.text import Text
from textual import events
from textual._compositor import ChopsUpdate, Compositor, CompositorUpdate, LayoutUpdate
from textual._parser import Read1
from textual._styles_cache import StylesCache
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.color import Color
from textual.driver import Driver
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.style import Style
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


class LineCompositor(Compositor):
    """Renders the lines that changed: Textual renders every line of every widget in the box around all changes, which
    the clock at the top and a countdown at the bottom stretch over the whole page.
    """

    def render_partial_update(self) -> ChopsUpdate | None:
        """What is sent to the terminal; None when nothing has changed."""
        regions = self._dirty_regions.copy()
        self._dirty_regions.clear()
        if not regions:
            return None
        cuts = self.cuts
        spans = [span for span in self._regions_to_spans(regions) if 0 <= span[0] < len(cuts)]
        changed = _ranges(spans)
        chops: list[dict[int, Strip | None]] = [
            dict.fromkeys(line_cuts[:-1]) if y in changed else {} for y, line_cuts in enumerate(cuts)
        ]
        for widget, (region, clip) in self.visible_widgets.items():  # those in front come first
            shown = region.intersection(clip)
            missing = [
                y for y in shown.line_range if y in changed and _is_missing(chops[y], cuts[y], shown, changed[y])
            ]
            for first, last in _runs(missing):
                crop = Region(shown.x - region.x, first - region.y, shown.width, last - first + 1)
                for y, strip in enumerate(widget.render_lines(crop), first):
                    places = [cut for cut in cuts[y] if shown.x <= cut <= shown.right]
                    parts = strip.divide([cut - shown.x for cut in places[1:]])
                    chops[y].update(
                        (cut, part) for cut, part in zip(places, parts, strict=False) if chops[y][cut] is None
                    )
        return ChopsUpdate(chops, spans, [line_cuts[1:] for line_cuts in cuts])


def _ranges(spans: Iterable[tuple[int, int, int]]) -> dict[int, tuple[int, int]]:
    """By line the first changed cell, and the one behind the last."""
    found: dict[int, tuple[int, int]] = {}
    for y, first, last in spans:
        start, end = found.get(y, (first, last))
        found[y] = min(start, first), max(end, last)
    return found


def _is_missing(chops: dict[int, Strip | None], cuts: list[int], shown: Region, changed: tuple[int, int]) -> bool:
    """Whether a changed part of a line is still to be rendered by a widget."""
    first, last = max(shown.x, changed[0]), min(shown.right, changed[1])
    return first < last and any(start < last and end > first and chops[start] is None for start, end in pairwise(cuts))


def _runs(lines: list[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of lines that follow each other."""
    start = 0
    for end in range(1, len(lines) + 1):
        if end == len(lines) or lines[end] != lines[end - 1] + 1:
            yield lines[start], lines[end - 1]
            start = end


def paint_lines(screen: Screen[Any]) -> None:
    """Makes a screen render changed lines only, and be freed when it is closed."""
    screen._compositor = LineCompositor()
    free_when_closed(screen)


class KeyParser(XTermParser):
    """Textual's parser, with an escape key that is answered at once."""

    @property
    def is_waiting(self) -> bool:
        """Whether an escape character may be a key, or the start of a sequence."""
        return self._timeout_time is not None

    def read1(self, timeout: float | None = None) -> Read1:  # type: ignore[override]
        """Textual calls this for the next character."""
        return Read1(ESCAPE_SECONDS if timeout == TEXTUALS_ESCAPE_SECONDS else timeout)


class LineCache(StylesCache):
    """The lines of one widget, freed with it."""

    def get_inner_outer(  # type: ignore[override]
        self, base_background: Color, background: Color
    ) -> tuple[Style, Style]:
        """Colours of a widget. Textual caches this method, which keeps the last 1,024 widgets in memory."""
        return _inner_outer(base_background, background)


@lru_cache(maxsize=64)
def _inner_outer(base_background: Color, background: Color) -> tuple[Style, Style]:
    return Style(background=base_background + background), Style(background=base_background)


def free_when_closed(widget: Widget) -> None:
    """Makes Textual forget a widget, and the 50 kB that it has drawn, once it is closed."""
    widget._styles_cache = LineCache()


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


__all__ = ["BaseApp", "ChangedCells", "KeyParser", "LineCompositor", "WholeLines", "free_when_closed", "paint_lines"]

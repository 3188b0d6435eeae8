"""The page of the cache: Redis, the families of keys, and what was cleared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.cache.families import Family
from opsconsole.cache.figures import CacheDay, UsageSurvey
from opsconsole.cache.filters import ClearFilter
from opsconsole.service.cache import Clearing
from screens import actions, command_lines
from screens.command_lines import CommandLine
from screens.exports import Copied, Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.keys_of_family import KeysScreen
from screens.pages.polling import PollingPage
from screens.panels import cache, cursor, family as family_panel, redis_history
from screens.panels.view import View, hint
from screens.threads import Stepping
from screens.widgets.area import Area
from screens.widgets.lines import Drawing, Piece, line, text
from screens.widgets.panel import Panel

COUNT_SECONDS = 60.0
"""How old a count of the keys may be."""
SELDOM = 20
"""A count that takes long is repeated less often: after this many times its duration."""
RETRY_SECONDS = 5.0
STEP_SECONDS = 0.002
"""The pause between two steps of a count, for the server and for this screen."""
CLEARINGS = 20


class CacheData(NamedTuple):
    """What comes from the store."""

    days: Sequence[CacheDay]
    clearings: Sequence[Clearing]
    is_clearing: bool


class CacheScreen(PollingPage[CacheData]):
    """Redis, families and clearings. Keys are counted with SCAN while the page is in front."""

    FOOTER = (
        ("↑↓", "family"),
        ("enter", "keys"),
        ("c", "clear"),
        ("esc", "back"),
        ("?", "help"),
        ("^p", "find"),
        ("q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "back"),
        bind("up", "move(-1)", "family above"),
        bind("down", "move(1)", "family below"),
        bind("open", "open", "keys of the family"),
        bind("clear", "clear", "clear keys of the family"),
        bind("cancel", "cancel_clearing", "cancel the clearing"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._declared = host.service.cache.families()
        self._data: CacheData | None = None
        self._survey: Stepping[UsageSurvey] = Stepping(self, self._counted, pause_seconds=STEP_SECONDS)
        self._counted_at: datetime | None = None
        self._count_started, self._count_seconds = float("-inf"), 0.0
        self.cursor = next(iter(cache.keys(self._families())), None)

    def presence_name(self) -> str:
        return "cache"

    def panels(self) -> ComposeResult:
        """Redis, its families, and what was cleared; where there is room, the family under the cursor as well."""
        with Area(id="lists"):
            yield Panel(self._draw_redis, id="redis", focusable=False)
            yield Panel(self._draw_families, id="families")
            yield Panel(self._draw_clearings, id="cleared", focusable=False)
        yield Panel(self._draw_family, id="family", focusable=False)

    def _draw_redis(self, view: View, cells: int, _rows: int) -> Drawing:
        return Drawing(redis_history.rows(view, cells), line(Piece("Redis", "title")), redis_history.end(view))

    def _draw_families(self, view: View, cells: int, rows: int) -> Drawing:
        families = self._families()
        shown = cache.family_rows(families, view.now, cells, rows, self.cursor)
        return Drawing(shown.lines, line(Piece("Families", "title")), cache.family_end(families), shown.rows)

    def _draw_clearings(self, view: View, cells: int, rows: int) -> Drawing:
        errors, clearings = self.error_lines(), self._data.clearings if self._data is not None else ()
        lines = [*errors, *cache.clearing_rows(view, clearings, cells, rows - len(errors))]
        return Drawing(lines, line(Piece("Cleared", "title")), line(Piece("hit rate before and after", "quiet")))

    def _draw_family(self, view: View, cells: int, rows: int) -> Drawing:
        family = self.family()
        if family is None:
            return Drawing(hint("no family under the cursor").lines, line(Piece("Family", "title")))
        return Drawing(
            family_panel.rows(view, family, self._families(), cells, rows), line(text(family.name, "title", 60))
        )

    # --- loading ------------------------------------------------------------------------------------------------

    def load(self) -> CacheData:
        """The figures of the last days, the clearings, and whether one is running."""
        service = self.host.service.cache
        return CacheData(service.days(cache.DAYS), service.clearings(limit=CLEARINGS), service.is_clearing())

    def loaded(self, data: CacheData) -> None:
        """Keeps them; keys are counted again after a clearing."""
        if self._data is not None and [each.command for each in data.clearings] != self._clearing_numbers():
            self._count()
        self._data = data

    def on_screen_resume(self) -> None:
        """Counts the keys again when the count is old."""
        self._count_if_due()

    def on_screen_suspend(self, _event: events.ScreenSuspend) -> None:
        """Stops counting: another page or a dialog is in front."""
        self._survey.stop()

    def on_unmount(self) -> None:
        """Stops counting."""
        self._survey.stop()

    def repaint(self) -> None:
        """Draws the page again, and counts when it is time to."""
        if self.is_current:
            self._count_if_due()
        super().repaint()

    def _count_if_due(self) -> None:
        is_counted = self._survey.latest is not None and self._survey.latest.done and self._survey.error is None
        wait = max(COUNT_SECONDS, SELDOM * self._count_seconds) if is_counted else RETRY_SECONDS
        if not self._survey.is_running and time.monotonic() - self._count_started > wait:
            self._count()

    def _count(self) -> None:
        if self._declared:
            self._count_started = time.monotonic()
            self._survey.start(self.host.service.cache.usage_steps, keep=True)

    def _counted(self) -> None:
        if self._survey.error is None:
            self._counted_at = self.host.now()
            self._count_seconds = time.monotonic() - self._count_started
        self.repaint()

    # --- keys ---------------------------------------------------------------------------------------------------

    def family(self) -> Family | None:
        """The family under the cursor."""
        return next((each for each in self._declared if (cache.PANEL, each.name) == self.cursor), None)

    def refused(self) -> frozenset[str]:
        """Without a clearing, none can be cancelled."""
        without = {"cancel"} if self._data is None or not self._data.is_clearing else set[str]()
        return frozenset(without | ({"open", "copy", "clear"} if not self._declared else set()))

    def copied(self) -> Copied | None:
        """The key pattern of the family."""
        family = self.family()
        return Copied(family.pattern, f"the key pattern of {family.name}") if family is not None else None

    def table(self) -> Table:
        """The families with their figures."""
        return cache.table(self._families(), self.host.now())

    def command_lines(self) -> Sequence[CommandLine]:
        """What clears the family, and what prints the figures."""
        family = self.family()
        clear = [command_lines.clear(ClearFilter(family=family.name))] if family is not None else []
        return (*clear, command_lines.CANCEL_CLEARING, *command_lines.CACHE)

    def action_move(self, step: int) -> None:
        """Moves the cursor."""
        self.cursor = cursor.moved(self.cursor, cache.keys(self._families()), step)
        self.repaint()

    def action_open(self) -> None:
        """Opens the keys of the family."""
        family = self.family()
        if family is None:
            self.host.show_notice(cache.NO_FAMILY, "warn")
        else:
            self.host.open_page(KeysScreen(self.host, family))

    def action_clear(self) -> None:
        """Clears keys, with the family under the cursor chosen."""
        family = self.family()
        actions.clear(self.host, family=family.name if family is not None else None)

    def action_cancel_clearing(self) -> None:
        """Cancels the clearing that is running."""
        actions.cancel_clearing(self.host)

    def _families(self) -> cache.Families:
        survey, error = self._survey, self._survey.error
        return cache.Families(
            self._declared,
            survey.latest,
            self._counted_at,
            survey.is_running,
            error.sentence if error is not None else "",
            self._data.days if self._data is not None else (),
        )

    def _clearing_numbers(self) -> list[int | None]:
        return [each.command for each in self._data.clearings] if self._data is not None else []

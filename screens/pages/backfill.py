"""The page of one backfill: its windows, failed ones first, each with its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.core import humanize
from opsconsole.rules.backfill_status import Backfill, StepView
from screens.exports import Table
from screens.host import Host
from screens.keymap import bind
from screens.pages.backfill_actions import KEYS, BackfillActionsPage
from screens.panels import backfills, tables
from screens.panels.view import View
from screens.widgets.lines import Drawing, Piece, line
from screens.widgets.panel import PLAIN, Panel

END = 1_000_000


class BackfillData(NamedTuple):
    """A backfill and its windows."""

    backfill: Backfill
    steps: Sequence[StepView]


class BackfillPage(BackfillActionsPage[BackfillData]):
    """The windows of a backfill, with a cursor over them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "window above"),
        bind("down", "move(1)", "window below"),
        bind("page_up", "move_page(-1)", "page above"),
        bind("page_down", "move_page(1)", "page below"),
        bind("first", f"move({-END})", "first window"),
        bind("last", f"move({END})", "last window"),
        bind("open", "open", "open the window's run"),
    ]

    def __init__(self, host: Host, number: int) -> None:
        super().__init__(host)
        self.number = number
        self._steps: Sequence[StepView] = ()
        self._cursor_seq: int | None = None

    def presence_name(self) -> str:
        """The backfill's number."""
        return f"backfill {self.number}"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """The keys for the backfill."""
        return (
            ("enter", "open"),
            *KEYS,
            ("esc", "back"),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def panels(self) -> ComposeResult:
        """What the backfill is about, and its windows."""
        yield Panel(self._draw_head, id="backfill", classes=PLAIN, focusable=False)
        yield Panel(self._draw_windows, id="windows")

    def _draw_head(self, view: View, cells: int, rows: int) -> Drawing:
        errors, backfill = self.error_lines(), self.chosen()
        if backfill is None:
            loading = line(" ", Piece(f"Backfill {self.number}", "title"), Piece("  loading", "quiet"))
            return Drawing(errors or [loading])
        tz = view.zone_of(backfill.jobs[0]) if backfill.jobs else "UTC"
        header = backfills.header(backfill, view.now, cells, tz)
        return Drawing([*header[: rows - len(errors)], *errors])

    def _draw_windows(self, _view: View, cells: int, rows: int) -> Drawing:
        if self.chosen() is None:
            return Drawing(())
        index, count = self._index(), len(self._steps)
        title = line(Piece(humanize.count(count, "window"), "title"))
        place = line(Piece(f"{index + 1} of {count}", "quiet")) if count else ()
        return Drawing(backfills.window_list(self._steps, cells, rows, index), title, place)

    def load(self) -> BackfillData:
        """The backfill and its windows."""
        service = self.host.service
        return BackfillData(
            service.backfills.get(self.number), backfills.worst_first(service.backfills.steps(self.number))
        )

    def loaded(self, data: BackfillData) -> None:
        """Keeps them; the cursor stays on its window."""
        self.backfills, self._steps = (data.backfill,), data.steps

    def chosen(self) -> Backfill | None:
        return self.backfills[0] if self.backfills else None

    def job(self) -> str | None:
        """The job of the window under the cursor."""
        return self._steps[self._index()].step.job if self._steps else None

    def window(self) -> str | None:
        """The window under the cursor."""
        return self._steps[self._index()].step.window.label if self._steps else None

    def table(self) -> Table | None:
        """The windows of the backfill."""
        return tables.steps(self._steps)

    def action_move(self, step: int) -> None:
        """Moves the cursor; it stops at both ends."""
        if self._steps:
            index = max(0, min(len(self._steps) - 1, self._index() + step))
            self._cursor_seq = self._steps[index].seq
            self.repaint()

    def action_move_page(self, pages: int) -> None:
        """Moves the cursor by pages."""
        self.action_move(pages * max(1, self.size.height - 10))

    def action_open(self) -> None:
        """Opens the run of the window under the cursor."""
        if not self._steps:
            return
        view = self._steps[self._index()]
        if view.run is None:
            self.show_notice(f"{view.step.job} {view.step.window.label} has no run in this backfill")
        else:
            self.host.open_run(view.run)

    def _index(self) -> int:
        return next((n for n, view in enumerate(self._steps) if view.seq == self._cursor_seq), 0)

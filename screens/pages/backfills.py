"""The screen of all jobs that have windows, and of all backfills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, cast

from textual.binding import Binding, BindingType

from opsconsole.core import humanize
from opsconsole.core.errors import NotBackfillable
from opsconsole.rules.backfill import check_backfillable
from opsconsole.rules.backfill_status import Backfill
from opsconsole.service.backfills import WindowedJob
from screens.pages.backfill import BackfillPage
from screens.pages.backfill_actions import NEWEST, BackfillActionsPage
from screens.pages.calendar import CalendarScreen
from screens.panels import backfills, calendar, dashboard as board, windows as overview
from screens.panels.view import Key, View
from screens.panels.windows import Standing
from screens.widgets.lines import Line


class Read(NamedTuple):
    """What was read."""

    standings: Mapping[str, Standing]
    backfills: Sequence[Backfill]


class BackfillScreen(BackfillActionsPage):
    """A line a job, and below them the newest backfills."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "row above"),
        Binding("down,j", "move(1)", "row below"),
        Binding("right,l,tab", "panel(1)", "next panel"),
        Binding("left,h,shift+tab", "panel(-1)", "panel before"),
        Binding("enter", "open", "open the row"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._cards: Sequence[WindowedJob] = ()
        self._standings: Mapping[str, Standing] = {}

    def called(self) -> str:
        """All jobs with windows."""
        return "backfill"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """What can be done about a backfill stands there while one is chosen."""
        of_the_row = self.keys_of_backfill() if self.chosen() else (("t", "trigger"),)
        return (
            ("enter", "open"),
            ("tab", "panel"),
            *of_the_row,
            ("esc", "back"),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def on_mount(self) -> None:
        """The cursor stands on the first job that can be filled."""
        cards = self.console_app.service.backfills.windowed_jobs()
        self._cards = sorted(cards, key=lambda card: card.newest_only)  # what can be filled comes first
        self.cursor = next((key for key in overview.keys(self._cards)), None)

    def body(self, view: View, cells: int, rows: int) -> list[Line]:
        """Jobs take what they need, down to a third of the screen for backfills."""
        trouble = self.trouble()
        room = rows - len(trouble)
        wants = len(self._cards) + 3
        jobs = max(min(wants, room - min(room // 3, len(self.backfills) + 2)), 4)
        drawn = overview.panel(
            self._cards, self._standings, self.backfills, view.now, cells, min(jobs, wants), self.cursor
        )
        below = room - len(drawn) - 2
        listed = backfills.panel(self.backfills, view.now, cells, below, cursor=self.cursor, tz="UTC", named=True)
        return [*trouble, *drawn, (), *listed]

    def read(self) -> Read:
        """In a thread: how the windows of each job are, and the backfills."""
        service, now = self.console_app.service, self.console_app.now()
        standings = {}
        for card in self._cards:
            if not card.newest_only:
                newest = calendar.stands(card.unit, now.astimezone(humanize.zone(card.tz)).date())
                standings[card.job] = overview.standing(
                    service.backfills.windows(card.job, *calendar.page(card.unit, newest, newest))
                )
        return Read(standings, backfills.applied(service.backfills.newest(limit=NEWEST)))

    def took(self, found: object) -> None:
        """The cursor stays on its row."""
        before = self._places()
        self._standings, self.backfills = cast("Read", found)
        self.cursor = board.settled(self.cursor, self._places(), before)

    def job(self) -> str | None:
        """The job under the cursor."""
        return self.cursor[1] if self.cursor is not None and self.cursor[0] == overview.PANEL else None

    def open_calendar(self, job: str) -> None:
        """The calendar of a job, with the cursor here on its row for whoever comes back."""
        self.cursor = (overview.PANEL, job)
        card = next((card for card in self._cards if card.job == job), None)
        try:
            check_backfillable(job, has_windows=card is not None, newest_only=card is not None and card.newest_only)
        except NotBackfillable as refused:
            self.say(refused.sentence, "warn")
            return
        self.console_app.push_screen(CalendarScreen(self._cards, job))

    def action_move(self, step: int) -> None:
        """Up and down, from panel to panel."""
        self.cursor = board.moved(self.cursor, self._places(), step)
        self.repaint()

    def action_panel(self, step: int) -> None:
        """To the jobs, or to the backfills."""
        self.cursor = board.next_panel(self.cursor, self._places(), step)
        self.repaint()

    def action_open(self) -> None:
        """The calendar of the job, or the windows of the backfill."""
        job, about = self.job(), self.chosen()
        if job is not None:
            self.open_calendar(job)
        elif about is not None:
            self.console_app.push_screen(BackfillPage(about.id))

    def _places(self) -> list[Key]:
        return [*overview.keys(self._cards), *(backfills.key(about) for about in self.backfills)]

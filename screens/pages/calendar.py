"""The calendar of a job: mark a range of its windows, see the plan, apply it, watch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import ClassVar, NamedTuple, cast

from textual.binding import Binding, BindingType

from opsconsole.core import humanize
from opsconsole.rules.backfill import Only, WindowStatus
from opsconsole.rules.backfill_status import Backfill
from opsconsole.service.backfills import WindowedJob
from screens.dialogs.clear import TypeToConfirm
from screens.dialogs.dialog import Confirm
from screens.pages.backfill import BackfillPage
from screens.pages.backfill_actions import NEWEST, BackfillActionsPage
from screens.pages.planning import Planning
from screens.panels import backfills, calendar, dashboard as board, plan
from screens.panels.calendar import Sheet, Stretch
from screens.panels.plan import Draft, Planned
from screens.panels.view import View
from screens.widgets.lines import Line

LEAST_LIST = 3
CHOICES = tuple(Only)


class Read(NamedTuple):
    """What was read: the windows of a job, and its backfills."""

    job: str
    seen: Sequence[WindowStatus]
    backfills: Sequence[Backfill]


class CalendarScreen(BackfillActionsPage):
    """Keys move over the windows of one job; [ and ] go to another."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "week before"),
        Binding("right,l", "move(1, 0)", "next week"),
        Binding("up,k", "move(0, -1)", "day before, or row above"),
        Binding("down,j", "move(0, 1)", "next day, or row below"),
        Binding("pageup", "scroll_year(-1)", "year before"),
        Binding("pagedown", "scroll_year(1)", "next year"),
        Binding("tab,shift+tab", "panel", "calendar or backfills"),
        Binding("left_square_bracket", "job(-1)", "job before"),
        Binding("right_square_bracket", "job(1)", "next job"),
        Binding("space", "mark", "mark: from, then to"),
        Binding("m", "wanted", "missing, stale, failed, all"),
        Binding("plus", "add", "jobs after it as well"),
        Binding("enter", "plan", "plan, begin, or open"),
        Binding("equals_sign", "command", "the same as a command"),
    ]

    def __init__(self, cards: Sequence[WindowedJob], job: str) -> None:
        super().__init__()
        self._all = cards
        self._cards = [card for card in cards if not card.newest_only]
        self._card = next(card for card in self._cards if card.job == job)
        self._at: date | None = None
        self._mark: tuple[date, date | None] | None = None
        self._only = Only.MISSING
        self._adds = False
        self._seen: dict[date, WindowStatus] = {}
        self.planning = Planning(self)

    def called(self) -> str:
        """Whose calendar it is."""
        return f"backfill of {self._card.job}"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """The keys of the panel that the cursor is in."""
        if self.chosen() is not None:
            return (
                ("enter", "open"),
                *self.keys_of_backfill(),
                ("tab", "calendar"),
                ("esc", "back"),
                ("?", "help"),
                ("q", "quit"),
            )
        return (
            ("space", "mark"),
            ("m", "wanted"),
            ("enter", "begin" if self.planning.planned is not None else "plan"),
            ("tab", "backfills"),
            ("=", "command"),
            ("esc", "back"),
            ("?", "help"),
        )

    def body(self, view: View, cells: int, rows: int) -> list[Line]:
        """The calendar, the plan, the backfills."""
        sheet = self._sheet()
        trouble = self.trouble()
        lines = [
            calendar.headline(sheet, self._card.tz, cells, manual=self._card.manual),
            *calendar.grid(sheet, cells),
            calendar.legend(cells),
            *(trouble or [calendar.described(sheet, view.now, cells)]),
        ]
        lines += self._plan(cells, rows - len(lines) - LEAST_LIST)
        room = rows - len(lines) - 1
        return [
            *lines,
            *backfills.panel(self.backfills, view.now, cells, room, cursor=self.cursor, tz=self._card.tz, named=False),
        ]

    def read(self) -> Read:
        """In a thread."""
        service, card = self.console_app.service, self._card
        shown = calendar.page(card.unit, self._day, self._newest())
        found = backfills.applied(service.backfills.newest(limit=NEWEST))
        return Read(
            card.job, service.backfills.windows(card.job, *shown), [about for about in found if card.job in about.jobs]
        )

    def took(self, found: object) -> None:
        """Unless it is about a job that one has left meanwhile."""
        job, seen, self.backfills = cast("Read", found)
        if job != self._card.job:
            self.ask()
            return
        self._seen |= calendar.by_date(seen)
        if self.chosen() is None:
            self.cursor = None

    def job(self) -> str | None:
        """The job whose calendar it is."""
        return self._card.job

    # --- moving -------------------------------------------------------------------------------------------------

    def action_move(self, across: int, down: int) -> None:
        """Over the windows, or over the backfills."""
        if self.cursor is not None:
            rows = [backfills.key(about) for about in self.backfills]
            self.cursor = board.moved(self.cursor, rows, down)
            self.repaint()
        else:
            self._go(calendar.moved(self._card.unit, self._day, across, down, self._newest()))

    def action_scroll_year(self, step: int) -> None:
        """To the same day of another year."""
        self._go(calendar.pages(self._card.unit, self._day, step, self._newest()))

    def action_panel(self) -> None:
        """Between the calendar and the backfills."""
        inside = self.cursor is not None or not self.backfills
        if not self.backfills:
            self.say(f"{self._card.job} has no backfill yet")
        self.cursor = None if inside else backfills.key(self.backfills[0])
        self.repaint()

    def action_job(self, step: int) -> None:
        """The calendar of another job; nothing is marked there."""
        at, day = self._cards.index(self._card), self._day
        self._card = self._cards[(at + step) % len(self._cards)]
        self.planning.drop()
        self._mark, self._adds, self._seen, self.backfills, self.cursor = None, False, {}, (), None
        self._at = min(calendar.stands(self._card.unit, day), self._newest())
        self.console_app.service.set_screen(self.called())
        self.repaint()
        self.ask()

    def action_back(self) -> None:
        """Out of the plan, then of what is marked, then of the list, then to the screen before."""
        if not self.planning.is_empty:
            self.planning.drop()
        elif self._mark is not None:
            self._mark = None
        elif self.cursor is not None:
            self.cursor = None
        else:
            self.dismiss(None)
            return
        self.repaint()

    # --- choosing -----------------------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """One end of the range, then the other, then a new one."""
        self.planning.drop()
        begins = self._mark is None or self._mark[1] is not None
        self._mark = (self._day, None) if self._mark is None or begins else (self._mark[0], self._day)
        self.cursor = None
        self.repaint()

    def action_wanted(self) -> None:
        """Round and round."""
        self.planning.drop()
        self._only = CHOICES[(CHOICES.index(self._only) + 1) % len(CHOICES)]
        self.repaint()

    def action_add(self) -> None:
        """Adds the jobs that come after, or leaves them out again."""
        if not self._followers():
            self.say(f"no job that can be filled comes after {self._card.job}")
            return
        self.planning.drop()
        self._adds = not self._adds
        self.repaint()

    def action_command(self) -> None:
        """Says it; the terminal's own selection copies it."""
        made = self.planning.planned
        self.say(plan.apply_command(made) if made is not None else plan.command(self._draft()))

    # --- the plan -----------------------------------------------------------------------------------------------

    def action_plan(self) -> None:
        """Makes the plan; once it is there, asks whether to begin."""
        about, made = self.chosen(), self.planning.planned
        if about is not None:
            self.console_app.push_screen(BackfillPage(about.id))
        elif self.planning.draft is not None:
            self.say("the plan is being made; esc leaves it")
        elif made is None:
            self.planning.make(self._draft())
            self.repaint()
        elif self.planning.is_asked:
            self.say(f"backfill {made.about.id} is already asked for", "warn")
        elif not made.about.to_run:
            self.say("nothing of it is to be run; m wants other windows", "warn")
        else:
            self._ask_to_begin(made)

    def _ask_to_begin(self, made: Planned) -> None:
        app, number = self.console_app, made.about.id
        environment = app.snapshot.environment
        question, word = plan.question(made, environment), plan.word(made, environment)

        def applied(refusal: str | None) -> None:
            if self.planning.planned is not made:
                return
            if refusal is None:
                self.planning.drop()
                self._mark, self._adds = None, False
            else:
                self.planning.refuse(refusal)
            self.repaint()

        def answered(pressed: str | None) -> None:
            if pressed == question.buttons[0]:
                self.planning.is_asked = True
                app.orders.give(f"backfill {number}", lambda: app.service.backfills.apply(number), applied)

        typed = None if word is None else TypeToConfirm(question, word, to="run them", no="nothing is run")
        app.push_screen(typed or Confirm(question), answered)

    def _plan(self, cells: int, rows: int) -> list[Line]:
        planning, draft = self.planning, self._draft()
        if planning.draft is not None:
            return plan.looking(planning.draft, planning.so_far, cells)
        if planning.refused:
            return plan.refused(planning.refused, cells, rows)
        if planning.planned is not None:
            return plan.planned(planning.planned, cells, rows, is_asked=planning.is_asked)
        is_open = self._mark is not None and self._mark[1] is None
        return plan.marked(
            draft,
            self._card,
            self._seen,
            self._followers(),
            cells,
            is_marked=self._mark is not None,
            is_open=is_open,
        )

    # --- small ones ---------------------------------------------------------------------------------------------

    @property
    def _day(self) -> date:
        """Where the cursor stands: on the newest window until it is moved."""
        return self._at or self._newest()

    def _go(self, day: date) -> None:
        before = calendar.page(self._card.unit, self._day, self._newest())
        self._at = day
        self.repaint()
        if calendar.page(self._card.unit, day, self._newest()) != before:
            self.ask()

    def _newest(self) -> date:
        """Where the newest window stands that has begun."""
        today = self.console_app.now().astimezone(humanize.zone(self._card.tz)).date()
        return calendar.stands(self._card.unit, today)

    def _marked(self) -> Stretch | None:
        if self._mark is None:
            return None
        one, other = self._mark[0], self._mark[1] or self._day
        return Stretch(min(one, other), max(one, other))

    def _followers(self) -> tuple[str, ...]:
        return plan.followers(self._card.job, self._all)

    def _draft(self) -> Draft:
        jobs = (self._card.job, *(self._followers() if self._adds else ()))
        return Draft(jobs, self._marked() or Stretch(self._day, self._day), self._only)

    def _sheet(self) -> Sheet:
        shown = calendar.page(self._card.unit, self._day, self._newest())
        seen = {day: each for day, each in self._seen.items() if day in shown}
        return Sheet(self._card.job, self._card.unit, shown, seen, self._day, self._marked(), self.cursor is None)

"""The dialog that triggers a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import ClassVar, NamedTuple

from textual.binding import BindingType

from opsconsole.authoring.parameters import BadParameter
from opsconsole.calendar.windows import Window
from opsconsole.core import humanize
from opsconsole.core.errors import BadWindow, OpsconsoleError, UnknownJob
from opsconsole.service.snapshot import JobCard, Preview
from screens import command_lines
from screens.command_lines import CommandLine
from screens.dialogs.dialog import INNER, title_line
from screens.dialogs.parameter_fields import ParameterFields
from screens.dialogs.text_dialog import TextDialog
from screens.host import Host
from screens.keymap import bind
from screens.threads import run_in_thread
from screens.widgets.lines import EMPTY, Line, Piece, line, text, wrapped
from screens.widgets.text_field import ChoiceField, DateField, TextField


class TriggerRequest(NamedTuple):
    """A job, the date of its window, None for the current window, and its parameters."""

    job: str
    date: str | None
    params: Mapping[str, str]


TYPING_SECONDS = 0.15
"""How long no key may be pressed before items are counted again."""
PREVIEW_LINES = 3
DATES = "  {left}{right} or type 2026-01-19; empty: the current"
MORE_THAN_A_DAY = timedelta(days=2)
"""Longer than any local day."""


class TriggerDialog(TextDialog[TriggerRequest]):
    """Chooses a job, a date and parameters, previews the window and its items, and answers with the request, or None.
    Where a job has parameters, tab moves over the fields.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "job(-1)", "previous job"),
        bind("down", "job(1)", "next job"),
        bind("left", "window(-1)", "window before"),
        bind("right", "window(1)", "window after"),
        bind("next_panel", "field(1)", "next field"),
        bind("previous_panel", "field(-1)", "previous field"),
    ]

    def __init__(self, host: Host, jobs: Sequence[JobCard], chosen: str | None) -> None:
        super().__init__(host)
        self._jobs = jobs
        self._index = next((i for i, card in enumerate(jobs) if card.name == chosen), 0)
        self._date = DateField()
        self._params = ParameterFields(jobs[self._index].params)
        self._active = 0
        self._preview: Preview | OpsconsoleError | None = None
        self._error = ""
        self._window: Window | None = None

    @property
    def field(self) -> TextField:
        """The date, or the parameter under the cursor."""
        return (self._date, *self._params.fields)[self._active]

    @property
    def takes_letters(self) -> bool:
        """A parameter can have any letters."""
        return self.field is not self._date

    @property
    def request(self) -> TriggerRequest:
        """The current choice."""
        return TriggerRequest(self._jobs[self._index].name, self._date.value or None, self._params.given)

    def on_mount(self) -> None:
        """Loads the preview of the first choice."""
        self._load_preview()

    def content(self) -> Sequence[Line]:
        """The choice and its preview."""
        card = self._jobs[self._index]
        arrows = f"{self.keyed('  {up}{down}')} {self._index + 1} of {len(self._jobs)}" if len(self._jobs) > 1 else ""
        lines = self._preview_lines()
        return [
            title_line("Trigger a job", self.host.snapshot.environment),
            EMPTY,
            line("Job      ", text(card.name, "strong", 40), Piece(arrows, "quiet")),
            line("         ", text(card.description, "quiet", 120)),
            line(
                "Date     ",
                *self._date.pieces(),
                Piece(self.keyed(DATES), "quiet"),
            ),
            *self._params.lines(self.field, self.keyed("{next_panel}")),
            *[*lines, *[EMPTY] * (PREVIEW_LINES - len(lines))][:PREVIEW_LINES],  # the dialog keeps its height
        ]

    def command_lines(self) -> Sequence[CommandLine]:
        """The run of the current choice."""
        return () if self._date.is_partial else (command_lines.trigger(*self.request),)

    def confirm(self) -> None:
        """Answers with the request, unless the preview has shown that there is no such window."""
        if self._date.is_partial:
            self._error = "the date is incomplete; type it as 2026-01-19, or leave it empty"
            self.repaint()
        elif not isinstance(self._preview, BadWindow | UnknownJob | BadParameter):
            self.dismiss(self.request)

    def action_job(self, step: int) -> None:
        """Chooses another job."""
        self._index = (self._index + step) % len(self._jobs)
        self._window, self._active = None, 0
        self._params = ParameterFields(self._jobs[self._index].params)
        self.changed()

    def action_field(self, step: int) -> None:
        """Moves to another field; without parameters, over the buttons."""
        if self._params.fields:
            self._active = (self._active + step) % (1 + len(self._params.fields))
            self.repaint()
        else:
            self.action_button(step)

    def action_window(self, step: int) -> None:
        """Chooses the window before or after, or the value of a parameter."""
        if isinstance(self.field, ChoiceField):
            self.field.step(step)
            self.changed()
        if self.field is not self._date:
            return
        if self._window is None:
            return  # its first preview is being loaded
        day = stepped(self._window, self._date.value, step)
        if day is None:
            self._error = "this job has no windows; it processes the current moment"
            self.repaint()
        else:
            self._date.value = day.isoformat()
            self.changed()

    def changed(self) -> None:
        """Loads the preview once typing pauses."""
        self._preview, self._error = None, ""
        self.repaint()
        if not self._date.is_partial:
            request = self.request
            self.set_timer(TYPING_SECONDS, lambda: self._load_preview() if request == self.request else None)

    def _load_preview(self) -> None:
        request = self.request

        def loaded(result: Preview | OpsconsoleError) -> None:
            if request == self.request:
                self._preview = result
                self._window = result.window if isinstance(result, Preview) else self._window
                self.repaint()

        run_in_thread(self, lambda: self.host.service.queries.preview(*request[:2], params=request.params), loaded)

    def _preview_lines(self) -> list[Line]:
        if self._error:
            return wrapped([self._error], INNER, "bad")
        if isinstance(self._preview, OpsconsoleError):
            return wrapped([self._preview.sentence], INNER, "bad")
        if self._preview is None:
            hint = "type the whole date" if self._date.is_partial else "counting items"
            return [line("Window   ", Piece(hint, "quiet"))]
        window, tz = self._preview.window, "UTC" if self.host.in_utc else self._preview.tz
        start, end = (at.astimezone(humanize.zone(tz)) for at in (window.start, window.end))
        range_ = f"{_moment(start)} to {_moment(end)}" if end > start else "the moment it runs"
        return [
            line("Window   ", text(window.label, "strong", 30), f"  {range_}"),
            line("Zone     ", text(tz, limit=40)),
            line("Items    ", Piece(f"{self._preview.items:,}", "strong")),
        ]


def stepped(window: Window, typed: str, step: int) -> date | None:
    """A date in the window before or after the typed date, or else `window`; None for a job without windows. Windows of
    four weeks end a week apart.
    """
    if window.end == window.start:
        return None
    is_month = len(window.label) == len("2026-01")
    with suppress(OverflowError, ValueError):  # outside of the calendar
        day = _date(typed) or date.fromisoformat(f"{window.label}-01" if is_month else window.label)
        if is_month:
            months = day.year * 12 + day.month - 1 + step
            return date(months // 12, months % 12 + 1, 1)
        return day + timedelta(days=7 if window.end - window.start > MORE_THAN_A_DAY else 1) * step
    return None


def _date(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        return None


def _moment(local: datetime) -> str:
    return f"{humanize.short_date(local, local)} {local:%H:%M}"

"""The dialog that starts a job by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from opsconsole.core import humanize
from opsconsole.core.errors import BadWindow, OpsconsoleError, UnknownJob
from opsconsole.service.snapshot import JobCard, Preview
from screens.dialogs.dialog import INNER, Dialog, titled
from screens.threads import run_in_thread
from screens.widgets.lines import EMPTY, Line, Piece, line, tell, wrapped

TriggerRequest = tuple[str, str | None]
"""A job, and the date that names its window; None for the current one."""

DATE_LENGTH = len("2026-01-19")
PATIENCE_SECONDS = 0.15
"""So long the keys must rest before items are counted again."""


class TriggerDialog(Dialog[TriggerRequest]):
    """Which job, for which date; says what that would mean, and answers with the order, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "job(-1)", "job before"),
        Binding("down,j", "job(1)", "next job"),
        Binding("backspace", "erase", "erase the date's last digit"),
    ]

    def __init__(self, jobs: Sequence[JobCard], chosen: str | None) -> None:
        super().__init__()
        self._jobs = jobs
        self._index = next((i for i, card in enumerate(jobs) if card.name == chosen), 0)
        self._date = ""
        self._told: Preview | OpsconsoleError | None = None
        self._complaint = ""

    def on_mount(self) -> None:
        """Asks at once what the first choice would mean."""
        super().on_mount()
        self._preview()

    @property
    def order(self) -> TriggerRequest:
        """What is chosen now."""
        return self._jobs[self._index].name, self._date or None

    def content(self) -> Sequence[Line]:
        """The choice, and what it means."""
        card = self._jobs[self._index]
        several = f"  ↑↓ {self._index + 1} of {len(self._jobs)}" if len(self._jobs) > 1 else ""
        date = Piece(f"[{self._date}{'_' * (DATE_LENGTH - len(self._date))}]", "strong")
        return [
            titled("Trigger a job", self.console_app.snapshot.environment),
            EMPTY,
            line("Job      ", tell(card.name, "strong", 40), Piece(several, "quiet")),
            line("         ", tell(card.description, "quiet", 120)),
            line("Date     ", date, Piece("  type 2026-01-19; empty: the current window", "quiet")),
            *self._meaning(),
        ]

    def confirm(self) -> None:
        """Hands the order on, unless it is known to name no window."""
        if self._date and len(self._date) < DATE_LENGTH:
            self._complaint = "the date is not complete; write it as 2026-01-19, or leave it empty"
            self.repaint()
        elif not isinstance(self._told, BadWindow | UnknownJob):
            self.dismiss(self.order)

    def action_job(self, step: int) -> None:
        """Another job."""
        self._index = (self._index + step) % len(self._jobs)
        self._changed()

    def action_erase(self) -> None:
        """One character of the date less."""
        self._date = self._date[:-1]
        self._changed()

    def on_key(self, event: events.Key) -> None:
        """Digits and dashes belong to the date."""
        if event.character is not None and event.character in "0123456789-":
            event.stop()
            self._type(event.character)

    def on_paste(self, event: events.Paste) -> None:
        """A date may be pasted; nothing else of what is pasted gets in."""
        self._type("".join(c for c in event.text if c in "0123456789-"))

    def _type(self, text: str) -> None:
        self._date = (self._date + text)[:DATE_LENGTH]
        self._changed()

    def _changed(self) -> None:
        self._told, self._complaint = None, ""
        self.repaint()
        if len(self._date) in (0, DATE_LENGTH):
            order = self.order
            self.set_timer(PATIENCE_SECONDS, lambda: self._preview() if order == self.order else None)

    def _preview(self) -> None:
        order = self.order

        def told(found: Preview | OpsconsoleError) -> None:
            if order == self.order:
                self._told = found
                self.repaint()

        run_in_thread(self, lambda: self.console_app.service.queries.preview(*order), told)

    def _meaning(self) -> list[Line]:
        if self._complaint:
            return _three(wrapped([self._complaint], INNER, "bad"))
        if isinstance(self._told, OpsconsoleError):
            return _three(wrapped([self._told.sentence], INNER, "bad"))
        if self._told is None:
            waits = "type the whole date" if 0 < len(self._date) < DATE_LENGTH else "counting items"
            return _three([line("Window   ", Piece(waits, "quiet"))])
        window, tz = self._told.window, self._told.tz
        start, end = (at.astimezone(humanize.zone(tz)) for at in (window.start, window.end))
        covers = f"{_moment(start)} to {_moment(end)}" if end > start else "the moment it runs"
        return _three(
            [
                line("Window   ", tell(window.label, "strong", 30), f"  {covers}"),
                line("Zone     ", tell(tz, limit=40)),
                line("Items    ", Piece(f"{self._told.items:,}", "strong")),
            ]
        )


def _moment(local: datetime) -> str:
    return f"{humanize.short_date(local, local)} {local:%H:%M}"


def _three(lines: list[Line]) -> list[Line]:
    """The dialog keeps its height whatever it has to say."""
    return [*lines, *[EMPTY] * (3 - len(lines))][:3]

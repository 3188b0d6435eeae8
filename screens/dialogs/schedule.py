"""The dialog that changes the schedule of a job: it previews the new schedule, and takes a note."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.core.errors import OpsconsoleError
from opsconsole.service.snapshot import JobCard
from screens import command_lines
from screens.command_lines import CommandLine
from screens.dialogs.cron import CronDialog, ScheduleRequest
from screens.host import Host
from screens.widgets.lines import Line, Piece, line, text
from screens.widgets.text_field import TextField

NOTE_LENGTH = 200
NOTE_CELLS = 50


class ScheduleDialog(CronDialog):
    """Returns the schedule once it is valid. An empty expression resets a changed one."""

    def __init__(self, host: Host, card: JobCard) -> None:
        super().__init__(host, card)
        self._card = card
        self._note = TextField(NOTE_LENGTH)
        self._problem = ""

    @property
    def heading(self) -> str:
        """What it does."""
        return text(f"Schedule {self._card.name}", limit=60).text

    @property
    def fields(self) -> tuple[TextField, ...]:
        """The note, too."""
        return (*super().fields, self._note)

    @property
    def answer(self) -> ScheduleRequest:
        """The request."""
        return ScheduleRequest(self._card.name, *self.request, self._note.value.strip())

    def more(self) -> Sequence[Line]:
        """The note, and what enter does."""
        is_active = self.field is self._note
        hint = self.keyed("{confirm} changes it from now on; nothing runs at once")
        if not self.request[0]:
            resets = f"{self.keyed('{confirm}')} resets it: {self._card.changed}"
            hint = resets if self._card.changed else "type a schedule"
        return [
            line(
                Piece("▸" if is_active else " ", "mark"),
                "Note     ",
                *self._note.pieces(NOTE_CELLS, is_active=is_active),
            ),
            line(text(self._problem, "bad", 120) if self._problem else text(hint, "quiet", 120)),
        ]

    def confirm(self) -> None:
        """Returns the request, unless the schedule is invalid or the job already has it."""
        cron, tz = self.request
        if isinstance(self.trial, OpsconsoleError) and self.tried == self.request:  # not of what was typed before
            self._problem = "correct the schedule first"
        elif not cron and not self._card.changed:
            self._problem = "this schedule was not changed, so there is nothing to reset"
        elif (cron, tz) == (self._card.cron, self._card.tz):
            self._problem = "the job already has this schedule"
        else:
            self.dismiss(self.answer)
            return
        self.repaint()

    def changed(self) -> None:
        """Previews the expression once typing pauses."""
        self._problem = ""
        super().changed()

    def command_lines(self) -> Sequence[CommandLine]:
        """The command that does the same."""
        return (command_lines.schedule(*self.answer),)

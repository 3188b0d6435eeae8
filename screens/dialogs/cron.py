"""The dialog in which an operator tries a cron expression: its words, its next times, and probable mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from zoneinfo import available_timezones

from textual.binding import BindingType

from opsconsole.core.errors import OpsconsoleError
from opsconsole.service.snapshot import JobCard
from screens import command_lines
from screens.command_lines import CommandLine
from screens.dialogs.dialog import INNER, title_line
from screens.dialogs.text_dialog import TextDialog
from screens.host import Host
from screens.keymap import bind
from screens.panels import cron as cron_panel
from screens.threads import run_in_thread
from screens.widgets.lines import EMPTY, Line, Piece, line, text, wrapped
from screens.widgets.text_field import ChoiceField, TextField

if TYPE_CHECKING:
    from opsconsole.service.job_page import ScheduleTrial

CRON_LENGTH = 100
TYPING_SECONDS = 0.15
"""How long no key may be pressed before an expression is tried."""
OTHER_LINES = 12 + cron_panel.WARNING_LINES
"""The frame, the fields, the keys, and what is shown beside the next times."""
LEAST_TIMES = 2
UTC = "UTC"


class ScheduleRequest(NamedTuple):
    """A schedule for a job; an empty expression stands for the one in code and configuration."""

    job: str
    cron: str
    tz: str
    note: str


class CronDialog(TextDialog[ScheduleRequest]):
    """Tries an expression in a zone as soon as typing pauses. It starts with the schedule of a job, for which it also
    has the warnings about windows, timeouts and the jobs that it runs after.
    """

    HAS_BUTTONS = False
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "field(-1)", "previous field"),
        bind("down", "field(1)", "next field"),
        bind("next_panel", "field(1)", "next field"),
        bind("previous_panel", "field(-1)", "previous field"),
        bind("left", "zone(-1)", "previous zone"),
        bind("right", "zone(1)", "next zone"),
    ]

    def __init__(self, host: Host, card: JobCard | None = None) -> None:
        super().__init__(host)
        self._job = card.name if card is not None and card.cron is not None else None
        self._cron, self._zone = TextField(CRON_LENGTH), ChoiceField([], CRON_LENGTH)
        self._cron.value = card.cron or "" if card is not None else ""
        self._zone.chosen = card.tz if card is not None else UTC
        self._active = 0
        self.trial: ScheduleTrial | OpsconsoleError | None = None
        self.tried: tuple[str, str] | None = None

    @property
    def heading(self) -> str:
        """What it does."""
        return "Try a schedule"

    @property
    def fields(self) -> tuple[TextField, ...]:
        """The fields that the cursor moves over."""
        return (self._cron, self._zone)

    @property
    def field(self) -> TextField:
        """The field under the cursor."""
        return self.fields[self._active]

    def more(self) -> Sequence[Line]:
        """Lines after the fields."""
        return ()

    @property
    def request(self) -> tuple[str, str]:
        """The expression and the zone."""
        return " ".join(self._cron.value.split()), self._zone.chosen or UTC

    def on_mount(self) -> None:
        """Tries the schedule of the job, and reads the names of the zones."""
        self._try()
        run_in_thread(self, lambda: sorted(available_timezones()), self._zones_read)

    def content(self) -> Sequence[Line]:
        """The two fields, and what the expression means."""
        times = max(LEAST_TIMES, min(cron_panel.TIMES, self.size.height - OTHER_LINES - len(self.more())))
        result, height = self._result(times), 1 + times + cron_panel.WARNING_LINES
        cron, zone = self._active == 0, self._active == 1
        typed = self._zone.pieces(24) if zone and self._zone.value else ()
        choose = self.keyed("  {left}{right}, or type a part of its name")
        hint = Piece(choose, "quiet") if zone and not typed else Piece("  ")
        return [
            title_line(self.heading, self.host.snapshot.environment),
            EMPTY,
            line(Piece("▸" if cron else " ", "mark"), "Cron     ", *self._cron.pieces(is_active=cron)),
            line(Piece("▸" if zone else " ", "mark"), "Zone     ", text(self.request[1], "strong", 40), hint, *typed),
            *self.more(),
            EMPTY,
            *[*result, *[EMPTY] * (height - len(result))][:height],
        ]

    def confirm(self) -> None:
        """Closes the dialog: there is nothing to carry out."""
        self.dismiss(None)

    def changed(self) -> None:
        """Tries the expression once typing pauses."""
        request = self.request
        self.repaint()
        self.set_timer(TYPING_SECONDS, lambda: self._try() if request == self.request else None)

    def action_field(self, step: int) -> None:
        """Moves to the other field."""
        self._active = (self._active + step) % len(self.fields)
        self.repaint()

    def action_zone(self, step: int) -> None:
        """Chooses the zone after or before."""
        if self.field is self._zone:
            self._zone.step(step)
            self.changed()

    def action_button(self, step: int) -> None:
        """There are no buttons."""

    def command_lines(self) -> Sequence[CommandLine]:
        """The command that lists the same times."""
        cron, tz = self.request
        return (command_lines.try_schedule(cron, tz),) if cron else ()

    def button_line(self) -> Line:
        """The command that does the same."""
        shown = [self.host.command_text(command) for command in self.command_lines()]
        key = f"{self.command_key()} " if shown else ""
        return line(Piece(key, "key"), text(next(iter(shown), self.keyed("{back} goes back")), "quiet", 200))

    def _zones_read(self, names: list[str] | OpsconsoleError) -> None:
        if not isinstance(names, OpsconsoleError):
            self._zone.choices = names

    def _try(self) -> None:
        request = self.request
        if not request[0]:
            self.trial = None
            self.repaint()
            return

        def tried(result: ScheduleTrial | OpsconsoleError) -> None:
            if request == self.request:
                self.trial, self.tried = result, request
                self.repaint()

        run_in_thread(self, lambda: self.host.service.queries.try_schedule(*request, self._job), tried)

    def _result(self, times: int) -> list[Line]:
        if isinstance(self.trial, OpsconsoleError):
            return wrapped([self.trial.sentence], INNER, "bad")
        if self.trial is None:
            return wrapped(
                ["Type minute, hour, day of month, month and weekday, such as 50 23 * * 1-5"], INNER, "quiet"
            )
        return cron_panel.lines(self.trial, self.host.now(), INNER, times)

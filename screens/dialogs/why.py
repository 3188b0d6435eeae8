"""The dialog that explains why a job ran or did not run at a scheduled time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual.binding import BindingType

from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.times import utc
from opsconsole.rules.backfill import WindowStatus
from opsconsole.service.occurrence_details import Explanation
from screens.command_lines import CommandLine
from screens.dialogs.dialog import INNER, title_line
from screens.dialogs.text_dialog import TextDialog
from screens.host import Host
from screens.keymap import bind
from screens.panels import command_list, why
from screens.panels.why import Question
from screens.threads import run_in_thread
from screens.widgets.lines import EMPTY, Line, Piece, text, wrapped
from screens.widgets.text_field import TextField

TIME = "0123456789-:+.TZ "
TIME_LENGTH = 40
FRAME_ROWS = 6
"""The frame, its padding and the line with the keys."""
HINTS = "{left}{right} earlier, later · type a time, {confirm} · {back} goes back"
HINTS_WITHOUT_JOB = "{back} goes back"


class WhyDialog(TextDialog[None]):
    """Explains one scheduled time after the other: arrows go to the one before and after, digits type another time."""

    HAS_BUTTONS = False
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left", "time(-1)", "scheduled time before"),
        bind("right", "time(1)", "scheduled time after"),
        bind("up", "scroll(-1)", "scroll up"),
        bind("down", "scroll(1)", "scroll down"),
        bind("why", "leave", "back"),
    ]

    def __init__(self, host: Host, question: Question) -> None:
        super().__init__(host)
        self._question = question
        self._typed = TextField(TIME_LENGTH, allowed=TIME)
        self._requested = utc(question.at)
        self._explanation: Explanation | None = None
        self._window: WindowStatus | None = None
        self._error = ""
        self._first = 0

    @property
    def field(self) -> TextField:
        """A time."""
        return self._typed

    @property
    def takes_letters(self) -> bool:
        """Letters are keys."""
        return False

    def on_mount(self) -> None:
        """Loads the first answer."""
        self._load(self._requested)

    def content(self) -> Sequence[Line]:
        """The answer, as much of it as the screen has room for, and the command that does the same."""
        job = self._question.job
        name = text(f"Why {job}" if job is not None else "Why", limit=80).text
        head = [title_line(name, self.host.snapshot.environment), EMPTY]
        body, foot = self._body(), self._foot(job) if job is not None else []
        room = max(3, self.size.height - FRAME_ROWS - len(head) - len(foot))
        self._first = max(0, min(self._first, len(body) - room))
        return [*head, *body[self._first : self._first + room], *foot]

    def command_lines(self) -> Sequence[CommandLine]:
        """The command that shows the same."""
        job, window = self._question.job, self._question.window if self._requested is None else None
        command = why.command(job, self._explanation, window) if job is not None else None
        return (command,) if command is not None else ()

    def confirm(self) -> None:
        """Explains the time that was typed; without one, closes the dialog."""
        if self._typed.value.strip():
            self._load(self._typed.value)
        else:
            self.dismiss(None)

    def changed(self) -> None:
        """Shows what is typed."""
        self._error = ""
        self.repaint()

    def action_time(self, step: int) -> None:
        """Explains the scheduled time before or after."""
        found = self._explanation
        at: datetime | None = None
        if found is not None:
            at = found.previous if step < 0 else found.next
        if at is not None:
            self._typed = TextField(TIME_LENGTH, allowed=TIME)
            self._load(utc(at))

    def action_scroll(self, step: int) -> None:
        """Scrolls a long answer."""
        self._first += step
        self.repaint()

    def action_button(self, step: int) -> None:
        """There are no buttons."""

    def button_line(self) -> Line:
        """The keys, where other dialogs have buttons."""
        return (Piece(self.keyed(HINTS if self._question.job is not None else HINTS_WITHOUT_JOB), "quiet"),)

    def _body(self) -> list[Line]:
        lines = why.facts(self._question, self._window if self._requested is None else None, INNER)
        lines += [EMPTY] if lines else []
        if self._error:
            lines += wrapped([self._error], INNER, "bad")
        elif self._explanation is not None:
            lines += why.answer(self._explanation, INNER)
        elif self._question.job is not None:
            lines.append((Piece("loading the rows", "quiet"),))
        return lines

    def _foot(self, job: str) -> list[Line]:
        found = self._explanation
        lines = [EMPTY, why.neighbours(found, self.host.now(), INNER)] if found is not None else [EMPTY, EMPTY]
        if self._typed.value:
            return [*lines, (Piece("at "), *self._typed.pieces())]
        shown = [self.host.command_text(command) for command in self.command_lines()]
        key = f"{self.command_key()} "
        parts = [part for each in shown for part in command_list.wrap(each, INNER - len(key))]
        starts = [Piece(key, "key"), *[Piece(" " * len(key))] * len(parts)]
        return [*lines, *((start, text(part, "quiet")) for start, part in zip(starts, parts, strict=False))]

    def _load(self, at: str | None) -> None:
        job = self._question.job
        if job is None:
            return
        self._requested, self._error = at, ""

        def loaded(result: Explanation | OpsconsoleError) -> None:
            if at != self._requested:
                return  # another time was requested since
            if isinstance(result, OpsconsoleError):
                self._error = result.sentence
            else:
                self._explanation, self._first = result, 0
                self._typed = TextField(TIME_LENGTH, allowed=TIME)
            self.repaint()

        queries, window = self.host.service.queries, self._question.window
        if at is None and window is not None:
            run_in_thread(self, lambda: queries.why_window(job, window), loaded)
            self._load_window(job, window)
        else:
            run_in_thread(self, lambda: queries.why(job, at), loaded)

    def _load_window(self, job: str, label: str) -> None:
        """Reads the state of the window; without it, the answer stands alone."""

        def loaded(result: WindowStatus | OpsconsoleError) -> None:
            if not isinstance(result, OpsconsoleError):
                self._window = result
                self.repaint()

        run_in_thread(self, lambda: self.host.service.backfills.window(job, label), loaded)

"""The page of one backfill: its windows, those that failed first, each with its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, cast

from textual.binding import Binding, BindingType

from opsconsole.rules.backfill_status import Backfill, StepView
from screens.pages.backfill_actions import BackfillActionsPage
from screens.panels import backfills
from screens.panels.view import View
from screens.widgets.lines import Line, Piece, line

FAR = 1_000_000


class Read(NamedTuple):
    """What was read."""

    about: Backfill
    steps: Sequence[StepView]


class BackfillPage(BackfillActionsPage):
    """Reads its backfill anew while that goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "window above"),
        Binding("down,j", "move(1)", "window below"),
        Binding("pageup", "move_page(-1)", "page above"),
        Binding("pagedown,space", "move_page(1)", "page below"),
        Binding("home", f"move({-FAR})", "first window"),
        Binding("end", f"move({FAR})", "last window"),
        Binding("enter", "open", "open the window's run"),
    ]

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self._steps: Sequence[StepView] = ()
        self._seq: int | None = None

    def called(self) -> str:
        """Which backfill is looked at."""
        return f"backfill {self.number}"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """What can be done about it."""
        return (
            ("enter", "open"),
            *self.keys_of_backfill(),
            ("esc", "back"),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def body(self, view: View, cells: int, rows: int) -> list[Line]:
        """Its head, and as many windows as fit."""
        trouble, about = self.trouble(), self.chosen()
        if about is None:
            title = Piece(f"Backfill {self.number}", "title")
            return trouble or [line(" ", title, Piece("  is being read", "quiet"))]
        tz = view.zone_of(about.jobs[0]) if about.jobs else "UTC"
        head = [*backfills.head(about, view.now, cells, tz), *trouble]
        return [*head, *backfills.windows(self._steps, cells, rows - len(head), self._at())]

    def read(self) -> Read:
        """In a thread."""
        service = self.console_app.service
        return Read(service.backfills.get(self.number), backfills.worst_first(service.backfills.steps(self.number)))

    def took(self, found: object) -> None:
        """The cursor stays on its window, wherever that is now."""
        about, self._steps = cast("Read", found)
        self.backfills = (about,)

    def chosen(self) -> Backfill | None:
        """This one."""
        return self.backfills[0] if self.backfills else None

    def job(self) -> str | None:
        """The job of the window under the cursor."""
        return self._steps[self._at()].step.job if self._steps else None

    def action_move(self, step: int) -> None:
        """Up and down; it stops at both ends."""
        if self._steps:
            at = max(0, min(len(self._steps) - 1, self._at() + step))
            self._seq = self._steps[at].seq
            self.repaint()

    def action_move_page(self, pages: int) -> None:
        """A page up or down."""
        self.action_move(pages * max(1, self.size.height - 10))

    def action_open(self) -> None:
        """The run of the window under the cursor."""
        if not self._steps:
            return
        view = self._steps[self._at()]
        if view.run is None:
            self.say(f"{view.step.job} {view.step.window.label} has no run here")
        else:
            self.console_app.open_run(view.run)

    def _at(self) -> int:
        return next((n for n, view in enumerate(self._steps) if view.seq == self._seq), 0)

"""The page of one run, which follows it while it goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType

from opsconsole.authoring.run import OPEN, Run
from opsconsole.core import humanize
from opsconsole.core.errors import OpsconsoleError
from opsconsole.service.snapshot import Progress, RunPage
from screens.pages.run_actions import RunActionsPage
from screens.panels import run as rows_of_run
from screens.panels.view import View
from screens.threads import run_in_thread
from screens.widgets.lines import Line, Piece, line, tell

REFRESH_SECONDS = 0.5


class RunScreen(RunActionsPage):
    """Asks for its run twice a second until that has ended."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back"),
        Binding("f", "follow", "hold or follow the log"),
        Binding("up,k", "scroll(-1)", "older log lines"),
        Binding("down,j", "scroll(1)", "newer log lines"),
    ]

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self._page: RunPage | None = None
        self._problem = ""
        self._asking = False
        self._held_at: int | None = None

    def called(self) -> str:
        """Which run is looked at."""
        return f"run {self.number}"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """What can be retried is counted there."""
        run = self._run()
        failed = run.counts.failed + run.counts.not_reached if run else 0
        is_open = run is not None and run.state in OPEN
        of_the_run = (
            (("x", "cancel"), ("f", "follow" if self._held_at is not None else "hold"))
            if is_open
            else (("r", f"retry {failed:,} failed" if failed else "retry"),)
        )
        return (
            *of_the_run,
            ("t", "trigger"),
            self.pause_key(),
            ("esc", "back"),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def body(self, view: View, cells: int, rows: int) -> list[Line]:
        """The page, or what is known of the run before the service has told the rest."""
        trouble = [line(" ", tell(self._problem, "bad"))] if self._problem else []
        live = next((each for each in view.snapshot.live if each.run.id == self.number), None)
        if self._page is not None:
            held = view.pauses_of(self._page.progress.run.job)
            room = rows - len(trouble)
            return [
                *trouble,
                *rows_of_run.body(self._page_with(live), view.now, cells, room, held_at=self._held_at, held=held),
            ]
        run = self._run()
        if run is None:
            return trouble or [line(" ", Piece(f"Run {self.number}", "title"), Piece("  is being read", "quiet"))]
        known = live or Progress(run, view.zone_of(run.job), None, None)
        return [*rows_of_run.head(known, view.now, cells), *trouble]

    def on_mount(self) -> None:
        """Reads the run at once, then again and again."""
        super().on_mount()
        self._ask()
        self.set_interval(REFRESH_SECONDS, self._ask_while_open)

    def on_screen_resume(self) -> None:
        """Something may have been done about the run meanwhile."""
        super().on_screen_resume()
        self._ask()

    def say(self, text: str, style: str = "") -> None:
        """A notice is often about this run."""
        super().say(text, style)
        self._ask()

    def action_back(self) -> None:
        """To the screen before."""
        self.dismiss(None)

    def job(self) -> str | None:
        """The job of this run."""
        run = self._run()
        return run.job if run else None

    def run_to(self, do: str) -> Run | None:
        """This run."""
        run = self._run()
        if run is None:
            self.say(f"there is nothing to {do}: run {self.number} has not been read")
        return run

    def action_follow(self) -> None:
        """Holds the log where it is, or follows its end again."""
        self._held_at = None if self._held_at is not None else self._log_length()
        self.repaint()

    def action_scroll(self, step: int) -> None:
        """Holds the log and moves through it."""
        at = self._held_at if self._held_at is not None else self._log_length()
        self._held_at = max(1, min(self._log_length(), at + step))
        self.repaint()

    def _page_with(self, live: Progress | None) -> RunPage:
        """The page; what the run waits for is known from the other runs, and so from the Snapshot."""
        assert self._page is not None  # noqa: S101 - asked only when there is one
        progress = self._page.progress
        waits = progress.waits or (live.waits if live else None)
        return replace(self._page, progress=replace(progress, waits=waits))

    def _log_length(self) -> int:
        return len(self._page.log) if self._page else 0

    def _run(self) -> Run | None:
        return self._page.progress.run if self._page else self.console_app.known_run(self.number)

    def _ask_while_open(self) -> None:
        ended = self._page is not None and self._page.progress.run.state not in OPEN
        if self.is_current and (self._problem or not ended):
            self._ask()

    def _ask(self) -> None:
        if not self._asking:
            self._asking = True
            run_in_thread(self, lambda: self.console_app.service.queries.run_page(self.number), self._told)

    def _told(self, found: RunPage | OpsconsoleError) -> None:
        self._asking = False
        if isinstance(found, OpsconsoleError):
            since = f"; stale since {humanize.clock(self._page.at, seconds=True)}" if self._page else ""
            self._problem = f"{found.sentence}{since}"
        else:
            self._page, self._problem = found, ""
        self.repaint()

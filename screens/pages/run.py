"""The page of one run, which follows it until it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.binding import BindingType

from opsconsole.authoring.run import OPEN, Run
from opsconsole.service.snapshot import Progress, RunPage
from screens import command_lines
from screens.command_lines import CommandLine
from screens.host import Host
from screens.keymap import bind
from screens.pages.polling import FAST_SECONDS, PollingPage
from screens.pages.run_actions import RunActionsPage
from screens.panels import run as run_panel, why
from screens.panels.view import View
from screens.panels.why import Question
from screens.widgets.lines import Line, Piece, line


class RunScreen(PollingPage[RunPage], RunActionsPage):
    """Batches, failures and log of a run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("back", "back", "back"),
        bind("follow", "follow", "hold or follow the log"),
        bind("up", "scroll(-1)", "older log lines"),
        bind("down", "scroll(1)", "newer log lines"),
    ]

    def __init__(self, host: Host, number: int) -> None:
        super().__init__(host)
        self.number = number
        self._data: RunPage | None = None
        self._held_at: int | None = None

    def presence_name(self) -> str:
        """The run's number."""
        return f"run {self.number}"

    def footer(self) -> tuple[tuple[str, str], ...]:
        """Cancel and hold for an open run, otherwise retry with the number of failed items."""
        run = self._run()
        failed = run.counts.failed + run.counts.not_reached if run else 0
        is_open = run is not None and run.state in OPEN
        run_keys = (
            (("x", "cancel"), ("f", "follow" if self._held_at is not None else "hold"))
            if is_open
            else (("r", f"retry {failed:,} failed" if failed else "retry"),)
        )
        return (
            *run_keys,
            ("t", "trigger"),
            self.pause_key(),
            ("esc", "back"),
            ("?", "help"),
            ("^p", "find"),
            ("q", "quit"),
        )

    def content(self, view: View, cells: int, rows: int) -> list[Line]:
        """The run; before it is loaded, what the Snapshot has of it."""
        errors = self.error_lines()
        live = next((each for each in view.snapshot.live if each.run.id == self.number), None)
        if self._data is not None:
            pauses = view.pauses_of(self._data.progress.run.job)
            page = _with_wait_reason(self._data, live)
            progress = replace(page.progress, tz=view.shown_zone(page.progress.tz))
            page = replace(page, progress=progress)
            room = rows - len(errors)
            return [*errors, *run_panel.page(page, view.now, cells, room, held_at=self._held_at, pauses=pauses)]
        run = self._run()
        if run is None:
            return errors or [line(" ", Piece(f"Run {self.number}", "title"), Piece("  loading", "quiet"))]
        progress = live or Progress(run, view.zone_of(run.job), None, None)
        return [*run_panel.header(progress, view.now, cells), *errors]

    def load(self) -> RunPage:
        """The run with its batches, failures and log."""
        return self.host.service.queries.run_page(self.number)

    def loaded(self, data: RunPage) -> None:
        """Keeps them."""
        self._data = data

    def poll_seconds(self) -> float | None:
        """Until the run has ended."""
        is_ended = self._data is not None and self._data.progress.run.state not in OPEN
        return None if is_ended else FAST_SECONDS

    def job(self) -> str | None:
        """The job of this run."""
        run = self._run()
        return run.job if run else None

    def why_question(self) -> Question | None:
        """Why this run exists, and what became of its scheduled time."""
        run = self._run()
        return why.of_run(self.view(), run) if run is not None else None

    def run_number(self, *, active: bool = False) -> int | None:
        """This run."""
        return self.number

    def command_lines(self) -> Sequence[CommandLine]:
        """The commands for the run and its job, and for its log."""
        return (command_lines.follow(self.number), *super().command_lines())

    def run_for(self, verb: str) -> Run | None:
        """This run."""
        run = self._run()
        if run is None:
            self.show_notice(f"nothing to {verb}: run {self.number} is not loaded")
        return run

    def action_follow(self) -> None:
        """Holds the log where it is, or follows its end again."""
        self._held_at = None if self._held_at is not None else self._log_length()
        self.repaint()

    def action_scroll(self, step: int) -> None:
        """Holds the log and scrolls it."""
        position = self._held_at if self._held_at is not None else self._log_length()
        self._held_at = max(1, min(self._log_length(), position + step))
        self.repaint()

    def _log_length(self) -> int:
        return len(self._data.log) if self._data else 0

    def _run(self) -> Run | None:
        return self._data.progress.run if self._data else self.view().find_run(self.number)


def _with_wait_reason(page: RunPage, live: Progress | None) -> RunPage:
    """What a run waits for depends on other runs: only the Snapshot has it."""
    progress = page.progress
    return replace(page, progress=replace(progress, waits=progress.waits or (live.waits if live else None)))

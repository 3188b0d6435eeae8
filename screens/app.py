"""The console as an application: it holds the service and the latest Snapshot, and nothing more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

from rich.console import RenderableType
from rich.text import Text
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

import screens
from opsconsole.authoring.run import RunState
from opsconsole.core import clock
from opsconsole.service.snapshot import Run, Snapshot
from screens import actions, terminal
from screens.commands import CommandSender
from screens.dialogs.quit import QuitFlow
from screens.pages.dashboard import Dashboard
from screens.pages.page import Page
from screens.panels.view import View
from screens.service import Service
from screens.widgets.paint import OnlyTheChange

log = logging.getLogger(__name__)


class ConsoleApp(App[None]):
    """Shows Snapshots and hands orders to the service. `start_run` is a job to trigger at once."""

    CSS_PATH = Path(screens.__file__ or "").parent.parent / "styles.tcss"
    TITLE = "opsconsole"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help"),
        Binding("ctrl+p", "commands", "find any command", priority=True),
        Binding("c", "clear", "clear cached keys"),
        Binding("1", "dashboard", "dashboard"),
        Binding("4", "backfill", "calendars and backfills"),
        Binding("7", "packs", "what packs show"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c,ctrl+q", "quit", "quit", priority=True, show=False),
    ]

    def __init__(
        self,
        service: Service,
        *,
        now: clock.Clock = clock.now,
        start_run: str | None = None,
        ascii: bool = False,  # noqa: A002
    ) -> None:
        super().__init__(driver_class=terminal.driver())
        self.service, self.now, self.ascii = service, now, ascii
        self.orders, self.leaving = CommandSender(self), QuitFlow(self)
        self.snapshot = Snapshot(at=now(), environment="", leader=None)
        self._start_run = start_run
        self._arrived: Snapshot | None = None
        self._arriving = threading.Lock()
        if self.console.color_system == "standard" and not self.no_color:
            self.theme = "ansi-dark"

    def get_default_screen(self) -> Screen[None]:
        """The Dashboard lies under every other screen."""
        return Dashboard()

    def on_mount(self) -> None:
        """Begins to listen; the clocks and countdowns move once a second, whoever else is silent."""
        self.service.watch(self._hear)
        self.set_interval(1.0, self._tick)
        if self._start_run is not None:
            self.trigger(self._start_run, None)

    # --- what comes in ------------------------------------------------------------------------------------------

    def show(self, snapshot: Snapshot) -> None:
        """The one way in which a Snapshot reaches the screens."""
        self.snapshot = snapshot
        for page in self._pages():
            page.show(snapshot)

    def _hear(self, snapshot: Snapshot) -> None:
        """Called from the sampler's thread. While the loop is busy the newest replaces the one that waits."""
        with self._arriving:
            waiting, self._arrived = self._arrived, snapshot
        if waiting is None:
            self.call_later(self._deliver)

    def _deliver(self) -> None:
        with self._arriving:
            newest, self._arrived = self._arrived, None
        if newest is not None:
            self.show(newest)

    def _tick(self) -> None:
        self.leaving.look()
        for page in self._pages():
            page.repaint()

    # --- what is asked ------------------------------------------------------------------------------------------

    def say(self, text: str, style: str = "") -> None:
        """A sentence for the notice line of the page in front."""
        for page in self._pages():
            page.say(text, style)

    def trigger(self, job: str, day: str | None) -> None:
        """Asks for a run and tells what came of it."""
        self.orders.give(f"{job} {day}" if day else job, lambda: self.service.commands.trigger(job, day))

    def open_run(self, number: int) -> None:
        """Opens a run's page."""
        from screens.pages.run import RunScreen

        self.push_screen(RunScreen(number))

    def known_run(self, number: int) -> Run | None:
        """A run of the Snapshot by its number."""
        return next((run for run in self._known_runs() if run.id == number), None)

    def open_run_of(self, job: str) -> Run | None:
        """The run of a job that goes on, else one that waits."""
        found = [each.run for each in self.snapshot.live if each.run.job == job]
        return next((run for run in found if run.state is RunState.RUNNING), next(iter(found), None))

    def zone_of(self, job: str) -> str:
        """The zone of a job; UTC for what is none."""
        return View(self.snapshot, self.now()).zone_of(job)

    def newest_run(self, job: str) -> Run | None:
        """The newest run of a job that the Snapshot knows."""
        runs = [run for run in self._known_runs() if run.job == job]
        return max(runs, key=lambda run: run.id, default=None)

    def action_help(self) -> None:
        """The keys of this screen, and what its signs mean."""
        from screens.pages.help import HelpScreen

        page = next(iter(self._pages()))
        self.push_screen(HelpScreen(page))

    def action_commands(self) -> None:
        """Every action and every job, to be found by typing."""
        from screens.palette import Palette

        if not isinstance(self.screen, Page):
            return
        self.push_screen(Palette(self.screen), lambda chosen: chosen() if chosen else None)

    def action_clear(self) -> None:
        """Asks whose cached keys shall go."""
        actions.clear(self)

    def action_dashboard(self) -> None:
        """The first screen."""
        self._back_to(Dashboard)

    def action_backfill(self) -> None:
        """The windows of all jobs, and the backfills."""
        from screens.pages.backfills import BackfillScreen

        if not self._back_to(BackfillScreen):
            self.push_screen(BackfillScreen())

    async def open_calendar(self, job: str | None) -> None:
        """The calendar of a job before all jobs; those alone where none is meant."""
        from screens.pages.backfills import BackfillScreen

        if not self._back_to(BackfillScreen):
            await self.push_screen(BackfillScreen())
        if job is not None and isinstance(self.screen, BackfillScreen):
            self.screen.open_calendar(job)

    def action_packs(self) -> None:
        """What packs show of themselves."""
        from screens.pages.packs import PacksScreen

        if not self._back_to(PacksScreen):
            self.push_screen(PacksScreen())

    async def action_quit(self) -> None:
        """Quits, and asks first when that would interrupt a run."""
        if not isinstance(self.screen, Page):
            self.pop_screen()
        self.leaving.ask()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Sends as little as a slow line needs."""
        if isinstance(renderable, ChopsUpdate):
            renderable = cast("RenderableType", OnlyTheChange(renderable))  # an update draws itself
        super()._display(screen, renderable)

    def _fatal_error(self) -> None:
        """A mistake in the console itself: its log has the traceback, the terminal a sentence, neither has values."""
        error = self._exception
        log.critical("the console ended by a mistake of its own", exc_info=error)
        name = type(error).__name__
        self._exit_renderables.append(
            Text(f"opsconsole: the console ended by a mistake of its own ({name}); see its log")
        )
        self._close_messages_no_wait()

    # --- small ones ---------------------------------------------------------------------------------------------

    def _back_to(self, kind: type[Page]) -> bool:
        """Closes what was opened after a screen of this kind; False when there is none."""
        if not any(isinstance(screen, kind) for screen in self.screen_stack):
            return False
        while not isinstance(self.screen, kind):
            self.pop_screen()
        return True

    def _pages(self) -> Iterator[Page]:
        """The page in front, which may have a dialog before it."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, Page):
                yield screen
                return

    def _known_runs(self) -> Iterator[Run]:
        snapshot = self.snapshot
        yield from (progress.run for progress in snapshot.live)
        yield from snapshot.recent
        yield from (run for each in snapshot.histories for run in each.newest)
        yield from (card.last for card in snapshot.jobs if card.last is not None)


def run(service: Service, *, start_run: str | None = None, ascii: bool = False) -> int:  # noqa: A002 - as the option
    """Opens the console and returns its exit code: 0, or 129 and 143 when a signal ended it."""
    app = ConsoleApp(service, start_run=start_run, ascii=ascii)
    with terminal.signals(app) as received:
        app.run(mouse=False)
        return received.exit_code or app.return_code or 0

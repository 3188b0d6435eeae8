"""The pages of the console: loaded when they are opened, and found again while they are open."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from textual.screen import ModalScreen, Screen

from screens.host import Answer, Host
from screens.pages.catalog import page_class
from screens.pages.dashboard import Dashboard
from screens.pages.keys import commands_of
from screens.pages.page import Page
from screens.textual_private import BaseApp

if TYPE_CHECKING:
    from screens.panels.plan import Gap


class PageStack(BaseApp):
    """An application that opens pages above each other, with the Dashboard below all of them."""

    def open_page(self, page: Screen[None]) -> None:
        """Opens a page above the current one."""
        self.push_screen(page)

    def open_dialog(self, dialog: ModalScreen[Answer], on_answer: Callable[[Answer | None], None]) -> None:
        """Opens a dialog above the page."""
        self.push_screen(dialog, on_answer)

    def open_run(self, number: int) -> None:
        """Opens a run's page."""
        from screens.pages.run import RunScreen

        self.push_screen(RunScreen(self._host, number))

    def open_packs(self) -> None:
        """Opens the panels of the packs."""
        self.action_packs()

    async def open_runs(self, job: str | None) -> None:
        """Opens the history of runs, filtered by a job, or with an open filter."""
        from screens.pages.runs import RunsScreen

        if not self._back_to(RunsScreen):
            await self.push_screen(RunsScreen(self._host))
        if isinstance(self.screen, RunsScreen):
            if job is None:
                self.screen.action_filter()
            else:
                self.screen.set_filter(job)

    async def open_calendar(self, job: str | None, gap: Gap | None = None) -> None:
        """Opens the calendar of a job above the list of jobs; without a job, the list."""
        from screens.pages.backfills import BackfillScreen

        if not self._back_to(BackfillScreen):
            await self.push_screen(BackfillScreen(self._host))
        if job is not None and isinstance(self.screen, BackfillScreen):
            self.screen.open_calendar(job, gap)

    def action_help(self) -> None:
        """Opens the help for the page in front."""
        from screens.pages.help import HelpScreen

        if page := self.front_page:
            self.push_screen(HelpScreen(self._host, page))

    def action_commands(self) -> None:
        """Opens the command palette."""
        from screens.dialogs.palette import Palette

        if isinstance(self.screen, Page):
            palette = Palette(self._host, commands_of(self.screen))
            self.push_screen(palette, lambda run: run() if run else None)

    def action_dashboard(self) -> None:
        """Goes back to the Dashboard."""
        self._back_to(Dashboard)

    def action_backfill(self) -> None:
        """Opens the list of jobs with windows, and the backfills."""
        self._go("backfills")

    def action_jobs(self) -> None:
        self._go("jobs")

    def action_runs(self) -> None:
        """Opens the history of runs."""
        self._go("runs")

    def action_cache(self) -> None:
        """Opens Redis and the cached keys."""
        self._go("cache")

    def action_alerts(self) -> None:
        self._go("alerts")

    def action_packs(self) -> None:
        """Opens the panels of the packs."""
        self._go("packs")

    def action_audit(self) -> None:
        """Opens the audit trail, and who is attached."""
        self._go("audit")

    # --- the stack: pages are loaded when they are opened -------------------------------------------------------------

    def _go(self, name: str) -> None:
        """Goes back to a page, or opens it."""
        kind = page_class(name)
        if not self._back_to(kind):
            self.push_screen(kind(self._host))

    def _back_to(self, kind: type[Page]) -> bool:
        """Closes what is above the page of this kind; False when there is none."""
        if not any(isinstance(screen, kind) for screen in self.screen_stack):
            return False
        while not isinstance(self.screen, kind):
            self.pop_screen()
        return True

    @property
    def front_page(self) -> Page | None:
        """The topmost page, which may have a dialog above it."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, Page)), None)

    @property
    def _host(self) -> Host:
        return cast("Host", self)

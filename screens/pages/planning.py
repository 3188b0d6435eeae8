"""The life of a plan: created beside the event loop, then applied after confirmation, or discarded."""

from __future__ import annotations

from collections.abc import Callable

from opsconsole.core.errors import OpsconsoleError
from screens import actions
from screens.pages.page import Page
from screens.panels import plan as plan_panel
from screens.panels.plan import Draft, Plan, PlanProgress
from screens.panels.view import View
from screens.threads import run_in_thread
from screens.widgets.lines import Drawing


class _Dropped(OpsconsoleError):
    """Stops a plan that was dropped while it was being created."""

    @property
    def sentence(self) -> str:
        """Required by the base class; never shown."""
        return "the plan was dropped"


class Planning:
    """At most one plan: being created (`draft`), created (`plan`), requested (`is_requested`), or refused (`error`)."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.drop()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to drop."""
        return self.draft is None and self.plan is None and not self.error

    def drop(self) -> None:
        """Forgets the plan; one that is being created stops at its next step."""
        self.draft: Draft | None = None
        self.progress = PlanProgress()
        self.plan: Plan | None = None
        self.is_requested = False
        self.error = ""

    def advance(self, draft: Draft, on_applied: Callable[[], None]) -> None:
        """Creates a plan; once there is one, asks for confirmation and applies it."""
        if self.draft is not None:
            keys = self._page.view().keys
            self._page.show_notice(f"the plan is being created; {keys['back']} discards it")
        elif self.plan is None:
            self._create(draft)
        elif self.is_requested:
            self._page.show_notice(f"backfill {self.plan.backfill.id} is already requested", "warn")
        elif not self.plan.backfill.to_run:
            self._page.show_notice(f"nothing to run; {self._page.view().keys['only']} selects other windows", "warn")
        else:
            self._apply(self.plan, on_applied)

    def drawing(self, view: View, cells: int, rows: int) -> Drawing | None:
        """The plan, its progress or its error; None when there is none of them."""
        if self.draft is not None:
            return plan_panel.progress_lines(self.draft, self.progress, cells, view.keys)
        if self.error:
            return plan_panel.error_lines(self.error, cells, rows, view.keys)
        if self.plan is not None:
            return plan_panel.plan_lines(self.plan, cells, rows, view.keys, is_requested=self.is_requested)
        return None

    def _refuse(self, message: str) -> None:
        self.drop()
        self.error = message

    def _apply(self, plan: Plan, on_applied: Callable[[], None]) -> None:
        def requested() -> None:
            self.is_requested = True

        def finished(reason: str | None) -> None:
            if self.plan is not plan:
                return
            if reason is None:
                self.drop()
                on_applied()
            else:
                self._refuse(reason)
            self._page.repaint()

        actions.apply_plan(self._page.host, plan, requested, finished)

    def _create(self, draft: Draft) -> None:
        self.drop()
        self.draft = draft
        service = self._page.host.service.backfills

        def report(job: str, windows: int, total: int) -> None:
            if self.draft is not draft:
                raise _Dropped
            self.progress = PlanProgress(job, windows, total)

        def create() -> Plan:
            number = service.plan(draft.jobs, *draft.range, only=draft.only, order=draft.order, progress=report)
            steps, warnings = service.steps(number), service.warnings(number)
            return Plan(draft, service.get(number), tuple(steps), tuple(warnings))

        def created(result: Plan | OpsconsoleError) -> None:
            if self.draft is not draft:
                return
            if isinstance(result, OpsconsoleError):
                self._refuse(result.sentence)
            else:
                self.drop()
                self.plan = result
            self._page.repaint()

        run_in_thread(self._page, create, created)
        self._page.repaint()

"""Creates the plan of a backfill beside the event loop, and keeps it until it is applied or dropped."""

from __future__ import annotations

from opsconsole.core.errors import OpsconsoleError
from screens.pages.page import Page
from screens.panels.plan import Draft, Plan, PlanProgress
from screens.threads import run_in_thread


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

    def refuse(self, message: str) -> None:
        """Replaces the plan by an error."""
        self.drop()
        self.error = message

    def start(self, draft: Draft) -> None:
        """Starts to create a plan."""
        self.drop()
        self.draft = draft
        service = self._page.host.service.backfills

        def report(job: str, windows: int, total: int) -> None:
            if self.draft is not draft:
                raise _Dropped
            self.progress = PlanProgress(job, windows, total)

        def create() -> Plan:
            number = service.plan(draft.jobs, *draft.range, only=draft.only, progress=report)
            steps, warnings = service.steps(number), service.warnings(number)
            return Plan(draft, service.get(number), tuple(steps), tuple(warnings))

        def created(result: Plan | OpsconsoleError) -> None:
            if self.draft is not draft:
                return
            if isinstance(result, OpsconsoleError):
                self.refuse(result.sentence)
            else:
                self.drop()
                self.plan = result
            self._page.repaint()

        run_in_thread(self._page, create, created)

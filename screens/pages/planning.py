"""Makes the plan of a backfill beside the screen's loop, and keeps it until it is applied or dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsconsole.core.errors import OpsconsoleError
from screens.panels.plan import Draft, Looking, Planned
from screens.threads import run_in_thread

if TYPE_CHECKING:
    from screens.pages.page import Page


class Left(OpsconsoleError):
    """Nobody waits for the plan any more."""

    @property
    def sentence(self) -> str:
        """Shown to nobody."""
        return "the plan is not wanted any more"


class Planning:
    """One plan at most: being made (`draft`), made (`planned`), being applied (`is_asked`), or not to be had."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.drop()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to drop."""
        return self.draft is None and self.planned is None and not self.refused

    def drop(self) -> None:
        """Forgets it; what is being made is left at its next step."""
        self.draft: Draft | None = None
        self.so_far = Looking()
        self.planned: Planned | None = None
        self.is_asked = False
        self.refused = ""

    def refuse(self, sentence: str) -> None:
        """There is no plan, and why."""
        self.drop()
        self.refused = sentence

    def make(self, draft: Draft) -> None:
        """Begins to make one."""
        self.drop()
        self.draft = draft
        service = self._page.console_app.service

        def looking(job: str, windows: int, of: int) -> None:
            if self.draft is not draft:
                raise Left
            self.so_far = Looking(job, windows, of)

        def work() -> Planned:
            number = service.backfills.plan(draft.jobs, *draft.stretch, only=draft.only, progress=looking)
            steps, warnings = service.backfills.steps(number), service.backfills.warnings(number)
            return Planned(draft, service.backfills.get(number), tuple(steps), tuple(warnings))

        def told(found: Planned | OpsconsoleError) -> None:
            if self.draft is not draft:
                return
            if isinstance(found, OpsconsoleError):
                self.refuse(found.sentence)
            else:
                self.drop()
                self.planned = found
            self._page.repaint()

        run_in_thread(self._page, work, told)

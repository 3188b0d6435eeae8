"""What the screens ask of the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Protocol

from opsconsole.cache.clearing import Swept, Wanted
from opsconsole.cache.families import Family
from opsconsole.rules.backfill import Only, Seen
from opsconsole.service.backfills import Calendar, Looking
from opsconsole.service.snapshot import Advance, Outcome, PanelView, Preview, Run, RunPage, Snapshot
from opsconsole.store.backfills import Backfill, StepView


class Asks(Protocol):
    """The part of the desk that the console uses. Every method may block: never call one on the screen's loop.

    Errors are OpsconsoleError, with a sentence to show: NotAllowed for every action of whoever may only look.
    """

    @property
    def read_only(self) -> bool:
        """Whether whoever is at the keyboard may only look. Known at once, without asking anybody."""

    def looks_at(self, screen: str, /) -> None:
        """Says which screen is open here, for whoever else is attached. Does not block either."""

    def watch(self, callback: Callable[[Snapshot], None], /) -> None:
        """Calls back with every new Snapshot, from a thread of its own."""

    def close(self) -> None:
        """Ends the calls back, and every connection."""

    def preview(self, job: str, day: str | None, /) -> Preview:
        """What a trigger would do."""

    def trigger(self, job: str, day: str | None, /) -> int:
        """Asks for a run; returns the command's number."""

    def retry(self, run: int, /) -> int:
        """Asks for what failed in a run once more; returns the command's number."""

    def cancel(self, run: int, /, *, force: bool = False, note: str = "") -> int:
        """Asks that a run ends, at once by `force`; returns the command's number."""

    def pause(self, target: str, /, *, until: datetime | None, note: str = "") -> int:
        """Asks that the instants of a job, a pack, or `all` are skipped until then, or until it is resumed; returns the
        command's number.
        """

    def resume(self, target: str, /) -> int:
        """Asks that what was paused by exactly that name goes on; returns the command's number."""

    def families(self) -> tuple[Family, ...]:
        """Every declared family of cached keys. Known at once, without asking anybody."""

    def count_keys(self, wanted: Wanted, /) -> Iterator[Swept]:
        """Counts cached keys, step by step; the last step is `done`. It may be left at any step."""

    def clear(self, wanted: Wanted, /, *, counted: int | None = None) -> int:
        """Asks that these keys are removed, unless there are many more than were counted; returns the command's
        number.
        """

    def panels(self) -> tuple[PanelView, ...]:
        """What each pack shows of itself now; one that cannot be read says why."""

    def calendars(self) -> tuple[Calendar, ...]:
        """The jobs that have windows. Known at once, without asking anybody."""

    def windows(self, job: str, since: date | None, until: date | None, /) -> list[Seen]:
        """How a job's windows of a range of dates are."""

    def plan_backfill(
        self, jobs: Sequence[str], since: date, until: date, /, *, only: Only, looking: Looking | None
    ) -> int:
        """Keeps a plan; its number. What `looking` raises ends it."""

    def backfill(self, number: int, /) -> Backfill:
        """One backfill, be it only planned."""

    def backfill_steps(self, number: int, /) -> list[StepView]:
        """The windows of a backfill, in the order of its plan."""

    def backfill_warnings(self, number: int, /) -> list[str]:
        """What somebody should know before a plan is applied, one sentence each."""

    def backfills(self, *, limit: int) -> list[Backfill]:
        """The newest backfills first, plans that were never applied included."""

    def apply_backfill(self, number: int, /) -> int:
        """Asks for exactly what was planned; returns the command's number."""

    def pause_backfill(self, number: int, /, *, note: str = "") -> int:
        """Asks that no further window of a backfill begins; returns the command's number."""

    def resume_backfill(self, number: int, /) -> int:
        """Asks for what a backfill has not done; returns the command's number."""

    def cancel_backfill(self, number: int, /, *, note: str = "") -> int:
        """Asks that a backfill ends, with its runs that go on; returns the command's number."""

    def progress(self, command: int, /) -> Advance | None:
        """How far a command is that is carried out step by step."""

    def outcome(self, command: int, wait_seconds: float, /) -> Outcome | None:
        """What came of a command; None when no leader has carried it out within the wait."""

    def run_page(self, number: int, /) -> RunPage:
        """All that is kept of a run."""

    def runs_here(self) -> tuple[Run, ...]:
        """The running runs that this process would interrupt by ending now."""

    def hand_over(self) -> None:
        """Starts a process without a screen that takes over what this one leads, and goes on when this one has ended.
        Raises OpsconsoleError when there cannot be one.
        """

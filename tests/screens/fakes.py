"""A service that returns prepared values and records its calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.run import Run
from opsconsole.cache.clearing import ClearProgress
from opsconsole.cache.families import Family
from opsconsole.cache.figures import CacheDay, UsageSurvey
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.keys import KeysFound, KeyValue
from opsconsole.calendar.windows import Window
from opsconsole.core.errors import OpsconsoleError, UnknownAlert, UnknownBackfill, UnknownRun
from opsconsole.rules.audit import AuditEntry, Verification
from opsconsole.rules.backfill import OLDEST_FIRST, Only, Order, WindowStatus
from opsconsole.rules.backfill_status import Backfill, StepView
from opsconsole.service.backfills import PlanProgress, WindowedJob
from opsconsole.service.cache import Clearing
from opsconsole.service.job_page import JobPage, ScheduleTrial, try_schedule
from opsconsole.service.occurrence_details import Explanation
from opsconsole.service.outcomes import CommandProgress, Outcome
from opsconsole.service.queries import LOG_PAGE, LogLine
from opsconsole.service.run_details import RunPage
from opsconsole.service.snapshot import AlertPage, PanelView, Preview, Snapshot
from tests.screens import past, past_alerts, past_cache, past_jobs, past_runs, samples
from tests.waiting import signalled

EMPTY_CATALOG = Catalog((), {}, {})


@dataclass(frozen=True)
class Done(Outcome):
    """The outcome of a command that was executed, with this sentence."""

    sentence: str = ""

    @property
    def done(self) -> str:
        return self.sentence


def refused(message: str, exit_code: int = 4) -> Outcome:
    """The outcome of a command that was refused."""
    return Outcome("trigger", {"error": "refused", "message": message, "exit_code": exit_code})


class FakeService:
    """A service that returns prepared values and records its calls."""

    def __init__(self, pages: Sequence[RunPage] = (samples.PAGE,)) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.pages = {page.progress.run.id: page for page in pages}
        self.result: Outcome | None = Outcome("trigger", {"run": 4900})
        self.local_runs: tuple[Run, ...] = ()
        self.hand_over_error: OpsconsoleError | None = None
        self.read_only, self.can_hand_over = False, True
        self.presence: list[str] = []
        self.error: OpsconsoleError | None = None
        self.items = 10_000
        self.window: Window | None = None
        self.cache_families: tuple[Family, ...] = samples.FAMILIES
        self.steps: Sequence[ClearProgress] = (samples.COUNT_STARTED, samples.HALFWAY, samples.COUNTED)
        self.surveys: Sequence[UsageSurvey] = past_cache.SURVEYS
        self.cache_days: Sequence[CacheDay] = past_cache.DAYS
        self.past_clearings: Sequence[Clearing] = past_cache.CLEARINGS
        self.clearing = True
        self.keys_found: Sequence[KeysFound] = past_cache.FOUND
        self.values: Mapping[str, KeyValue] = past_cache.VALUES
        self.audit_entries: Sequence[AuditEntry] = past_cache.ENTRIES
        self.verifications: Sequence[Verification] = past_cache.VERIFIED
        self.counting = threading.Event()
        self.counting.set()
        self.unreachable: OpsconsoleError | None = None
        self.panel_views: tuple[PanelView, ...] = samples.PANELS
        self.jobs_with_windows: tuple[WindowedJob, ...] = past.CALENDARS
        self.window_statuses: dict[str, Sequence[WindowStatus]] = {
            past.REPORT: past.A_YEAR,
            past.SNAPSHOT: past.A_YEAR[:-9],
            past.SUMMARY: past.MONTHS,
        }
        self.past_backfills: list[Backfill] = []
        self.plan, self.plan_steps, self.warnings = past.PLAN, past.PLAN_STEPS, ["results expire soon"]
        self.progress_steps: list[CommandProgress] = []
        self.job_pages: dict[str, JobPage] = {past_jobs.CACHE_DAY: past_jobs.a_page()}
        self.explanation = past_jobs.an_explanation()
        self.answering = threading.Event()
        self.answering.set()
        self.callback: Callable[[Snapshot], None] | None = None
        self.queries = self.commands = self.cache = self
        self.audit = FakeAudit(self)
        self.history = past_runs.FakeHistory(self.record)
        self.backfills = FakeBackfills(self)
        self.alerts = FakeAlerts(self)
        self.alert_pages: dict[int, AlertPage] = {page.card.alert.id: page for page in past_alerts.PAGES}

    def set_screen(self, screen: str, /) -> None:
        self.presence.append(screen)

    @property
    def is_watched(self) -> bool:
        return self.callback is not None

    def watch(self, callback: Callable[[Snapshot], None], /) -> None:
        self.callback = callback

    def close(self) -> None:
        self.callback = None

    def preview(self, job: str, day_: str | None, /, *, params: Mapping[str, str]) -> Preview:
        self.record("preview", job, day_)
        window = self.window or samples.day(day_ or "2026-01-19")
        return Preview(job, window, "Asia/Kolkata", self.items, "staging")

    def trigger(self, job: str, day_: str | None, /, *, params: Mapping[str, str]) -> int:
        self.record("trigger", job, day_, *([dict(params)] if params else []))
        return 17

    def retry(self, run: int, /) -> int:
        self.record("retry", run)
        return 18

    def cancel(self, run: int, /, *, force: bool = False, note: str = "") -> int:
        self.record("cancel", run, force, note)
        return 19

    def schedule(self, job: str, cron: str, tz: str | None, /, *, note: str = "") -> int:
        self.record("schedule", job, cron, tz, note)
        return 22

    def reset_schedule(self, job: str, /, *, note: str = "") -> int:
        self.record("reset_schedule", job, note)
        return 23

    def cancel_clearing(self) -> int:
        self.record("cancel_clearing")
        return 21

    def pause(self, target: str, /, *, until: datetime | None, note: str = "") -> int:
        self.record("pause", target, until, note)
        return 20

    def resume(self, target: str, /) -> int:
        self.record("resume", target)
        return 21

    def families(self) -> tuple[Family, ...]:
        return self.cache_families

    def count_keys(self, selected: ClearFilter, /) -> Iterator[ClearProgress]:
        """Waits for `counting` before the last step."""
        self.calls.append(("count_keys", selected))
        if self.unreachable is not None:
            raise self.unreachable
        yield from self.steps[:-1]
        signalled(self.counting, "the test lets it count")
        yield self.steps[-1]

    def usage_steps(self) -> Iterator[UsageSurvey]:
        """Waits for `counting` before the last step."""
        self.calls.append(("usage_steps",))
        if self.unreachable is not None:
            raise self.unreachable
        yield from self.surveys[:-1]
        signalled(self.counting, "the test lets it count")
        yield self.surveys[-1]

    def days(self, days: int, /) -> list[CacheDay]:
        return list(self.cache_days)

    def find_keys(self, family: Family, parts: Mapping[str, str], /) -> Iterator[KeysFound]:
        """Waits for `counting` before the last step."""
        self.calls.append(("find_keys", family.name, dict(parts)))
        if self.unreachable is not None:
            raise self.unreachable
        yield from self.keys_found[:-1]
        signalled(self.counting, "the test lets it count")
        yield self.keys_found[-1]

    def look(self, key: str, /) -> KeyValue | None:
        self.calls.append(("look", key))
        return self.values.get(key)

    def clearings(self, *, limit: int) -> list[Clearing]:
        return list(self.past_clearings[:limit])

    def is_clearing(self) -> bool:
        return self.clearing

    def clear_cache(self, selected: ClearFilter, /, *, counted: int | None = None) -> int:
        self.record("clear", selected, counted)
        return 22

    def panels(self) -> tuple[PanelView, ...]:
        self.calls.append(("panels",))
        if self.unreachable is not None:
            raise self.unreachable
        return self.panel_views

    def progress(self, command: int, /) -> CommandProgress | None:
        return self.progress_steps.pop(0) if self.progress_steps else None

    def outcome(self, command: int, wait_seconds: float, /) -> Outcome | None:
        signalled(self.answering, "the test lets it answer")
        return self.result

    def log(self, run: int, /, *, after: int = 0) -> list[LogLine]:
        lines = self.pages[run].log
        return [LogLine(n, *line) for n, line in enumerate(lines, 1) if n > after][:LOG_PAGE]

    def run_page(self, number: int, /) -> RunPage:
        self.calls.append(("run_page", number))
        if self.unreachable is not None:
            raise self.unreachable
        found = self.pages.get(number) or samples.RECENT_PAGES.get(number)
        if found is None:
            raise UnknownRun(number)
        return found

    def job_page(self, job: str, /) -> JobPage:
        self.calls.append(("job_page", job))
        if self.unreachable is not None:
            raise self.unreachable
        return self.job_pages.get(job) or past_jobs.page_of(job)

    def try_schedule(self, cron: str, tz: str, job: str | None, /) -> ScheduleTrial:
        self.calls.append(("try_schedule", cron, tz, job))
        return try_schedule(EMPTY_CATALOG, cron, tz, None, samples.NOW)

    def why(self, job: str, at: str | None, /) -> Explanation:
        self.record("why", job, at)
        when = datetime.fromisoformat(at) if at is not None else past_jobs.DUE
        return replace(self.explanation, **past_jobs.around(when), job=job)

    def why_window(self, job: str, label: str, /) -> Explanation:
        self.record("why_window", job, label)
        return replace(self.explanation, job=job)

    def runs_here(self) -> tuple[Run, ...]:
        signalled(self.answering, "the test lets it answer")
        return self.local_runs

    def hand_over(self) -> None:
        self.calls.append(("hand_over",))
        if self.hand_over_error is not None:
            raise self.hand_over_error

    def calls_of(self, *verbs: str) -> list[tuple[object, ...]]:
        """The recorded calls with one of these verbs."""
        return [call for call in self.calls if call[0] in verbs]

    def record(self, *what: object) -> None:
        self.calls.append(what)
        if self.error is not None:
            raise self.error


class FakeBackfills:
    """The backfills of a FakeService, which holds their values."""

    def __init__(self, fake: FakeService) -> None:
        self._fake = fake

    def windowed_jobs(self) -> tuple[WindowedJob, ...]:
        return self._fake.jobs_with_windows

    def window(self, job: str, label: str, /) -> WindowStatus:
        return next(each for each in self._fake.window_statuses[job] if each.window.label == label)

    def windows(self, job: str, since: date | None, until: date | None, /) -> list[WindowStatus]:
        self._fake.calls.append(("windows", job, since, until))
        if self._fake.unreachable is not None:
            raise self._fake.unreachable
        statuses = self._fake.window_statuses.get(job, ())
        return [each for each in statuses if str(since)[: len(each.window.label)] <= each.window.label <= str(until)]

    def plan(
        self,
        jobs: Sequence[str],
        since: date,
        until: date,
        /,
        *,
        only: Only,
        order: Order,
        progress: PlanProgress | None,
    ) -> int:
        """Waits for `counting` before the last window."""
        ordered = [] if order == OLDEST_FIRST else [order]
        self._fake.calls.append(("plan_backfill", tuple(jobs), str(since), str(until), only, *ordered))
        if progress is not None:
            for n in (1, 2):
                progress(jobs[0], n, 3)
            signalled(self._fake.counting, "the test lets it count")
            progress(jobs[0], 3, 3)
        if self._fake.unreachable is not None:
            raise self._fake.unreachable
        return self._fake.plan.id

    def get(self, number: int, /) -> Backfill:
        found = next((about for about in (self._fake.plan, *self._fake.past_backfills) if about.id == number), None)
        if found is None:
            raise UnknownBackfill(number)
        return found

    def steps(self, number: int, /) -> list[StepView]:
        self._fake.calls.append(("steps", number))
        return list(self._fake.plan_steps)

    def warnings(self, number: int, /) -> list[str]:
        return list(self._fake.warnings)

    def newest(self, *, limit: int) -> list[Backfill]:
        if self._fake.unreachable is not None:
            raise self._fake.unreachable
        return list(self._fake.past_backfills)

    def apply(self, number: int, /) -> int:
        self._fake.record("apply_backfill", number)
        return 23

    def pause(self, number: int, /, *, note: str = "") -> int:
        self._fake.record("pause_backfill", number)
        return 24

    def resume(self, number: int, /) -> int:
        self._fake.record("resume_backfill", number)
        return 25

    def cancel(self, number: int, /, *, note: str = "") -> int:
        self._fake.record("cancel_backfill", number)
        return 26


class FakeAudit:
    """The audit trail of a FakeService, which holds its rows."""

    def __init__(self, fake: FakeService) -> None:
        self._fake = fake

    def find(self, typed: str, /, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        self._fake.calls.append(("audit", typed, before))
        if self._fake.unreachable is not None:
            raise self._fake.unreachable
        return [each for each in self._fake.audit_entries if before is None or each.id < before][:limit]

    def verify_steps(self, verified: Verification | None, /) -> Iterator[Verification]:
        self._fake.calls.append(("verify", verified))
        yield from self._fake.verifications


class FakeAlerts:
    """The alerts of a FakeService, which holds their pages."""

    def __init__(self, fake: FakeService) -> None:
        self._fake = fake

    def page(self, number: int, /) -> AlertPage:
        self._fake.calls.append(("alert_page", number))
        if self._fake.unreachable is not None:
            raise self._fake.unreachable
        if number not in self._fake.alert_pages:
            raise UnknownAlert(number)
        return self._fake.alert_pages[number]

    def write_up(self, numbers: Sequence[int] = (), /) -> str:
        self._fake.record("write_up", *numbers)
        return f"# Incident of {len(numbers) or 'all'} alerts\n\n- [@click=app.quit]x\n"

    def acknowledge(self, number: int, /, *, until: datetime | None, note: str = "") -> int:
        self._fake.record("acknowledge", number, until, note)
        return 27

    def unacknowledge(self, number: int, /) -> int:
        self._fake.record("unacknowledge", number)
        return 28

    def silence(self, target: str, /, *, until: datetime | None, note: str = "") -> int:
        self._fake.record("silence", target, until, note)
        return 29

    def unsilence(self, target: str, /) -> int:
        self._fake.record("unsilence", target)
        return 30


def executing(message: str) -> FakeService:
    """A service that executes every command, with this message."""
    service = FakeService()
    service.result = Done("resume", sentence=message)
    return service

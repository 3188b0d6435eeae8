"""The tools that read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from mcp.server.mcpserver import Context
from pydantic import Field

from opsconsole.authoring.occurrence import OccurrenceFilter
from opsconsole.cache.filters import ClearFilter
from opsconsole.cli.mcp.session import Answer, Session
from opsconsole.core.times import parse_past_time, utc
from opsconsole.rules.alerts import AlertState
from opsconsole.service import health
from opsconsole.service.alert_documents import alert_document, page_document
from opsconsole.service.backfill_documents import backfill_details, backfill_document
from opsconsole.service.job_documents import job_document
from opsconsole.service.occurrence_documents import occurrence_document, total_document, why_document
from opsconsole.service.run_documents import failed_item, run_details, run_summary
from opsconsole.service.service import Service

MAX_FAILED = 50
LAST_RUNS = 10

Count = Annotated[int, Field(ge=1, le=100, description="How many rows at most")]
BackfillNumber = Annotated[int, Field(ge=1, lt=2**63, description="Number of a backfill")]
KeyPart = Annotated[str | None, Field(max_length=200, description="An id in the keys; all given ones have to match")]
JobName = Annotated[str, Field(max_length=200, description="Name or alias of a job, such as attempts.cache_day")]
RunNumber = Annotated[int, Field(ge=1, lt=2**63, description="Number of a run")]
Time = Annotated[
    str | None,
    Field(max_length=60, description="ISO 8601, `2026-01-19 23:50` in the job's zone, or a duration before now: 24h"),
]


@dataclass(frozen=True)
class ReadingTools:
    """Tools that change nothing."""

    session: Session

    async def jobs(
        self, ctx: Context, name: Annotated[str, Field(max_length=200, description="Part of the names to list")] = ""
    ) -> Answer:
        """List jobs with their schedules, next scheduled times, last runs and pauses."""

        def query(service: Service) -> Answer:
            pauses = service.queries.pauses()
            return {"jobs": [job_document(card, pauses) for card in service.queries.jobs() if name in card.name]}

        return await self.session.answer(ctx, query)

    async def job(self, ctx: Context, job: JobName) -> Answer:
        """Show one job: its schedule, next scheduled times, newest runs, and the items that fail often."""

        def query(service: Service) -> Answer:
            page = service.queries.job_page(job)
            card = next(card for card in service.queries.jobs() if card.name == page.job.name)
            return {
                "job": job_document(card, service.queries.pauses()),
                "description": page.job.description,
                "scheduled": [utc(at) for at in page.scheduled],
                "runs": [run_summary(run) for run in page.newest[:LAST_RUNS]],
                "open_runs": [run_summary(progress.run) for progress in page.open],
                "followers": page.followers,
                "failing_items": [
                    {"item": each.item, "failed": each.failed, "message": each.message} for each in page.failing.items
                ],
            }

        return await self.session.answer(ctx, query)

    async def runs(
        self,
        ctx: Context,
        words: Annotated[
            str,
            Field(
                max_length=500,
                description="A filter: parts of a job's name, states (failed, partial, running), days (today, last tue,"
                " 2026-01-14), `by NAME`, `since 2h`, and words of an error; all have to match",
            ),
        ] = "",
        limit: Count = 20,
    ) -> Answer:
        """List the newest runs that match a filter."""

        def query(service: Service) -> Answer:
            found = service.history.select(service.history.parsed(words), limit=limit)
            return {"runs": [run_summary(run) for run in found.runs], "searched_to": found.searched_to}

        return await self.session.answer(ctx, query)

    async def run(self, ctx: Context, run: RunNumber) -> Answer:
        """Show one run: counts, causes of failures, the first failed items, and the newest lines of its log."""

        def query(service: Service) -> Answer:
            failed = service.history.failed_items(run, limit=MAX_FAILED)
            details = run_details(service.queries.run_page(run))
            return {"run": details, "failed_items": [failed_item(each) for each in failed.items]}

        return await self.session.answer(ctx, query)

    async def why(
        self,
        ctx: Context,
        job: JobName,
        at: Annotated[str | None, Field(max_length=60, description="ISO 8601, or `23:50` in the job's zone")] = None,
        window: Annotated[str | None, Field(max_length=60, description="A window, such as 2026-01-19")] = None,
    ) -> Answer:
        """Explain why a job ran or did not run at a scheduled time, with the rows that prove it.

        Without a time or a window, explains the newest scheduled time.
        """

        def query(service: Service) -> Answer:
            queries = service.queries
            return {"why": why_document(queries.why(job, at) if window is None else queries.why_window(job, window))}

        return await self.session.answer(ctx, query)

    async def alerts(
        self,
        ctx: Context,
        states: Annotated[
            Sequence[Literal["firing", "acknowledged", "silenced", "resolved"]],
            Field(max_length=4, description="Only alerts in these states; resolved ones of the last day"),
        ] = ("firing", "acknowledged", "silenced"),
    ) -> Answer:
        """List what is wrong, worst first, since when, and who acknowledged it."""

        def query(service: Service) -> Answer:
            cards = service.alerts.current(tuple(AlertState(state) for state in states))
            return {"alerts": [alert_document(card, service.now()) for card in cards]}

        return await self.session.answer(ctx, query)

    async def alert(self, ctx: Context, alert: Annotated[int, Field(ge=1, lt=2**63)]) -> Answer:
        """Show one alert: its evidence, what was sent about it, and earlier ones."""
        return await self.session.answer(ctx, lambda service: {"alert": page_document(service.alerts.page(alert))})

    async def health(self, ctx: Context) -> Answer:
        """Report whether anything is wrong, and which process leads."""

        def query(service: Service) -> Answer:
            settings = service.settings
            seconds, role = settings.engine.lease_seconds, settings.actor.role
            report = health.report(service.store, service.catalog, service.now(), role=role, lease_seconds=seconds)
            return health.document(report)

        return await self.session.answer(ctx, query)

    async def occurrences(
        self, ctx: Context, job: JobName | None = None, since: Time = "24h", until: Time = None, limit: Count = 50
    ) -> Answer:
        """List scheduled times with their outcomes: ran, late, skipped or missed, and the reason."""

        def query(service: Service) -> Answer:
            zone, now = service.queries.zone(job), service.now()
            start, end = (None if text is None else parse_past_time(text, zone, now) for text in (since, until))
            found = service.queries.occurrences(OccurrenceFilter(job=job, since=start, until=end), limit=limit)
            return {
                "totals": [total_document(each) for each in found.totals],
                "occurrences": [occurrence_document(each) for each in found.rows],
            }

        return await self.session.answer(ctx, query)

    async def backfills(self, ctx: Context, limit: Count = 20) -> Answer:
        """List the newest backfills, including plans that were never applied."""

        def query(service: Service) -> Answer:
            return {"backfills": [backfill_document(each) for each in service.backfills.newest(limit=limit)]}

        return await self.session.answer(ctx, query)

    async def backfill(self, ctx: Context, backfill: BackfillNumber) -> Answer:
        """Show one backfill: its windows, why each is run or skipped, and its progress."""
        return await self.session.answer(ctx, lambda service: backfill_answer(service, backfill))

    async def count_cached_keys(
        self,
        ctx: Context,
        user: KeyPart = None,
        subject: KeyPart = None,
        family: KeyPart = None,
        date: KeyPart = None,
    ) -> Answer:
        """Count the cached keys of a user, subject, family or date, and list some of them. Scans all keys of Redis."""
        conditions = ClearFilter(user, subject, family, date)

        def query(service: Service) -> Answer:
            service.commands.check_clear(conditions)
            counted = [*service.cache.count_keys(conditions)][-1]
            return {
                "keys": counted.total,
                "families": {name: keys for name, keys in counted.found.items() if keys},
                "samples": counted.samples,
                "skipped_families": counted.skipped_families,
            }

        return await self.session.answer(ctx, query)


def backfill_answer(service: Service, number: int) -> Answer:
    """A backfill with its windows, which are cut where they are too many, and the warnings about it."""
    details = backfill_details(service.backfills, number)
    found: Answer = msgspec.to_builtins(details)
    return {"windows": found.pop("windows"), "backfill": found}

"""The tools that act, for a client that is allowed to: each requests a command, as the console does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from mcp.server.mcpserver import Context
from pydantic import Field

from opsconsole.authoring.definition import MAX_AT_ONCE
from opsconsole.cache.filters import ClearFilter
from opsconsole.cli.mcp.reading import BackfillNumber, JobName, KeyPart, RunNumber, backfill_answer
from opsconsole.cli.mcp.session import Answer, Session
from opsconsole.core.times import parse_duration
from opsconsole.rules.backfill import Only, Order
from opsconsole.rules.dates import parse_date_range
from opsconsole.service.service import Service

Note = Annotated[str, Field(max_length=500, description="Why, recorded in the audit trail")]
Duration = Annotated[str, Field(max_length=20, description="A duration, such as 45m, 2h or 1d12h")]
Target = Annotated[str, Field(max_length=200, description="A job, a pack, or `all`")]
SilenceTarget = Annotated[str, Field(max_length=200, description="An alert's number, a job, a pack, or a rule")]
Date = Annotated[str, Field(max_length=40, description="A date in the job's zone, such as 2026-01-19")]
AlertNumber = Annotated[int, Field(ge=1, lt=2**63, description="Number of an alert")]


@dataclass(frozen=True)
class ActingTools:
    """Tools that change something. Every request and its outcome are in the audit trail."""

    session: Session

    async def run_job(
        self,
        ctx: Context,
        job: JobName,
        date: Annotated[
            str | None, Field(max_length=20, description="A date in the window, such as 2026-01-19")
        ] = None,
    ) -> Answer:
        """Run a job once, for the current window or the one that contains a date."""
        return await self.session.command(ctx, lambda service: service.commands.trigger(job, date))

    async def retry_run(
        self,
        ctx: Context,
        run: RunNumber,
        everything: Annotated[bool, Field(description="All items, not only the failed ones")] = False,
    ) -> Answer:
        """Start a new run for the items of a run that failed or were not reached."""
        return await self.session.command(ctx, lambda service: service.commands.retry(run, everything=everything))

    async def cancel_run(self, ctx: Context, run: RunNumber, note: Note = "") -> Answer:
        """Cancel a run. Finished work stays; batches in flight have ten seconds."""
        return await self.session.command(ctx, lambda service: service.commands.cancel(run, note=note))

    async def pause(self, ctx: Context, target: Target, duration: Duration = "12h", note: Note = "") -> Answer:
        """Skip the scheduled times of a job, a pack, or all jobs for a while."""
        return await self.session.command(
            ctx,
            lambda service: service.commands.pause(target, until=service.now() + parse_duration(duration), note=note),
        )

    async def resume(self, ctx: Context, target: Target, note: Note = "") -> Answer:
        """End the pause of a job, a pack, or all jobs."""
        return await self.session.command(ctx, lambda service: service.commands.resume(target, note=note))

    async def acknowledge_alert(
        self, ctx: Context, alert: AlertNumber, duration: Duration | None = None, note: Note = ""
    ) -> Answer:
        """Stop the reminders of an alert, for a while or until it is resolved."""
        return await self.session.command(
            ctx,
            lambda service: service.alerts.acknowledge(
                alert, until=None if duration is None else service.now() + parse_duration(duration), note=note
            ),
        )

    async def silence(self, ctx: Context, target: SilenceTarget, duration: Duration = "12h", note: Note = "") -> Answer:
        """Send no notifications about an alert, a job, a pack or a rule for a while. Its alerts still fire."""
        return await self.session.command(
            ctx,
            lambda service: service.alerts.silence(target, until=service.now() + parse_duration(duration), note=note),
        )

    async def end_silence(self, ctx: Context, target: SilenceTarget, note: Note = "") -> Answer:
        """End a silence. Alerts that still fire are then sent."""
        return await self.session.command(ctx, lambda service: service.alerts.unsilence(target, note=note))

    async def plan_backfill(
        self,
        ctx: Context,
        jobs: Annotated[Sequence[JobName], Field(min_length=1, max_length=20)],
        first: Date,
        last: Date,
        only: Annotated[Sequence[Literal["missing", "stale", "failed", "all"]], Field(min_length=1, max_length=4)] = (
            "missing",
        ),
        newest_first: bool = False,
        at_once: Annotated[
            int | None, Field(ge=1, le=MAX_AT_ONCE, description="How many windows run at once at most")
        ] = None,
        stop_on_failure: Annotated[bool, Field(description="A window that fails pauses the rest")] = False,
    ) -> Answer:
        """Plan which past windows of jobs to run, between two dates, both included.

        Stores the plan and returns it. Nothing is run until `apply_backfill`.
        """

        def plan(service: Service) -> Answer:
            since, until = parse_date_range(first, last)
            number = service.backfills.plan(
                jobs,
                since,
                until,
                only=Only.parse(",".join(only)),
                order=Order(newest_first, at_once),
                stop_on_failure=stop_on_failure,
            )
            return backfill_answer(service, number)

        return await self.session.answer(ctx, plan)

    async def apply_backfill(self, ctx: Context, backfill: BackfillNumber) -> Answer:
        """Run exactly what was planned. Refused if something has changed since."""
        return await self.session.command(ctx, lambda service: service.backfills.apply(backfill))

    async def cancel_backfill(self, ctx: Context, backfill: BackfillNumber, note: Note = "") -> Answer:
        """Cancel a backfill and its active runs. Finished windows stay as they are."""
        return await self.session.command(ctx, lambda service: service.backfills.cancel(backfill, note=note))

    async def clear_cache(
        self,
        ctx: Context,
        counted: Annotated[int, Field(ge=0, lt=2**31, description="`keys`, as `count_cached_keys` returned it")],
        user: KeyPart = None,
        subject: KeyPart = None,
        family: KeyPart = None,
        date: KeyPart = None,
    ) -> Answer:
        """Clear the cached keys that were counted. Refused if many more match by now."""
        conditions = ClearFilter(user, subject, family, date)
        return await self.session.command(
            ctx, lambda service: service.commands.clear_cache(conditions, counted=counted)
        )

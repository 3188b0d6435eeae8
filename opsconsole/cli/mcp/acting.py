"""The tools that act, for a client that is allowed to: each requests a command, as the console does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mcp.server.mcpserver import Context
from pydantic import Field

from opsconsole.cli.mcp.reading import JobName, RunNumber
from opsconsole.cli.mcp.session import Answer, Session
from opsconsole.core.times import parse_duration

Note = Annotated[str, Field(max_length=500, description="Why, recorded in the audit trail")]
Duration = Annotated[str, Field(max_length=20, description="A duration, such as 45m, 2h or 1d12h")]
Target = Annotated[str, Field(max_length=200, description="A job, a pack, or `all`")]
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

"""How answers are printed: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
import msgspec

from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.authoring.run import Run


def as_json(value: Any) -> None:
    """Prints a value as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[int] = ()) -> None:
    """Prints rows under a head; columns in `right` stand right-aligned."""
    cells = [[safe(cell, 200) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    for row in [list(head), *cells]:
        padded = [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(row)]
        click.echo("  ".join(padded).rstrip())


def utc(at: datetime | None) -> str | None:
    """A time as programs read it: ISO 8601 in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def local(at: datetime | None, tz: str = "UTC") -> str:
    """A time as people read it, with its zone."""
    return f"{at.astimezone(ZoneInfo(tz)):%Y-%m-%d %H:%M:%S %Z}" if at else "-"


def until(at: datetime | None, now: datetime) -> str:
    """How long until then, in two units."""
    if at is None:
        return "never"
    seconds = max(0, int((at - now) / timedelta(seconds=1)))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    if days:
        return f"in {days} d {hours} h"
    return f"in {hours} h {rest // 60} min" if hours else f"in {rest // 60} min {rest % 60} s"


def run_facts(run: Run) -> dict[str, Any]:
    """A run as programs read it."""
    counts = run.counts
    return {
        "id": run.id,
        "job": run.job,
        "window": run.window.label,
        "state": run.state,
        "planned": counts.planned,
        "ok": counts.ok,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "not_reached": counts.not_reached,
        "seconds": run.seconds,
        "metrics": dict(run.metrics),
    }


def sentence(run: Run) -> str:
    """What came of a run, in one line."""
    counts = run.counts
    told = f"run {run.id} {run.job} {run.window.label}: {run.state}, {counts.ok:,} ok, {counts.failed:,} failed"
    told += f" of {counts.planned:,}"
    if run.seconds:
        told += f" in {run.seconds:.1f} s, {counts.tried / run.seconds:,.0f}/s"
    return told + (f"; {run.error}" if run.error else "")

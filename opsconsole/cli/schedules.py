"""`jobs` and `next`: what is scheduled, and when."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import click

from opsconsole.cli import printing
from opsconsole.cli.opening import Options, desk_of, settings_of
from opsconsole.clock import now


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def jobs(options: Options, as_json: bool) -> None:
    """Lists the jobs with their schedules, next and last runs."""
    with desk_of(settings_of(options)) as desk:
        cards = desk.jobs()
    if as_json:
        printing.as_json(
            [
                {
                    "job": card.name,
                    "aliases": card.aliases,
                    "cron": card.cron,
                    "tz": card.tz,
                    "schedule": card.words,
                    "next": printing.utc(card.next_at),
                    "last": printing.run_facts(card.last) if card.last else None,
                }
                for card in cards
            ]
        )
        return
    at = now()
    printing.table(
        ("JOB", "SCHEDULE", "ZONE", "NEXT", "", "LAST"),
        [
            (
                card.name,
                card.words,
                card.tz,
                printing.local(card.next_at, card.tz),
                printing.until(card.next_at, at),
                f"{card.last.state} {card.last.window.label}" if card.last else "never ran",
            )
            for card in cards
        ],
    )


@click.command("next")
@click.argument("job_or_cron")
@click.option("--tz", help="Read the schedule in this zone.")
@click.option("--from", "start", help="Instants after this time (ISO 8601); now if not given.")
@click.option("-n", "count", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def next_(options: Options, job_or_cron: str, tz: str | None, start: str | None, count: int, as_json: bool) -> None:
    """Lists the next instants of a job, or of a schedule such as "0 0 * * 1"."""
    from opsconsole import catalog
    from opsconsole.cron import Cron, zone

    if len(job_or_cron.split()) > 1 or job_or_cron.startswith("@"):
        cron = Cron(job_or_cron, tz or "UTC")
    else:
        settings = settings_of(options)
        job = catalog.load(settings.packs, settings.overrides, settings.options).find(job_or_cron)
        cron = Cron(job.cron, tz or job.tz)
    at = _time(start, zone(cron.tz))
    found: list[datetime] = []
    while len(found) < count and (instant := cron.next(at)) is not None:
        found.append(instant)
        at = instant
    if as_json:
        place = zone(cron.tz)
        printing.as_json(
            [{"utc": printing.utc(t), "local": t.astimezone(place).isoformat(), "tz": cron.tz} for t in found]
        )
        return
    click.echo(f"{cron.describe()} ({cron.tz})")
    for instant in found:
        there = instant.astimezone(zone(cron.tz))
        click.echo(f"{there:%a %Y-%m-%d %H:%M %Z}   {printing.utc(instant)}   {printing.until(instant, now())}")


def _time(text: str | None, place: ZoneInfo) -> datetime:
    if text is None:
        return now()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        why = f"{text!r} is not a time; write it as 2026-01-19T18:20:00Z"
        raise click.BadParameter(why, param_hint="--from") from None
    return at if at.tzinfo else at.replace(tzinfo=place)

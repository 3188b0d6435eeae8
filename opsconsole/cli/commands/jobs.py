"""`jobs`, `next` and `lint`: what is scheduled, when, and what is odd about it."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from opsconsole.cli import output as printing
from opsconsole.cli.prompts import json_option, moment
from opsconsole.cli.session import Options, open_service, settings_of
from opsconsole.core.clock import now
from opsconsole.core.errors import Exit

if TYPE_CHECKING:
    from opsconsole.rules.pauses import Pause
    from opsconsole.service.service import Service


@click.command()
@json_option
@click.pass_obj
def jobs(options: Options, as_json: bool) -> None:
    """Lists the jobs with their schedules, next and last runs."""
    with open_service(settings_of(options)) as service:
        cards, paused = service.queries.jobs(), _pauses(service)
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
                    "paused": [_pause_facts(pause) for pause in paused[card.name]],
                }
                for card in cards
            ]
        )
        return
    at = now()
    printing.table(
        ("JOB", "SCHEDULE", "ZONE", "NEXT", "", "PAUSED", "LAST"),
        [
            (
                card.name,
                card.words,
                card.tz,
                printing.local(card.next_at, card.tz),
                printing.until(card.next_at, at),
                _paused(paused[card.name], card.tz),
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
@json_option
@click.pass_obj
def next_(options: Options, job_or_cron: str, tz: str | None, start: str | None, count: int, as_json: bool) -> None:
    """Lists the next instants of a job, or of a schedule such as "0 0 * * 1"."""
    from opsconsole.authoring import catalog
    from opsconsole.calendar.cron import Cron, zone

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


@click.command()
@json_option
@click.pass_obj
def lint(options: Options, as_json: bool) -> None:
    """Looks for schedules, windows and limits that can hardly be meant; exit code 1 when there are any."""
    from opsconsole.authoring import catalog
    from opsconsole.rules.lint import oddities

    settings = settings_of(options)
    jobs = catalog.load(settings.packs, settings.overrides, settings.options)
    found = oddities(jobs, now())
    if as_json:
        printing.as_json(
            [
                {"job": each.job, "rule": each.rule, "says": each.sentence, "at": [printing.utc(at) for at in each.at]}
                for each in found
            ]
        )
    else:
        for each in found:
            click.echo(f"{each.job}: {each.sentence} [{each.rule}]")
        click.echo(f"{len(found):,} to look at" if found else "nothing odd")
    sys.exit(Exit.FAILED if found else Exit.DONE)


def _pauses(service: Service) -> dict[str, list[Pause]]:
    """Of every job the pauses that hold now."""
    held = service.queries.pauses()
    return {job.name: [pause for pause in held if pause.applies_to(job.name)] for job in service.catalog}


def _paused(held: list[Pause], tz: str) -> str:
    """How long a job is paused and by whom: by the pause that ends last."""
    if not held:
        return "-"
    last = max(held, key=lambda pause: (pause.until is None, pause.until or pause.since))
    until = f"until {printing.local(last.until, tz)}" if last.until else "until resumed"
    return f"{until} by {last.who}"


def _pause_facts(pause: Pause) -> dict[str, str | None]:
    return {
        "target": pause.target,
        "since": printing.utc(pause.since),
        "until": printing.utc(pause.until),
        "by": pause.who,
        "note": pause.note,
    }


def _time(text: str | None, place: ZoneInfo) -> datetime:
    return moment("--from", text, place, now()) or now()

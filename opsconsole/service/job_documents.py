"""Jobs and pauses as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from opsconsole.core.times import utc
from opsconsole.rules.pauses import Pause
from opsconsole.service.documents import Document, Time
from opsconsole.service.run_documents import RunSummary, run_summary
from opsconsole.service.snapshot import JobCard


class PauseDocument(Document, frozen=True, kw_only=True):
    """A pause of a job, a pack or `all`; `until` is null for one without an end."""

    target: str
    since: Time | None
    until: Time | None
    requested_by: str
    note: str


class ParameterDocument(Document, frozen=True, kw_only=True):
    """A parameter of a job's runs: what it must be, in words, and its default."""

    name: str
    expected: str
    default: Any
    help: str
    choices: tuple[str, ...]


class JobDocument(Document, frozen=True, kw_only=True):
    """A job. `schedule` is its schedule in words; the run for `next_at` starts at `starts_at`, later with a jitter.
    `changed` names who changed its schedule, and the one that a reset restores.
    """

    job: str
    aliases: tuple[str, ...]
    cron: str | None
    tz: str
    schedule: str
    next_at: Time | None
    starts_at: Time | None
    changed: str | None
    params: tuple[ParameterDocument, ...]
    last_run: RunSummary | None
    pauses: tuple[PauseDocument, ...]


def job_document(card: JobCard, pauses: Sequence[Pause]) -> JobDocument:
    """A job, with those of the active pauses that apply to it."""
    return JobDocument(
        job=card.name,
        aliases=card.aliases,
        cron=card.cron,
        tz=card.tz,
        schedule=card.words,
        next_at=utc(card.next_at - card.shift if card.next_at else None),
        starts_at=utc(card.next_at),
        changed=card.changed or None,
        params=tuple(ParameterDocument(**asdict(each)) for each in card.params),
        last_run=None if card.last is None else run_summary(card.last),
        pauses=tuple(pause_document(pause) for pause in pauses if pause.applies_to(card.name)),
    )


def pause_document(pause: Pause) -> PauseDocument:
    return PauseDocument(
        target=pause.target,
        since=utc(pause.since),
        until=utc(pause.until),
        requested_by=pause.who,
        note=pause.note,
    )

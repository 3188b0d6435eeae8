"""A new demo: three alerts, each with the key that fixes it, and nothing else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from opsconsole.cli.commands.demo import SLOW_JOB, demo_settings
from opsconsole.cli.session import open_service
from opsconsole.core.trust import make_private
from opsconsole.embedded.claude import sample_claude
from opsconsole.embedded.demo import opening_job, prepared
from opsconsole.rules.backfill import Only
from opsconsole.rules.findings import FindingKey, FindingKind, Remedy
from opsconsole.service.service import Service
from opsconsole.service.snapshot import AlertCard
from tests.waiting import PATIENCE_SECONDS, eventually

USERS = 60
PLANTED: dict[FindingKey, Remedy] = {
    (FindingKind.FAILED_RUN, "attempts.cache_day"): Remedy.RETRY,
    (FindingKind.INCOMPLETE_WINDOWS, "reporting.daily_report"): Remedy.BACKFILL,
    (FindingKind.SLOW_RUN, SLOW_JOB): Remedy.TRIGGER,
}


def causes(service: Service) -> dict[FindingKey, Remedy | None]:
    """What fires, without what another alert explains."""
    return {card.alert.key: card.remedy for card in service.snapshot().firing}


def is_running(service: Service, job: str) -> bool:
    """Whether a run of the job is active."""
    return any(progress.run.job == job for progress in service.snapshot().live)


def fix(service: Service, card: AlertCard) -> None:
    """Does what the key beside an alert does."""
    alert = card.alert
    if card.remedy is Remedy.RETRY:
        assert alert.run is not None
        command = service.commands.retry(alert.run)
    elif card.remedy is Remedy.TRIGGER:
        command = service.commands.trigger(alert.subject)
    else:
        days = [date.fromisoformat(label) for label in alert.evidence["items"]]
        plan = service.backfills.plan([alert.subject], min(days), max(days), only=Only.STALE)
        command = service.backfills.apply(plan)
    outcome = service.commands.outcome(command, PATIENCE_SECONDS)
    assert outcome is not None
    assert outcome.refused is None


@pytest.mark.soak
def test_the_trouble_of_a_new_demo_is_three_alerts_that_their_keys_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = demo_settings(USERS)
    make_private(settings.folder)
    with (
        sample_claude(),
        open_service(settings) as service,
        prepared(service, USERS, slow_job=SLOW_JOB, report=lambda _line: None),
    ):
        opening = opening_job(service)
        assert opening is not None
        service.commands.trigger(opening)
        eventually(lambda: causes(service) == PLANTED, "there are exactly these alerts")
        eventually(lambda: not is_running(service, SLOW_JOB), "the import has ended, and with it the slow run")
        assert causes(service) == PLANTED

        for card in service.snapshot().firing:
            fix(service, card)

        eventually(lambda: not causes(service), "all of them are resolved")
        recorded = {card.alert.key for card in service.alerts.current() if card.alert.cause is None}
        assert recorded == set(PLANTED), "there was no other one, from the start on"

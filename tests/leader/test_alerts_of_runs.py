"""Alerts about runs, through an engine that runs them."""

from __future__ import annotations

import pytest

from opsconsole.leader import alerting
from opsconsole.rules.alerts import Alert, AlertState
from opsconsole.rules.findings import FindingKind
from opsconsole.store import alerts, pauses
from tests.conftest import Installing
from tests.installation import Installation
from tests.leader.alert_rows import OFTEN_SECONDS
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually

INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
JOB = "counting.count"


@pytest.fixture
def place(database_url: str, installing: Installing, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setattr(alerting, "LOOK_SECONDS", OFTEN_SECONDS)
    return installing(
        database_url=database_url,
        redis_url=redis_url,
        packs="tests.packs.counting",
        environ=INLINE,
        config=f'[jobs."{JOB}"]\npause_after = 2\n',
    )


def of_rule(place: Installation, rule: FindingKind) -> list[Alert]:
    with place.store.reading() as db:
        return [alert for alert in alerts.newest(db, limit=100) if alert.rule is rule]


def test_a_failed_run_raises_an_alert_that_a_good_retry_resolves(place: Installation) -> None:
    counting.put(place.data, {"anna": "raises", "ben": "fine"})
    with place.leading():
        ended = place.run(JOB)
        eventually(lambda: bool(of_rule(place, FindingKind.FAILED_RUN)), "the alert is raised")
        (raised,) = of_rule(place, FindingKind.FAILED_RUN)
        assert (raised.subject, raised.run, raised.is_open) == (JOB, ended.id, True)
        snapshot = place.service.snapshot()
        assert [(card.alert.id, card.state) for card in snapshot.alerts] == [(raised.id, AlertState.FIRING)]
        assert snapshot.firing == snapshot.alerts

        counting.change(place.data, "anna", "fine")
        place.retry(ended.id)
        eventually(lambda: not of_rule(place, FindingKind.FAILED_RUN)[0].is_open, "it is resolved")
        snapshot = place.service.snapshot()

    assert [(card.alert.id, card.state) for card in snapshot.alerts] == [(raised.id, AlertState.RESOLVED)]
    assert snapshot.firing == ()


def test_a_job_that_fails_twice_is_paused_until_it_is_resumed(place: Installation) -> None:
    counting.put(place.data, {"anna": "raises"})

    def is_paused() -> bool:
        with place.store.reading() as db:
            return any(pause.target == JOB for pause in pauses.in_force(db, place.service.now()))

    with place.leading():
        place.run(JOB, "2025-01-18")
        place.run(JOB, "2025-01-19")
        eventually(is_paused, "the job is paused")
        command = place.service.commands.resume(JOB)
        assert place.service.commands.outcome(command, PATIENCE_SECONDS) is not None
        place.run(JOB, "2025-01-20")
        assert not is_paused(), "counting starts again"
        place.run(JOB, "2025-01-21")
        eventually(is_paused, "the job is paused again")

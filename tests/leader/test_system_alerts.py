"""What is wrong with services and what checks of packs find become alerts of a leader, and are resolved."""

from __future__ import annotations

import pytest

from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.extensions import Condition, Severity
from opsconsole.leader import pack_checks
from opsconsole.rules.findings import FindingKind
from opsconsole.store import alerts
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import checks
from tests.waiting import eventually


def is_open(place: Installation, rule: FindingKind, subject: str) -> bool:
    with place.store.reading() as db:
        return (rule, subject) in {alert.key for alert in alerts.open_alerts(db)}


def test_a_stopped_redis_and_a_check_are_alerts_while_they_last(
    installing: Installing, database_url: str, own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_checks, "SECONDS", 0.1)
    monkeypatch.setattr(pack_checks, "ANSWER_SECONDS", 0.5)
    place = installing(
        database_url=database_url,
        redis_url=own_redis.url,
        packs="tests.packs.checks",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    redis, shelf = (FindingKind.UNREACHABLE, "Redis"), (FindingKind.CHECK, "checks.shelf")
    hanging = (FindingKind.CHECK, "checks.hangs")
    checks.RAISED.clear()
    checks.HANGING.clear()
    checks.FOUND["shelf"] = [Condition(Severity.CRITICAL, "it falls")]

    with place.leading():
        eventually(lambda: is_open(place, *shelf) and is_open(place, *hanging), "alerts of the checks")
        assert not is_open(place, *redis)
        own_redis.stop()
        eventually(lambda: is_open(place, *redis), "an alert of Redis")
        checks.FOUND.clear()
        checks.HANGING.set()
        own_redis.ensure()
        eventually(lambda: not any(is_open(place, *each) for each in (redis, shelf, hanging)), "all are resolved")

"""Alerts and silences in the store, also damaged ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from opsconsole.core.errors import UnknownAlert
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.store import Store, alerts, migrate, silences

NOON = datetime(2026, 1, 19, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOB = "shop.invoices"


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    migrate.upgrade(made)
    yield made
    made.close()


def add(store: Store, rule: FindingKind = FindingKind.FAILED_RUN, **values: object) -> int:
    row = {"severity": Severity.WARNING, "since": NOON, "opened_at": NOON, "message": "failed", "evidence": {}}
    with store.writing() as db:
        return alerts.add(db, (rule, JOB), {**row, **values})


def test_one_alert_of_a_rule_and_subject_is_open(store: Store) -> None:
    first = add(store)
    with pytest.raises(IntegrityError):
        add(store)

    with store.writing() as db:
        alerts.change(db, first, {"resolved_at": NOON})
    second = add(store)

    with store.reading() as db:
        assert [alert.id for alert in alerts.open_alerts(db)] == [second]
        assert [alert.id for alert in alerts.earlier(db, alerts.get(db, second), limit=5)] == [first]


def test_the_history_has_open_alerts_first_and_then_those_resolved_last(store: Store) -> None:
    numbers = [
        add(store, resolved_at=NOON - 2 * HOUR),
        add(store, resolved_at=NOON),
        add(store),
        add(store, FindingKind.LATE),
    ]
    first, second, third, fourth = numbers

    with store.reading() as db:
        assert [alert.id for alert in alerts.newest(db, limit=9)] == [fourth, third, second, first]
        assert [alert.id for alert in alerts.newest(db, limit=9, since=NOON - HOUR)] == [fourth, third, second]
        assert [alert.id for alert in alerts.resolved_since(db, NOON - HOUR, limit=9)] == [second]
        with pytest.raises(UnknownAlert):
            alerts.get(db, 99)


def test_a_damaged_silence_applies_until_it_is_ended(store: Store) -> None:
    with store.writing() as db:
        silences.add(db, JOB, since=NOON, until=NOON + HOUR, who="ben", note="")
        silences.add(db, "shop", since=NOON, until=NOON + HOUR, who="ben", note="")
        if store.is_sqlite:
            db.execute(text("UPDATE ops_silences SET until = 'tomorrow' WHERE target = 'shop'"))
        else:
            db.execute(text("UPDATE ops_silences SET until = 'infinity' WHERE target = 'shop'"))

    with store.reading() as db:
        assert [(each.target, each.until) for each in silences.in_force(db, NOON)] == [
            (JOB, NOON + HOUR),
            ("shop", None),
        ]
        assert [each.target for each in silences.in_force(db, NOON + 2 * HOUR)] == ["shop"]
    with store.writing() as db:
        assert silences.end(db, "shop", NOON + HOUR) == 1
        assert silences.in_force(db, NOON + 2 * HOUR) == []


def test_a_damaged_alert_is_read_with_what_can_be_read(store: Store) -> None:
    number = add(store, worse_at=NOON)
    damaging = "UPDATE ops_alerts SET worse_at = '-infinity', rule = 'unheard_of', severity = 7"
    with store.writing() as db:
        db.execute(text(damaging))

    with store.reading() as db:
        (found,) = alerts.open_alerts(db)
    assert (found.id, found.subject, found.message) == (number, JOB, "failed")
    assert (found.severity, found.rule, found.worse_at) == (Severity.CRITICAL, FindingKind.CHECK, None)

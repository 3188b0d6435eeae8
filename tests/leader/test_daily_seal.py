"""The daily log line with the last seal of the audit trail."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.leader.engine import Engine
from tests.conftest import Installing
from tests.waiting import eventually

EVENING = datetime(2025, 1, 19, 23, 0, tzinfo=UTC)


def test_the_first_leader_of_a_day_logs_the_last_seal(installing: Installing, caplog: pytest.LogCaptureFixture) -> None:
    place = installing(database_url=None, redis_url="redis://127.0.0.1:1", packs="tests.packs.counting")
    place.service.commands.pause("all", until=None)
    caplog.set_level(logging.INFO, logger="opsconsole")

    def lead(at: datetime) -> None:
        engine = Engine(place.settings, place.store, place.catalog, now=lambda: at)
        caplog.clear()
        engine.start()
        eventually(lambda: "leading with token" in caplog.text, "it leads")
        eventually(lambda: engine._seal_logged_on == at.date(), "it has considered the seal")
        engine.stop()

    lead(EVENING)
    seals = [getattr(record, "seal", None) for record in caplog.records if hasattr(record, "seal")]
    lead(EVENING + timedelta(minutes=30))
    again = [record for record in caplog.records if hasattr(record, "seal")]
    lead(EVENING + timedelta(hours=2))
    next_day = [record for record in caplog.records if hasattr(record, "seal")]

    assert len(seals) == 1
    assert str(seals[0]).startswith("2:")
    assert again == []
    assert len(next_day) == 1

"""The daily log line with the last seal of the audit trail."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.leader.engine import Engine
from opsconsole.rules.audit import Seal
from opsconsole.store import audit
from tests.conftest import Installing
from tests.waiting import eventually

EVENING = datetime(2025, 1, 19, 23, 0, tzinfo=UTC)


def test_a_leader_logs_the_last_seal_once_a_day(installing: Installing, caplog: pytest.LogCaptureFixture) -> None:
    place = installing(database_url=None, redis_url="redis://127.0.0.1:1", packs="tests.packs.counting")
    place.service.commands.pause("all", until=None)
    caplog.set_level(logging.INFO, logger="opsconsole")
    now = EVENING
    engine = Engine(place.settings, place.store, place.catalog, now=lambda: now)

    def seals() -> list[str]:
        return [record.seal for record in caplog.records if hasattr(record, "seal")]

    engine.start()
    eventually(lambda: len(seals()) == 1, "the leader has logged the seal")
    now = EVENING + timedelta(hours=2)
    eventually(lambda: len(seals()) == 2, "it has logged the seal of the next day")
    engine.stop()

    with place.store.reading() as db:
        for seal in seals():
            assert audit.verify(db, Seal.parse(seal)).broken is None

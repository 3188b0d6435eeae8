"""An installation whose leader looks often, with clocks that a test sets, and the rows of ops_alerts that it writes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from opsconsole.core.problems import Work
from opsconsole.leader import alerting, pack_checks, probes, storage_facts, system_facts
from opsconsole.leader.engine import Engine
from opsconsole.rules.alerts import Alert
from opsconsole.rules.findings import FindingKey, FindingKind
from opsconsole.rules.storage_health import GB
from opsconsole.rules.system_health import SLOW_SECONDS
from opsconsole.store import alerts
from tests.installation import Installation
from tests.waiting import eventually

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
OFTEN_SECONDS = 0.05


@dataclass
class Clocks:
    """A wall clock and a steady one."""

    wall: datetime = NOON
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.wall

    def steady(self) -> float:
        return self.seconds

    def let_pass(self, time_: timedelta) -> None:
        """Moves both clocks forward."""
        self.seconds += time_.total_seconds()
        self.wall += time_

    def set_by(self, change: timedelta) -> None:
        """Sets the wall clock forward or back."""
        self.wall += change


class Usage(NamedTuple):
    """What shutil.disk_usage returns."""

    total: int
    used: int
    free: int


class Watched:
    """An installation with clocks and a disk of its own, of 100 GB, of which `free_bytes` are free unless they cannot
    be read. No service is slow on a busy machine, unless the test sets another limit afterwards.
    """

    def __init__(self, place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.clocks = place, Clocks()
        self.free_bytes: int | OSError = 50 * GB
        monkeypatch.setattr(shutil, "disk_usage", self._disk_usage)
        for service in SLOW_SECONDS:
            monkeypatch.setitem(SLOW_SECONDS, service, 30.0)
        monkeypatch.setattr(system_facts, "steady", self.clocks.steady)
        for module, name in (
            (alerting, "LOOK_SECONDS"),
            (alerting, "SHORTEST_SECONDS"),
            (alerting, "REFRESH_SECONDS"),
            (probes, "SECONDS"),
            (probes, "FIGURES_SECONDS"),
            (pack_checks, "SECONDS"),
            (storage_facts, "DISK_SECONDS"),
        ):
            monkeypatch.setattr(module, name, OFTEN_SECONDS)

    @contextmanager
    def leading(self) -> Iterator[Engine]:
        """Runs an engine with these clocks until the end of the block."""
        engine = Engine(self.place.settings, self.place.store, self.place.catalog, now=self.clocks.now)
        self.place.service.use_engine(engine)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop(grace_seconds=1)
            self.place.service.use_engine(None)

    def newest(self, rule: FindingKind, subject: str) -> Alert | None:
        """The newest alert of a rule and a subject."""
        with self.place.store.reading() as db:
            return next((each for each in alerts.newest(db, limit=100) if each.key == (rule, subject)), None)

    @property
    def rows(self) -> list[FindingKey]:
        """All alerts that there have been, in order."""
        with self.place.store.reading() as db:
            return [alert.key for alert in sorted(alerts.newest(db, limit=1000), key=lambda alert: alert.id)]

    def fires(self, rule: FindingKind, subject: str) -> Alert:
        """Waits until there is such an alert."""
        eventually(lambda: self.is_open(rule, subject), f"{rule} {subject} fires")
        found = self.newest(rule, subject)
        assert found is not None
        return found

    def resolves(self, rule: FindingKind, subject: str) -> Alert:
        """Waits until such an alert is resolved."""
        eventually(lambda: not self.is_open(rule, subject), f"{rule} {subject} is resolved")
        found = self.newest(rule, subject)
        assert found is not None
        return found

    def looks(self, engine: Engine, *works: Work) -> None:
        """Waits until the facts have been read twice by each of these works, and been judged twice after that."""
        for work in (*works, Work.ALERTS):
            for _ in range(2):
                _succeeds(engine, work)

    def has_just(self, engine: Engine, work: Work) -> None:
        """Waits until a step of this work has just ended: the next one starts a moment later."""
        _succeeds(engine, work)

    def is_open(self, rule: FindingKind, subject: str) -> bool:
        """Whether such an alert is open."""
        found = self.newest(rule, subject)
        return found is not None and found.is_open

    def _disk_usage(self, _folder: str) -> Usage:
        if isinstance(self.free_bytes, OSError):
            raise self.free_bytes
        return Usage(100 * GB, 100 * GB - self.free_bytes, self.free_bytes)


def _succeeds(engine: Engine, work: Work) -> None:
    """Waits until a loop has succeeded that begins from now on."""
    begin = time.monotonic()

    def has_succeeded() -> bool:
        ages = [each.succeeded_seconds for each in engine.status() if each.work == work]
        return any(age is not None and time.monotonic() - age > begin for age in ages)

    eventually(has_succeeded, f"{work} succeeds")

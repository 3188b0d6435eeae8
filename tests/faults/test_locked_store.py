"""Row 37 on every interface: another program locks the store, and nothing claims that all is well."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from opsconsole.authoring.run import RunState
from opsconsole.core.clock import now
from opsconsole.http.health import readiness
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.service import health
from opsconsole.service.snapshot import Snapshot
from screens.panels.top_line import top_line, verdict
from screens.panels.view import View
from screens.widgets.lines import Line
from tests.conftest import Installing
from tests.faults.sql_installation import DAY, NO_REDIS, put_slow
from tests.installation import Installation
from tests.packs import counting
from tests.soak import postgresql_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually, finished

CELLS = 120


def plain(line: Line) -> str:
    return "".join(piece.text for piece in line)


@contextmanager
def locked(place: Installation) -> Iterator[None]:
    """Another program holds the lock of the store until the end of the block."""
    url = make_url(place.settings.store_url.reveal())
    if place.store.is_sqlite:
        with closing(sqlite3.connect(str(url.database), isolation_level=None, timeout=PATIENCE_SECONDS)) as foreign:
            foreign.execute("BEGIN EXCLUSIVE")
            yield
        return
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, application_name="backup") as session:
        session.execute("LOCK TABLE ops_lease IN ACCESS EXCLUSIVE MODE")
        yield


class Screen:
    """What the console would show of each Snapshot, with the time of the steady clock."""

    def __init__(self, place: Installation) -> None:
        self._place = place
        self.shown: list[tuple[float, Snapshot, str]] = []
        place.service.watch(self._add)

    def _add(self, snapshot: Snapshot) -> None:
        view = View(snapshot, self._place.service.now())
        lines = f"{plain(top_line(view, CELLS))}\n{plain(verdict(view, CELLS))}"
        self.shown.append((time.monotonic(), snapshot, lines))

    @property
    def newest(self) -> str:
        return self.shown[-1][2] if self.shown else ""

    def when(self, holds: Callable[[str], bool], after: float) -> float:
        """Waits until the lines are so in a Snapshot after a time; returns how long after it that was."""

        def found() -> float | None:
            return next((at - after for at, _, lines in self.shown if at > after and holds(lines)), None)

        eventually(lambda: found() is not None, "it is shown")
        return found() or 0.0


def is_clear(lines: str) -> bool:
    top, _, worst = lines.partition("\n")
    return "leading since" in top and "store ok" in top and not worst.strip()


def says_locked(lines: str) -> bool:
    return "store locked" in lines and "store ok" not in lines


@pytest.fixture
def place(installing: Installing, database_url: str, redis_url: str, request: pytest.FixtureRequest) -> Installation:
    environ = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline", **getattr(request, "param", {})}
    return installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.counting", environ=environ)


def statuses(place: Installation) -> tuple[int, dict[str, Any]]:
    reply = readiness(place.service, verbose=True)
    return reply.status, reply.body


@postgresql_in_soak
@pytest.mark.parametrize("place", [{"OPSCONSOLE_ENGINE__LEASE_SECONDS": "1"}], indirect=True)
def test_row_37_a_locked_store_is_shown_as_locked_and_nothing_runs_unrecorded(place: Installation) -> None:
    expected = put_slow(place, fast=5, slow=20)
    with place.leading() as engine:
        screen = Screen(place)
        eventually(lambda: is_clear(screen.newest), "all is well")
        number = place.begin("counting.count", DAY)
        eventually(lambda: place.service.queries.run(number).counts.ok >= 5, "some are done")
        with locked(place):
            eventually(lambda: says_locked(screen.newest), "the screen shows it")
            first = statuses(place)
            eventually(lambda: not engine.is_leading, "the leader concedes")
            conceded = time.monotonic()
            screen.when(lambda lines: "leading" not in lines, conceded)
            later, done = statuses(place), len(counting.marks(place.data))
            time.sleep(0.5)
            more = len(counting.marks(place.data)) - done
            while_locked = screen.shown[-1][1]
        eventually(lambda: is_clear(screen.newest), "all is well again")
        ready = statuses(place)
        run = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
        after = screen.shown[-1][1]

    for status, body in (first, later):
        assert (status, body["store"]) == (503, "locked")
    assert later[1]["state"] == "waiting", "who cannot renew the lease does not lead"
    assert more == 0, "nothing runs unrecorded"
    worst = while_locked.findings[0]
    assert (worst.kind, while_locked.leader if place.store.is_sqlite else None) == (FindingKind.LOCKED, None)
    assert (ready[0], ready[1]["state"], ready[1]["store"]) == (200, "leading", "ok")
    assert not [finding for finding in after.findings if finding.severity is Severity.CRITICAL]
    assert run is not None
    assert (run.state, run.counts.ok) == (RunState.SUCCEEDED, 25)
    assert set(counting.marks(place.data)) == expected


def test_health_reports_a_locked_store_as_critical(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs="tests.packs.counting")
    settings = place.settings

    def report() -> list[tuple[str, Severity]]:
        found = health.report(place.store, place.catalog, now(), role=settings.actor.role, lease_seconds=10)
        return [(item.message, item.severity) for item in found.items if item.rule is FindingKind.LOCKED]

    before = report()
    with locked(place):
        during = report()

    assert (before, report()) == ([], [])
    assert [severity for _, severity in during] == [Severity.CRITICAL]
    assert "is locked" in during[0][0]


@pytest.mark.soak
def test_row_37_half_a_minute_is_shown_within_two_seconds_and_cleared_within_two(place: Installation) -> None:
    counting.put(place.data, {f"{n:03}": "fine" for n in range(50)})
    with place.leading():
        screen, replies, ended = Screen(place), list[tuple[float, int, dict[str, Any]]](), threading.Event()

        def poll() -> None:
            while not ended.wait(0.2):
                replies.append((time.monotonic(), *statuses(place)))

        poller = threading.Thread(target=poll)
        poller.start()
        eventually(lambda: is_clear(screen.newest), "all is well")
        with locked(place):
            begun = time.monotonic()
            shown = screen.when(says_locked, begun)
            place_free = begun + 30.0
            time.sleep(place_free - time.monotonic())
            unwell = [lines for at, _, lines in screen.shown if begun + 2.0 < at < time.monotonic()]
            refused = [body for at, _, body in replies if begun + 2.0 < at < time.monotonic()]
        released = time.monotonic()
        cleared = screen.when(is_clear, released)
        time.sleep(5.0)
        settled = {lines for at, _, lines in screen.shown if at > released + cleared}
        accepted = [status for at, status, _ in replies if at > released + cleared + 1.0]
        ended.set()
        finished(poller)

    assert shown < 2.0
    assert all(map(says_locked, unwell))
    assert {body["store"] for body in refused} == {"locked"}
    assert cleared < 2.0
    assert all(map(is_clear, settled))
    assert set(accepted) == {200}

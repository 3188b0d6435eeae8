"""Every loop of a process continues after an exception at any of its passes, and health shows the problem meanwhile."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from opsconsole.authoring.extensions import Reply
from opsconsole.authoring.run import RunState
from opsconsole.core.problems import Work
from opsconsole.http import health
from tests.conftest import Installing
from tests.faults.conftest import Start
from tests.faults.fork_server import ForkServer
from tests.http.client import HttpClient
from tests.installation import Installation
from tests.packs import counting
from tests.soak import others_in_soak
from tests.terminal import Terminal
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2025-01-19"
LEADERS_WORK = (
    Work.SCHEDULE,
    Work.COMMANDS,
    Work.BACKFILLS,
    Work.ADMISSION,
    Work.AUDIT_SEAL,
    Work.NOTIFICATIONS,
    Work.BACKGROUND_COMMANDS,
    Work.EVENT_RELAY,
)
WATCHING_WORK = (
    Work.REDIS_PROBE,
    Work.DATA_PROBE,
    Work.STORE_PROBE,
    Work.PACK_CHECKS,
    Work.DISK_SPACE,
    Work.TABLE_SIZES,
)
OTHER_WORK = (Work.ENGINE, Work.LEASE, Work.PRESENCE)
PASSES = {Work.ENGINE: 1, Work.AUDIT_SEAL: 1, Work.TABLE_SIZES: 1, Work.PACK_CHECKS: 2, Work.BACKGROUND_COMMANDS: 2}
"""How often a loop passes in two minutes, if that is less than five times."""


@pytest.fixture
def place(tmp_path: Path, installing: Installing, redis_url: str) -> Installation:
    made = installing(
        database_url=f"sqlite:///{tmp_path / 'shared.db'}",
        redis_url=redis_url,
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(made.data, {"asha": "fine", "ben": "fine"})
    return made


def runs_a_job(place: Installation) -> bool:
    command = place.service.commands.trigger("counting.count", DAY)
    outcome = place.service.commands.outcome(command, PATIENCE_SECONDS)
    assert outcome is not None
    assert outcome.run is not None, outcome.refused
    ended = place.service.commands.wait_for_run(outcome.run, PATIENCE_SECONDS)
    return ended is not None and ended.state is RunState.SUCCEEDED


@pytest.mark.parametrize("action", others_in_soak("raise", "exit"))
@pytest.mark.parametrize(
    "work", [*LEADERS_WORK, *(pytest.param(work, marks=pytest.mark.soak) for work in WATCHING_WORK)]
)
def test_a_loop_of_the_leader_fails_alone_and_observers_see_it(
    work: Work, action: str, place: Installation, start: Start
) -> None:
    start(place, "headless", point=f"{work}:1+:{action}", lease=1.0)

    eventually(lambda: work in problems(place), "the finding")
    finding = problems(place)[work]
    ready = readiness(place)

    assert finding.startswith(("keeps failing: Injected: at", "keeps failing: SystemExit: at"))
    assert ready.body["degraded"][work] == finding
    assert ready.body["state"] == "following"
    log = start.log.read_text()
    assert log.count(f"{work} fails: ") == 1, "one problem is logged once"
    assert [line for line in log.splitlines() if "no longer leading" in line] == []


@pytest.mark.parametrize(
    ("work", "passing"),
    [
        pytest.param(work, passing, marks=pytest.mark.soak if passing > 1 or work in WATCHING_WORK else ())
        for work in (*LEADERS_WORK, *WATCHING_WORK, *OTHER_WORK)
        for passing in (1, 2, 5)
        if passing <= PASSES.get(work, passing)
    ],
)
def test_a_loop_continues_after_an_exception_at_any_pass(
    work: Work, passing: int, place: Installation, start: Start
) -> None:
    start(place, "headless", point=f"{work}:{passing}:raise", lease=1.0)
    assert all(runs_a_job(place) for _ in range(1, passing)), "work for the loops that pass once a minute without any"

    eventually(lambda: f"failpoint {work}:{passing}:raise" in start.log.read_text(), "it has raised")
    if work is not Work.LEASE:  # that the next renewal succeeds is not logged by all means
        eventually(lambda: f"{work} works again" in start.log.read_text(), "it works again")

    assert runs_a_job(place)
    eventually(lambda: not problems(place), "the finding resolves itself")


@pytest.mark.parametrize("action", others_in_soak("raise", "exit"))
@pytest.mark.parametrize("work", [Work.STALENESS_CHECKS, Work.REDIS_KEEPER])
def test_what_a_leader_does_beside_its_runs_goes_on(work: Work, action: str, place: Installation, start: Start) -> None:
    if work is Work.REDIS_KEEPER:
        del place.environ["REDIS_URL"]  # so that the process starts its own
    start(place, "headless", point=f"{work}:1:{action}", lease=5.0)

    eventually(lambda: f"failpoint {work}:1:{action}" in start.log.read_text(), "it has raised")
    eventually(lambda: f"{work} works again" in start.log.read_text(), "it works again")

    assert runs_a_job(place)
    assert start.log.read_text().count(f"{work} fails: ") == 1


@pytest.mark.parametrize("action", ["raise", "exit"])
def test_an_http_server_that_raises_serves_afterwards(action: str, place: Installation, start: Start) -> None:
    start(place, "headless", "--http", "127.0.0.1:0", point=f"{Work.HTTP}:1:{action}", lease=5.0)

    eventually(lambda: f"{Work.HTTP} works again" in start.log.read_text(), "it works again")
    address = re.search(r'http: listening on ([^"]+)"', start.log.read_text())
    assert address is not None
    client = HttpClient(address[1], place.environ["CRON_SECRET"])
    eventually(lambda: client.get("/readyz").status == 200, "it leads")

    assert "degraded" not in client.get("/readyz").json
    assert client.get("/healthz").json == {"success": True}


@pytest.mark.parametrize("action", others_in_soak("raise", "exit"))
def test_a_console_whose_sampler_raises_shows_what_is_new_afterwards(
    action: str, place: Installation, fork_server: ForkServer, tmp_path: Path
) -> None:
    environ = os.environ | place.environ | {"FAILPOINT": f"{Work.SAMPLER}:1:{action}"}
    terminal = Terminal((), env=environ, cwd=tmp_path, columns=100, rows=30, fork_server=fork_server)
    try:
        terminal.wait_for("counting.count")
        assert terminal.quit() == 0
    finally:
        terminal.close()


def problems(place: Installation) -> dict[str, str]:
    """What the process that leads reports about itself, as an observer sees it."""
    reply = readiness(place)
    return dict(reply.body.get("degraded", {}))


def readiness(place: Installation) -> Reply:
    return health.readiness(place.service, verbose=True)

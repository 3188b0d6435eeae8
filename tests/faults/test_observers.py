"""Row 6, for observers: a console beside the leader, one that never leads, and one that is read-only."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from opsconsole.authoring.run import RunState
from opsconsole.store.tables import metadata
from tests.cli.test_terminal import assert_restored
from tests.conftest import Installing
from tests.faults import test_signals
from tests.faults.conftest import Start
from tests.faults.fork_server import ForkServer
from tests.faults.test_processes import leader_of, lease_of, run_of
from tests.faults.test_signals import NO_REDIS, NOTICES_SECONDS, Opening
from tests.installation import Installation
from tests.packs import counting
from tests.terminal import Terminal
from tests.waiting import PATIENCE_SECONDS, eventually

opening = test_signals.opening

ENTER, LEFT, TAB = "\r", "\x1b[D", "\t"
NOT_COMPARED = ("ops_audit", "ops_commands", "ops_presence", "ops_alerts", "ops_notifications", "ops_health_checks")
"""Requests of an observer are recorded, and the leader records health and notifies of it all the time."""


@pytest.fixture
def place(tmp_path: Path, installing: Installing) -> Installation:
    """Jobs of a day; the first of them is held up at its third item, until `release`."""
    made = installing(
        database_url=f"sqlite:///{tmp_path / 'queue.db'}",
        redis_url=NO_REDIS,
        packs="tests.packs.queue",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(made.data, {f"a{i:02}": "fine" for i in range(16)} | {"a02": "lingers"})
    return made


def release(place: Installation) -> None:
    """Lets the third item end, after a while in which the process notices the signal."""
    time.sleep(NOTICES_SECONDS)
    counting.change(place.data, "a02", "fine")


def settle(place: Installation, verb: str) -> None:
    """Waits until a command of this kind is carried out."""

    def entries() -> int:
        return sum(entry.verb == verb for entry in place.audited_commands())

    eventually(lambda: entries() == 2, f"{verb} is carried out")


def observing(terminal: Terminal, pid: int) -> None:
    """Waits until a console shows the leader."""
    terminal.wait_for(f"observing {socket.gethostname()}/{pid}")


def test_row_6_an_observer_acts_through_the_leader(
    place: Installation,
    opening: Opening,
) -> None:
    anna = opening(place, SUDO_USER="anna")
    anna.wait_for("leading since")
    ben = opening(place, SUDO_USER="ben")
    observing(ben, anna.process.pid)
    token = lease_of(place)

    ben.type("t")
    ben.wait_for("Items")
    ben.type(ENTER)
    settle(place, "trigger")
    ben.wait_for("run 1 started")
    (run,) = place.service.queries.runs(limit=5)
    ben.wait_until(lambda: place.service.queries.run(run.id).state is RunState.RUNNING)
    ben.wait_until(lambda: "no run yet" not in ben.text)
    ben.read(0.5)  # the row can be chosen as soon as it is drawn

    ben.type(TAB)
    ben.read(0.5)
    ben.type("x")
    ben.wait_for(f"Cancel run {run.id}")
    ben.wait_for("[ No ]")
    ben.type(LEFT + ENTER)
    settle(place, "cancel")
    release(place)
    ended = place.service.commands.wait_for_run(run.id, PATIENCE_SECONDS)

    ben.wait_for("cancelled")
    ben.type("p")
    ben.wait_for("[ Pause ]")
    ben.type(ENTER)
    settle(place, "pause")
    attached = {(each.pid, each.interface, each.who.split()[0]) for each in place.service.snapshot().attached}

    assert ended is not None
    assert ended.state is RunState.CANCELLED
    assert [pause.who.split()[0] for pause in place.service.queries.pauses()] == ["ben"]
    trail = place.audited_commands()
    assert {entry.who.split()[0] for entry in trail} == {"ben"}
    assert [entry.outcome for entry in reversed(trail)] == ["requested", "done"] * 3
    assert attached == {(anna.process.pid, "console", "anna"), (ben.process.pid, "console", "ben")}
    held = lease_of(place)
    assert token is not None
    assert held is not None
    assert (held.token, leader_of(place)) == (token.token, anna.process.pid), "Anna led all the time"
    ben.type("q")
    assert ben.ended() == 0, "Ben gets no dialog: nothing runs in his process"
    assert_restored(ben)


def test_row_6_an_observer_takes_over_when_the_leader_ends(
    place: Installation,
    opening: Opening,
) -> None:
    anna = opening(place)
    anna.wait_for("leading since")
    ben = opening(place)
    observing(ben, anna.process.pid)
    number = run_of(place, place.service.commands.trigger("queue.first", "2025-01-19"))
    eventually(lambda: len(counting.tried(place.data, "queue.first")) == 3, "the run continues")

    anna.process.send_signal(signal.SIGTERM)
    release(place)
    assert anna.ended() == 143
    ben.wait_until(lambda: leader_of(place) == ben.process.pid)
    ben.wait_for("leading since")
    ben.wait_until(lambda: place.service.queries.run(number).state is RunState.SUCCEEDED)

    assert place.service.queries.run(number).attempt == 2
    assert len(counting.tried(place.data, "queue.first")) == 16


def test_row_6_a_console_with_observe_never_leads(
    place: Installation,
    opening: Opening,
) -> None:
    anna = opening(place)
    anna.wait_for("leading since")
    ben = opening(place, "--observe")
    observing(ben, anna.process.pid)

    assert anna.quit() == 0
    ben.wait_for("no leader")
    ben.read(3.0)
    assert leader_of(place) is None
    held = lease_of(place)
    command = place.service.commands.trigger("queue.second", "2025-01-19")
    ben.read(1.5)

    assert place.service.commands.outcome(command, 0.0) is None
    assert place.service.queries.runs(limit=5) == []
    again = lease_of(place)
    assert held is not None
    assert again is not None
    assert again.token == held.token
    ben.type("q")
    assert ben.ended() == 0


def rows(place: Installation) -> dict[str, int]:
    """How many rows each table of the store has that an observer must not change."""
    with place.store.reading() as db:
        return {
            table.name: db.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table.name not in NOT_COMPARED
        }


@pytest.mark.parametrize(
    "words", [("run", "queue.first"), ("pause", "queue.first"), ("retry", "1"), ("resume", "queue.first")]
)
def test_row_6_read_only_commands_are_refused_with_one_line(
    fork_server: ForkServer, place: Installation, start: Start, tmp_path: Path, words: tuple[str, ...]
) -> None:
    leader = start(place, "headless")
    number = run_of(place, place.service.commands.trigger("queue.first", "2025-01-19"))
    assert number == 1
    place.service.commands.cancel(number, force=True)
    release(place)
    assert place.service.commands.wait_for_run(number, PATIENCE_SECONDS) is not None
    before, trail = rows(place), len(place.audited_commands())

    result = fork_server.run(["--read-only", *words], os.environ | place.environ, folder=tmp_path)

    assert result.returncode == 77
    assert result.stdout == ""
    assert re.fullmatch(r"opsconsole: .+\n", result.stderr)
    assert rows(place) == before
    refused, requested, *others = place.audited_commands()
    verb = "trigger" if words[0] == "run" else words[0]
    assert [(each.verb, each.outcome) for each in (requested, refused)] == [(verb, "requested"), (verb, "refused")]
    assert len(others) == trail
    assert leader.poll() is None


def test_row_6_a_read_only_console_reports_refusals(
    place: Installation,
    start: Start,
    opening: Opening,
) -> None:
    leader = start(place, "headless")
    eventually(lambda: leader_of(place) == leader.pid, "the process leads")
    ben = opening(place, "--read-only")
    observing(ben, leader.pid)
    before = rows(place)

    for key in "tp":
        ben.type(key)
        ben.wait_for(f"this console is read-only: no action on {key}")

    assert rows(place) == before
    assert place.service.queries.pauses() == []
    assert place.audited_commands() == []
    leader.terminate()
    assert leader.wait(timeout=PATIENCE_SECONDS) == 143
    ben.wait_for("no leader")
    ben.read(2.5)
    assert leader_of(place) is None, "a read-only console does not lead"
    ben.type("q")
    assert ben.ended() == 0
    assert_restored(ben)

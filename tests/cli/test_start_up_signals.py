"""Signals while a process starts, migrates or waits: it ends with the code of the signal, or does what it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Installing
from tests.installation import Installation, is_at_work
from tests.soak import others_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually

MEANINGLESS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGCONT)

NO_REDIS = "unix:///nowhere/redis.sock"
ENTRY = """
import os, signal, sys
sys.argv[0] = "opsconsole"
from opsconsole.__main__ import main
from opsconsole.core import signals
install = signals.install_handlers
def interrupted():
    install()
    os.kill(os.getpid(), NUMBER)
import opsconsole.__main__ as entry
entry.install_handlers = interrupted
main()
"""
"""The command line, with a signal that comes as soon as one can be handled: before the first import."""

LEADING = """
import os, signal, sys, time
sys.argv[0] = "opsconsole"
from opsconsole.__main__ import main
from opsconsole.leader.engine import Engine
start = Engine.start
def interrupted(engine):
    start(engine)
    while not engine.is_leading:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
Engine.start = interrupted
main()
"""
"""The command line, with a signal that comes as soon as it leads."""

Starting = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def place(tmp_path: Path, installing: Installing) -> Installation:
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=NO_REDIS,
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def starting(place: Installation, tmp_path: Path) -> Iterator[Starting]:
    """Starts `opsconsole WORDS` in a new interpreter, with a signal at once if one is given, or another `entry`."""
    started: list[subprocess.Popen[str]] = []

    def start(
        *words: str, at_once: int | None = None, entry: str = "", before: Callable[[], object] | None = None
    ) -> subprocess.Popen[str]:
        entry = entry or ("" if at_once is None else ENTRY.replace("NUMBER", str(at_once)))
        python = ["-c", entry] if entry else ["-m", "opsconsole"]
        with (tmp_path / "output.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *python, *words],
                env=os.environ | place.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=Path(__file__).parents[2],
                text=True,
                preexec_fn=before,
                process_group=0,  # the kernel stops no process of a group that is the session's only one
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def output(tmp_path: Path) -> str:
    return (tmp_path / "output.log").read_text()


@pytest.mark.parametrize(
    ("number", "code"), others_in_soak((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129))
)
def test_a_signal_before_the_first_import_ends_a_command(
    starting: Starting, tmp_path: Path, number: int, code: int
) -> None:
    process = starting("jobs", at_once=number)

    assert process.wait(PATIENCE_SECONDS) == code
    assert "Traceback" not in output(tmp_path)


@pytest.mark.parametrize(("number", "code"), others_in_soak((signal.SIGTERM, 143), (signal.SIGINT, 130)))
def test_a_signal_before_the_first_import_ends_headless(
    starting: Starting, tmp_path: Path, number: int, code: int
) -> None:
    process = starting("headless", at_once=number)

    assert process.wait(PATIENCE_SECONDS) == code
    assert "Traceback" not in output(tmp_path)


def test_a_leader_that_is_ended_while_it_starts_releases_its_lease(starting: Starting, tmp_path: Path) -> None:
    process = starting("headless", entry=LEADING)

    assert process.wait(PATIENCE_SECONDS) == 143
    assert "no longer leading" in output(tmp_path)


@pytest.mark.soak
def test_a_hang_up_before_the_first_import_reloads_headless(starting: Starting, tmp_path: Path) -> None:
    process = starting("headless", at_once=signal.SIGHUP)

    eventually(lambda: "the configuration was reloaded" in output(tmp_path), "it reloads its configuration")
    assert process.poll() is None
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 143


@pytest.mark.parametrize(
    "first",
    [MEANINGLESS[0], *(pytest.param(each, marks=pytest.mark.soak) for each in MEANINGLESS[1:])],
)
def test_signals_without_meaning_end_nothing(starting: Starting, tmp_path: Path, first: int) -> None:
    process = starting("headless", at_once=first)

    eventually(lambda: "leading with token" in output(tmp_path), "it leads")
    for number in MEANINGLESS:
        process.send_signal(number)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 143


@pytest.mark.soak
def test_a_process_that_was_started_by_nohup_ignores_hang_ups(starting: Starting, tmp_path: Path) -> None:
    process = starting(
        "run",
        "counting.names",
        "--wait",
        at_once=signal.SIGHUP,
        before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )

    assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.soak
def test_a_stopped_process_continues(starting: Starting, tmp_path: Path) -> None:
    process = starting("headless")
    eventually(lambda: "leading with token" in output(tmp_path), "it leads")

    process.send_signal(signal.SIGTSTP)
    eventually(lambda: stat_of(process.pid) == "T", "it is stopped")
    process.send_signal(signal.SIGCONT)
    eventually(lambda: stat_of(process.pid) != "T", "it continues")
    process.terminate()

    assert process.wait(PATIENCE_SECONDS) == 143
    assert "Traceback" not in output(tmp_path)


HOLDS = """
import pathlib, sys, time
sys.argv[0] = "opsconsole"
from opsconsole.store import lease
renew = lease.renew
def slowly(*values):
    result = renew(*values)
    pathlib.Path("WRITES").touch()
    time.sleep(1.0)
    return result
lease.renew = slowly
from opsconsole.__main__ import main
main()
"""
"""The command line, with a lease thread that holds the write lock of the store for a second with each renewal."""


@pytest.mark.parametrize(("number", "code"), others_in_soak((signal.SIGTERM, 143), (signal.SIGINT, 130)))
def test_a_signal_while_the_lease_is_being_written_releases_it(
    place: Installation, tmp_path: Path, number: int, code: int
) -> None:
    writes = tmp_path / "writes"
    environ = os.environ | place.environ | {"OPSCONSOLE_ENGINE__LEASE_SECONDS": "4"}
    with (tmp_path / "output.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDS.replace("WRITES", str(writes)), "headless"],
            env=environ,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[2],
        )
    try:
        eventually(writes.exists, "the lease thread holds the lock")
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == code
    finally:
        process.kill()
        process.wait()

    assert place.service.queries.leader() is None
    assert "Traceback" not in output(tmp_path)


def stat_of(pid: int) -> str:
    """The state of a process, as one letter."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# --- who leads, and why not this one ------------------------------------------------------------------------------


def test_no_standby_names_the_process_that_leads(place: Installation, starting: Starting, tmp_path: Path) -> None:
    with place.leading() as engine:
        eventually(lambda: is_at_work(engine), "the test leads")
        process = starting("headless", "--no-standby")
        code = process.wait(PATIENCE_SECONDS)

    assert code == 75
    assert f"pid {os.getpid()}" in output(tmp_path)


@pytest.mark.soak
def test_no_standby_with_the_store_away_says_that(starting: Starting, place: Installation, tmp_path: Path) -> None:
    place.environ["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    process = starting("headless", "--no-standby")

    assert process.wait(PATIENCE_SECONDS) == 1
    last = output(tmp_path).splitlines()[-1]
    assert last.startswith("opsconsole: the store is unreachable")
    assert "leading" not in last


def test_no_standby_leads_when_nobody_else_does(starting: Starting, place: Installation, tmp_path: Path) -> None:
    process = starting("headless", "--no-standby")

    eventually(lambda: "leading with token" in output(tmp_path), "it leads")
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 143
    assert all(json.loads(line) for line in output(tmp_path).splitlines())

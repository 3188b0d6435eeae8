"""Rows 5, 11, 49, 50, 51, 53: keys, terminals that misbehave, logs that cannot be written, jobs that log too much."""

from __future__ import annotations

import fcntl
import os
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import count
from pathlib import Path

import pytest

from opsconsole import DAY, Context, Items, Job, Pack
from opsconsole.authoring.run import RunState
from tests.cli.test_terminal import assert_restored
from tests.conftest import Installing
from tests.faults import test_signals
from tests.faults.fast_clock import FastClock
from tests.faults.fork_server import ForkServer
from tests.faults.test_processes import leader_of, run_of
from tests.faults.test_signals import DAY as THAT_DAY, EACH_MINUTE, NO_REDIS, NOTICES_SECONDS, Opening, accounted
from tests.installation import Installation
from tests.packs import counting
from tests.packs.counting import NEVER, everything
from tests.terminal import Terminal
from tests.waiting import PATIENCE_SECONDS, eventually
from tests.worker.test_processes import failures_of, is_alive, log_of

opening, place = test_signals.opening, test_signals.place

ENTER, LEFT = "\r", "\x1b[D"
BATCHES = 8
HELD_UP = ("1-9", "2-9")

# --- a job that logs too much -------------------------------------------------------------------------------------

LINES = 20_000
MESSAGE = "x" * 1_000_000


def chatter(ctx: Context, items: Items) -> None:
    """Logs without end, and fails with an error of a megabyte for each item that fails."""
    for item in items:
        for number in range(LINES // len(items)):
            ctx.log(f"{item} {number} " + "y" * 200)
        ctx.fail(item, MESSAGE)


pack = Pack(
    "chatter",
    jobs=(Job("chatter.talk", everything, chatter, cron=NEVER, covers=DAY, batch=10),),
    metadata=counting.metadata,
)


def put_batches(place: Installation) -> None:
    """Eight batches of ten, of which the second and the third are held up until `release`."""
    counting.put(place.data, {f"{batch}-{i}": "fine" for batch in range(BATCHES) for i in range(10)})
    for item in HELD_UP:
        counting.change(place.data, item, "lingers")


def release(place: Installation) -> None:
    """Lets the batches end, each after a while in which the process notices the request."""
    for item in HELD_UP:
        time.sleep(NOTICES_SECONDS)
        counting.change(place.data, item, "fine")


def begun(place: Installation) -> int:
    """A run that is held up at its second batch."""
    number = run_of(place, place.service.commands.trigger("counting.count", THAT_DAY))
    eventually(lambda: len(counting.tried(place.data)) == 2, "its second batch has begun")
    return number


def quit_with(terminal: Terminal, number: int, button: str) -> None:
    """Presses q, waits for the dialog, and presses a button."""
    terminal.wait_for("10/80")
    terminal.type("q")
    terminal.wait_for("Quit the console?")
    terminal.wait_for(f"run {number} of counting.count {THAT_DAY}")
    terminal.wait_for("[ Stay ]")
    terminal.type(LEFT * ("Stay", "Stop them", "Hand over", "Wait").index(button))
    terminal.wait_for(f"[ {button} ]")
    terminal.type(ENTER)


# --- row 5 --------------------------------------------------------------------------------------------------------


def test_row_5_stopping_runs_on_quit_is_audited(place: Installation, opening: Opening) -> None:
    put_batches(place)
    terminal = opening(place, SUDO_USER="asha")
    terminal.wait_for("leading since")
    number = begun(place)

    quit_with(terminal, number, "Stop them")
    release(place)
    code = terminal.ended()

    run = place.service.queries.run(number)
    assert code == 0
    assert run.state is RunState.CANCELLED
    assert run.counts.ok == len(counting.marks(place.data))
    assert run.counts.ok + run.counts.not_reached == 10 * BATCHES
    trail = place.audited_commands()[:2]
    assert [(entry.verb, entry.target, entry.who.split()[0]) for entry in trail] == [
        ("cancel", str(number), "asha")
    ] * 2
    assert_restored(terminal)


def test_row_5_handing_over_leaves_a_process_that_finishes_the_run(
    place: Installation,
    opening: Opening,
) -> None:
    put_batches(place)
    terminal = opening(place)
    terminal.wait_for("leading since")
    number = begun(place)

    quit_with(terminal, number, "Hand over")
    release(place)
    code = terminal.ended()
    eventually(lambda: leader_of(place) not in (None, terminal.process.pid), "another process leads")
    heir = leader_of(place)
    assert heir is not None
    try:
        session = os.getsid(heir)
        ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    finally:
        os.kill(heir, signal.SIGTERM)

    assert code == 0
    assert_restored(terminal)
    assert session == heir, "the end of the terminal is not its own"
    assert ended is not None
    assert (ended.state, ended.attempt, ended.counts.ok) == (RunState.SUCCEEDED, 2, 10 * BATCHES)
    assert len(counting.tried(place.data)) == BATCHES, "no batch was done twice"
    eventually(lambda: not is_alive(heir), "it ends when it is found to")
    assert leader_of(place) is None


def test_row_5_staying_keeps_the_console_open(place: Installation, opening: Opening) -> None:
    put_batches(place)
    terminal = opening(place)
    terminal.wait_for("leading since")
    number = begun(place)

    quit_with(terminal, number, "Stay")
    terminal.wait_until(lambda: "Quit the console?" not in terminal.text)
    release(place)
    terminal.wait_until(lambda: place.service.queries.run(number).state is RunState.SUCCEEDED)

    assert terminal.process.poll() is None
    assert place.service.queries.run(number).attempt == 1
    terminal.wait_until(lambda: f"run {number}" not in terminal.text)
    assert terminal.quit() == 0


# --- row 11 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause_seconds", [0.0, 0.15])
def test_row_11_twenty_triggers_in_a_row_are_one_run(
    installing: Installing,
    tmp_path: Path,
    opening: Opening,
    pause_seconds: float,
) -> None:
    place = installing(database_url=f"sqlite:///{tmp_path / 'queue.db'}", redis_url=NO_REDIS, packs="tests.packs.queue")
    counting.put(place.data, {"a": "lingers"})
    terminal = opening(place)
    terminal.wait_for("leading since")
    terminal.type("t")
    terminal.wait_for("Items")

    terminal.type(ENTER)
    for _ in range(19):
        terminal.type(f"t{ENTER}")
        terminal.read(pause_seconds)
    terminal.wait_for("Running")
    terminal.wait_until(lambda: len(place.service.queries.runs(limit=50)) > 0)
    terminal.read(2.0)

    made = place.service.queries.runs(limit=50)
    assert [(run.state, run.attempt) for run in made] == [(RunState.RUNNING, 1)]
    trail = place.audited_commands()
    requests = len({entry.command for entry in trail})
    assert requests <= 20
    refused = {entry.command for entry in trail if entry.outcome == "refused"}
    assert len(refused) == requests - 1


# --- rows 49 and 50 -----------------------------------------------------------------------------------------------


def resize(terminal: Terminal, columns: int, rows: int) -> None:
    """Another size; what is drawn for it is not followed."""
    fcntl.ioctl(terminal._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def swallow(terminal: Terminal, seconds: float) -> None:
    """Reads for a while without drawing."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal._ours], [], [], left)[0]:
            os.read(terminal._ours, 65536)


def a_console_before_the_minute(
    fork_server: ForkServer,
    place: Installation,
    tmp_path: Path,
    seconds: float,
) -> Terminal:
    """A console whose clock is `seconds` before a minute, at which a job is due."""
    file = tmp_path / "opsconsole.toml"
    file.write_text(EACH_MINUTE)
    ahead = (60 - time.time() % 60) - seconds
    environ = {"OPSCONSOLE_ENGINE__EXECUTOR": "processes", "OPSCONSOLE_ENGINE__WORKERS": "1"}
    return Terminal(
        ["--config", str(file)],
        env=os.environ | place.environ | environ,
        cwd=tmp_path,
        columns=100,
        rows=30,
        fork_server=fork_server,
        clock=FastClock(offset_seconds=ahead),
    )


def states(place: Installation) -> list[str]:
    """What became of the scheduled times: `ran` is on time, within a minute."""
    return [each.state for each in accounted(place, "counting.names")]


def run_days() -> Iterator[str]:
    """Days to run a job for, each once."""
    return ((date(2025, 1, 1) + timedelta(days=n)).isoformat() for n in range(10_000))


def started(place: Installation, day: str) -> bool:
    return any(run.started_at for run in place.service.queries.runs(limit=10_000) if run.window.label == day)


@pytest.mark.parametrize("for_a_minute", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_row_49_a_burst_of_sizes_does_not_touch_the_schedule(
    for_a_minute: bool, fork_server: ForkServer, place: Installation, tmp_path: Path
) -> None:
    terminal = a_console_before_the_minute(fork_server, place, tmp_path, 10.0)
    try:
        terminal.wait_for("leading since")
        rng = random.Random(49)
        sizes = [(1, 1), (0, 0), (500, 500), (79, 24), (80, 23), (2, 500), (500, 2), (120, 40)]
        days = run_days()
        for n in count():
            day = next(days)
            place.service.commands.trigger("counting.names", day)
            while not started(place, day):
                resize(terminal, *rng.choice(sizes))
                swallow(terminal, 0.01)
            if n >= 5 and (not for_a_minute or states(place)):
                break
        resize(terminal, 40, 10)
        terminal.resize(40, 10)
        terminal.wait_for("needs 60x20")
        terminal.resize(100, 30)
        terminal.wait_for("leading since")

        assert set(states(place)) <= {"ran", "due"}
        assert terminal.quit() == 0
        assert_restored(terminal)
    finally:
        terminal.close()


@pytest.mark.parametrize("for_a_minute", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_row_50_runs_start_while_nothing_reads_the_terminal(
    for_a_minute: bool, fork_server: ForkServer, place: Installation, tmp_path: Path
) -> None:
    terminal = a_console_before_the_minute(fork_server, place, tmp_path, 10.0)
    try:
        terminal.wait_for("leading since")
        days = run_days()
        for n in count():
            day = next(days)
            for i in range(20):  # each draws a whole screen, which soon fills the line
                resize(terminal, 180 + i % 2, 60)
                time.sleep(0.03)
            place.service.commands.trigger("counting.names", day)
            eventually(lambda day=day: started(place, day), "it starts")  # type: ignore[misc]
            if n >= 2 and (not for_a_minute or states(place)):
                break

        assert set(states(place)) <= {"ran", "due"}
        terminal.resize(100, 30)
        terminal.wait_for("leading since")
        assert terminal.quit() == 0
        assert_restored(terminal)
    finally:
        terminal.close()


@pytest.mark.soak
def test_row_50_nothing_is_late_while_the_terminal_is_stalled_for_a_minute(
    fork_server: ForkServer, place: Installation, tmp_path: Path
) -> None:
    terminal = a_console_before_the_minute(fork_server, place, tmp_path, 12.0)
    try:
        terminal.wait_for("leading since")
        started = time.monotonic()
        while time.monotonic() - started < 65.0 or len(accounted(place, "counting.names")) < 2:
            resize(terminal, 180 + int(time.monotonic()) % 2, 60)
            time.sleep(0.2)
        ran = [each for each in accounted(place, "counting.names") if each.started_at is not None]
        lateness = [(each.started_at - each.due_at).total_seconds() for each in ran if each.started_at is not None]
        resize(terminal, 100, 30)
        assert terminal.quit() == 0
    finally:
        terminal.close()

    assert lateness
    assert max(lateness) < 1.0, lateness


@pytest.mark.parametrize("where", ["closed pipe", "full disk"])
def test_row_50_a_process_whose_output_cannot_be_written_continues(
    place: Installation, tmp_path: Path, where: str
) -> None:
    reading, writing = os.pipe()
    if where == "full disk":
        os.close(writing)
        writing = os.open("/dev/full", os.O_WRONLY)
    command = [sys.executable, "-m", "opsconsole", "headless"]
    with (tmp_path / "errors.log").open("wb") as errors:
        process = subprocess.Popen(command, env=os.environ | place.environ, stdout=writing, stderr=errors)
    os.close(writing)
    os.close(reading)
    try:
        counting.put(place.data, {f"a{i}": "fine" for i in range(30)})
        ended = place.service.commands.wait_for_run(
            run_of(place, place.service.commands.trigger("counting.count", THAT_DAY)), PATIENCE_SECONDS
        )
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=PATIENCE_SECONDS)
    finally:
        process.kill()

    assert ended is not None
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 30)
    assert code == 143
    assert (tmp_path / "errors.log").read_text() == ""
    assert leader_of(place) is None


# --- row 51 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["folder removed", "disk full"])
def test_row_51_runs_go_on_though_the_log_cannot_be_written(
    place: Installation,
    tmp_path: Path,
    opening: Opening,
    how: str,
) -> None:
    folder = tmp_path / "share" / "opsconsole"
    if how == "disk full":
        folder.mkdir(parents=True)
        (folder / "opsconsole.log").symlink_to("/dev/full")
    counting.put(place.data, {f"a{i}": "fine" for i in range(29)} | {"b": "dies"})
    terminal = opening(place)
    terminal.wait_for("leading since")
    if how == "folder removed":
        shutil.rmtree(folder)

    first = place.service.commands.wait_for_run(
        run_of(place, place.service.commands.trigger("counting.names", THAT_DAY)), PATIENCE_SECONDS
    )
    number = run_of(place, place.service.commands.trigger("counting.count", THAT_DAY))
    terminal.wait_until(lambda: place.service.queries.run(number).state in (RunState.PARTIAL, RunState.SUCCEEDED))

    assert first is not None
    assert first.state is RunState.SUCCEEDED
    ended = place.service.queries.run(number)
    assert (ended.state, ended.attempt, ended.counts.ok) == (RunState.PARTIAL, 1, 29)
    assert terminal.quit() == 0
    assert_restored(terminal)


# --- row 53 -------------------------------------------------------------------------------------------------------


def megabytes(pid: int) -> float:
    """The most memory that a process has held."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def test_row_53_a_job_that_logs_too_much_is_truncated(
    installing: Installing,
    tmp_path: Path,
    opening: Opening,
) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'chatter.db'}",
        redis_url=NO_REDIS,
        packs="tests.faults.test_terminals",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(place.data, {f"a{i:02}": "fine" for i in range(50)})
    terminal = opening(place)
    terminal.wait_for("leading since")
    terminal.read(2.0)
    before = megabytes(terminal.process.pid)

    number = run_of(place, place.service.commands.trigger("chatter.talk", THAT_DAY))
    terminal.wait_until(lambda: place.service.queries.run(number).state is RunState.FAILED)
    terminal.type("3")
    terminal.wait_for("50 of 50 failed")
    terminal.type(ENTER)
    terminal.wait_for(f"Run {number}")
    grown = megabytes(terminal.process.pid) - before
    lines, found = log_of(place, number), failures_of(place, number)

    assert place.service.queries.run(number).counts.failed == 50
    assert len(lines) <= 1001
    assert max(len(line) for _, line in lines) < 1000
    assert max(len(message) for message in found.values()) <= 500
    assert grown < 30.0
    terminal.type("\x1b")
    terminal.read(0.3)
    assert terminal.quit() == 0

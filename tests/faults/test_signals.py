"""Rows 3, 4, 22 and 52: signals and hang-ups during a run, and configurations that cannot be used."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opsconsole.authoring.occurrence import OccurrenceFilter, OccurrenceRecord, Registration
from opsconsole.authoring.run import Run, RunState
from opsconsole.store import occurrence_lists as accounts
from opsconsole.store.registrations import registrations
from tests.cli.test_terminal import assert_restored
from tests.conftest import Installing
from tests.faults.conftest import Start
from tests.faults.fork_server import ForkServer
from tests.faults.test_processes import leader_of, lease_of, run_of
from tests.installation import Installation
from tests.packs import counting
from tests.terminal import Terminal
from tests.waiting import PATIENCE_SECONDS, eventually
from tests.worker.test_processes import is_alive, workers_of

DAY = "2025-01-19"
NOTICES_SECONDS = 1.0
IDLE_SECONDS = 1.0
NO_REDIS = "unix:///nowhere/redis.sock"

Opening = Callable[..., Terminal]


@pytest.fixture
def place(tmp_path: Path, installing: Installing) -> Installation:
    """Job code runs in the test's own process when it leads, in worker processes elsewhere."""
    return installing(
        database_url=f"sqlite:///{tmp_path / 'shared.db'}",
        redis_url=NO_REDIS,
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def opening(fork_server: ForkServer, tmp_path: Path) -> Iterator[Opening]:
    """Opens `opsconsole WORDS` on an installation's databases and a terminal of its own."""
    opened: list[Terminal] = []

    def open_one(place: Installation, *words: str, **environ: str) -> Terminal:
        workers = {"OPSCONSOLE_ENGINE__EXECUTOR": "processes", "OPSCONSOLE_ENGINE__WORKERS": "1"}
        environ = os.environ | place.environ | workers | environ
        opened.append(Terminal(words, env=environ, cwd=tmp_path, columns=100, rows=30, fork_server=fork_server))
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close()


def put_three_batches(place: Installation, second: str = "lingers") -> None:
    """Thirty things, of which the eleventh is in a mood: it holds the second of three batches up, until `release`."""
    fine = [f"a{i}" for i in range(10)] + [f"c{i}" for i in range(9)] + [f"d{i}" for i in range(10)]
    counting.put(place.data, dict.fromkeys(fine, "fine"))
    counting.put(place.data, {"b": second})


def release(place: Installation) -> None:
    """Lets the second batch end, after a while in which the process notices the signal."""
    time.sleep(NOTICES_SECONDS)
    counting.change(place.data, "b", "fine")


def at_the_second_batch(place: Installation, command: int) -> int:
    """Waits until the second of three batches is being carried out; the number of its run."""
    number = run_of(place, command)
    eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch has begun")
    return number


def assert_drained(place: Installation, number: int, done: int = 20) -> None:
    """The batch in flight was committed, the run waits for its next leader, and no process holds the lease."""
    run = place.service.queries.run(number)
    assert (run.state, run.counts.ok, run.counts.failed) == (RunState.INTERRUPTED, done, 0)
    assert len(counting.marks(place.data)) == done
    assert leader_of(place) is None
    assert workers_of(os.getpid()) == []


def resumed(place: Installation, number: int) -> Run:
    """The run, after another leader has carried it to its end."""
    with place.leading():
        ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    assert ended is not None
    return ended


def assert_resumable(place: Installation, number: int, *, calls: int = 3) -> None:
    """Checks that the next attempt does the rest: `calls` of job code in all, and one mark for each thing."""
    ended = resumed(place, number)
    assert (ended.state, ended.attempt, ended.counts.ok) == (RunState.SUCCEEDED, 2, 30)
    assert len(counting.marks(place.data)) == 30
    assert len(counting.tried(place.data)) == calls


def cpu_seconds(pid: int) -> float:
    """The CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- row 3 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["line cut", "SIGHUP"])
def test_row_3_a_dropped_line_drains_the_batch_in_flight(place: Installation, opening: Opening, how: str) -> None:
    put_three_batches(place)
    terminal = opening(place)
    terminal.wait_for("leading since")
    number = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))
    pid = terminal.process.pid
    workers, worked = workers_of(pid), cpu_seconds(pid)

    if how == "line cut":
        terminal.hang_up()
    else:
        terminal.process.send_signal(signal.SIGHUP)
    terminal.read(IDLE_SECONDS)
    used = cpu_seconds(pid) - worked
    release(place)
    assert terminal.ended() == 129

    assert used < IDLE_SECONDS / 2, "it waits for the batch without a spin"
    assert_drained(place, number)
    assert not any(is_alive(worker) for worker in workers)
    if how == "SIGHUP":
        assert_restored(terminal)
    assert_resumable(place, number)


@pytest.mark.parametrize("how", ["line cut", "SIGHUP"])
def test_row_3_a_console_set_to_continue_runs_without_its_terminal(
    place: Installation, opening: Opening, how: str
) -> None:
    put_three_batches(place)
    terminal = opening(place, OPSCONSOLE_CONSOLE__ON_HANGUP="continue")
    terminal.wait_for("leading since")
    number = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))
    process, token = terminal.process, lease_of(place)

    if how == "line cut":
        terminal.hang_up()
    else:
        process.send_signal(signal.SIGHUP)
        terminal.read(1.0)
    release(place)
    ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    later = place.service.commands.wait_for_run(
        run_of(place, place.service.commands.trigger("counting.names", DAY)), PATIENCE_SECONDS
    )
    before = cpu_seconds(process.pid)
    time.sleep(IDLE_SECONDS)
    used = cpu_seconds(process.pid) - before

    assert ended is not None
    assert (ended.state, ended.attempt, ended.counts.ok) == (RunState.SUCCEEDED, 1, 30)
    assert later is not None
    assert later.state is RunState.SUCCEEDED
    assert used < IDLE_SECONDS / 4, "it does not spin without its terminal"
    held = lease_of(place)
    assert held is not None
    assert token is not None
    assert (held.token, leader_of(place)) == (token.token, process.pid), "it led all the time"
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None, "nothing can hang up twice"
    if how == "SIGHUP":
        assert_restored(terminal)
    process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=PATIENCE_SECONDS)
    assert (code, leader_of(place)) == (143, None)


def test_row_3_a_console_without_its_terminal_drains_at_sigterm(place: Installation, opening: Opening) -> None:
    put_three_batches(place)
    terminal = opening(place, OPSCONSOLE_CONSOLE__ON_HANGUP="continue")
    terminal.wait_for("leading since")
    terminal.hang_up()
    number = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))

    terminal.process.send_signal(signal.SIGTERM)
    release(place)
    code = terminal.process.wait(timeout=PATIENCE_SECONDS)

    assert code == 143
    assert_drained(place, number)
    assert_resumable(place, number)


def test_row_3_a_line_that_hangs_up_twice_still_drains(place: Installation, opening: Opening) -> None:
    """The terminal hangs up, and the shell does so again."""
    put_three_batches(place)
    terminal = opening(place)
    terminal.wait_for("leading since")
    number = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))

    for _ in range(4):
        terminal.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
    release(place)
    code = terminal.ended()

    assert code == 129
    assert_drained(place, number)
    assert_resumable(place, number)


# --- row 4 --------------------------------------------------------------------------------------------------------


def test_row_4_sigterm_drains_a_console_and_restores_its_terminal(place: Installation, opening: Opening) -> None:
    put_three_batches(place)
    terminal = opening(place)
    terminal.wait_for("leading since")
    number = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))

    terminal.process.send_signal(signal.SIGTERM)
    release(place)
    code = terminal.ended()

    assert code == 143
    assert_restored(terminal)
    assert_drained(place, number)
    assert_resumable(place, number)


def test_row_4_a_second_sigterm_ends_a_console_at_once(place: Installation, opening: Opening) -> None:
    put_three_batches(place, "hangs on")
    terminal = opening(place)
    terminal.wait_for("leading since")
    number = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))
    workers = workers_of(terminal.process.pid)

    terminal.process.send_signal(signal.SIGTERM)
    terminal.read(1.0)
    assert terminal.process.poll() is None, "it waits for the batch"
    terminal.process.send_signal(signal.SIGTERM)
    code = terminal.ended()

    assert code == 143
    assert place.service.queries.run(number).state is RunState.RUNNING, "it ended without draining"
    assert_restored(terminal)
    assert workers
    eventually(lambda: not any(is_alive(worker) for worker in workers), "no worker outlives it")
    counting.change(place.data, "b", "fine")
    assert_resumable(place, number, calls=4)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_row_4_a_signal_drains_a_process_without_a_screen(
    place: Installation, start: Start, executor: str, number: signal.Signals, code: int
) -> None:
    put_three_batches(place)
    process = start(place, "headless", executor=executor)
    run = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))

    process.send_signal(number)
    release(place)
    ended = process.wait(timeout=PATIENCE_SECONDS)

    assert ended == code
    assert_drained(place, run)
    assert b"Traceback" not in start.log.read_bytes()
    assert_resumable(place, run)


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [(signal.SIGTERM, signal.SIGTERM, 143), (signal.SIGINT, signal.SIGINT, 130), (signal.SIGINT, signal.SIGTERM, 143)],
)
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_row_4_a_second_signal_ends_a_process_without_a_screen_at_once(
    place: Installation, start: Start, executor: str, first: signal.Signals, second: signal.Signals, code: int
) -> None:
    put_three_batches(place, "hangs on" if executor == "processes" else "hangs")
    process = start(place, "headless", executor=executor)
    run = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))

    process.send_signal(first)
    time.sleep(0.5)
    assert process.poll() is None, "it waits for the batch"
    process.send_signal(second)
    ended = process.wait(timeout=PATIENCE_SECONDS)

    assert ended == code
    assert place.service.queries.run(run).state is RunState.RUNNING, "it ended without draining"
    counting.change(place.data, "b", "fine")
    assert_resumable(place, run, calls=4)


@pytest.mark.soak
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_row_4_a_batch_that_hangs_does_not_keep_the_process_from_ending(
    place: Installation, start: Start, executor: str
) -> None:
    """Worker processes are ended after the grace; a batch in the process itself only ends with it."""
    put_three_batches(place, "hangs")
    process = start(place, "headless", executor=executor)
    run = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))

    process.send_signal(signal.SIGTERM)
    ended = process.wait(timeout=PATIENCE_SECONDS)

    assert ended == 143
    counting.change(place.data, "b", "fine")
    assert_resumable(place, run, calls=4)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_row_4_a_waiting_command_that_ends_leaves_it_interrupted(
    place: Installation, start: Start, number: signal.Signals, code: int
) -> None:
    put_three_batches(place)
    process = start(place, "run", "counting.count", "--date", DAY, "--wait", executor="processes")
    eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch has begun")
    (run,) = place.service.queries.runs(limit=2)

    process.send_signal(number)
    release(place)
    ended = process.wait(timeout=PATIENCE_SECONDS)

    assert ended == code
    assert b"Traceback" not in start.log.read_bytes()
    assert_drained(place, run.id)
    assert_resumable(place, run.id)


# --- row 22, and a configuration that is reloaded -----------------------------------------------------------------

EACH_HOUR = '[jobs."counting.names"]\ncron = "0 * * * *"\n'
EACH_MINUTE = '[jobs."counting.names"]\ncron = "* * * * *"\n'
ONCE_A_YEAR = '[jobs."counting.names"]\ncron = "17 3 1 1 *"\n'
BROKEN = '[jobs."counting.names"]\ncron = "every day"\n[jobs."counting.count"]\nbatch = 0\n'


def logged(start: Start, words: str) -> int:
    """How many messages of a process without a screen have these words."""
    lines = [json.loads(line) for line in start.log.read_bytes().splitlines() if line.startswith(b"{")]
    return sum(words in line["message"] for line in lines)


def registered(place: Installation, job: str) -> Registration:
    """A job's schedule as the leader has it."""
    with place.store.reading() as db:
        return registrations(db)[job]


def is_registered(place: Installation) -> bool:
    """Whether the leader has registered the hourly schedule."""
    with place.store.reading() as db:
        found = registrations(db).get("counting.names")
    return found is not None and found.cron == "0 * * * *"


def accounted(place: Installation, job: str) -> list[OccurrenceRecord]:
    """The outcomes of a job's scheduled times."""
    with place.store.reading() as db:
        return accounts.newest(db, OccurrenceFilter(job), limit=50)


def test_row_22_sighup_takes_a_changed_schedule_over_and_keeps_the_last_good_one(
    tmp_path: Path, place: Installation, start: Start
) -> None:
    file = tmp_path / "opsconsole.toml"
    file.write_text(EACH_HOUR)
    put_three_batches(place)
    first = start(place, "--config", str(file), "headless")
    eventually(lambda: leader_of(place) == first.pid, "it leads")
    eventually(lambda: is_registered(place), "the schedule is registered")
    first.terminate()
    assert first.wait() == 143
    to_the_hour = 3600 - time.time() % 3600
    process = start(place, "--config", str(file), "headless", executor="processes", ahead=to_the_hour + 0.5)
    eventually(lambda: len(accounted(place, "counting.names")) == 1, "the hour is planned")
    number = at_the_second_batch(place, place.service.commands.trigger("counting.count", DAY))

    file.write_text(ONCE_A_YEAR)
    process.send_signal(signal.SIGHUP)
    release(place)
    eventually(lambda: logged(start, "was reloaded") == 1, "it has reloaded its file")
    eventually(lambda: registered(place, "counting.names").cron == "17 3 1 1 *", "the new schedule is in force")
    taken_over = registered(place, "counting.names")
    ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    file.write_text(BROKEN)
    process.send_signal(signal.SIGHUP)
    eventually(lambda: logged(start, "is ignored") == 2, "both problems are logged")
    later = place.service.commands.wait_for_run(
        run_of(place, place.service.commands.trigger("counting.gross", DAY)), PATIENCE_SECONDS
    )

    assert ended is not None
    assert (ended.state, ended.attempt, ended.counts.ok) == (RunState.SUCCEEDED, 2, 30)
    assert len(counting.tried(place.data)) == 3, "no batch was done twice"
    assert registered(place, "counting.names").cron == "17 3 1 1 *"
    (instant,) = accounted(place, "counting.names")
    assert instant.spec != taken_over.spec, "it stands under the schedule that it was due by"
    assert taken_over.planned_until >= instant.last_due_at, "what was due by the old schedule is accounted for"
    assert leader_of(place) == process.pid
    assert later is not None
    assert later.state is RunState.SUCCEEDED


def test_row_22_a_pack_that_cannot_be_imported_is_no_reason_to_end(
    tmp_path: Path, place: Installation, start: Start
) -> None:
    (tmp_path / "half_written.py").write_text("from opsconsole import Job,\n")
    del place.environ["OPSCONSOLE_JOBS__PACKS"]
    file = tmp_path / "opsconsole.toml"
    file.write_text('[jobs]\npacks = ["tests.packs.counting"]\n')
    process = start(place, "--config", str(file), "headless")
    eventually(lambda: leader_of(place) == process.pid, "it leads")

    file.write_text('[jobs]\npacks = ["tests.packs.counting", "half_written"]\n')
    process.send_signal(signal.SIGHUP)
    eventually(lambda: logged(start, "is ignored") > 0, "it logs the problem")
    ended = place.service.commands.wait_for_run(
        run_of(place, place.service.commands.trigger("counting.names", DAY)), PATIENCE_SECONDS
    )

    assert process.poll() is None
    assert ended is not None
    assert ended.state is RunState.SUCCEEDED


# --- row 52 -------------------------------------------------------------------------------------------------------

WRONG = """
[jobs."counting.count"]
cron = "61 * * * *"
[jobs."counting.gross"]
tz = "Mars/Olympus"
batch = 0
[jobs."counting.absent"]
priority = 1
"""
EXPECTED = (
    "counting.count: schedule '61 * * * *' is invalid",
    "Mars/Olympus",
    "counting.gross: batch must be 1 or more",
    '[jobs."counting.absent"]: there is no such job',
)


@pytest.mark.parametrize("words", [("headless",), ("run", "counting.count", "--wait"), ("check",)])
def test_row_52_a_configuration_that_cannot_be_used_is_refused_whole_and_nothing_starts(
    tmp_path: Path, place: Installation, start: Start, words: tuple[str, ...]
) -> None:
    file = tmp_path / "opsconsole.toml"
    file.write_text(WRONG)
    process = start(place, "--config", str(file), *words)
    code = process.wait()

    assert code == 78
    for part in EXPECTED:
        assert part in start.log.read_text()
    assert "Traceback" not in start.log.read_text()
    assert lease_of(place) is None

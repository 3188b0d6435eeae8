"""Worker processes: hanging ones are ended, dead ones replaced, and none is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsconsole.authoring.batch import Batch, BatchResult, Lost
from opsconsole.authoring.run import RunState, Selection
from opsconsole.calendar.windows import Window
from opsconsole.core.problems import Work as LeaderWork
from opsconsole.leader.engine import Engine
from opsconsole.store import runs
from opsconsole.worker import processes
from opsconsole.worker.ahead import StartedAhead
from opsconsole.worker.messages import Planning, PlanningResult, Result, Work
from opsconsole.worker.processes import Processes, WorkersCannotStart, may_gather
from tests.conftest import Installing
from tests.faults.fork_server import Child, ForkServer
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2025-01-19"


def workers_of(parent: int) -> list[int]:
    """The living worker processes that `parent` has started."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        command = b""
        try:
            while not command and is_child(folder, parent):  # a process that is just starting has none for a moment
                command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"opsconsole.worker.process" in command:
            found.append(int(folder.name))
    return found


def is_child(folder: Path, parent: int) -> bool:
    state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
    return int(ppid) == parent and state not in "ZX"


def feed_of(*batches: Work | None) -> Generator[Work | None, bool, None]:
    yield from (batch for batch in batches)  # a generator, which takes what is sent


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The database of all installations of a test."""
    return f"sqlite:///{tmp_path / 'shared.db'}"


def with_workers(installing: Installing, url: str, count: int, **limits: float) -> Installation:
    """An installation with worker processes, and `limits` (such as `batch_timeout`) on the job that counts."""
    lines = "\n".join(f"{name} = {value}" for name, value in limits.items())
    return installing(
        database_url=url,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting",
        # The lease does not expire within a test: a takeover is possible because its holder has ended.
        environ={"OPSCONSOLE_ENGINE__WORKERS": str(count), "OPSCONSOLE_ENGINE__LEASE_SECONDS": "600"},
        config=f'[jobs."counting.count"]\n{lines}\n',
    )


def without_limits(installing: Installing, url: str) -> Installation:
    """Another installation on the same databases, without worker processes."""
    return installing(
        database_url=url,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


def log_of(place: Installation, run: int) -> list[tuple[datetime, str]]:
    with place.store.reading() as db:
        return runs.log_lines(db, run, limit=1000)


def failures_of(place: Installation, run: int) -> dict[str, str]:
    with place.store.reading() as db:
        return {item: message for item, _, message in runs.failures_of(db, run)}


def test_items_that_hang_or_end_their_worker_fail_alone(installing: Installing, url: str) -> None:
    place = with_workers(installing, url, 2, batch=4, workers=2, batch_timeout=1.5)
    counting.put(place.data, {"a-dier": "dies", "b-hanger": "hangs", "d-fine": "fine", "e-fine": "fine"})
    counting.put(place.data, {"c-stumbler": "stumbles"}, left=1)

    ended = place.run("counting.count", DAY)

    assert ended.state is RunState.PARTIAL
    assert (ended.counts.ok, ended.counts.failed) == (3, 2)
    assert failures_of(place, ended.id) == {
        "a-dier": "quarantined after 3 deaths: its worker was ended by SIGKILL",
        "b-hanger": "quarantined after 3 deaths: it took longer than 1.5 s",
    }
    assert set(counting.marks(place.data)) == {(DAY, "c-stumbler"), (DAY, "d-fine"), (DAY, "e-fine")}
    lines = [line for _, line in log_of(place, ended.id)]
    assert any("its worker ended with exit code 7" in line for line in lines)
    counted = [words for line in lines if (words := re.search(r"batch (\d+) of \d+: ", line))]
    assert [words[1] for words in counted] == ["2"], "the batches that replace the first one are not counted"
    assert workers_of(os.getpid()) == []


def test_a_batch_in_an_endless_loop_is_ended_at_its_timeout(installing: Installing, url: str) -> None:
    place = with_workers(installing, url, 1, batch_timeout=1.0)
    counting.put(place.data, {"hanger": "hangs"})

    with place.leading():
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 1, "the worker has started the batch")
        (_, _, pid) = counting.tried(place.data)[0]
        eventually(lambda: not is_alive(pid), "the worker has ended")

        eventually(
            lambda: any("took longer than 1 s" in line for _, line in log_of(place, number)), "the log has the timeout"
        )


def test_a_run_past_its_timeout_ends_even_if_a_worker_ignores_sigterm(installing: Installing, url: str) -> None:
    place = with_workers(installing, url, 1, batch=5, timeout=4.0)
    counting.put(place.data, {f"a{i}": "fine" for i in range(5)} | {"b": "hangs on"})
    counting.put(place.data, {f"c{i}": "fine" for i in range(10)})

    with place.leading():
        ended = place.run("counting.count", DAY)
        hung = [pid for _, first, pid in counting.tried(place.data) if first == "b"]
        alive = [pid for pid in hung if is_alive(pid)]
    counting.change(place.data, "b", "fine")
    rest = without_limits(installing, url).retry(ended.id)

    assert ended.state is RunState.TIMED_OUT
    assert ended.error == "it took longer than its timeout of 4 s"
    assert (ended.counts.planned, ended.counts.ok, ended.counts.failed, ended.counts.not_reached) == (16, 5, 0, 11)
    assert hung != []
    assert alive == []
    assert (rest.state, rest.counts.planned, rest.counts.ok) == (RunState.SUCCEEDED, 11, 11)
    assert len(counting.marks(place.data)) == 16


def test_stopping_leaves_no_worker_and_the_next_leader_continues_the_run(installing: Installing, url: str) -> None:
    place = with_workers(installing, url, 1)
    counting.put(place.data, {f"a{i}": "fine" for i in range(10)} | {"b": "hangs"})

    with place.leading():
        number = place.begin("counting.count", DAY)
        eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch hangs")
        at_work = workers_of(os.getpid())
    left_over = workers_of(os.getpid())
    interrupted = place.service.queries.run(number)
    counting.change(place.data, "b", "fine")
    with without_limits(installing, url).leading():
        ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)

    assert len(at_work) == 1
    assert left_over == []
    assert interrupted.state is RunState.INTERRUPTED
    assert interrupted.counts.ok == 10
    assert ended is not None
    assert (ended.state, ended.attempt, ended.counts.ok) == (RunState.SUCCEEDED, 2, 11)
    assert len(counting.tried(place.data)) == 3, "the completed batch is not repeated"


@pytest.fixture
def headless(fork_server: ForkServer, tmp_path: Path) -> Iterator[Callable[[Installation], Child]]:
    """Starts `opsconsole headless` in a separate process, on the same databases as an installation."""
    started: list[Child] = []

    def start(place: Installation) -> Child:
        environ = os.environ | place.environ | {"XDG_DATA_HOME": str(tmp_path / "headless")}
        started.append(fork_server.start(["headless"], environ, output=tmp_path / "headless.log", folder=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_sigkill_of_the_leader_ends_its_workers_and_another_leader_continues(
    installing: Installing, url: str, headless: Callable[[Installation], Child]
) -> None:
    place = with_workers(installing, url, 1)
    counting.put(place.data, {f"a{i}": "fine" for i in range(10)} | {"b": "hangs"})
    leader = headless(place)
    number = place.begin("counting.count", DAY)
    eventually(lambda: len(counting.tried(place.data)) == 2, "the second batch hangs")
    _, _, worker = counting.tried(place.data)[-1]
    assert is_alive(worker)

    leader.kill()
    leader.wait()

    eventually(lambda: not is_alive(worker), "the worker has ended with its leader")
    counting.change(place.data, "b", "fine")
    with without_limits(installing, url).leading() as engine:
        eventually(lambda: is_at_work(engine), "another process leads")
        ended = place.service.commands.wait_for_run(number, PATIENCE_SECONDS)
    assert ended is not None
    assert (ended.state, ended.attempt, ended.counts.ok) == (RunState.SUCCEEDED, 2, 11)
    assert len(counting.tried(place.data)) == 3


def test_workers_that_cannot_start_report_the_problem(tmp_path: Path) -> None:
    wiring = {"data_url": "sqlite://", "redis_url": "unix:///nowhere", "packs": ["tests.packs.lost"]}
    executor = Processes(wiring | {"overrides": {}, "options": {}}, 1, errors=tmp_path / "workers.log")

    with pytest.raises(WorkersCannotStart, match=r"tests\.packs\.lost cannot be imported"):
        for _ in executor(feed_of(*[None] * 10_000), lambda batch: False):
            pass
    executor.close()

    assert workers_of(os.getpid()) == []


def test_workers_that_hang_while_they_are_imported_are_ended_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.worker.handle.START_SECONDS", 0.5)
    wiring = {"data_url": "sqlite://", "redis_url": "unix:///nowhere", "packs": ["tests.packs.asleep"]}
    executor = Processes(wiring | {"overrides": {}, "options": {}}, 1, errors=tmp_path / "workers.log")

    with pytest.raises(WorkersCannotStart, match=r"no worker process can start: a worker was not ready after 0\.5 s"):
        for _ in executor(feed_of(*[None] * 10_000), lambda batch: False):
            pass

    assert executor.problem is not None
    assert workers_of(os.getpid()) == []


def test_a_worker_that_is_killed_while_nothing_runs_is_replaced(
    installing: Installing, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.leader.runner.TEND_SECONDS", 0.1)
    place = with_workers(installing, url, 1)
    counting.put(place.data, {"anna": "fine"})

    with place.leading() as engine:
        eventually(lambda: len(workers_of(os.getpid())) == 1, "there is a worker")
        (killed,) = workers_of(os.getpid())
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: workers_of(os.getpid()) not in ([], [killed]), "there is another worker")
        ended = place.run("counting.count", DAY)

    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 1)
    assert not any("worker" in line for _, line in log_of(place, ended.id)), "no batch was lost"
    assert engine.problem is None


def test_workers_that_cannot_be_replaced_are_a_problem_until_they_can(
    installing: Installing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    monkeypatch.setenv("FRAGILE", str(broken))
    monkeypatch.setattr("opsconsole.leader.runner.TEND_SECONDS", 0.1)
    place = installing(
        database_url=None,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.fragile",
        environ={"OPSCONSOLE_ENGINE__WORKERS": "2", "OPSCONSOLE_ENGINE__LEASE_SECONDS": "600"},
    )

    def problems() -> list[str]:
        return [problem.reason for problem in engine.problems() if problem.work == LeaderWork.WORKERS]

    with place.leading() as engine:
        place.run("fragile.harmless", DAY)
        broken.touch()
        os.kill(workers_of(os.getpid())[0], signal.SIGKILL)
        eventually(lambda: problems() != [], "it is reported")
        reported = problems()
        ended = place.run("fragile.harmless", DAY)
        broken.unlink()
        eventually(lambda: problems() == [] and len(workers_of(os.getpid())) == 2, "the worker has been replaced")

    assert "tests.packs.fragile cannot be imported: ImportError: the file exists" in reported[0]
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 2)


@pytest.mark.soak  # fifteen seconds pass until a worker counts as one that does not read
@pytest.mark.parametrize("keys", [2, 50_000])
def test_a_stopped_worker_delays_nobody_and_is_replaced(
    keys: int, installing: Installing, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.worker.handle.TAKE_SECONDS", 0.3)
    place = with_workers(installing, url, 1)
    at = datetime(2026, 1, 18, 18, 30, tzinfo=UTC)
    batch = Batch(1, 1, 1, "counting.gross", Window(at, at, DAY), at, [f"user{i:06}" for i in range(keys)], {}, 60.0)
    executor = Processes(place.settings.for_workers(), 1, errors=tmp_path / "workers.log")
    results = executor(feed_of(None, None, batch, *[None] * 2_000, batch, *[None] * 10_000), lambda batch: False)

    assert next(results) is None
    (stopped,) = workers_of(os.getpid())
    os.kill(stopped, signal.SIGSTOP)
    eventually(lambda: is_stopped(stopped), "it reads nothing more")
    lost = next(result for result in results if result is not None)
    done = next(result for result in results if result is not None)
    executor.close()

    assert isinstance(lost, BatchResult)
    assert (lost.lost, lost.again) == (Lost.WORKER_DIED, batch.keys)
    assert [loss.why for loss in executor.losses] == [Lost.WORKER_DIED]
    assert lost.reason == "its worker did not read it within 0.3 s"
    assert isinstance(done, BatchResult)
    assert done.ok == keys
    assert not is_alive(stopped)


def test_a_worker_that_was_started_ahead_works_alone_until_that_takes_long(
    installing: Installing, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.leader.runner.TEND_SECONDS", 0.1)
    monkeypatch.setattr(processes, "ALONE_SECONDS", 600.0)
    place = with_workers(installing, url, 2)
    counting.put(place.data, {"anna": "fine"})
    number = place.service.commands.trigger("counting.count", DAY)
    ahead = StartedAhead(place.settings)
    (first,) = workers_of(os.getpid())
    engine = Engine(place.settings, place.store, place.catalog, only_command=number, ahead=ahead)
    place.service.use_engine(engine)

    engine.start()
    ended = place.ended_run(number)
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 1)
    assert workers_of(os.getpid()) == [first]
    monkeypatch.setattr(processes, "ALONE_SECONDS", 0.0)
    eventually(lambda: len(workers_of(os.getpid())) == 2, "the others start, as the command has not ended")
    assert first in workers_of(os.getpid())
    engine.stop()
    ahead.close()

    assert workers_of(os.getpid()) == []


def test_a_worker_that_was_started_ahead_and_not_needed_is_ended(installing: Installing, url: str) -> None:
    ahead = StartedAhead(with_workers(installing, url, 2).settings)
    assert len(workers_of(os.getpid())) == 1

    ahead.close()

    assert workers_of(os.getpid()) == []


def test_a_worker_that_was_started_ahead_ends_with_a_leadership_that_cannot_begin(
    installing: Installing, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.leader.term.Runner", None)  # making one raises
    place = with_workers(installing, url, 1)
    ahead = StartedAhead(place.settings)
    engine = Engine(place.settings, place.store, place.catalog, ahead=ahead)

    engine.start()
    eventually(lambda: workers_of(os.getpid()) == [], "it has ended")
    assert ahead.take(ahead.deadline) is None, "a leadership had taken it"
    engine.stop()


def test_a_worker_takes_a_batch_larger_than_a_pipe(installing: Installing, url: str, tmp_path: Path) -> None:
    place = with_workers(installing, url, 1)
    at = datetime(2026, 1, 18, 18, 30, tzinfo=UTC)
    keys = [f"user{i:06}" for i in range(20_000)]
    batch = Batch(1, 1, 1, "counting.count", Window(at, at, DAY), at, keys, {}, 60.0)
    executor = Processes(place.settings.for_workers(), 1, errors=tmp_path / "workers.log")
    feed = feed_of(batch, *[None] * 10_000)

    result = next(result for result in executor(feed, lambda batch: False) if result is not None)
    executor.close()

    assert isinstance(result, BatchResult)
    assert (result.ok, result.failed) == (20_000, [])
    assert len(json.dumps(keys)) > 65_536


def test_no_more_pages_of_keys_are_gathered_than_memory_is_for(
    installing: Installing, url: str, tmp_path: Path
) -> None:
    place = with_workers(installing, url, 1)
    keys = [f"user{i:06}" for i in range(30_000)]
    counting.put(place.data, dict.fromkeys(keys, "fine"))
    at = datetime(2026, 1, 18, 18, 30, tzinfo=UTC)
    planning = Planning(1, "counting.wide", Window(at, at, DAY), at, False, Selection.ALL, 60.0)
    executor = Processes(place.settings.for_workers(), 1, errors=tmp_path / "workers.log")

    gathered: list[list[str]] = [[]]
    for result in executor(feed_of(planning, *[None] * 10_000), lambda work: False):
        if result is None:
            gathered.append([])
            continue
        assert isinstance(result, PlanningResult)
        gathered[-1] += result.keys
        if result.is_last:
            break
    executor.close()

    assert [key for some in gathered for key in some] == keys
    assert max(map(len, gathered)) <= (processes.MOST_PAGES + 1) * 5000


@pytest.mark.parametrize("pages", range(processes.MOST_PAGES + 1))
def test_pages_of_keys_wait_for_more_while_no_worker_is_idle(pages: int) -> None:
    results: list[Result] = [BatchResult(1, 1, 3), *[PlanningResult(1, keys=["anna"])] * pages]

    assert may_gather(results, all_busy=True) is (0 < pages < processes.MOST_PAGES)
    assert not may_gather(results, all_busy=False)

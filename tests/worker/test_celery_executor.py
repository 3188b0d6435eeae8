"""The executor for several machines, with a real broker: the test plays the workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from opsconsole.authoring.batch import Batch, BatchResult, Lost
from opsconsole.calendar.windows import Window
from opsconsole.core.clock import boottime
from opsconsole.worker.celery.app import celery_app
from opsconsole.worker.celery.broker import Broker
from opsconsole.worker.celery.executor import CeleryExecutor
from opsconsole.worker.celery.fingerprint import leading, problem
from opsconsole.worker.celery.messages import Answer, BrokerState, LeaderRecord, WorkerRecord
from opsconsole.worker.celery.tasks import MAX_SENT, Roster, Task, Trouble
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.messages import Planning, PlanningResult, Result, Work
from tests.conftest import Installing
from tests.waiting import PATIENCE_SECONDS, eventually
from tests.worker.attached import BrokerServer, broker_server

AT = datetime(2026, 1, 18, 18, 30, tzinfo=UTC)
WINDOW = Window(AT, AT, "2026-01-19")
KEYS = ["anna", "ben"]
BATCH = Batch(17, 1, 1, "counting.count", WINDOW, AT, KEYS, {}, 60.0)
PLANNING = Planning(17, "counting.count", WINDOW, AT, False, None, 60.0)

tokens = count(5)
beats = count(1)


class Feeding:
    """A feed that yields the work that it was given."""

    def __init__(self, *work: Work) -> None:
        self.work = list(work)

    def __iter__(self) -> Feeding:
        return self

    def __next__(self) -> Work | None:
        return self.work.pop(0) if self.work else None

    def send(self, starving_only: bool, /) -> Work | None:
        return None


class Playing:
    """An executor with its broker, and a worker that this test plays."""

    def __init__(self, url: str, token: int, *work: Work, lease_seconds: float = 600.0) -> None:
        self.url, self.token = url, token
        self.broker = Broker(url)
        self.lease = LeaseDeadline()
        self.lease.extend(boottime() + 600)
        self.leading = LeaderRecord(token, "here", "1", "code", "settings")
        self.executor = CeleryExecutor(
            url, self.leading, longest_batch_seconds=60, lease=self.lease, lease_seconds=lease_seconds
        )
        self.stopped: set[int] = set()
        self._results = self.executor(Feeding(*work), lambda work: work.run in self.stopped)

    def attach(self, worker: str = "w1", *busy: str, seconds: float = 600.0) -> None:
        """Announces a worker that has begun the tasks `busy`."""
        own = WorkerRecord(worker, "asha", f"host-{worker}", 1, AT, 1, list(busy), next(beats))
        self.broker.attach(own, seconds, self.token, [])

    def next_task(self, after: str = "") -> str:
        """The id of the task that is open, once it is another one than `after`."""
        found: list[str] = []

        def is_open() -> bool:
            self.step()
            with BrokerServer.client(self) as client:  # type: ignore[arg-type] # it only needs the URL
                found[:] = [key.decode() for key in client.hkeys(f"opsconsole.tasks.{self.token}")]
            return bool(found) and found != [after]

        eventually(is_open, "a task is open")
        return next(task for task in found if task != after)

    def step(self) -> Result | None:
        return next(self._results)

    def result(self) -> Result:
        """The next result."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (found := self.step()) is None:
            assert time.monotonic() < end, "no result came"
        return found

    def answer(self, task: str, result: Result, *, page: int = 0, token: int | None = None) -> None:
        self.broker.send_answer(self.token, Answer(token or self.token, task, page, result))

    def until(self, holds: Callable[[], bool], what: str) -> None:
        eventually(lambda: bool(self.step()) or holds(), what)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerServer]:
    with broker_server(tmp_path_factory.mktemp("broker"), keeps=False) as started:
        yield started


@pytest.fixture
def play(server: BrokerServer) -> Iterator[Callable[..., Playing]]:
    made: list[Playing] = []

    def begin(*work: Work, lease_seconds: float = 600.0) -> Playing:
        # The thread of an executor that was closed still receives what is for its own token.
        made.append(Playing(server.url, next(tokens), *work, lease_seconds=lease_seconds))
        return made[-1]

    yield begin
    for each in made:
        each.executor.close()
        each.broker.close()
    with server.client() as client:
        client.flushall()


def done(batch: Batch = BATCH) -> BatchResult:
    return BatchResult(batch.run, batch.seq, batch.attempt, ok=len(batch.keys))


def test_the_first_result_counts_and_a_second_one_is_dropped(play: Callable[..., Playing]) -> None:
    playing = play(BATCH)
    playing.attach()
    task = playing.next_task()

    playing.answer(task, done())
    first = playing.result()
    playing.answer(task, done())
    playing.until(lambda: playing.executor.dropped == 1, "the duplicate is dropped")

    assert first == done()


def test_the_result_for_an_earlier_leader_is_dropped_and_counted(play: Callable[..., Playing]) -> None:
    playing = play(BATCH)
    playing.attach()
    task = playing.next_task()

    playing.answer(task, done(), token=playing.token - 1)
    playing.until(lambda: playing.executor.dropped == 1, "it is dropped")
    playing.answer(task, done())

    assert playing.result() == done()


def test_a_task_whose_worker_is_lost_is_sent_again(play: Callable[..., Playing]) -> None:
    playing = play(BATCH, lease_seconds=0.0)
    playing.attach("w1")
    task = playing.next_task()
    playing.broker.claim(playing.token, task, "w1")

    again = playing.next_task(after=task)
    _, is_claimed = playing.broker.claim(playing.token, again, "w2")
    playing.answer(task, done())
    playing.until(lambda: playing.executor.dropped == 1, "the late result is dropped")
    playing.answer(again, done())

    assert is_claimed
    assert playing.result() == done()
    assert [loss.why for loss in playing.executor.losses] == [Lost.WORKER_DIED]


def test_a_task_that_its_worker_leaves_is_sent_again_without_blame(play: Callable[..., Playing]) -> None:
    playing = play(BATCH)
    playing.attach()
    task = playing.next_task()

    playing.answer(task, BatchResult(17, 1, 1, again=KEYS, lost=Lost.STOPPED, reason="its worker was stopped"))
    again = playing.next_task(after=task)

    assert again != task
    assert playing.executor.losses == ()


def test_a_task_that_no_worker_has_begun_is_withdrawn(play: Callable[..., Playing]) -> None:
    playing = play(BATCH)
    playing.attach()
    task = playing.next_task()

    playing.executor.withdraw(17)
    result = playing.result()
    _, is_claimed = playing.broker.claim(playing.token, task, "w1")

    assert isinstance(result, BatchResult)
    assert (result.lost, result.again) == (Lost.STOPPED, KEYS)
    assert not is_claimed


def test_a_worker_ends_the_task_of_a_stopped_run(play: Callable[..., Playing]) -> None:
    playing = play(BATCH)
    playing.attach()
    task = playing.next_task()
    playing.broker.claim(playing.token, task, "w1")
    own = WorkerRecord("w1", "asha", "here", 1, AT, 1, [task])

    playing.executor.withdraw(17)
    playing.attach("w1", task)
    before = playing.broker.attach(own, 60.0, playing.token, [task])[2]
    playing.stopped.add(17)
    playing.until(lambda: playing.broker.attach(own, 60.0, playing.token, [task])[2] == [task], "it is attached")
    playing.answer(task, BatchResult(17, 1, 1, again=KEYS, lost=Lost.STOPPED, reason="it was stopped"))
    result = playing.result()

    assert before == []
    assert isinstance(result, BatchResult)
    assert result.lost is Lost.STOPPED


def test_a_planning_of_which_a_part_was_lost_starts_again(play: Callable[..., Playing]) -> None:
    playing = play(PLANNING)
    playing.attach()
    task = playing.next_task()

    playing.answer(task, PlanningResult(17, keys=["anna"]), page=0)
    first = playing.result()
    playing.answer(task, PlanningResult(17, keys=["chen"], done=True), page=2)
    second = playing.result()

    assert first == PlanningResult(17, keys=["anna"])
    assert isinstance(second, PlanningResult)
    assert second.lost is Lost.WORKER_DIED


def test_nothing_is_sent_without_a_worker(play: Callable[..., Playing]) -> None:
    playing = play(BATCH)

    playing.step()

    assert playing.executor.problem == "no worker is attached; start `opsconsole worker`"
    playing.attach()
    playing.next_task()
    assert playing.executor.problem is None


def test_nothing_is_sent_while_a_worker_ends_the_task_of_an_earlier_leader(play: Callable[..., Playing]) -> None:
    playing = play(BATCH)
    playing.attach("w1", f"{playing.token - 1}.1.16")

    playing.step()
    state = playing.broker.read_state(playing.token)
    playing.attach("w1")

    assert state.waiting == 0
    assert playing.next_task().startswith(f"{playing.token}.")


def test_runs_fail_after_the_broker_has_been_unreachable_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broker_server(tmp_path / "b") as server:
        playing = Playing(server.url, 5, BATCH, BATCH)
        playing.attach()
        playing.next_task()
        server.kill()
        playing.until(lambda: playing.executor.problem is not None, "it is noticed")
        problem = playing.executor.problem
        monkeypatch.setattr("opsconsole.worker.celery.executor.RESTART_SECONDS", 0.0)
        monkeypatch.setattr("opsconsole.worker.celery.executor.OUTAGE_SECONDS", 0.0)
        broken = [playing.result(), playing.result()]
        playing.executor.close()

    assert problem is not None
    assert problem.startswith("the broker is unreachable: ")
    assert [isinstance(each, BatchResult) and (each.broken, each.again) for each in broken] == [("broker", KEYS)] * 2


@pytest.mark.parametrize(
    ("leader", "why"),
    [
        (LeaderRecord(9, "delhi", "1", "code", "settings"), None),
        (LeaderRecord(9, "delhi", "2", "other", "other"), "the leader on delhi runs opsconsole 2, and this is 1: "),
        (
            LeaderRecord(9, "delhi", "1", "other", "settings"),
            "the code of the leader on delhi differs from the code here: ",
        ),
        (LeaderRecord(9, "delhi", "1", "code", "other"), "the leader on delhi has other jobs or other job settings: "),
    ],
)
def test_a_worker_of_another_installation_may_not_work_for_a_leader(leader: LeaderRecord, why: str | None) -> None:
    found = problem(LeaderRecord(0, "mumbai", "1", "code", "settings"), leader)

    assert found is None if why is None else found is not None and found.startswith(why)


def test_digests_differ_with_the_settings_of_jobs(installing: Installing) -> None:
    how = {"database_url": None, "redis_url": "unix:///nowhere/redis.sock", "packs": "tests.packs.counting"}
    places = [
        installing(**how),
        installing(**how),
        installing(**how, config='[jobs."counting.count"]\nbatch_timeout = 5\n'),
    ]

    found = [leading(place.settings, place.catalog, 1) for place in places]

    assert found[0] == found[1]
    assert found[0].code == found[2].code
    assert found[0].settings != found[2].settings


@pytest.mark.parametrize(
    ("url", "broker", "tls"),
    [
        ("redis://broker.example/3", "redis://broker.example:6379/3", None),
        ("redis://ops:s%40x@10.0.0.1:6380", "redis://ops:s%40x@10.0.0.1:6380/0", None),
        ("rediss://:word@b/0", "redis://:word@b:6379/0", {"ssl_cert_reqs": "required"}),
        ("rediss://b?ssl_cert_reqs=none", "redis://b:6379/0", {"ssl_cert_reqs": "none"}),
        ("unix:///run/b.sock?db=2", "redis+socket:///run/b.sock?virtual_host=2", None),
    ],
)
def test_celery_connects_to_the_same_broker(url: str, broker: str, tls: dict[str, str] | None) -> None:
    app = celery_app(url, longest_batch_seconds=60)

    assert app.conf.broker_url == broker
    assert app.conf.broker_use_ssl == tls
    assert app.conf.broker_transport_options["visibility_timeout"] > 60


def state(*busy: str, claims: dict[str, str] | None = None, waiting: int = 0, beat: int = 1) -> BrokerState:
    return BrokerState({"w1": WorkerRecord("w1", "asha", "here", 1, AT, 1, list(busy), beat)}, claims or {}, waiting)


@pytest.mark.parametrize(
    ("first", "then", "after", "trouble"),
    [
        (state(), state(), 5.1, Trouble.MESSAGE_LOST),
        (state(waiting=1), state(waiting=1), 600, None),
        (state("t"), state("t"), 60, None),
        (state("t"), state("t"), 76, Trouble.OVERDUE),
        (state("t"), state(beat=3), 0, None),
        (state("t", claims={"t": "w1"}), state(beat=2), 600, Trouble.OVERDUE),
        (state(claims={"t": "w1"}), state("t"), 6, None),
        (state(claims={"t": "w2"}), state(), 0, Trouble.WORKER_LOST),
    ],
)
def test_when_a_task_is_lost(first: BrokerState, then: BrokerState, after: float, trouble: Trouble | None) -> None:
    task = Task("t", BATCH, 1000.0)

    task.observe(first, 1000.0)

    assert task.observe(then, 1000.0 + after) is trouble


def test_a_result_is_lost_when_its_worker_has_finished_for_a_while() -> None:
    task = Task("t", BATCH, 0.0)

    task.observe(state("t"), 0.0)
    found = [task.observe(state(beat=3), at) for at in (10.0, 14.0, 15.1)]

    assert found == [None, None, Trouble.RESULT_LOST]


def test_a_worker_is_alive_while_its_beat_grows_even_if_the_broker_lost_data() -> None:
    roster, nothing = Roster(10.0), BrokerState({}, {}, 0)
    roster.update(state(beat=1), 0.0)

    found = [
        list(roster.update(looked, at).workers)
        for looked, at in ((nothing, 9.0), (state(beat=2), 10.0), (state(beat=2), 19.0), (state(beat=2), 20.1))
    ]

    assert found == [["w1"], ["w1"], ["w1"], []]


def test_an_unannounced_worker_is_alive_if_it_has_claimed_a_task() -> None:
    roster = Roster(10.0)
    claimed = BrokerState({}, {"t": "w9"}, 0)

    assert [bool(roster.update(claimed, at).workers) for at in (0.0, 10.0)] == [True, True]


def test_a_batch_whose_workers_are_lost_every_time_is_not_sent_again() -> None:
    assert Task("t", BATCH, 0.0, sent=MAX_SENT - 1).may_be_sent_again
    assert not Task("t", BATCH, 0.0, sent=MAX_SENT).may_be_sent_again
    assert Task("t", PLANNING, 0.0).may_be_sent_again
    assert not Task("t", PLANNING, 0.0, pages=1).may_be_sent_again

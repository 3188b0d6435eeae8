"""What a job does to its process ends its run, or fails its item, and nothing else."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from opsconsole.authoring.run import Run, RunState, Selection
from opsconsole.core.errors import OpsconsoleError
from opsconsole.leader.engine import Engine
from opsconsole.rules.backfill import Only
from opsconsole.store import runs
from opsconsole.worker.counting import CannotCount
from opsconsole.worker.descendants import MARK, end_abandoned, mark
from tests.installation import Installation
from tests.packs import hostile
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2025-01-19"
CAUSES = {
    "exits": "its worker ended with exit code 7",
    "leaves": "SystemExit: enough",
    "is_killed": "its worker was ended by SIGKILL",
    "kills_its_group": "its worker was ended by SIGKILL",
    "crashes": "its worker was ended by SIGSEGV",
    "loops": "it took longer than 0.5 s",
    "stops": "it took longer than 0.5 s",
    "interrupts": "KeyboardInterrupt",
    "closes": "its worker closed the pipe for its result",
    "answers": "its worker sent something that is not its result",
    "floods": "its worker sent ",
    "devours": "MemoryError",
}
"""What a run says about each act."""


def acts(*quick: str) -> pytest.MarkDecorator:
    """A test for each act; those that are not `quick` in the soak campaign only, as workers take time to start."""
    marked = [pytest.param(act, marks=() if act in quick else pytest.mark.soak) for act in sorted(hostile.ACTS)]
    return pytest.mark.parametrize("act", marked)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose leader has one worker."""
    made = Installation(
        tmp_path_factory.mktemp("hostile"),
        database_url=None,
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.hostile",
        # The lease does not expire within a test.
        environ={"OPSCONSOLE_ENGINE__WORKERS": "1", "OPSCONSOLE_ENGINE__LEASE_SECONDS": "600"},
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def leader(place: Installation) -> Iterator[Engine]:
    with place.leading() as engine:
        yield engine


def failures_of(place: Installation, run: Run) -> dict[str, str]:
    with place.store.reading() as db:
        return {item: message for item, _, message in runs.failures_of(db, run.id)}


def log_of(place: Installation, run: Run) -> list[str]:
    with place.store.reading() as db:
        return [line for _, line in runs.log_lines(db, run.id, limit=1000)]


def processes(*command: str) -> list[int]:
    """The living processes with this command line."""
    command_line = b"\0".join(word.encode() for word in command) + b"\0"
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == command_line:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@acts("exits", "crashes", "loops", "answers", "closes", "devours")
def test_a_run_whose_items_cannot_be_read_fails_with_the_cause(
    act: str, place: Installation, leader: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    run = place.run(f"hostile.population_{act}", DAY)
    other = place.run("hostile.harmless", DAY)

    assert run.state is RunState.FAILED
    assert run.error is not None
    assert CAUSES[act] in run.error
    assert (run.counts.planned, run.recoveries) == (0, 0)
    assert (other.state, other.counts.ok) == (RunState.SUCCEEDED, 2)
    assert leader.problem is None
    about_workers = [record for record in caplog.records if "worker process" in record.getMessage()]
    assert about_workers or act != "loops", "a worker that takes too long is replaced"
    for record in about_workers:
        tag, fields = f"[hostile.population_{act}]", vars(record)
        assert record.getMessage().startswith(f"{tag} worker process")
        assert (fields["tag"], fields["job"], fields["run"]) == (tag, run.job, run.id)


@acts("is_killed", "loops")
def test_a_run_that_cannot_be_prepared_fails_with_the_cause(act: str, place: Installation, leader: Engine) -> None:
    run = place.run(f"hostile.prepare_{act}", DAY)

    assert run.state is RunState.FAILED
    assert run.error is not None
    assert CAUSES[act] in run.error
    assert leader.problem is None


@acts("leaves")
def test_a_run_over_stale_items_that_cannot_be_read_fails_with_the_cause(
    act: str, place: Installation, leader: Engine
) -> None:
    run = place.ended_run(place.service.commands.trigger(f"hostile.stale_{act}", DAY, only=Selection.STALE))

    assert run.state is RunState.FAILED
    assert run.error is not None
    assert CAUSES[act] in run.error
    assert leader.problem is None


@acts("answers", "floods", "closes", "devours", "kills_its_group")
def test_only_the_item_fails_that_ends_its_worker(act: str, place: Installation, leader: Engine) -> None:
    run = place.run(f"hostile.apply_{act}", DAY)

    assert run.state is RunState.PARTIAL
    assert (run.counts.ok, run.counts.failed) == (1, 1)
    assert CAUSES[act] in failures_of(place, run)["ben"]
    assert leader.problem is None


@pytest.mark.parametrize("wrong", sorted(hostile.WRONG))
def test_a_population_that_is_none_fails_its_run(wrong: str, place: Installation, leader: Engine) -> None:
    run = place.run(f"hostile.wrong_{wrong}", DAY)

    assert run.state is RunState.FAILED
    assert run.error is not None
    assert run.error.startswith(f"the population of hostile.wrong_{wrong} {hostile.WRONG[wrong][1]}")
    assert leader.problem is None


@acts("exits", "loops", "devours")
def test_a_count_says_what_ended_it(act: str, place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    cause = CAUSES[act]
    with monkeypatch.context() as patched:
        if act in hostile.HANGS:
            patched.setattr("opsconsole.worker.counting.COUNT_SECONDS", 0.5)
        with pytest.raises(CannotCount) as raised:
            place.service.queries.preview(f"hostile.population_{act}", DAY)

    assert cause in raised.value.sentence
    assert place.service.queries.preview("hostile.harmless", DAY).items == 2


def test_a_plan_says_which_items_cannot_be_counted(place: Installation, leader: Engine) -> None:
    place.run("hostile.stale_exits", DAY)

    with pytest.raises(OpsconsoleError, match=r"hostile\.stale_exits could not be counted: its worker ended with exit"):
        place.service.backfills.plan(
            ["hostile.stale_exits"], date.fromisoformat(DAY), date.fromisoformat(DAY), only=Only.STALE
        )


@pytest.mark.parametrize("wrong", sorted(set(hostile.WRONG) - {"unreadable"}))
def test_a_population_that_is_none_is_not_counted(wrong: str, place: Installation) -> None:
    with pytest.raises(CannotCount) as raised:
        place.service.queries.preview(f"hostile.wrong_{wrong}", DAY)

    assert raised.value.sentence.startswith(f"the population of hostile.wrong_{wrong} {hostile.WRONG[wrong][1]}")


def test_processes_that_a_job_leaves_end_with_its_batch(place: Installation, leader: Engine) -> None:
    run = place.run("hostile.leaves_children", DAY)

    assert (run.state, run.counts.ok) == (RunState.SUCCEEDED, 2)
    assert processes("sleep", "600") == []
    assert any("ended 3 processes that the job had started and left running" in line for line in log_of(place, run))


def test_a_process_that_detaches_itself_ends_with_the_batch(place: Installation, leader: Engine) -> None:
    run = place.run("hostile.leaves_a_daemon", DAY)

    assert (run.state, run.counts.ok) == (RunState.SUCCEEDED, 2)
    assert processes("sleep", "601") == []
    assert any("that the job had started and left running" in line for line in log_of(place, run))


def test_nothing_is_left_of_a_worker_that_is_killed(place: Installation, leader: Engine) -> None:
    run = place.run("hostile.leaves_a_daemon_and_dies", DAY)

    assert (run.state, run.counts.failed) == (RunState.PARTIAL, 1)
    assert processes("sleep", "602") == []


def test_a_job_that_returns_in_a_copy_of_its_process_counts_once(place: Installation, leader: Engine) -> None:
    run = place.run("hostile.returns_twice", DAY)

    assert (run.state, run.counts.ok, run.counts.failed) == (RunState.SUCCEEDED, 2, 0)
    assert leader.problem is None


def test_the_next_job_does_not_find_what_another_has_changed(place: Installation, leader: Engine) -> None:
    before = place.run("hostile.reports", DAY)
    disturbing = place.run("hostile.disturbs", DAY)
    after = place.run("hostile.reports", DAY)

    assert [run.state for run in (before, disturbing, after)] == [RunState.SUCCEEDED] * 3
    assert reported(place, after) == reported(place, before) != []


def reported(place: Installation, run: Run) -> list[str]:
    return [line for line in log_of(place, run) if "state: " in line]


def test_the_output_of_jobs_does_not_fill_the_disk(
    place: Installation, leader: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.worker.output.MAX_OUTPUT_BYTES", 100_000)
    output = place.settings.folder / "workers.log"

    run = place.run("hostile.talks", DAY)

    assert run.state is RunState.SUCCEEDED
    eventually(lambda: output.stat().st_size < 100_000, "the output has been emptied")
    assert output.with_name("workers.log.1").stat().st_size > 100_000


def test_a_key_that_cannot_be_sent_fails_its_run(place: Installation, leader: Engine) -> None:
    run = place.run("hostile.huge_key", DAY)

    assert run.state is RunState.FAILED
    assert leader.problem is None


def test_what_a_killed_leader_has_left_is_ended_by_the_next_one() -> None:
    space = mark(1).partition(".")[0]
    left = subprocess.Popen(["sleep", "603"], env={MARK: f"{space}.999999999.1.1"}, start_new_session=True)
    own = subprocess.Popen(["sleep", "604"], env={MARK: mark(1)})
    elsewhere = subprocess.Popen(["sleep", "604"], env={MARK: "1.999999999.1.1"})
    eventually(lambda: len(processes("sleep", "604")) == 2, "the processes have started")

    end_abandoned()

    assert left.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert (own.poll(), elsewhere.poll()) == (None, None)
    for process in (own, elsewhere):
        process.kill()
        process.wait()

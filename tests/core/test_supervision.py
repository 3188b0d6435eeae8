"""Repeated work survives every exception, and reports what is wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from opsconsole.core import supervision
from opsconsole.core.errors import Refused, Unavailable
from opsconsole.core.problems import Fault, Work
from opsconsole.core.supervision import Loop, Repeated, Supervisor
from tests.waiting import eventually, finished

NOON = datetime(2026, 1, 19, 12, tzinfo=UTC)


class Unreadable(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


RAISED: list[BaseException] = [
    ValueError("no \x1b[2J number"),
    Unavailable("redis", "connection refused"),
    Refused("not now"),
    SystemExit(1),
    KeyboardInterrupt(),
    GeneratorExit(),
    RecursionError("too deep"),
    MemoryError(),
    Unreadable(),
]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_WAIT_SECONDS", 0.01)


def now() -> datetime:
    return NOON


def failing(times: int, error: BaseException, done: threading.Event) -> Callable[[], None]:
    """A step that raises the error that many times, and then succeeds."""
    left = [times]

    def step() -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        done.set()

    return step


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_a_loop_continues_after_any_exception(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    done = threading.Event()
    loop = Loop(Work.SAMPLER, failing(3, error, done), seconds=0.01, now=now)

    loop.start()
    eventually(done.is_set, "it succeeds in the end")
    loop.stop()

    assert len([r for r in caplog.records if "sampler fails" in r.getMessage()]) == 1, "one problem, one line"
    assert any(r.getMessage() == "sampler works again after 3 failures" for r in caplog.records)
    assert "\x1b" not in caplog.text


def test_what_is_wrong_is_reported_until_it_works_again() -> None:
    work = Repeated(Work.EVENT_RELAY, now=now)

    assert work.status().problem is None
    assert not work.attempt(failing(1, Unavailable("redis", "refused"), threading.Event()))
    problem = work.status().problem
    eventually(lambda: work.attempt(lambda: None), "the wait is over")

    assert problem is not None
    assert (problem.work, problem.fault, problem.since) == ("event_relay", Fault.FAILING, NOON)
    assert (problem.reason, problem.dependency) == ("Redis is unreachable: refused", "redis")
    assert work.status().problem is None
    assert work.status().succeeded_seconds is not None


def test_the_wait_grows_with_each_failure_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_WAIT_SECONDS", 1.0)
    work = Repeated(Work.SAMPLER, now=now)
    waits = []

    for _ in range(2000):
        work.failed(ValueError())
        waits.append(round(work.wait_seconds))

    assert waits[:6] == [1, 2, 4, 8, 16, 30]
    assert set(waits[5:]) == {30}


def test_an_outage_is_tried_again_at_a_fixed_interval() -> None:
    work = Repeated(Work.SAMPLER, now=now, outage_seconds=7.0)

    for _ in range(5):
        work.failed(Unavailable("store", "refused"))

    assert round(work.wait_seconds) == 7


def test_different_problems_are_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    work = Repeated(Work.SAMPLER, now=now)

    for n in range(1000):
        work.failed(Refused("one") if n % 2 else Refused(f"another {n}"))

    assert len(caplog.records) == supervision.MAX_LOGGED


def test_a_traceback_shows_lines_and_no_values(caplog: pytest.LogCaptureFixture) -> None:
    def step() -> None:
        secret = "swordfish"  # noqa: F841
        raise ValueError("broken")

    Repeated(Work.SAMPLER, now=now).attempt(step)

    assert 'raise ValueError("broken")' in caplog.text
    assert "test_supervision.py" in caplog.text


def test_a_step_that_does_not_return_is_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    loop = Loop(Work.PRESENCE, lambda: released.wait() and None, seconds=0.01, now=now, stalled_seconds=0.0)
    supervisor = Supervisor(now)
    supervisor.watch(loop)

    loop.start()
    eventually(lambda: [each.fault for each in supervisor.problems()] == [Fault.STALLED], "it is reported")
    released.set()
    loop.stop()

    assert loop.status().problem is None


def test_a_loop_whose_thread_has_ended_is_reported() -> None:
    loop = Loop(Work.PRESENCE, lambda: None, seconds=0.01, now=now)
    loop.start()
    loop.stop()
    loop._stopping.clear()  # as if it had ended by itself

    problem = loop.status().problem

    assert problem is not None
    assert problem.fault is Fault.ENDED


def test_the_last_step_is_done_when_the_loop_stops() -> None:
    done: list[str] = []
    loop = Loop(Work.PRESENCE, lambda: done.append("step"), seconds=60.0, now=now, last=lambda: done.append("last"))

    loop.start()
    eventually(lambda: bool(done), "it has begun")
    loop.stop()

    assert done == ["step", "last"]


def test_the_last_step_is_done_although_the_loop_waits_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_WAIT_SECONDS", 60.0)
    done: list[str] = []
    loop = Loop(Work.PRESENCE, lambda: 1 / 0, seconds=0.0, now=now, last=lambda: done.append("last"))

    loop.start()
    eventually(lambda: loop.status().problem is not None, "it has failed")
    loop.stop()

    assert done == ["last"]


def test_a_thread_that_ends_with_an_exception_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    before = threading.excepthook

    def fails() -> None:
        raise ValueError("gone")

    try:
        supervision.log_unexpected_ends()
        thread = threading.Thread(target=fails, name="some-thread")
        thread.start()
        finished(thread)
    finally:
        threading.excepthook = before

    assert "thread some-thread has ended: it fails: ValueError: gone" in caplog.text

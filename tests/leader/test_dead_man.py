"""The dead man's switch is called while all is well, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsconsole.core import clock
from opsconsole.core.errors import Unavailable
from opsconsole.core.problems import Fault, Work
from opsconsole.core.settings import AlertSettings, Secret
from opsconsole.core.supervision import Supervisor
from opsconsole.leader import dead_man
from opsconsole.leader.dead_man import DeadManSwitch, NotCalled, call
from tests.conftest import Installing
from tests.receivers import HttpReceiver, http_receiver, silent_port
from tests.services import free_port
from tests.waiting import eventually


def url_of(receiver: HttpReceiver) -> str:
    return f"http://{receiver.address}/5f3c-11ab"


def switch(url: str, supervisor: Supervisor, *, is_well: bool = True) -> DeadManSwitch:
    settings = AlertSettings(dead_man_url=Secret(url), dead_man_seconds=0.02)
    return DeadManSwitch(settings, supervisor=supervisor, is_well=lambda: is_well, now=clock.now)


def test_it_is_called_again_and_again() -> None:
    with http_receiver() as receiver:
        made = switch(url_of(receiver), Supervisor(clock.now))
        made.start()
        eventually(lambda: len(receiver.requests) >= 3, "it is called")
        made.stop()

    assert {path for path, _ in receiver.requests} == {"/5f3c-11ab"}


def test_a_leader_that_cannot_renew_its_lease_does_not_call() -> None:
    with http_receiver() as receiver:
        switch(url_of(receiver), Supervisor(clock.now), is_well=False).step()

    assert receiver.requests == []


@pytest.mark.parametrize(
    ("error", "is_called"),
    [
        (RuntimeError("a loop does not work"), False),
        (Unavailable("store", "is read-only"), False),
        (Unavailable("redis", "connection refused"), True),  # which alerts report
    ],
)
def test_it_is_not_called_while_a_loop_of_the_leader_fails(error: Exception, is_called: bool) -> None:
    supervisor = Supervisor(clock.now)
    other = supervisor.repeated(Work.SCHEDULE)
    with http_receiver() as receiver:
        made = switch(url_of(receiver), supervisor)
        other.failed(error)
        made.step()
        called_meanwhile = bool(receiver.requests)
        other.succeeded()
        made.step()

    assert called_meanwhile is is_called
    assert receiver.requests, "it is called when the loop works again"


def test_a_channel_that_fails_does_not_stop_the_calls() -> None:
    supervisor = Supervisor(clock.now)
    supervisor.repeated(f"{Work.NOTIFICATIONS}_mail").failed(RuntimeError("x"))
    with http_receiver() as receiver:
        switch(url_of(receiver), supervisor).step()

    assert len(receiver.requests) == 1


def test_a_url_that_fails_is_a_problem_without_its_parts() -> None:
    supervisor = Supervisor(clock.now)
    with http_receiver() as receiver:
        receiver.status = 503
        made = switch(url_of(receiver), supervisor)
        made.start()
        eventually(lambda: bool(supervisor.problems()), "the problem")
        [problem] = supervisor.problems()
        receiver.status = 200
        eventually(lambda: bool(receiver.requests) and not supervisor.problems(), "it works again")
        made.stop()

    assert (problem.work, problem.fault) == (Work.DEAD_MAN, Fault.FAILING)
    assert problem.reason == "alerts.dead_man_url was not reached: HTTP status 503"


def test_nobody_listens() -> None:
    with pytest.raises(NotCalled, match=r"not reached: Connection refused$"):
        call(Secret(f"http://127.0.0.1:{free_port()}/5f3c-11ab"))


def test_a_host_without_an_address() -> None:
    with pytest.raises(NotCalled) as refused:
        call(Secret("http://canary7.invalid/canary7"))
    assert "canary7" not in refused.value.sentence


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_man, "ANSWER_SECONDS", 0.1)
    with silent_port() as port, pytest.raises(NotCalled):
        call(Secret(f"http://127.0.0.1:{port}/"))


def test_a_server_that_answers_a_byte_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_man, "CALL_SECONDS", 0.2)
    with http_receiver() as receiver:
        receiver.hangs = True
        made = switch(url_of(receiver), Supervisor(clock.now))
        with pytest.raises(NotCalled, match=r"no answer within 0\.2 s"):
            made.step()


def test_a_server_that_speaks_something_else() -> None:
    with http_receiver() as receiver:
        receiver.status = 302  # without a Location
        with pytest.raises(NotCalled):
            call(Secret(url_of(receiver)))


def test_a_leader_calls_it(tmp_path: Path, installing: Installing) -> None:
    with http_receiver() as receiver:
        place = installing(
            database_url=f"sqlite:///{tmp_path / 'shared.db'}",
            redis_url="unix:///nowhere/redis.sock",
            packs="tests.packs.counting",
            environ={
                "OPSCONSOLE_ENGINE__EXECUTOR": "inline",
                "OPSCONSOLE_ALERTS__DEAD_MAN_URL": url_of(receiver),
            },
        )
        with place.leading():
            eventually(lambda: bool(receiver.requests), "it is called")

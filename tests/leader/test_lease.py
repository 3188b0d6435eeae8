"""The lease: one process leads, all processes see which one, and a process that lost the lease cannot write."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsconsole.core import clock
from opsconsole.core.errors import Fenced
from opsconsole.leader.lease import Leadership, identity
from opsconsole.rules.leadership import Identity
from opsconsole.store import Store, lease, migrate
from tests.waiting import PATIENCE_SECONDS, eventually, finished

LONG = 60.0
AT = datetime(2025, 1, 19, 12, 0, tzinfo=UTC)

Leading = Callable[..., Leadership]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url, pool=10)
    migrate.upgrade(made)
    yield made
    made.close()


@pytest.fixture
def leading(store: Store) -> Iterator[Leading]:
    """Makes Leadership objects, each in place of a separate process."""
    made: list[Leadership] = []

    def lead(seconds: float = LONG) -> Leadership:
        made.append(Leadership(store, identity("here", f"number {len(made)}"), seconds=seconds, now=clock.now))
        return made[-1]

    yield lead
    for each in made:
        each.release()


def held_by(store: Store, holder: Identity) -> int:
    """Gives the lease to a holder without a Leadership in this process; returns the token."""
    token: int | None = None
    while token is None:  # a renewal between reading and taking makes the row another one
        with store.reading() as db:
            current = lease.read(db)
        with store.writing() as db:
            token = lease.take(db, current, holder, AT)
    return token


def holder_of(store: Store) -> str | None:
    with store.reading() as db:
        found = lease.read(db)
    return found.holder.owner if found and found.holder else None


def beat_of(store: Store) -> int:
    with store.reading() as db:
        found = lease.read(db)
    assert found is not None
    return found.beat


@pytest.fixture
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this machine."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def identity_of(process: subprocess.Popen[bytes]) -> Identity:
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    started = stat.rpartition(")")[2].split()[19]
    return replace(identity("here", "neighbour"), owner="neighbour", pid=process.pid, pid_started=started)


def test_the_first_process_leads_until_it_releases_the_lease(store: Store, leading: Leading) -> None:
    anna, ben = leading(), leading()

    assert anna.try_take() == 1
    assert (anna.may_start_work, anna.is_held) == (True, True)
    assert ben.try_take() is None
    assert (ben.may_start_work, ben.is_held) == (False, False)
    assert holder_of(store) == anna.me.owner

    anna.release()

    assert holder_of(store) is None
    assert (anna.may_start_work, anna.is_held) == (False, False)
    assert ben.try_take() == 2
    assert holder_of(store) == ben.me.owner


@pytest.mark.parametrize("led_before", [False, True])
def test_of_many_concurrent_processes_one_leads(store: Store, leading: Leading, led_before: bool) -> None:
    if led_before:
        first = leading()
        first.try_take()
        first.release()
    crowd = [leading() for _ in range(6)]
    together = threading.Barrier(len(crowd))
    tokens: list[int | None] = []

    def try_it(one: Leadership) -> None:
        together.wait()
        tokens.append(one.try_take())

    threads = [threading.Thread(target=try_it, args=(one,)) for one in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        finished(thread)

    assert len(tokens) == len(crowd)
    assert [token for token in tokens if token is not None] == [2 if led_before else 1]
    assert sum(one.is_held for one in crowd) == 1


def test_a_dead_leader_on_the_same_machine_is_replaced_at_once(
    store: Store, leading: Leading, neighbour: subprocess.Popen[bytes]
) -> None:
    held_by(store, identity_of(neighbour))
    ben = leading()
    assert ben.try_take() is None

    neighbour.kill()
    neighbour.wait()

    assert ben.try_take() == 2


def test_a_process_with_the_pid_of_a_dead_leader_is_not_the_leader(
    store: Store, leading: Leading, neighbour: subprocess.Popen[bytes]
) -> None:
    held_by(store, replace(identity_of(neighbour), pid_started="1"))

    assert leading().try_take() == 2


def test_a_leader_from_before_a_reboot_is_dead(
    store: Store, leading: Leading, neighbour: subprocess.Popen[bytes]
) -> None:
    here = identity_of(neighbour)
    machine, _, numbers = here.boot.split("/")
    held_by(store, replace(here, boot=f"{machine}/an-earlier-boot/{numbers}"))

    assert leading().try_take() == 2


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"host": "there", "boot": "another-machine/a-boot/pid:[1]"},
        {"boot": "{machine}/{boot}/pid:[of another container]"},
    ],
)
def test_the_lease_of_a_remote_leader_expires_without_beats(
    store: Store, leading: Leading, elsewhere: dict[str, str]
) -> None:
    machine, boot, _ = identity("here", "anna").boot.split("/")
    parts = {name: text.format(machine=machine, boot=boot) for name, text in elsewhere.items()}
    ended = replace(identity("here", "anna"), owner="ended", pid=2**22 + 7, pid_started="1", **parts)
    token = held_by(store, ended)
    ben = leading(seconds=0.4)

    assert ben.try_take() is None
    time.sleep(0.5)
    with store.writing() as db:
        assert lease.renew(db, token, "ended", AT)
    assert ben.try_take() is None, "the lease was renewed"
    time.sleep(0.5)
    assert ben.try_take() == 2


def test_a_process_that_lost_the_lease_can_neither_renew_nor_release_it(store: Store, leading: Leading) -> None:
    anna = leading(seconds=4.0)
    lost = threading.Event()
    token = anna.try_take()
    assert token == 1
    first = beat_of(store)
    anna.keep(lost.set, lambda: True)
    eventually(lambda: beat_of(store) > first, "the lease is renewed")
    assert not lost.is_set()

    held_by(store, replace(identity("here", "ben"), owner="ben"))

    assert lost.wait(PATIENCE_SECONDS), "the process detects that it lost the lease"
    assert (anna.may_start_work, anna.is_held) == (False, False)
    with store.writing() as db:
        assert not lease.renew(db, 1, anna.me.owner, AT)
        lease.release(db, 1, anna.me.owner)
    assert holder_of(store) == "ben"


def test_the_leader_renews_its_lease(store: Store, leading: Leading) -> None:
    anna, ben = leading(seconds=2.0), leading(seconds=2.0)
    anna.try_take()
    anna.keep(lambda: None, lambda: True)

    def beats() -> int:
        assert ben.try_take() is None
        assert anna.is_held
        with store.reading() as db:
            found = lease.read(db)
        assert found is not None
        return found.beat

    eventually(lambda: beats() >= 2, "the holder has renewed it twice")


def test_a_write_with_an_old_token_is_refused(store: Store, leading: Leading) -> None:
    anna = leading()
    token = anna.try_take()
    assert token is not None
    with store.fenced(token):
        pass

    held_by(store, replace(identity("here", "ben"), owner="ben"))

    with pytest.raises(Fenced, match="no longer leads"), store.fenced(token):
        raise AssertionError("this must not be reached")
    with pytest.raises(Fenced), store.fenced(token + 7):
        raise AssertionError("this must not be reached")


def test_a_takeover_waits_for_a_running_write(store: Store, leading: Leading) -> None:
    anna = leading()
    token = anna.try_take()
    assert token is not None
    taken = threading.Event()

    def take_over() -> None:
        held_by(store, replace(identity("here", "ben"), owner="ben"))
        taken.set()

    thread = threading.Thread(target=take_over)
    with store.fenced(token):
        thread.start()
        assert not taken.wait(0.3), "a write that started with a valid token is valid"
    finished(thread)

    assert holder_of(store) == "ben"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_a_renewal_does_not_wait_for_a_long_write(store: Store, leading: Leading) -> None:
    anna = leading()
    token = anna.try_take()
    assert token is not None

    with store.fenced(token), store.writing() as other_transaction:
        assert lease.renew(other_transaction, token, anna.me.owner, AT)


def test_without_a_lease_every_write_is_refused(store: Store) -> None:
    with pytest.raises(Fenced), store.fenced(1):
        raise AssertionError("this must not be reached")

"""Signals between processes that use one store, and the checks for the ones that get lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsconsole.core import clock
from opsconsole.core.file_changes import FileChanges
from opsconsole.core.settings import Actor
from opsconsole.leader.polling import Polling
from opsconsole.store import Store, commands, signals
from opsconsole.store.signals import Listener
from tests.waiting import PATIENCE_SECONDS

AT = datetime(2026, 1, 19, 12, tzinfo=UTC)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    yield made
    made.close()


@pytest.fixture
def other(database_url: str) -> Iterator[Store]:
    """The store as another process has it."""
    made = Store(database_url)
    yield made
    made.close()


def request(store: Store, *, quiet: bool = False) -> int:
    with store.writing(quiet=quiet) as db:
        return commands.request(db, "pause", "all", {}, Actor("asha", "local"), AT)


def test_a_process_is_notified_of_changes_by_another_one(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = threading.Event()
    listener = Listener(store, heard.set, now=clock.now)
    listener.start()
    assert heard.wait(PATIENCE_SECONDS), "when it begins to listen, it may have missed something"
    heard.clear()

    monkeypatch.setattr(signals, "_OWN_NAME", "another process")
    signals.send(other)

    assert heard.wait(PATIENCE_SECONDS)
    listener.stop()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_socket_of_a_killed_process_is_removed_by_the_next_signal(store: Store) -> None:
    folder = Path(f"{store.engine.url.database}.listeners")
    folder.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left, signals._folder(store) as opened:
        left.bind(opened.address("812-dead"))

    signals.send(store)

    assert list(folder.iterdir()) == []


def test_only_writes_that_affect_screens_count_as_changes(store: Store) -> None:
    calls: list[int] = []
    store.subscribe(lambda: calls.append(store.version))

    request(store, quiet=True)
    request(store)

    assert calls == [1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_has_changed_when_any_connection_has_written_to_it(store: Store, other: Store) -> None:
    changes = FileChanges(store)
    assert changes.has_changed(), "nobody knows what was before"
    assert not changes.has_changed()

    for writer in (store, other):
        request(writer, quiet=True)
        assert changes.has_changed()
        assert not changes.has_changed()
    changes.close()


def test_an_idle_leader_polls_when_it_is_woken_or_finds_a_command(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.leader.polling.POLL_SECONDS", 0.0)
    monkeypatch.setattr("opsconsole.leader.polling.IDLE_SECONDS", 0.0)
    wake = threading.Event()
    polling = Polling(store, wake)
    assert polling.is_due(is_busy=False), "it does not know yet"
    assert not polling.is_due(is_busy=False), "there is no work"

    wake.set()
    assert polling.is_due(is_busy=False)
    assert not polling.is_due(is_busy=False)

    request(other)
    assert polling.is_due(is_busy=False), "without a signal, too"
    polling.close()

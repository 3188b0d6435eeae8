"""Fixtures of the fault tests: processes of the program on an installation's databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Installing
from tests.faults.canaries import CANARY, CHANNEL, leaks, passwords, planted, rows_with
from tests.faults.fast_clock import FastClock
from tests.faults.fork_server import Child, ForkServer
from tests.installation import Installation
from tests.receivers import http_receiver
from tests.terminal import Terminal


class Start:
    """Starts `opsconsole WORDS` on an installation's databases, to fail at `point` if one is given, with a clock that
    is `ahead` by some seconds, or another `clock`. What the processes print is in `log`.
    """

    def __init__(self, fork_server: ForkServer, folder: Path) -> None:
        self._fork_server = fork_server
        self.log = folder / "processes.log"
        self.log.touch()
        self._home = folder / "other"
        self.started: list[Child] = []

    def __call__(
        self,
        place: Installation,
        *words: str,
        point: str = "",
        executor: str = "inline",
        workers: int = 1,
        lease: float = 10.0,
        ahead: float = 0.0,
        clock: FastClock | None = None,
    ) -> Child:
        environ = {
            "FAILPOINT": point,
            "OPSCONSOLE_ENGINE__EXECUTOR": executor,
            "OPSCONSOLE_ENGINE__WORKERS": str(workers),
            "OPSCONSOLE_ENGINE__LEASE_SECONDS": str(lease),
            "XDG_DATA_HOME": str(self._home),
        }
        child = self._fork_server.start(
            words,
            os.environ | place.environ | environ,
            output=self.log,
            clock=clock or FastClock(offset_seconds=ahead),
        )
        self.started.append(child)
        return child


@pytest.fixture(scope="session")
def _planted() -> Iterator[dict[str, str]]:
    with http_receiver() as receiver:
        yield planted(receiver.address)


@pytest.fixture(autouse=True)
def _canaries(
    _planted: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[list[Installation]]:
    """Plants secrets in every configured place, and checks after the test that no log, screen, table, report or other
    file has one. Yields the list of installations to look at.
    """
    for name, value in _planted.items():
        monkeypatch.setenv(name, value)
    terminals: list[Terminal] = []
    opened = Terminal.__init__

    def opening(terminal: Terminal, *arguments: Any, **how: Any) -> None:
        terminals.append(terminal)
        opened(terminal, *arguments, **how)

    monkeypatch.setattr(Terminal, "__init__", opening)
    places: list[Installation] = []
    yield places
    shown = {f"terminal {n}": terminal.drawn for n, terminal in enumerate(terminals)}
    shown["captured log"] = caplog.text.encode()
    secrets = {CANARY, *(password for place in places for password in passwords(place.environ))}
    assert list(leaks(secrets, tmp_path, shown)) == []


@pytest.fixture
def installing(
    _planted: dict[str, str],
    _canaries: list[Installation],
    installing: Installing,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installing]:
    """Makes installations with secrets in their environment, and closes them after the test. A test that counts what is
    sent to its own channels has no other one.
    """

    def install(**how: Any) -> Installation:
        given: dict[str, str] = how.get("environ") or {}
        more = dict(_planted)
        if any(name.startswith("OPSCONSOLE_NOTIFY") for name in given):
            for name in [name for name in more if name.startswith(CHANNEL)]:
                del more[name]
                monkeypatch.delenv(name, raising=False)
        _canaries.append(installing(**{**how, "environ": {**more, **given}}))
        return _canaries[-1]

    yield install
    for place in _canaries:
        assert list(rows_with({CANARY, *passwords(place.environ)}, place)) == []


@pytest.fixture
def start(fork_server: ForkServer, tmp_path: Path) -> Iterator[Start]:
    """Starts processes, and ends them after the test."""
    starting = Start(fork_server, tmp_path)
    yield starting
    for process in starting.started:
        process.kill()
        process.wait()

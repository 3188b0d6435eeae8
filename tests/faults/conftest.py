"""Fixtures of the fault tests: processes of the program on an installation's databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fast_clock import FastClock
from tests.faults.fork_server import Child, ForkServer
from tests.installation import Installation


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


@pytest.fixture
def start(fork_server: ForkServer, tmp_path: Path) -> Iterator[Start]:
    """Starts processes, and ends them after the test."""
    starting = Start(fork_server, tmp_path)
    yield starting
    for process in starting.started:
        process.kill()
        process.wait()

"""What tests of faults may ask for: processes of the program on an installation's databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.installation import Installation


class Start(Protocol):
    """Starts `opsconsole WORDS` on an installation's databases, to fail at `point` if one is named, with a clock that
    is `ahead` by so many seconds. What it prints is in `log`.
    """

    log: Path

    def __call__(
        self,
        place: Installation,
        *words: str,
        point: str = "",
        executor: str = "inline",
        workers: int = 1,
        lease: float = 10.0,
        ahead: float = 0.0,
    ) -> subprocess.Popen[bytes]: ...


class _Starting:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "processes.log"
        self.log.touch()
        self._home = folder / "other"
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(
        self,
        place: Installation,
        *words: str,
        point: str = "",
        executor: str = "inline",
        workers: int = 1,
        lease: float = 10.0,
        ahead: float = 0.0,
    ) -> subprocess.Popen[bytes]:
        said = {
            "FAILPOINT": point,
            "OPSCONSOLE_ENGINE__EXECUTOR": executor,
            "OPSCONSOLE_ENGINE__WORKERS": str(workers),
            "OPSCONSOLE_ENGINE__LEASE_SECONDS": str(lease),
            "XDG_DATA_HOME": str(self._home),
        }
        command = [sys.executable, "-m", "tests.faults.late_clock", str(ahead), *words]
        with self.log.open("ab") as log:
            self.started.append(
                subprocess.Popen(command, env=os.environ | place.environ | said, stdout=log, stderr=log)
            )
        return self.started[-1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes, and ends them after the test."""
    starting = _Starting(tmp_path)
    yield starting
    for process in starting.started:
        process.kill()
        process.wait()

"""An installation whose packs answer, in this process or in one of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Installing
from tests.faults.fork_server import Child, ForkServer
from tests.http.client import Wire, served
from tests.installation import Installation
from tests.waiting import eventually

SECRET = "correct-horse-battery-staple"
PACKS = "tests.packs.routes,tests.packs.counting"


@pytest.fixture
def place(installing: Installing, tmp_path: Path, redis_url: str) -> Installation:
    """Without a secret; job code runs in the process that leads."""
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs=PACKS,
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def wire(place: Installation) -> Iterator[Wire]:
    """Somebody who asks the installation, which this process answers for."""
    with served(place) as asking:
        yield asking


@pytest.fixture
def guarded(installing: Installing, tmp_path: Path, redis_url: str) -> Iterator[Wire]:
    """Somebody who asks an installation with a secret, and knows it."""
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'guarded.db'}",
        redis_url=redis_url,
        packs=PACKS,
        environ={"CRON_SECRET": SECRET},
    )
    with served(place) as asking:
        yield asking


@dataclass
class Headless:
    """`opsconsole headless` as a process of its own, and what it prints."""

    process: Child
    log: Path
    secret: str | None

    def wire(self) -> Wire:
        """Somebody who asks it, as soon as it says where it is served."""
        eventually(lambda: self.address() is not None or self.process.poll() is not None, "it is served")
        address = self.address()
        assert address is not None, self.log.read_text()
        return Wire(address, self.secret)

    def address(self) -> str | None:
        found = re.search(r'http is served on ([^"]+)"', self.log.read_text())
        return found[1] if found else None

    def says(self, words: str) -> bool:
        return words in self.log.read_text()


Starting = Callable[..., Headless]


@pytest.fixture
def headless(fork_server: ForkServer, tmp_path: Path) -> Iterator[Starting]:
    """Starts processes on an installation's databases, and ends them after the test."""
    started: list[Headless] = []

    def start(place: Installation, *words: str, config: Path | None = None, **environ: str) -> Headless:
        log = tmp_path / f"headless{len(started)}.log"
        said = os.environ | place.environ | {"XDG_DATA_HOME": str(tmp_path / "other")} | environ
        if config is not None:
            del said["OPSCONSOLE_JOBS__PACKS"]
        named = ["--config", str(config)] if config is not None else []
        process = fork_server.start([*named, "headless", *words], said, output=log)
        started.append(Headless(process, log, said.get("CRON_SECRET")))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()

"""Fixtures: an installation served over HTTP, by this process or by one that the test starts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Installing
from tests.faults.fork_server import Child, ForkServer
from tests.http.client import HttpClient, served
from tests.installation import Installation
from tests.waiting import eventually

SECRET = "correct-horse-battery-staple"
PACKS = "tests.packs.routes,tests.packs.counting"


@pytest.fixture
def place(installing: Installing, tmp_path: Path, redis_url: str) -> Installation:
    """An installation without a secret; jobs run in the leading process."""
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs=PACKS,
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def client(place: Installation) -> Iterator[HttpClient]:
    """A client of the installation, which this process serves."""
    with served(place) as connected:
        yield connected


@pytest.fixture
def guarded(installing: Installing, tmp_path: Path, redis_url: str) -> Iterator[HttpClient]:
    """A client of an installation with a secret, which it sends."""
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'guarded.db'}",
        redis_url=redis_url,
        packs=PACKS,
        environ={"CRON_SECRET": SECRET},
    )
    with served(place) as connected:
        yield connected


@dataclass
class Headless:
    """A process that runs `opsconsole headless`, and its output."""

    process: Child
    log: Path
    secret: str | None

    def client(self) -> HttpClient:
        """A client, as soon as the process logs its address."""
        eventually(lambda: self.address() is not None or self.process.poll() is not None, "it is listening")
        address = self.address()
        assert address is not None, self.log.read_text()
        return HttpClient(address, self.secret)

    def address(self) -> str | None:
        match = re.search(r'http: listening on ([^"]+)"', self.log.read_text())
        return match[1] if match else None

    def has_logged(self, text: str) -> bool:
        return text in self.log.read_text()


Starting = Callable[..., Headless]


@pytest.fixture
def headless(fork_server: ForkServer, tmp_path: Path) -> Iterator[Starting]:
    """Starts processes on an installation's databases, and kills them after the test."""
    started: list[Headless] = []

    def start(
        place: Installation,
        *arguments: str,
        config: Path | None = None,
        options: tuple[str, ...] = (),
        **environ: str,
    ) -> Headless:
        log = tmp_path / f"headless{len(started)}.log"
        environment = os.environ | place.environ | {"XDG_DATA_HOME": str(tmp_path / "other")} | environ
        if config is not None:
            del environment["OPSCONSOLE_JOBS__PACKS"]
        config_option = ["--config", str(config)] if config is not None else []
        process = fork_server.start([*config_option, *options, "headless", *arguments], environment, output=log)
        started.append(Headless(process, log, environment.get("CRON_SECRET")))
        return started[-1]

    yield start
    for headless_process in started:
        headless_process.process.kill()
        headless_process.process.wait()

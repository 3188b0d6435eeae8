"""Brokers and attached workers for tests: real servers and real `opsconsole worker` processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import redis

from opsconsole.embedded.redis import find_server
from tests.faults.fork_server import Child, ForkServer
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS, eventually

_numbers = count(1)


class BrokerServer:
    """A Redis server on a unix socket that may be killed and started again; with `keeps`, it has its data then."""

    def __init__(self, folder: Path, *, keeps: bool = True, syncs: str = "always") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._keeps = folder, keeps
        socket = folder / "s"
        self.url = f"unix://{socket}?db=0"
        self._command = [str(find_server()), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
        self._command += [
            "--save",
            "",
            "--appendonly",
            "yes" if keeps else "no",
            "--appendfsync",
            syncs,
            "--maxmemory-policy",
            "noeviction",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with self.client() as client:
            eventually(lambda: _answers(client), "the broker answers")

    def kill(self) -> None:
        """Ends it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_SECONDS)

    def client(self) -> redis.Redis:
        """A client."""
        return redis.Redis.from_url(self.url, protocol=2)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@contextmanager
def broker_server(folder: Path, *, keeps: bool = True) -> Iterator[BrokerServer]:
    """A broker until the end of the block."""
    server = BrokerServer(folder, keeps=keeps)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def environ(broker_url: str, *, slots: int = 1) -> dict[str, str]:
    """The settings of the executor."""
    return {
        "OPSCONSOLE_ENGINE__EXECUTOR": "celery",
        "OPSCONSOLE_ENGINE__WORKERS": str(slots),
        "OPSCONSOLE_CELERY__BROKER_URL": broker_url,
    }


class WorkerProcess:
    """`opsconsole worker` for an installation, with its log."""

    def __init__(self, place: Installation, fork_server: ForkServer) -> None:
        folder = place.settings.folder
        self.log = folder / f"worker{next(_numbers)}.log"
        environ = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "share"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            **place.environ,
            "OPSCONSOLE_STORE__URL": place.settings.store_url.reveal(),
            "OPSCONSOLE_DATA__URL": place.settings.data_url.reveal(),
        }
        options = ["--config", str(place.settings.source)] if place.settings.source is not None else []
        self.process: Child = fork_server.start([*options, "worker", "--log-text"], environ, output=self.log)

    def has_logged(self, words: str) -> bool:
        """Whether its log contains these words."""
        return words in self.log.read_text()

    def wait_until_attached(self) -> None:
        """Waits until it takes tasks."""
        eventually(
            lambda: self.has_logged("attached with") or self.process.poll() is not None, "the worker is attached"
        )
        assert self.process.poll() is None, self.log.read_text()


@contextmanager
def attached(place: Installation, fork_server: ForkServer, *, workers: int = 1) -> Iterator[list[WorkerProcess]]:
    """Attached workers until the end of the block; more of them may be added to the list."""
    started = [WorkerProcess(place, fork_server) for _ in range(workers)]
    try:
        for worker in started:
            worker.wait_until_attached()
        yield started
    finally:
        for worker in started:
            worker.process.kill()

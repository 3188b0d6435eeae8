"""`headless` under a service manager: what arrives at its datagram socket."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.cli.service_reports import is_ticking
from opsconsole.core.problems import Status, Work
from opsconsole.core.service_manager import ServiceManager
from tests.faults.fork_server import Child, ForkServer
from tests.installation import Installation, is_at_work
from tests.waiting import PATIENCE_SECONDS, eventually

WATCHDOG_SECONDS = 2.0


class Manager:
    """A service manager: its address in the environment of a process, and the messages that it has received."""

    def __init__(self, address: str) -> None:
        self.environ = {"NOTIFY_SOCKET": address}
        self._messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0") if address.startswith("@") else address)
        self._socket.setblocking(False)

    @property
    def messages(self) -> list[str]:
        while True:
            try:
                self._messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self._messages

    def has(self, text: str) -> bool:
        return any(text in message for message in self.messages)

    def forget(self) -> None:
        self.messages.clear()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    path = str(tmp_path / "notify") if request.param == "path" else f"@opsconsole-test-{secrets.token_hex(8)}"
    made = Manager(path)
    yield made
    made.close()


@pytest.fixture
def path_manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.close()


def start(place: Installation, fork_server: ForkServer, manager: Manager, tmp_path: Path, **environ: str) -> Child:
    watchdog = {"WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000)), "OPSCONSOLE_ENGINE__EXECUTOR": "processes"}
    environment = os.environ | place.environ | manager.environ | watchdog | environ
    return fork_server.start(["headless"], environment, output=tmp_path / "headless.log")


def test_messages_arrive_at_both_kinds_of_sockets_and_none_can_add_a_line(manager: Manager) -> None:
    found = ServiceManager.of(manager.environ | {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})

    assert found is not None
    assert found.watchdog_seconds == 30.0
    found.ready("leads\nWATCHDOG=1 \x1b[2J")
    found.alive()
    assert manager.messages == ["READY=1\nSTATUS=leads\\x0aWATCHDOG=1 \\x1b[2J", "WATCHDOG=1"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": "vsock:2:1"}, None),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "0"}, ServiceManager("/run/n")),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "soon"}, ServiceManager("/run/n")),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "1"}, ServiceManager("/run/n")),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "9000000"}, ServiceManager("\0n", 9.0)),
    ],
)
def test_the_environment_names_the_socket_and_the_watchdog(
    environ: dict[str, str], expected: ServiceManager | None
) -> None:
    assert ServiceManager.of(environ) == expected


def test_a_socket_without_a_reader_costs_nothing(tmp_path: Path) -> None:
    ServiceManager(str(tmp_path / "nobody")).alive()


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], True),
        ([Status(Work.ENGINE, None, 1.0, None)], True),
        ([Status(Work.ENGINE, 900.0, 31.0, None)], False),
        ([Status(Work.ENGINE, 900.0, 0.1, None), Status(Work.SCHEDULE, 1.0, 1.0, None)], True),
        ([Status(Work.ENGINE, 900.0, 0.1, None), Status(Work.SCHEDULE, 31.0, 0.1, None)], False),
        ([Status(Work.ENGINE, 900.0, 0.1, None), Status(Work.SCHEDULE, None, 0.1, None)], True),
    ],
)
def test_the_watchdog_looks_at_the_schedule_while_leading_and_at_the_engine_otherwise(
    statuses: list[Status], expected: bool
) -> None:
    assert is_ticking({status.work: status for status in statuses}, 30.0) is expected


def test_a_process_is_ready_when_it_leads_reloads_and_stops(
    installation: Installation, fork_server: ForkServer, path_manager: Manager, tmp_path: Path
) -> None:
    process = start(installation, fork_server, path_manager, tmp_path)

    eventually(lambda: path_manager.has("READY=1\nSTATUS=leading"), "it is ready")
    eventually(lambda: path_manager.has("WATCHDOG=1"), "it is alive")
    process.send_signal(signal.SIGHUP)
    eventually(lambda: path_manager.has("RELOADING=1\nMONOTONIC_USEC="), "it reloads")
    path_manager.forget()
    eventually(lambda: path_manager.has("READY=1") or path_manager.has("WATCHDOG=1"), "it continues")
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
    assert path_manager.messages[-1] == "STOPPING=1\nSTATUS=stopping"


def test_a_stand_by_is_ready_and_leads_when_the_leader_ends(
    installation: Installation, fork_server: ForkServer, path_manager: Manager, tmp_path: Path
) -> None:
    with installation.leading() as engine:
        eventually(lambda: is_at_work(engine), "another process leads")
        process = start(installation, fork_server, path_manager, tmp_path)
        eventually(lambda: path_manager.has("READY=1\nSTATUS=standing by; another process leads"), "it is ready")
        eventually(lambda: path_manager.has("WATCHDOG=1"), "it is alive")

    eventually(lambda: path_manager.has("STATUS=leading"), "it has taken over")
    process.kill()


def test_a_process_without_its_store_requests_more_time(
    installation: Installation, fork_server: ForkServer, path_manager: Manager, tmp_path: Path
) -> None:
    nowhere = "postgresql://ops:a-secret-password@127.0.0.1:1/ops"
    process = start(installation, fork_server, path_manager, tmp_path, DATABASE_URL=nowhere)

    eventually(lambda: path_manager.has("EXTEND_TIMEOUT_USEC=30000000\nSTATUS=cannot lead: "), "it reports why")
    process.kill()
    assert not path_manager.has("READY=1")
    assert not path_manager.has("a-secret-password")


@pytest.mark.parametrize("action", ["hang", pytest.param("raise", marks=pytest.mark.soak)])
def test_the_watchdog_gets_no_message_once_the_schedule_is_no_longer_planned(
    action: str, installation: Installation, fork_server: ForkServer, path_manager: Manager, tmp_path: Path
) -> None:
    process = start(installation, fork_server, path_manager, tmp_path, FAILPOINT=f"schedule:2+:{action}")
    eventually(lambda: path_manager.has("WATCHDOG=1"), "it is alive")
    log = tmp_path / "headless.log"
    eventually(lambda: "failpoint schedule:2+" in log.read_text(), "its scheduler has failed")

    def is_silent() -> bool:
        path_manager.forget()
        time.sleep(WATCHDOG_SECONDS)
        return not path_manager.has("WATCHDOG=1")

    eventually(is_silent, "the service manager hears nothing for as long as it waits")
    assert process.poll() is None
    process.kill()

"""Reports to the service manager that started this process: systemd's sd_notify protocol, over a datagram socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from opsconsole.core.text import safe

MAX_STATUS = 200
START_SECONDS = 30
"""By how much the time-out of the start is extended with each message."""


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """The socket of a service manager. `watchdog_seconds` is how long it waits for `alive` before it restarts this
    process; None if it does not.

    A message that cannot be delivered is dropped: the service manager judges by what arrives.
    """

    address: str
    watchdog_seconds: float | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """The service manager in these variables; None without one."""
        name = environ.get("NOTIFY_SOCKET", "")
        if not name.startswith(("/", "@")):
            return None
        microseconds, process = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        is_watched = microseconds.isdecimal() and int(microseconds) > 0 and process in ("", str(os.getpid()))
        # A name that starts with @ is in the abstract namespace, whose names start with a null byte.
        address = f"\0{name[1:]}" if name.startswith("@") else name
        return cls(address, int(microseconds) / 1_000_000 if is_watched else None)

    def starting(self, status: str) -> None:
        """This process is not ready yet, and needs more time."""
        self._send(f"EXTEND_TIMEOUT_USEC={START_SECONDS * 1_000_000}", _status(status))

    def ready(self, status: str) -> None:
        """This process is ready, also again after `reloading`."""
        self._send("READY=1", _status(status))

    def status(self, status: str) -> None:
        """A line about this process, which `systemctl status` shows."""
        self._send(_status(status))

    def alive(self) -> None:
        """This process works: restarts the watchdog's timer."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """This process loads its configuration, and reports `ready` when it has."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """This process is about to end."""
        self._send("STOPPING=1", _status("stopping"))

    def _send(self, *lines: str) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), self.address)


def _status(text: str) -> str:
    return f"STATUS={safe(text, MAX_STATUS)}"

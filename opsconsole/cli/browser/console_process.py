"""A console on a pseudo-terminal, connected to a browser."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

READ_BYTES = 65_536
MOST_CELLS = 500
"""The most columns, and the most rows."""
END_SECONDS = 5.0
"""How long the console may take to end after its terminal was closed."""


class ConsoleProcess:
    """A process that has a terminal of `width` columns and `height` rows. Call `start`, and `stop` in any case."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], width: int, height: int) -> None:
        self._command, self._environ = command, environ
        self._process: asyncio.subprocess.Process | None = None
        self._terminal = -1
        self._size = width, height

    @property
    def pid(self) -> int | None:
        """The number of the process; None before the start."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Starts the process. Raises OSError."""
        self._terminal, other = pty.openpty()
        try:
            os.set_blocking(self._terminal, False)
            await self.set_terminal_size(*self._size)
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=other,
                stdout=other,
                stderr=other,
                env=dict(self._environ),
                start_new_session=True,
                preexec_fn=_take_terminal,
            )
        finally:
            os.close(other)

    async def output(self) -> AsyncIterator[bytes]:
        """Yields the output of the process, until it has closed its terminal."""
        reader = asyncio.StreamReader(limit=READ_BYTES)
        file = os.fdopen(os.dup(self._terminal), "rb", buffering=0)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
        try:
            with suppress(OSError):  # EIO: the process has closed the other end
                while data := await reader.read(READ_BYTES):
                    yield data
        finally:
            transport.close()

    async def send_bytes(self, data: bytes) -> None:
        """Types into the terminal. Input that the process does not read is dropped."""
        with suppress(BlockingIOError, OSError):
            os.write(self._terminal, data)

    async def set_terminal_size(self, width: object, height: object) -> None:
        """Changes the size of the terminal; anything but a sensible size is ignored."""
        cells = [each for each in (width, height) if isinstance(each, int) and each > 0]
        if len(cells) == 2:
            columns, rows = (min(each, MOST_CELLS) for each in cells)
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def focus(self) -> None:
        """Does nothing: the console has no use for the focus of its window."""

    async def blur(self) -> None:
        """See `focus`."""

    async def stop(self) -> None:
        """Closes the terminal, which ends the process; kills one that does not end."""
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGCONT)  # a stopped process would not notice
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _take_terminal() -> None:
    """Makes standard input the controlling terminal of this session, so that its end is the end of the process."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)

"""A TCP connection between the program and a server, which a test can cut, silence, or lead to another server."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from types import TracebackType
from typing import Self

from sqlalchemy.engine import make_url

from tests.waiting import finished


class Wire:
    """Forwards connections from a port of 127.0.0.1 to `port`. When that changes, new connections lead there, and the
    open ones stay where they are.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._flows, self._closing = threading.Event(), threading.Event()
        self._flows.set()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._stalled: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads = [threading.Thread(target=self._accept, name="wire", daemon=True)]
        self._threads[0].start()

    def url(self, url: str) -> str:
        """The URL of a server, through this wire."""
        port = int(self._listener.getsockname()[1])
        return make_url(url).set(port=port).render_as_string(hide_password=False)

    def silence(self) -> None:
        """Forwards nothing from now on and closes nothing: for the program every byte is sent, and none comes back."""
        self._flows.clear()

    def restore(self) -> None:
        """Forwards again, also what was sent meanwhile."""
        self._flows.set()

    def stall(self) -> None:
        """Silences the open connections for good. New ones work."""
        self._stalled |= self._pairs

    def cut(self) -> None:
        """Closes the open connections."""
        for pair in list(self._pairs):
            for end in pair:
                _shut(end)

    def close(self) -> None:
        """Closes every connection, and accepts no others."""
        self._closing.set()
        self._flows.set()
        _shut(self._listener)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            finished(thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._connect, args=(near,), name="wire", daemon=True))
                self._threads[-1].start()

    def _connect(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            self._flows.wait()
            with socket.create_connection(("127.0.0.1", self.port)) as far:
                pair = near, far
                self._pairs.add(pair)
                try:
                    self._forward(pair)
                finally:
                    self._pairs.discard(pair)
                    self._stalled.discard(pair)

    def _forward(self, pair: tuple[socket.socket, socket.socket]) -> None:
        near, far = pair
        while not self._closing.is_set():
            ready, _, _ = select.select(pair, (), ())
            self._flows.wait()
            if pair in self._stalled:
                self._closing.wait()
            for source in ready:
                data = source.recv(65536)
                if not data:
                    return
                (far if source is near else near).sendall(data)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)

"""A server on a real socket that speaks Redis's protocol, and answers what a test wants."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Answer = Callable[[list[bytes]], bytes]
"""The bytes of the answer to a command, given as its words; empty to close the connection."""


class StrangeRedis:
    """Answers by `answer`, which a test may replace at any time."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        strange = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while words := _command(self.rfile.readline, self.rfile.read):
                    answered = strange.answer(words)
                    if not answered:
                        return
                    try:
                        self.wfile.write(answered)
                    except OSError:
                        return

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"redis://127.0.0.1:{self._server.server_address[1]}/0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _command(line: Callable[[], bytes], read: Callable[[int], bytes]) -> list[bytes]:
    try:
        head = line()
        if not head.startswith(b"*"):
            return []
        words = []
        for _ in range(int(head[1:])):
            size = int(line()[1:])
            words.append(read(size + 2)[:-2])
        return words
    except (OSError, ValueError):
        return []


def always(answer: bytes) -> Answer:
    """The same answer to every command, but for those that open a connection."""

    def answered(words: list[bytes]) -> bytes:
        return b"+OK\r\n" if words[0].upper() in (b"HELLO", b"CLIENT", b"SELECT", b"AUTH") else answer

    return answered

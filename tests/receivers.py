"""Receivers of notifications for tests: an HTTP server and a mail server on this machine."""

from __future__ import annotations

import email
import email.policy
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from tests.services import free_port
from tests.waiting import finished


@dataclass
class HttpReceiver:
    """Records requests as (path, body), and answers them with `status`; while it `hangs` it answers a byte a second."""

    port: int
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    status: int = 200
    hangs: bool = False

    @property
    def address(self) -> str:
        """The host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def channel_url(self) -> str:
        """The Apprise URL of a channel that sends JSON here."""
        return f"json://{self.address}/notes"

    @property
    def notes(self) -> list[dict[str, Any]]:
        """The JSON documents of the requests that were accepted."""
        return [msgspec.json.decode(body) for _, body in self.requests]

    @property
    def ids(self) -> list[str]:
        """The last lines of the messages, which have their ids."""
        return [str(note["message"]).rpartition("\nid: ")[2] for note in self.notes]


@contextmanager
def http_receiver(port: int | None = None) -> Iterator[HttpReceiver]:
    """An HTTP server, at a free port if none is given."""
    receiver = HttpReceiver(port or free_port())

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if receiver.hangs:
                self.wfile.write(b"HTTP/1.1 ")
                while receiver.hangs:
                    time.sleep(0.05)
                    self.wfile.write(b"2")
                return
            if receiver.status < 300:
                receiver.requests.append((self.path, body))
                receiver.times.append(time.time())
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = _handle  # noqa: N815 - the names are those of the server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # of a client that has left

    server = Server(("127.0.0.1", receiver.port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hangs = False
        server.shutdown()
        server.server_close()
        finished(thread)


@dataclass
class MailReceiver:
    """Records mails."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)

    @property
    def channel_url(self) -> str:
        """The Apprise URL of a channel that sends mails here."""
        return f"mailto://127.0.0.1:{self.port}?to=ops@example.com&from=console@example.com"


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    """A mail server that accepts everything."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._reply("220 ready")
            while line := self.rfile.readline().strip().upper():
                if line.startswith(b"DATA"):
                    self._reply("354 go on")
                    lines = []
                    while (text := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(text.removeprefix(b"."))
                    receiver.mails.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))
                    self._reply("250 accepted")
                elif line.startswith(b"QUIT"):
                    self._reply("221 bye")
                    return
                else:
                    self._reply("250 ok")

        def _reply(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

    server = Server(("127.0.0.1", 0), Handler)
    receiver = MailReceiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        finished(thread)


@contextmanager
def silent_port() -> Iterator[int]:
    """A port whose server accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])

"""A program that asks over HTTP, by the wire."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opsconsole.http.listener import listening, read_address
from opsconsole.http.server import Server
from tests.installation import Installation

SECONDS = 20


@dataclass(frozen=True)
class Heard:
    """What it was told."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """An error's code; what else every error must be is seen to here."""
        told = self.json
        assert told["success"] is False
        assert set(told["error"]) <= {"code", "message", "field"}
        assert told["error"]["message"].isprintable()
        assert "Traceback" not in told["error"]["message"]
        code: str = told["error"]["code"]
        return code


class _OverUnix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Wire:
    """Where to ask, as the log says it, and the secret that is sent along."""

    address: str
    secret: str | None = None

    @property
    def place(self) -> tuple[str, int]:
        found = re.fullmatch(r"http://(.+):(\d+)", self.address)
        assert found is not None
        return found[1].strip("[]"), int(found[2])

    def connection(self) -> http.client.HTTPConnection:
        if self.address.startswith("unix:"):
            return _OverUnix(self.address.removeprefix("unix:"))
        return http.client.HTTPConnection(*self.place, timeout=SECONDS)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Heard:
        """One question on a connection of its own; a body that is no bytes is sent as JSON."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        said = {"Authorization": f"Bearer {self.secret}"} if self.secret is not None else {}
        asking = self.connection()
        try:
            asking.request(method, path, sent, said | dict(headers or {}))
            answer = asking.getresponse()
            return Heard(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            asking.close()

    def get(self, path: str, **headers: str) -> Heard:
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def raw(self, sent: bytes) -> bytes:
        """All that is answered to these bytes until the connection is ended."""
        with socket.create_connection(self.place, timeout=SECONDS) as asking:
            asking.sendall(sent)
            heard = b""
            while more := asking.recv(65536):
                heard += more
        return heard


@contextmanager
def served(place: Installation, bind: str = "127.0.0.1:0") -> Iterator[Wire]:
    """An installation's service and packs, answered by this process until the end of the block."""
    secret = place.settings.http_secret
    with listening(read_address(bind), protected=secret is not None) as door:
        server = Server(door, place.service)
        try:
            yield Wire(str(door.address), secret.reveal() if secret else None)
        finally:
            server.stop()

"""An HTTP client for tests."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opsconsole.http.listener import UNIX, listening, read_address
from opsconsole.http.server import Server
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS


@dataclass(frozen=True)
class HttpResponse:
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code; also checks the format of the error."""
        document = self.json
        assert document["success"] is False
        assert set(document["error"]) <= {"code", "message", "field"}
        assert document["error"]["message"].isprintable()
        assert "Traceback" not in document["error"]["message"]
        code: str = document["error"]["code"]
        return code


class _OverUnix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class HttpClient:
    """Sends requests to an address as it is logged, with a secret if given."""

    address: str
    secret: str | None = None

    @property
    def host_and_port(self) -> tuple[str, int]:
        match = re.fullmatch(r"http://(.+):(\d+)", self.address)
        assert match is not None
        return match[1].strip("[]"), int(match[2])

    def connect(self) -> socket.socket:
        """A connection without a request."""
        if not self.address.startswith(UNIX):
            return socket.create_connection(self.host_and_port, timeout=PATIENCE_SECONDS)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(self.address.removeprefix(UNIX))
        return connection

    def connection(self) -> http.client.HTTPConnection:
        if self.address.startswith(UNIX):
            return _OverUnix(self.address.removeprefix(UNIX))
        return http.client.HTTPConnection(*self.host_and_port, timeout=PATIENCE_SECONDS)

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """One request on a new connection; a body other than bytes is sent as JSON."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        own_headers = {"Authorization": f"Bearer {self.secret}"} if self.secret is not None else {}
        connection = self.connection()
        try:
            connection.request(method, path, sent, own_headers | dict(headers or {}))
            response = connection.getresponse()
            return HttpResponse(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def raw(self, sent: bytes) -> bytes:
        """Everything that the server sends in response to these bytes until it closes the connection."""
        with self.connect() as connection:
            connection.sendall(sent)
            received = b""
            while more := connection.recv(65536):
                received += more
        return received


@contextmanager
def served(place: Installation, bind: str = "127.0.0.1:0") -> Iterator[HttpClient]:
    """Serves an installation from this process until the end of the block."""
    secret = place.settings.http_secret
    with listening(read_address(bind), protected=secret is not None) as listener:
        server = Server(listener, place.service)
        try:
            yield HttpClient(str(listener.address), secret.reveal() if secret else None)
        finally:
            server.stop()

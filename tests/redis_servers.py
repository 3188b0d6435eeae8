"""Real Redis servers for tests: on ports, as a cluster, as Sentinels, with TLS; and proxies that stand before them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from opsconsole.embedded.redis import find_server
from tests.services import free_port
from tests.waiting import PATIENCE_SECONDS, eventually

SLOTS = 16_384


def missing(program: str) -> None:
    """Skips the test on a laptop, and fails it where everything should be installed."""
    message = f"{program} is not installed: apt-get install {program}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class RedisServer:
    """A server on a port of 127.0.0.1 that keeps nothing. `options` are of its configuration."""

    def __init__(self, folder: Path, *options: str, program: Path | None = None, sentinel: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        command = [str(program or find_server())]
        if sentinel is not None:
            (folder / "sentinel.conf").write_text(sentinel)
            command += [str(folder / "sentinel.conf"), "--sentinel"]
        else:
            command += ["--save", "", "--appendonly", "no"]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def client(self) -> redis.Redis:
        """A client with all permissions."""
        return redis.Redis.from_url(self.url, protocol=2)

    def call(self, *words: object) -> Any:
        """The answer to a command."""
        with self.client() as client:
            execute: Any = client.execute_command
            return execute(*words)

    def wait(self) -> None:
        """Waits until it answers."""
        with self.client() as client:
            eventually(lambda: _answers(client), "the server answers")

    def kill(self) -> None:
        """Ends it as a power cut does."""
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)

    def pause(self) -> None:
        """Lets it hang."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it continue."""
        self._process.send_signal(signal.SIGCONT)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False


@contextmanager
def server(folder: Path, *options: str, **how: Any) -> Iterator[RedisServer]:
    """A server until the end of the block."""
    started = RedisServer(folder, *options, **how)
    try:
        started.wait()
        yield started
    finally:
        started.kill()


@contextmanager
def cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """A cluster of three servers, each with a third of the slots."""
    with ExitStack() as stack:
        nodes, buses = [], [free_port() for _ in range(3)]
        for n, bus in enumerate(buses):
            options = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "2000")
            nodes.append(stack.enter_context(server(folder / str(n), *options)))
        for n, node in enumerate(nodes):
            node.call("CLUSTER", "ADDSLOTSRANGE", SLOTS * n // 3, SLOTS * (n + 1) // 3 - 1)
            node.call("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for other, bus in zip(nodes[1:], buses[1:], strict=True):
            nodes[0].call("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
        eventually(lambda: all(_is_whole(node) for node in nodes), "the cluster is complete")
        yield nodes


def _is_whole(node: RedisServer) -> bool:
    return b"cluster_state:ok" in node.call("CLUSTER", "INFO")


class Proxy:
    """Forwards connections to a port of 127.0.0.1, in clear or, with `context`, from TLS.

    While `silent`, it swallows what either side sends, without closing anything. `target` may be changed: connections
    that exist stay where they are until `cut`.
    """

    def __init__(self, target: int, *, context: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.silent = False
        self._context = context
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Closes all connections."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._sockets.clear()

    def close(self) -> None:
        """Stops listening, and closes all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        try:
            client = self._context.wrap_socket(accepted, server_side=True) if self._context else accepted
            upstream = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            accepted.close()
            return
        self._sockets += [client, upstream]
        threading.Thread(target=self._forward, args=(upstream, client), daemon=True).start()
        self._forward(client, upstream)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while received := source.recv(65_536):
                if not self.silent:
                    sink.sendall(received)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(target: int, **how: Any) -> Iterator[Proxy]:
    """A proxy until the end of the block."""
    made = Proxy(target, **how)
    try:
        yield made
    finally:
        made.close()


class Certificates:
    """A CA, and certificates that it has signed, in files of a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        if shutil.which("openssl") is None:
            missing("openssl")
        self.ca = self._self_signed("ca", "opsconsole tests")

    def issue(self, name: str, *, host: str = "IP:127.0.0.1", days: int = 2) -> tuple[Path, Path]:
        """A certificate for a host and its key; expired when `days` is negative."""
        key, request, found = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={host}\nbasicConstraints=CA:FALSE\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                      "-out", request, "-subj", f"/CN={name}")  # fmt: skip
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca[0], "-CAkey", self.ca[1], "-CAcreateserial",
                      "-days", days, "-extfile", extensions, "-out", found)  # fmt: skip
        return found, key

    def _self_signed(self, name: str, subject: str) -> tuple[Path, Path]:
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
                      "-keyout", key, "-out", certificate, "-subj", f"/CN={subject}")  # fmt: skip
        return certificate, key

    def _openssl(self, *words: object) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class StrangeServer:
    """Accepts connections, and answers each command with what `answer` makes of its words; None closes."""

    def __init__(self, answer: Callable[[Sequence[bytes]], bytes | None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        import hiredis

        reader = hiredis.Reader()
        with accepted, suppress(OSError):
            while received := accepted.recv(65_536):
                reader.feed(received)
                while (command := reader.gets()) is not False:
                    answer = self._answer(command)
                    if answer is None:
                        return
                    accepted.sendall(answer)

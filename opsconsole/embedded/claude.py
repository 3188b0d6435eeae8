"""A small local server that speaks the wire formats of the Messages and Message Batches APIs: for the demo, whose exams
say that they are samples, and for the tests, which script what goes wrong. The real SDK talks to it.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from opsconsole.core.clock import now
from opsconsole.core.settings import set_for_workers

KEY = "sample-key"
MODEL = "sample"
"""What answers say made them: nobody takes them for the real thing."""
BATCH_LIVES = timedelta(hours=24)
_FILL = "It is there to be looked at and explains nothing; a real exam says here what speaks for each option. "


class Fault(StrEnum):
    """What a script can let go wrong, once for each time it is named."""

    RATE_LIMITED = "429"
    RATE_LIMITED_FOR = "429 with retry-after"
    OVERLOADED = "529"
    BROKEN = "500"
    OVERLOADED_200 = "529 as 200"
    BAD_REQUEST = "400"
    FORBIDDEN = "403"
    HANG = "hang"
    DRIP = "slow drip"
    RESET = "reset"
    GARBAGE = "garbage"
    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"
    NOT_JSON = "invalid json"
    SHORT = "one too few"
    ALIKE = "duplicate stems"
    OUT_OF_RANGE = "answer out of range"
    ESCAPES = "escape sequences"
    MARKUP = "markup"
    EXPIRED = "expired"
    """Of a message batch alone, as `errored` is."""
    ERRORED = "errored"


_ERRORS = {
    Fault.RATE_LIMITED: (429, "rate_limit_error"),
    Fault.RATE_LIMITED_FOR: (429, "rate_limit_error"),
    Fault.OVERLOADED: (529, "overloaded_error"),
    Fault.BROKEN: (500, "api_error"),
    Fault.OVERLOADED_200: (200, "overloaded_error"),
    Fault.BAD_REQUEST: (400, "invalid_request_error"),
    Fault.FORBIDDEN: (403, "permission_error"),
}

_STOPS: dict[Fault | None, str] = {Fault.MAX_TOKENS: "max_tokens", Fault.REFUSAL: "refusal"}


@dataclass(frozen=True)
class Logged:
    """One request for a part of an exam, as the server saw it; `billed` when tokens were counted for it."""

    exam: str
    part: int
    questions: int
    fault: str | None
    status: int
    billed: bool
    input_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    output_tokens: int
    at: float


@dataclass
class _Batch:
    id: str
    created_at: datetime
    requests: list[dict[str, Any]]
    results: list[dict[str, Any]] | None = None


@dataclass
class Script:
    """What the server does: the faults of the next requests in turn (None: all is well), then `otherwise`.

    `retry_after` is what a 429 says, in seconds; answers take `seconds`, from and to; a question has about `size`
    characters. With `batches_wait` a message batch is worked on until somebody calls `finish_batches`.
    """

    faults: deque[Fault | None] = field(default_factory=deque)
    otherwise: Fault | None = None
    retry_after: str = "1"
    seconds: tuple[float, float] = (0.0, 0.0)
    size: int = 1350
    batches_wait: bool = False


class ClaudeServer:
    """The server, listening at `url` as long as it is open. `log` is everything that was asked; with `file`, a line of
    JSON there as well, written before the answer goes out.
    """

    def __init__(self, *, port: int = 0, file: Path | None = None, script: Script | None = None) -> None:
        self.script = script or Script()
        self.log: list[Logged] = []
        self.bodies: list[dict[str, Any]] = []
        self._file = file
        self._lock = threading.Lock()
        self._batches: dict[str, _Batch] = {}
        self._seen_systems: set[str] = set()
        self._dice = Random("claude")
        self._ended = threading.Event()
        ours = self

        class Handler(_Handler):
            server_of = ours

        self._http = _Http(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="claude", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What ANTHROPIC_BASE_URL is to be."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Ends it, and with it what hangs."""
        self._ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    # --- messages -----------------------------------------------------------------------------------------------

    def next_fault(self) -> Fault | None:
        """What goes wrong this time."""
        with self._lock:
            return self.script.faults.popleft() if self.script.faults else self.script.otherwise

    def think(self) -> None:
        """Takes as long as an answer takes."""
        with self._lock:
            seconds = self._dice.uniform(*self.script.seconds)
        if seconds:
            self._ended.wait(seconds)

    def wait_for_the_end(self, seconds: float) -> bool:
        """Waits; whether the server has ended meanwhile."""
        return self._ended.wait(seconds)

    def message(self, body: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        """The answer to a request, with what the fault makes of it; it is logged, and paid for."""
        asked = _part_of(body)
        text = self._answer(asked, fault)
        system = json.dumps(body["system"])
        constant, own = len(system) // 4, len(json.dumps(body["messages"])) // 4
        with self._lock:
            cached = system in self._seen_systems
            self._seen_systems.add(system)
        usage = {
            "input_tokens": own,
            "cache_creation_input_tokens": 0 if cached else constant,
            "cache_read_input_tokens": constant if cached else 0,
            "output_tokens": len(text) // 4 + 1,
        }
        self.note(asked, fault, 200, usage)
        return {
            "id": f"msg_{time.monotonic_ns():x}",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [{"type": "text", "text": text}] if text else [],
            "stop_reason": _STOPS.get(fault, "end_turn"),
            "stop_sequence": None,
            "usage": usage,
        }

    def note(self, asked: dict[str, Any], fault: Fault | None, status: int, usage: dict[str, int] | None) -> None:
        """Writes down what was asked."""
        said = usage or {}
        entry = Logged(
            exam=asked["exam"],
            part=asked["part"],
            questions=sum(asked["domains"].values()),
            fault=fault,
            status=status,
            billed=usage is not None,
            input_tokens=said.get("input_tokens", 0),
            cache_write_tokens=said.get("cache_creation_input_tokens", 0),
            cache_read_tokens=said.get("cache_read_input_tokens", 0),
            output_tokens=said.get("output_tokens", 0),
            at=time.monotonic(),
        )
        with self._lock:
            self.log.append(entry)
            if self._file is not None:
                with self._file.open("a") as out:
                    out.write(json.dumps(asdict(entry)) + "\n")

    def _answer(self, asked: dict[str, Any], fault: Fault | None) -> str:
        wanted = [domain for domain, count in asked["domains"].items() for _ in range(count)]
        found = [self._question(asked, n, domain) for n, domain in enumerate(wanted)]
        match fault:
            case Fault.REFUSAL:
                return ""
            case Fault.SHORT:
                found.pop()
            case Fault.ALIKE:
                for question in found[1::3]:
                    question["stem"] = f"  {found[0]['stem'].upper()} "
            case Fault.OUT_OF_RANGE:
                found[-1]["answer"] = 4
            case Fault.ESCAPES:
                found[-1]["stem"] += " \x1b]0;owned\x07\x1b[2J"
            case Fault.MARKUP:
                found[-1]["explanation"] += " <script>alert(1)</script>"
            case _:
                pass
        text = json.dumps({"questions": found})
        if fault is Fault.NOT_JSON:
            return text.replace('"options":', '"options"', 1)
        return text[: len(text) // 2] if fault is Fault.MAX_TOKENS else text

    def _question(self, asked: dict[str, Any], number: int, domain: str) -> dict[str, Any]:
        name = f"{asked['exam'][:8]}-{asked['part']}-{number}"
        longer = max(0, self.script.size - 400)
        return {
            "stem": f"This is sample question {name} of the demo, about {domain}. Which option is the right one?",
            "options": [f"option {letter} of {name}" for letter in "ABCD"],
            "answer": (number * 7 + asked["part"]) % 4,
            "explanation": ("This is a sample. " + _FILL * (longer // len(_FILL) + 1))[: longer + 20],
            "domain": domain,
            "difficulty": ("easy", "medium", "hard")[number % 3],
        }

    # --- message batches ----------------------------------------------------------------------------------------

    def submit(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        """Takes a message batch."""
        with self._lock:
            name = f"msgbatch_{len(self._batches) + 1:04}"
            batch = self._batches[name] = _Batch(name, now(), requests)
        if not self.script.batches_wait:
            self._work_off(batch)
        return self.seen(batch)

    def finish_batches(self) -> None:
        """Works off the message batches that wait."""
        for batch in list(self._batches.values()):
            if batch.results is None:
                self._work_off(batch)

    def forget_batches(self) -> None:
        """Knows of no message batch any more."""
        self._batches.clear()

    def find(self, name: str) -> _Batch | None:
        """The message batch of that name."""
        return self._batches.get(name)

    def all_batches(self) -> list[_Batch]:
        """All of them, the newest first."""
        return list(self._batches.values())[::-1]

    def _work_off(self, batch: _Batch) -> None:
        results = []
        for request in batch.requests:
            fault = self.next_fault()
            asked = _part_of(request["params"])
            if fault is Fault.EXPIRED:
                self.note(asked, fault, 0, None)
                result: dict[str, Any] = {"type": "expired"}
            elif fault is Fault.ERRORED:
                self.note(asked, fault, 0, None)
                result = {"type": "errored", "error": _error("api_error")}
            else:
                result = {"type": "succeeded", "message": self.message(request["params"], fault)}
            results.append({"custom_id": request["custom_id"], "result": result})
        self._dice.shuffle(results)  # they come in any order
        batch.results = results

    def seen(self, batch: _Batch) -> dict[str, Any]:
        """A message batch as the API shows it."""
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        for kind in [each["result"]["type"] for each in batch.results or []] or ["processing"] * len(batch.requests):
            counts[kind] += 1
        ended = batch.results is not None
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": batch.created_at.isoformat(),
            "expires_at": (batch.created_at + BATCH_LIVES).isoformat(),
            "ended_at": batch.created_at.isoformat() if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{self.url}/v1/messages/batches/{batch.id}/results" if ended else None,
        }


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """Whoever asked is gone: nothing is printed."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server_of: ClaudeServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        ours = self.server_of
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        if not self._knows_the_key():
            if "messages" in body:
                ours.note(_part_of(body), None, 401, None)
            self._error(401, "authentication_error")
        elif self.path == "/v1/messages/batches":
            self._json(200, ours.submit(body["requests"]))
        elif self.path == "/v1/messages":
            ours.bodies.append(body)
            self._message(body)
        else:
            self._error(404, "not_found_error")

    def do_GET(self) -> None:
        ours = self.server_of
        path = self.path.partition("?")[0]
        name = path.removeprefix("/v1/messages/batches").strip("/").removesuffix("/results")
        batch = ours.find(name)
        if not self._knows_the_key():
            self._error(401, "authentication_error")
        elif path == "/v1/messages/batches":
            found = [ours.seen(each) for each in ours.all_batches()]
            self._json(200, {"data": found, "has_more": False, "first_id": None, "last_id": None})
        elif batch is None:
            self._error(404, "not_found_error")
        elif path.endswith("/results"):
            lines = "".join(json.dumps(each) + "\n" for each in batch.results or [])
            self._send(200, lines.encode(), "application/x-jsonl")
        else:
            self._json(200, ours.seen(batch))

    def _knows_the_key(self) -> bool:
        # The SDK sends it as a bearer token; elsewhere it has a header of its own.
        return KEY in (self.headers.get("authorization", "").removeprefix("Bearer "), self.headers.get("x-api-key"))

    def _message(self, body: dict[str, Any]) -> None:
        ours = self.server_of
        fault = ours.next_fault()
        ours.think()
        if fault in _ERRORS:
            status, kind = _ERRORS[fault]
            ours.note(_part_of(body), fault, status, None)
            wait = {"retry-after": ours.script.retry_after} if fault is Fault.RATE_LIMITED_FOR else {}
            self._error(status, kind, wait)
        elif fault is Fault.RESET:
            ours.note(_part_of(body), fault, 0, None)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif fault is Fault.GARBAGE:
            ours.note(_part_of(body), fault, 200, None)
            self._send(200, b"<html>a proxy says hello</html>", "text/html")
        elif fault is Fault.HANG:
            ours.note(_part_of(body), fault, 0, None)
            ours.wait_for_the_end(600)
        else:
            answer = json.dumps(ours.message(body, fault)).encode()
            if fault is Fault.DRIP:
                self._drip(answer)
            else:
                self._send(200, answer, "application/json")

    def _drip(self, answer: bytes) -> None:
        self._head(200, len(answer), "application/json")
        with suppress(OSError):
            for n in range(len(answer)):
                self.wfile.write(answer[n : n + 1])
                if self.server_of.wait_for_the_end(0.05):
                    return

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(body).encode(), "application/json", headers)

    def _error(self, status: int, kind: str, headers: dict[str, str] | None = None) -> None:
        self._json(status, _error(kind), headers)

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        with suppress(OSError):  # who asked may be gone
            self._head(status, len(body), kind, headers)
            self.wfile.write(body)

    def _head(self, status: int, size: int, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        said = {"content-type": kind, "content-length": str(size), "request-id": "req_sample"}
        for name, value in (said | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()

    def log_request(self, *_: Any) -> None:
        """Nothing is printed."""


def _error(kind: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": f"a scripted {kind}"}, "request_id": "req_sample"}


def _part_of(body: dict[str, Any]) -> dict[str, Any]:
    """What a request asks for: the JSON between the marks."""
    text = body["messages"][0]["content"]
    found: dict[str, Any] = json.loads(text.partition("<part>")[2].rpartition("</part>")[0])
    return found


@contextmanager
def claude_server(script: Script | None = None) -> Iterator[ClaudeServer]:
    """A server until the end of the block."""
    server = ClaudeServer(script=script)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def sample_claude() -> Iterator[None]:
    """Until the end of the block this process and its workers ask a server of their own, whatever key is set: it takes
    its time, and what it writes are samples.
    """
    with claude_server(Script(seconds=(1.0, 6.0))) as server:
        set_for_workers(ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=server.url, NO_PROXY="127.0.0.1")
        yield


def main() -> None:
    """Serves until it is told to end: `python -m opsconsole.embedded.claude --log FILE`. Says its URL first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--seconds", type=float, nargs=2, default=(0.0, 0.0))
    parser.add_argument("--size", type=int, default=400)
    asked = parser.parse_args()
    server = ClaudeServer(file=asked.log, script=Script(seconds=tuple(asked.seconds), size=asked.size))
    sys.stdout.write(server.url + "\n")
    sys.stdout.flush()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    server.close()


if __name__ == "__main__":
    main()

"""A local server with the wire format of the Messages and Message Batches APIs, for the demo.

The real SDK talks to it. The exams that it writes say that they are samples.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from opsconsole.core.clock import now
from opsconsole.core.settings import set_for_workers

KEY = "sample-key"
MODEL = "sample"
"""The model that responses name, so that samples cannot be mistaken for real exams."""
BATCH_LIFETIME = timedelta(hours=24)
_FILLER = "It only fills space; the explanation of a real exam discusses each option. "


@dataclass
class MessageBatch:
    """A message batch; `results` is None until it has ended."""

    id: str
    created_at: datetime
    requests: list[dict[str, Any]]
    results: list[dict[str, Any]] | None = None


class ClaudeServer:
    """A server that is listening at `url` until it is closed. A response takes between the two `seconds`, and a
    question has about `question_size` characters.
    """

    def __init__(self, *, port: int = 0, seconds: tuple[float, float] = (0.0, 0.0), question_size: int = 1350) -> None:
        self.seconds = seconds
        self.question_size = question_size
        self.lock = threading.Lock()
        self.closed = threading.Event()
        self.batches: dict[str, MessageBatch] = {}
        self._cached_systems: set[str] = set()
        self._random = Random("claude")
        self._http = _HttpServer(("127.0.0.1", port), type("Handler", (RequestHandler,), {"claude": self}))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="claude", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The value for ANTHROPIC_BASE_URL."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Stops the server and its active requests."""
        self.closed.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    # --- messages -----------------------------------------------------------------------------------------------

    def handle_message(self, handler: RequestHandler, body: dict[str, Any]) -> None:
        """Responds to a request of the Messages API."""
        self.pause()
        handler.send_json(200, self.message(body))

    def handle_unauthorized(self, handler: RequestHandler, _body: dict[str, Any]) -> None:
        """Responds to a request with a wrong key."""
        handler.send_error_json(401, "authentication_error")

    def pause(self) -> None:
        """Waits as long as a response takes."""
        with self.lock:
            seconds = self._random.uniform(*self.seconds)
        if seconds:
            self.closed.wait(seconds)

    def message(self, body: dict[str, Any]) -> dict[str, Any]:
        """The message for a request for a part of an exam."""
        return self.build_message(body, self.text_of(self.questions(requested_part(body))))

    def build_message(self, body: dict[str, Any], text: str, *, stop_reason: str = "end_turn") -> dict[str, Any]:
        """A message with a text and its token usage."""
        system = json.dumps(body["system"])
        system_tokens, own_tokens = len(system) // 4, len(json.dumps(body["messages"])) // 4
        with self.lock:
            cached = system in self._cached_systems
            self._cached_systems.add(system)
        return {
            "id": f"msg_{time.monotonic_ns():x}",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [{"type": "text", "text": text}] if text else [],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {
                "input_tokens": own_tokens,
                "cache_creation_input_tokens": 0 if cached else system_tokens,
                "cache_read_input_tokens": system_tokens if cached else 0,
                "output_tokens": len(text) // 4 + 1,
            },
        }

    def questions(self, part: dict[str, Any]) -> list[dict[str, Any]]:
        """Sample questions for a part of an exam."""
        domains = [domain for domain, count in part["domains"].items() for _ in range(count)]
        return [self._question(part, n, domain) for n, domain in enumerate(domains)]

    @staticmethod
    def text_of(questions: list[dict[str, Any]]) -> str:
        """The questions as the text of a message."""
        return json.dumps({"questions": questions})

    def _question(self, part: dict[str, Any], number: int, domain: str) -> dict[str, Any]:
        name = f"{part['exam'][:8]}-{part['part']}-{number}"
        filler = max(0, self.question_size - 400)
        return {
            "stem": f"This is sample question {name} of the demo, about {domain}. Which option is the right one?",
            "options": [f"option {letter} of {name}" for letter in "ABCD"],
            "answer": (number * 7 + part["part"]) % 4,
            "explanation": ("This is a sample. " + _FILLER * (filler // len(_FILLER) + 1))[: filler + 20],
            "domain": domain,
            "difficulty": ("easy", "medium", "hard")[number % 3],
        }

    # --- message batches ----------------------------------------------------------------------------------------

    def submit(self, requests: list[dict[str, Any]]) -> MessageBatch:
        """Accepts a message batch, and completes it at once."""
        batch = self.accept(requests)
        self.complete(batch)
        return batch

    def accept(self, requests: list[dict[str, Any]]) -> MessageBatch:
        """Accepts a message batch."""
        with self.lock:
            name = f"msgbatch_{len(self.batches) + 1:04}"
            batch = self.batches[name] = MessageBatch(name, now(), requests)
        return batch

    def complete(self, batch: MessageBatch) -> None:
        """Creates the results of a message batch, in random order as the API does."""
        results = [
            {"custom_id": request["custom_id"], "result": self.batch_result(request["params"])}
            for request in batch.requests
        ]
        self._random.shuffle(results)
        batch.results = results

    def batch_result(self, params: dict[str, Any]) -> dict[str, Any]:
        """The result of one request of a message batch."""
        return {"type": "succeeded", "message": self.message(params)}

    def describe(self, batch: MessageBatch) -> dict[str, Any]:
        """A message batch as the API returns it."""
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
            "expires_at": (batch.created_at + BATCH_LIFETIME).isoformat(),
            "ended_at": batch.created_at.isoformat() if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{self.url}/v1/messages/batches/{batch.id}/results" if ended else None,
        }


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """Prints nothing when a client disconnects."""


class RequestHandler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    claude: ClaudeServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        if not self._has_key():
            self.claude.handle_unauthorized(self, body)
        elif self.path == "/v1/messages/batches":
            self.send_json(200, self.claude.describe(self.claude.submit(body["requests"])))
        elif self.path == "/v1/messages":
            self.claude.handle_message(self, body)
        else:
            self.send_error_json(404, "not_found_error")

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name = path.removeprefix("/v1/messages/batches").strip("/").removesuffix("/results")
        batch = self.claude.batches.get(name)
        if not self._has_key():
            self.send_error_json(401, "authentication_error")
        elif path == "/v1/messages/batches":
            newest_first = [self.claude.describe(each) for each in reversed(self.claude.batches.values())]
            self.send_json(200, {"data": newest_first, "has_more": False, "first_id": None, "last_id": None})
        elif batch is None:
            self.send_error_json(404, "not_found_error")
        elif path.endswith("/results"):
            lines = "".join(json.dumps(each) + "\n" for each in batch.results or [])
            self.send_body(200, lines.encode(), "application/x-jsonl")
        else:
            self.send_json(200, self.claude.describe(batch))

    def _has_key(self) -> bool:
        # The SDK sends the key as a bearer token when it is configured that way, else in a header of its own.
        return KEY in (self.headers.get("authorization", "").removeprefix("Bearer "), self.headers.get("x-api-key"))

    def send_json(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        """Sends a response in JSON."""
        self.send_body(status, json.dumps(document).encode(), "application/json", headers)

    def send_error_json(self, status: int, kind: str, headers: dict[str, str] | None = None) -> None:
        """Sends an error as the API does."""
        self.send_json(status, error_document(kind), headers)

    def send_body(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> None:
        """Sends a response, unless the client has disconnected."""
        with suppress(OSError):
            self.send_head(status, len(body), content_type, headers)
            self.wfile.write(body)

    def send_head(self, status: int, size: int, content_type: str, headers: dict[str, str] | None = None) -> None:
        """Sends the status line and the headers."""
        self.send_response(status)
        defaults = {"content-type": content_type, "content-length": str(size), "request-id": "req_sample"}
        for name, value in (defaults | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()

    def log_request(self, *_: Any) -> None:
        """Prints nothing."""


def error_document(kind: str) -> dict[str, Any]:
    """An error as the API returns it."""
    return {"type": "error", "error": {"type": kind, "message": f"sample {kind}"}, "request_id": "req_sample"}


def requested_part(body: dict[str, Any]) -> dict[str, Any]:
    """The part of an exam that a request is about: the JSON in its <part> element."""
    text = body["messages"][0]["content"]
    part: dict[str, Any] = json.loads(text.partition("<part>")[2].rpartition("</part>")[0])
    return part


@contextmanager
def sample_claude() -> Iterator[None]:
    """Until the end of the block, this process and its workers use a sample server, and ignore a configured key."""
    server = ClaudeServer(seconds=(1.0, 6.0))
    try:
        set_for_workers(ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=server.url, NO_PROXY="127.0.0.1")
        yield
    finally:
        server.close()

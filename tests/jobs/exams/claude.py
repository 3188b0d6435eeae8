"""The sample Claude server with scripted faults: rate limits, outages, invalid messages, expired batches.

Run as `python -m tests.jobs.exams.claude --log FILE`, it prints its URL and serves until it is terminated.
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
from enum import StrEnum
from pathlib import Path
from typing import Any

from opsconsole.embedded import claude
from opsconsole.embedded.claude import KEY, MessageBatch, RequestHandler, error_document, requested_part


class Fault(StrEnum):
    """A fault that a script can inject."""

    RATE_LIMITED = "429"
    RATE_LIMITED_FOR = "429 with retry-after"
    OVERLOADED = "529"
    BROKEN = "500"
    OVERLOADED_200 = "529 as 200"
    BAD_REQUEST = "400"
    FORBIDDEN = "403"
    NO_CREDIT = "400 about the balance"
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
    MARKUP_EVERYWHERE = "markup everywhere"
    UNUSUAL = "unusual but valid characters"
    EXPIRED = "expired"
    """For message batches only, like `errored`."""
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

_STOP_REASONS: dict[Fault | None, str] = {Fault.MAX_TOKENS: "max_tokens", Fault.REFUSAL: "refusal"}


@dataclass(frozen=True)
class Logged:
    """One request for a part of an exam as the server received it; `billed` when tokens were counted for it."""

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
class Script:
    """The faults of the next requests in turn (None for a valid response), then `otherwise`.

    `retry_after` is the header of a 429, in seconds; responses take `seconds`, from and to; a question has about `size`
    characters. With `batches_wait`, message batches are not processed before `finish_batches`.
    """

    faults: deque[Fault | None] = field(default_factory=deque)
    otherwise: Fault | None = None
    retry_after: str = "1"
    seconds: tuple[float, float] = (0.0, 0.0)
    size: int = 1350
    batches_wait: bool = False


class ClaudeServer(claude.ClaudeServer):
    """A sample server that follows a script. `log` has every request for a part; with `file`, each is written there as
    a line of JSON before the response is sent.
    """

    def __init__(self, *, file: Path | None = None, script: Script | None = None) -> None:
        self.script = script or Script()
        self.log: list[Logged] = []
        self.bodies: list[dict[str, Any]] = []
        self._file = file
        super().__init__(seconds=self.script.seconds, question_size=self.script.size)

    # --- messages -----------------------------------------------------------------------------------------------

    def handle_message(self, handler: RequestHandler, body: dict[str, Any]) -> None:
        self.bodies.append(body)
        fault = self._next_fault()
        self.seconds = self.script.seconds
        self.pause()
        if fault is Fault.NO_CREDIT:
            self._log(body, fault, 400)
            error = {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."}
            handler.send_json(400, {"type": "error", "error": error})
        elif fault in _ERRORS:
            status, kind = _ERRORS[fault]
            self._log(body, fault, status)
            wait = {"retry-after": self.script.retry_after} if fault is Fault.RATE_LIMITED_FOR else {}
            handler.send_error_json(status, kind, wait)
        elif fault is Fault.RESET:
            self._log(body, fault, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
        elif fault is Fault.GARBAGE:
            self._log(body, fault, 200)
            handler.send_body(200, b"<html>hello from a proxy</html>", "text/html")
        elif fault is Fault.HANG:
            self._log(body, fault, 0)
            self.closed.wait(600)
        elif fault is Fault.DRIP:
            self._drip(handler, json.dumps(self._faulty_message(body, fault)).encode())
        else:
            handler.send_json(200, self._faulty_message(body, fault))

    def handle_unauthorized(self, handler: RequestHandler, body: dict[str, Any]) -> None:
        if "messages" in body:
            self._log(body, None, 401)
        super().handle_unauthorized(handler, body)

    def _next_fault(self) -> Fault | None:
        with self.lock:
            return self.script.faults.popleft() if self.script.faults else self.script.otherwise

    def _faulty_message(self, body: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        """A message that is counted and billed, changed by the fault."""
        text = self._faulty_text(requested_part(body), fault)
        message = self.build_message(body, text, stop_reason=_STOP_REASONS.get(fault, "end_turn"))
        self._log(body, fault, 200, message["usage"])
        return message

    def _faulty_text(self, part: dict[str, Any], fault: Fault | None) -> str:
        questions = self.questions(part)
        match fault:
            case Fault.REFUSAL:
                return ""
            case Fault.SHORT:
                questions.pop()
            case Fault.ALIKE:
                for question in questions[1::3]:
                    question["stem"] = f"  {questions[0]['stem'].upper()} "
            case Fault.OUT_OF_RANGE:
                questions[-1]["answer"] = 4
            case Fault.ESCAPES:
                questions[-1]["stem"] += " \x1b]0;owned\x07\x1b[2J"
            case Fault.UNUSUAL:
                questions[0]["stem"] += " What follows from a<b or b>c?"
                questions[1]["options"][0] += " sub\u00adjec\u00adtive"
                questions[2]["explanation"] += " \N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL} \N{HEAVY BLACK HEART}\ufe0f"
            case Fault.MARKUP_EVERYWHERE:
                for question in questions:
                    question["explanation"] += " <a href='https://example.com'>more</a>"
            case Fault.MARKUP:
                questions[-1]["explanation"] += " <script>alert(1)</script>"
            case _:
                pass
        text = self.text_of(questions)
        if fault is Fault.NOT_JSON:
            return text.replace('"options":', '"options"', 1)
        return text[: len(text) // 2] if fault is Fault.MAX_TOKENS else text

    def _drip(self, handler: RequestHandler, body: bytes) -> None:
        """Sends a response byte by byte."""
        handler.send_head(200, len(body), "application/json")
        with suppress(OSError):
            for n in range(len(body)):
                handler.wfile.write(body[n : n + 1])
                if self.closed.wait(0.05):
                    return

    def _log(self, body: dict[str, Any], fault: Fault | None, status: int, usage: dict[str, int] | None = None) -> None:
        part, tokens = requested_part(body), usage or {}
        entry = Logged(
            exam=part["exam"],
            part=part["part"],
            questions=sum(part["domains"].values()),
            fault=fault,
            status=status,
            billed=usage is not None,
            input_tokens=tokens.get("input_tokens", 0),
            cache_write_tokens=tokens.get("cache_creation_input_tokens", 0),
            cache_read_tokens=tokens.get("cache_read_input_tokens", 0),
            output_tokens=tokens.get("output_tokens", 0),
            at=time.monotonic(),
        )
        with self.lock:
            self.log.append(entry)
            if self._file is not None:
                with self._file.open("a") as out:
                    out.write(json.dumps(asdict(entry)) + "\n")

    # --- message batches ----------------------------------------------------------------------------------------

    def submit(self, requests: list[dict[str, Any]]) -> MessageBatch:
        return self.accept(requests) if self.script.batches_wait else super().submit(requests)

    def finish_batches(self) -> None:
        """Completes the message batches that wait."""
        for batch in list(self.batches.values()):
            if batch.results is None:
                self.complete(batch)

    def forget_batches(self) -> None:
        """Removes all message batches."""
        self.batches.clear()

    def all_batches(self) -> list[MessageBatch]:
        """All message batches, newest first."""
        return list(self.batches.values())[::-1]

    def batch_result(self, params: dict[str, Any]) -> dict[str, Any]:
        fault = self._next_fault()
        if fault is Fault.EXPIRED:
            self._log(params, fault, 0)
            return {"type": "expired"}
        if fault is Fault.ERRORED:
            self._log(params, fault, 0)
            return {"type": "errored", "error": error_document("api_error")}
        return {"type": "succeeded", "message": self._faulty_message(params, fault)}


@contextmanager
def claude_server(script: Script | None = None) -> Iterator[ClaudeServer]:
    """A server until the end of the block."""
    server = ClaudeServer(script=script)
    try:
        yield server
    finally:
        server.close()


def main() -> None:
    """Serves until it is terminated. Prints its URL first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--seconds", type=float, nargs=2, default=(0.0, 0.0))
    parser.add_argument("--size", type=int, default=400)
    options = parser.parse_args()
    server = ClaudeServer(file=options.log, script=Script(seconds=tuple(options.seconds), size=options.size))
    sys.stdout.write(server.url + "\n")
    sys.stdout.flush()
    terminated = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    terminated.wait()
    server.close()


if __name__ == "__main__":
    main()


__all__ = ["KEY", "ClaudeServer", "Fault", "Logged", "Script", "claude_server"]

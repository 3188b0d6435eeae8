"""Asks the Claude API: the one place that knows the SDK, its answers, its errors, and what it all means for us."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opsconsole.extensions import safe

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import Message

CALL_SECONDS = 120.0
"""From the first byte sent to the last one read, however slowly they come."""
LONGEST_HOLD_SECONDS = 60.0
"""A service that wants us to wait for longer is asked again after this time."""
_AGAIN = (408, 409, 425, 429)
_AGAIN_BY_TYPE = ("overloaded_error", "api_error", "rate_limit_error", "timeout_error")
# What is told of a 429 when the money is at an end: waiting does not help.
_NEVER_BY_CODE = ("enforced_spend_limit_reached", "contract_spend_limit_reached")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as they are paid for."""

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service wrote, and what for. `stopped` is empty when it came to its own end."""

    text: str
    model: str
    usage: Usage
    stopped: str = ""


class NoAnswer(Exception):
    """The service did not answer. `cause` is a safe sentence; `again` whether asking again may help; `hold` so many
    seconds the service wants not to be asked, None when it does not say; `paid` whether the call may have cost money
    that nobody told us of; `of_this_request` whether another request may fare better;
    `gone` that what was asked about is not there.
    """

    def __init__(
        self,
        cause: str,
        *,
        again: bool,
        hold: float | None = None,
        paid: bool = False,
        of_this_request: bool = False,
        gone: bool = False,
    ) -> None:
        super().__init__(cause)
        self.cause, self.again, self.hold, self.paid = cause, again, hold, paid
        self.of_this_request, self.gone = of_this_request, gone


@dataclass(frozen=True, slots=True)
class BatchSeen:
    """A message batch as the service has it; `size` is how many requests it has."""

    id: str
    ended: bool
    size: int


class Service:
    """A connection to the Claude API; key and address are those of the environment. Every method may raise NoAnswer."""

    def __init__(self, client: AsyncAnthropic) -> None:
        self._client = client

    async def ask(self, body: dict[str, Any]) -> Answer:
        """Makes one request and waits for its answer, two minutes at most."""
        async with _told():
            return _answer(await self._client.messages.create(**body, timeout=CALL_SECONDS))

    async def submit(self, bodies: dict[str, dict[str, Any]]) -> BatchSeen:
        """Hands a message batch over; its requests by the ids that their results are to have."""
        requests: Any = [{"custom_id": name, "params": body} for name, body in bodies.items()]
        async with _told():
            return _seen(await self._client.messages.batches.create(requests=requests, timeout=CALL_SECONDS))

    async def look(self, batch: str) -> BatchSeen:
        """How far a message batch is."""
        async with _told():
            return _seen(await self._client.messages.batches.retrieve(batch, timeout=CALL_SECONDS))

    async def submitted_since(self, since: datetime) -> list[BatchSeen]:
        """The newest message batches, back to that time."""
        async with _told():
            page = await self._client.messages.batches.list(limit=100, timeout=CALL_SECONDS)
            return [_seen(batch) for batch in page.data if batch.created_at >= since]

    async def results(self, batch: str) -> dict[str, Answer | NoAnswer]:
        """What became of each request of a message batch that has ended."""
        found: dict[str, Answer | NoAnswer] = {}
        async with _told():
            async for line in await self._client.messages.batches.results(batch, timeout=CALL_SECONDS):
                found[line.custom_id] = _result(line.result)
        return found


@asynccontextmanager
async def connected() -> AsyncIterator[Service]:
    """The service, with a connection that is closed after the block."""
    # Imported here: it takes seconds that nobody spends who makes no exam.
    from anthropic import AsyncAnthropic

    # What is asked again, and when, is decided here: by itself it would ask three times, for ten minutes each.
    async with AsyncAnthropic(max_retries=0) as client:
        yield Service(client)


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """Ends what takes longer than a call may, and says of every error of the SDK what it means."""
    import anthropic

    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except TimeoutError:
        raise NoAnswer(f"no answer within {CALL_SECONDS:g} s", again=True, paid=True) from None
    except anthropic.APIStatusError as error:
        raise _by_status(error) from error
    except anthropic.APITimeoutError as error:
        raise NoAnswer(f"no answer within {CALL_SECONDS:g} s", again=True, paid=True) from error
    except anthropic.APIConnectionError as error:
        raise NoAnswer("the connection failed or was cut", again=True, paid=True) from error
    except (anthropic.APIResponseValidationError, ValueError) as error:
        raise NoAnswer("what came is no answer of the Messages API", again=True, paid=True) from error
    except (anthropic.AnthropicError, TypeError) as error:
        # TypeError: how the SDK says that it has no key.
        raise NoAnswer(f"the call could not be made: {safe(error, 200)}", again=False) from error


def _by_status(error: Any) -> NoAnswer:
    """What an error with a status means; its kind is read from the body too, since a stream that has begun is a 200."""
    status, kind = error.status_code, error.type
    cause = f"{status} {kind}" if kind else f"{status}"
    if error.error_code in _NEVER_BY_CODE:
        return NoAnswer(f"{cause}: {safe(error.error_code, 60)}", again=False)
    if status in _AGAIN or status >= 500 or kind in _AGAIN_BY_TYPE:
        return NoAnswer(cause, again=True, hold=_hold(error.response.headers.get("retry-after")))
    why = f": {safe(error.api_message, 150)}" if error.api_message and status != 401 else ""
    return NoAnswer(cause + why, again=False, of_this_request=status not in (401, 402, 403, 404), gone=status == 404)


def _hold(said: str | None) -> float | None:
    """Seconds of a Retry-After; a date, and what cannot be read, say nothing."""
    if said is None or not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", said.strip()):
        return None
    return min(float(said), LONGEST_HOLD_SECONDS)


def _answer(message: Message) -> Answer:
    """What a message says. Raises NoAnswer for what is none: the body of an error can come with a status of 200."""
    if getattr(message, "type", None) != "message":
        error = getattr(message, "error", None)
        kind = error.get("type") if isinstance(error, dict) else None
        cause = f"200 {safe(kind, 60)}" if kind else "what came is no answer of the Messages API"
        raise NoAnswer(cause, again=kind is None or kind in _AGAIN_BY_TYPE, paid=kind is None)
    used = message.usage
    usage = Usage(
        used.input_tokens,
        used.output_tokens,
        used.cache_creation_input_tokens or 0,
        used.cache_read_input_tokens or 0,
    )
    text = "".join(_texts(message))
    stopped = "" if message.stop_reason == "end_turn" else safe(message.stop_reason, 60)
    return Answer(text, safe(message.model, 100), usage, stopped)


def _texts(message: Message) -> Iterator[str]:
    for block in message.content:
        if block.type == "text":
            yield block.text


def _seen(batch: Any) -> BatchSeen:
    counts = batch.request_counts
    size = counts.canceled + counts.errored + counts.expired + counts.processing + counts.succeeded
    return BatchSeen(batch.id, batch.processing_status == "ended", size)


def _result(result: Any) -> Answer | NoAnswer:
    if result.type == "succeeded":
        try:
            return _answer(result.message)
        except NoAnswer as none:
            return none
    if result.type == "errored":
        kind = safe(result.error.error.type, 60)
        return NoAnswer(f"batch: {kind}", again=kind in _AGAIN_BY_TYPE, of_this_request=True)
    return NoAnswer(f"batch: {safe(result.type, 60)}", again=True)

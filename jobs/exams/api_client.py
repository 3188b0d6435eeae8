"""Calls the Claude API. Only this module knows the SDK, its responses and its errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from jobs.exams.options import KEY
from opsconsole.extensions import safe, secret

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import Message

CALL_TIMEOUT_SECONDS = 120.0
"""For the whole call, from the first byte sent to the last byte received."""
MAX_RETRY_AFTER_SECONDS = 60.0
"""Longer waits requested by `Retry-After` are cut to this."""
_RETRYABLE_STATUSES = (408, 409, 425, 429)
_RETRYABLE_TYPES = ("overloaded_error", "api_error", "rate_limit_error", "timeout_error")
# Sent with a 429 when a spending limit is reached: waiting does not help.
_SPEND_LIMIT_CODES = ("enforced_spend_limit_reached", "contract_spend_limit_reached")
# An account without credit is answered with a 400 of the type of an invalid request; only its message differs.
_NO_CREDIT = "credit balance"
_ACCOUNT_STATUSES = (401, 402, 403, 404)


@dataclass(frozen=True, slots=True)
class Usage:
    """Billed tokens of one call."""

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """The text of a response with its token usage. `stop_reason` is empty when the model finished its turn."""

    text: str
    model: str
    usage: Usage
    stop_reason: str = ""


class CallFailed(Exception):
    """The service returned no completion.

    `cause` is safe to show. `retryable`: another try may succeed. `retry_after`: seconds to wait before the next call,
    None when the service did not specify. `may_be_billed`: the call may have cost an unknown amount.
    `request_invalid`: the error concerns this request only. `not_found`: the requested object does not exist.
    """

    def __init__(
        self,
        cause: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        may_be_billed: bool = False,
        request_invalid: bool = False,
        not_found: bool = False,
    ) -> None:
        super().__init__(cause)
        self.cause, self.retryable, self.retry_after = cause, retryable, retry_after
        self.may_be_billed, self.request_invalid, self.not_found = may_be_billed, request_invalid, not_found


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A message batch on the service; `size` is its number of requests."""

    id: str
    ended: bool
    size: int


class ApiClient:
    """A connection to the Claude API, configured by the environment. Every method may raise CallFailed."""

    def __init__(self, client: AsyncAnthropic) -> None:
        self._client = client

    async def create_message(self, body: dict[str, Any]) -> Completion:
        """Sends one request and waits for its response, at most two minutes."""
        async with _translated_errors():
            return _completion(await self._client.messages.create(**body, timeout=CALL_TIMEOUT_SECONDS))

    async def submit_batch(self, bodies: dict[str, dict[str, Any]]) -> BatchStatus:
        """Submits a message batch. The keys of `bodies` are the custom ids under which results are returned."""
        requests: Any = [{"custom_id": name, "params": body} for name, body in bodies.items()]
        async with _translated_errors():
            return _batch_status(
                await self._client.messages.batches.create(requests=requests, timeout=CALL_TIMEOUT_SECONDS)
            )

    async def batch_status(self, batch: str) -> BatchStatus:
        """The current status of a message batch."""
        async with _translated_errors():
            return _batch_status(await self._client.messages.batches.retrieve(batch, timeout=CALL_TIMEOUT_SECONDS))

    async def batches_since(self, since: datetime) -> list[BatchStatus]:
        """Message batches created since `since`, newest first, at most 100."""
        async with _translated_errors():
            page = await self._client.messages.batches.list(limit=100, timeout=CALL_TIMEOUT_SECONDS)
            return [_batch_status(batch) for batch in page.data if batch.created_at >= since]

    async def batch_results(self, batch: str) -> dict[str, Completion | CallFailed]:
        """The result of each request of an ended message batch, by custom id."""
        results: dict[str, Completion | CallFailed] = {}
        async with _translated_errors():
            async for line in await self._client.messages.batches.results(batch, timeout=CALL_TIMEOUT_SECONDS):
                results[line.custom_id] = _result(line.result)
        return results


@asynccontextmanager
async def connect() -> AsyncIterator[ApiClient]:
    """A client whose connection closes after the block. Raises CallFailed when the environment is unusable."""
    # Imported here: the SDK takes seconds to load, and only processes that generate exams need it.
    from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

    # This pack decides about retries: by default the SDK would try three times, for ten minutes each.
    try:
        client = AsyncAnthropic(api_key=secret(KEY), max_retries=0, http_client=DefaultAsyncHttpxClient())
    except Exception as error:  # httpx and ssl raise many types for a bad proxy, URL or certificate file
        raise _misconfigured(error) from error
    async with client:
        yield ApiClient(client)


@asynccontextmanager
async def _translated_errors() -> AsyncIterator[None]:
    """Enforces the call timeout and turns every SDK error into CallFailed."""
    import anthropic

    try:
        async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
            yield
    except TimeoutError:
        raise _timed_out() from None
    except anthropic.APIStatusError as error:
        raise _status_error(error) from error
    except anthropic.APITimeoutError as error:
        raise _timed_out() from error
    except anthropic.APIConnectionError as error:
        raise _connection_error(error) from error
    except (anthropic.APIResponseValidationError, ValueError) as error:
        raise CallFailed(_INVALID_RESPONSE, retryable=True, may_be_billed=True) from error
    except (anthropic.AnthropicError, TypeError) as error:
        # The SDK raises TypeError when no API key is set.
        raise CallFailed(f"the call could not be made: {safe(error, 200)}", retryable=False) from error


def _connection_error(error: BaseException) -> CallFailed:
    """Classifies a failed connection: the environment's settings rule out any call, or this one was not sent."""
    import ssl

    import httpx2 as httpx

    causes = list(_causes(error))
    unusable = (ssl.SSLCertVerificationError, httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.ProxyError)
    for cause in causes:
        if isinstance(cause, unusable):
            return _misconfigured(cause)
    not_sent = any(isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout) for cause in causes)
    return CallFailed("connection failed or interrupted", retryable=True, may_be_billed=not not_sent)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def _misconfigured(error: BaseException) -> CallFailed:
    return CallFailed(
        f"the call could not be made; check ANTHROPIC_BASE_URL, the proxy and the certificates in the environment: "
        f"{type(error).__name__}: {safe(error, 150)}",
        retryable=False,
    )


_INVALID_RESPONSE = "not a valid Messages API response"


def _timed_out() -> CallFailed:
    return CallFailed(f"no response within {CALL_TIMEOUT_SECONDS:g} s", retryable=True, may_be_billed=True)


def _status_error(error: Any) -> CallFailed:
    """Classifies an HTTP error. The body's error type counts too, because a stream that has started is a 200."""
    status, kind = error.status_code, error.type
    cause = f"{status} {kind}" if kind else f"{status}"
    if error.error_code in _SPEND_LIMIT_CODES:
        return CallFailed(f"{cause}: {safe(error.error_code, 60)}", retryable=False)
    if status in _RETRYABLE_STATUSES or status >= 500 or kind in _RETRYABLE_TYPES:
        headers = error.response.headers
        return CallFailed(
            cause, retryable=True, retry_after=_retry_after(headers.get("retry-after"), headers.get("date"))
        )
    message = error.api_message or ""
    concerns_account = status in _ACCOUNT_STATUSES or kind == "billing_error" or _NO_CREDIT in message.lower()
    return CallFailed(
        cause + (f": {safe(message, 150)}" if message and status != 401 else ""),
        retryable=False,
        request_invalid=not concerns_account,
        not_found=status == 404,
    )


def _retry_after(header: str | None, sent_at: str | None) -> float | None:
    """Seconds of a `Retry-After` header: a number, or a time relative to the response's own `Date`. None for anything
    unreadable.
    """
    if header is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", header.strip()):
        return min(float(header), MAX_RETRY_AFTER_SECONDS)
    try:
        wait = parsedate_to_datetime(header) - parsedate_to_datetime(sent_at or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(0.0, wait.total_seconds()), MAX_RETRY_AFTER_SECONDS)


def _completion(message: Message) -> Completion:
    """The content of a message. Raises CallFailed for an error body, which can come with status 200."""
    if getattr(message, "type", None) != "message":
        error = getattr(message, "error", None)
        kind = error.get("type") if isinstance(error, dict) else None
        cause = f"200 {safe(kind, 60)}" if kind else _INVALID_RESPONSE
        raise CallFailed(cause, retryable=kind is None or kind in _RETRYABLE_TYPES, may_be_billed=kind is None)
    tokens = message.usage
    usage = Usage(
        tokens.input_tokens,
        tokens.output_tokens,
        tokens.cache_creation_input_tokens or 0,
        tokens.cache_read_input_tokens or 0,
    )
    text = "".join(_texts(message))
    stop_reason = "" if message.stop_reason == "end_turn" else safe(message.stop_reason, 60)
    return Completion(text, safe(message.model, 100), usage, stop_reason)


def _texts(message: Message) -> Iterator[str]:
    for block in message.content:
        if block.type == "text":
            yield block.text


def _batch_status(batch: Any) -> BatchStatus:
    counts = batch.request_counts
    size = counts.canceled + counts.errored + counts.expired + counts.processing + counts.succeeded
    return BatchStatus(batch.id, batch.processing_status == "ended", size)


def _result(result: Any) -> Completion | CallFailed:
    if result.type == "succeeded":
        try:
            return _completion(result.message)
        except CallFailed as error:
            return error
    if result.type == "errored":
        kind = safe(result.error.error.type, 60)
        return CallFailed(f"batch: {kind}", retryable=kind in _RETRYABLE_TYPES, request_invalid=True)
    return CallFailed(f"batch: {safe(result.type, 60)}", retryable=True)

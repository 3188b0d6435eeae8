"""Reads what a program asked, within limits."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request as Asked

from opsconsole.authoring.extensions import Request
from opsconsole.http.responses import HttpError

MOST_BYTES = 64 * 1024
READ_BYTES = 1024 * 1024
"""So much of a body that is too large is still read, so that its sender is there to hear that it is."""
BODY_SECONDS = 10.0


async def read(asked: Asked) -> Request:
    """The parts of the path, the query and the body. Raises HttpError."""
    body = await _body(asked)
    path = {name: str(value) for name, value in asked.path_params.items()}
    query = dict(asked.query_params)
    if any("\0" in text for text in (*path.values(), *query, *query.values())) or b"\\u0000" in body:
        raise HttpError(400, "bad_text", "a text with a NUL in it is in no database")
    return Request(path, query, _parsed(body))


async def _body(asked: Asked) -> bytes:
    kept, seen = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in asked.stream():
                seen += len(chunk)
                if seen <= MOST_BYTES:
                    kept += chunk
                elif seen > READ_BYTES:
                    break
    except TimeoutError:
        raise HttpError(408, "too_slow", f"the body did not come within {BODY_SECONDS:g} s") from None
    if seen > MOST_BYTES:
        raise HttpError(413, "too_large", f"a body may have at most {MOST_BYTES:,} bytes")
    return bytes(kept)


def _parsed(body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpError(400, "bad_json", "the body is not JSON") from None

"""Reads requests within limits of size and time."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request as StarletteRequest

from opsconsole.authoring.extensions import Request
from opsconsole.http.responses import HttpError

MAX_BODY_BYTES = 64 * 1024
MAX_READ_BYTES = 1024 * 1024
"""A larger body is still read up to here, because a client that is still sending would not read the error."""
BODY_SECONDS = 10.0


async def read(request: StarletteRequest) -> Request:
    """The path parameters, the query and the body. Raises HttpError."""
    body = await _body(request)
    path = {name: str(value) for name, value in request.path_params.items()}
    query = dict(request.query_params)
    if any("\0" in text for text in (*path.values(), *query, *query.values())) or b"\\u0000" in body:
        raise HttpError(400, "bad_text", "NUL characters are not allowed")
    return Request(path, query, _parse(body))


async def _body(request: StarletteRequest) -> bytes:
    body, received = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                received += len(chunk)
                if received <= MAX_BODY_BYTES:
                    body += chunk
                elif received > MAX_READ_BYTES:
                    break
    except TimeoutError:
        raise HttpError(408, "timeout", f"the body did not arrive within {BODY_SECONDS:g} s") from None
    if received > MAX_BODY_BYTES:
        raise HttpError(413, "too_large", f"the body is larger than {MAX_BODY_BYTES:,} bytes")
    return bytes(body)


def _parse(body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpError(400, "bad_json", "the body is not valid JSON") from None

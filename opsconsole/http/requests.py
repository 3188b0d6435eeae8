"""Reads requests within limits of size and time."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request as StarletteRequest

from opsconsole.authoring.extensions import Request
from opsconsole.core.text import safe
from opsconsole.http.responses import HttpError

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 10.0
KEY_HEADER = "idempotency-key"
MAX_KEY = 200


async def read(request: StarletteRequest) -> Request:
    """The path parameters, the query and the body. Raises HttpError."""
    body = await _body(request)
    path = {name: str(value) for name, value in request.path_params.items()}
    query = dict(request.query_params)
    for name in query:
        if len(request.query_params.getlist(name)) > 1:
            raise HttpError(400, "repeated", "this parameter is given more than once", safe(name, 100))
    if any("\0" in text for text in (*path.values(), *query, *query.values())) or b"\\u0000" in body:
        raise HttpError(400, "bad_text", "NUL characters are not allowed")
    return Request(path, query, _parse(body))


def idempotency_key(request: StarletteRequest) -> str | None:
    """The idempotency key of a request, if it has one. Raises HttpError."""
    keys = request.headers.getlist(KEY_HEADER)
    if not keys:
        return None
    if len(keys) > 1 or not 1 <= len(keys[0]) <= MAX_KEY or not (keys[0].isascii() and keys[0].isprintable()):
        raise HttpError(400, "bad_key", f"send one key of up to {MAX_KEY} printable ASCII characters", KEY_HEADER)
    return keys[0]


async def _body(request: StarletteRequest) -> bytes:
    if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise _too_large()
    except TimeoutError:
        raise HttpError(408, "timeout", f"the body did not arrive within {BODY_SECONDS:g} s") from None
    return bytes(body)


def _too_large() -> HttpError:
    return HttpError(413, "too_large", f"the body is larger than {MAX_BODY_BYTES:,} bytes")


def _parse(body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HttpError(400, "bad_json", "the body is not valid JSON") from None
    if found is None:
        raise HttpError(400, "bad_body", "the body is null; leave it out or send an object")
    return found

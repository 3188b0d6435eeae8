"""A Redis stream that other programs read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis

from opsconsole.cache.client import reaching, why
from opsconsole.core.errors import Unavailable


def append(client: redis.Redis, stream: str, entries: Sequence[Mapping[Any, Any]], *, near: int) -> None:
    """Adds entries (name -> text or bytes) in their order, all of them or none, and keeps the stream near so many.

    Raises Unavailable.
    """
    with reaching():
        pipeline = client.pipeline(transaction=True)
        for entry in entries:
            pipeline.xadd(stream, dict(entry), maxlen=near, approximate=True)
        try:
            pipeline.execute()
        except redis.ResponseError as error:
            raise Unavailable("redis", why(error)) from error

"""A Redis stream that other programs read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis

from opsconsole.cache.connection import translating_errors


def append(client: redis.Redis, stream: str, entries: Sequence[Mapping[Any, Any]], *, max_length: int) -> None:
    """Adds entries (name -> text or bytes) in order, all of them or none, and trims the stream to about `max_length`.

    Raises Unavailable.
    """
    with translating_errors():
        pipeline = client.pipeline(transaction=True)
        for entry in entries:
            pipeline.xadd(stream, dict(entry), maxlen=max_length, approximate=True)
        pipeline.execute()

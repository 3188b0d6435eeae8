"""What the naive ways share: classes for the packs' tables, and a session and a Redis client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import redis
from sqlalchemy import Select, Table, create_engine, select
from sqlalchemy.orm import Session, registry

from benchmarks.workload import Asked
from jobs.common import users

_registry = registry()


@cache
def mapped(table: Table) -> Any:
    """A class whose attributes are the table's columns."""
    made = type(table.name, (), {})
    _registry.map_imperatively(made, table)
    return made


@contextmanager
def opened(asked: Asked) -> Iterator[tuple[Session, redis.Redis]]:
    """Both connections, until the end of the block."""
    engine = create_engine(asked.data_url)
    client = redis.Redis.from_url(asked.redis_url)
    try:
        with Session(engine) as session:
            yield session, client
    finally:
        engine.dispose()
        client.close()


def active_users(asked: Asked) -> Select[str]:
    """Every active user, as far as the limit goes."""
    return select(users.c.id).where(users.c.active).order_by(users.c.id).limit(asked.limit)

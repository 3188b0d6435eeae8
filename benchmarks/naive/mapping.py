"""Shared by the naive baselines: mapped classes, a session and a Redis client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import redis
from sqlalchemy import Select, Table, create_engine, select
from sqlalchemy.orm import Session, registry

from benchmarks.workload import Workload
from jobs.common import users

_registry = registry()


@cache
def mapped(table: Table) -> Any:
    """A class mapped to the table."""
    made = type(table.name, (), {})
    _registry.map_imperatively(made, table)
    return made


@contextmanager
def opened(workload: Workload) -> Iterator[tuple[Session, redis.Redis]]:
    """Connections to the database and Redis."""
    engine = create_engine(workload.data_url)
    client = redis.Redis.from_url(workload.redis_url)
    try:
        with Session(engine) as session:
            yield session, client
    finally:
        engine.dispose()
        client.close()


def active_users(workload: Workload) -> Select[str]:
    """The active users up to the limit."""
    return select(users.c.id).where(users.c.active).order_by(users.c.id).limit(workload.limit)

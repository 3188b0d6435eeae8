"""Reads the URLs of databases, Redis and the broker from the configuration."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from opsconsole.core.settings import EMBEDDED, Secret
from opsconsole.core.urls import BadUrl, database_url, redis_url, sqlite_url


def read_database_url(name: str, own: str, shared: str, file: Path, problems: list[str]) -> Secret:
    url = own if own != EMBEDDED else shared
    if url == EMBEDDED:
        return Secret(sqlite_url(file))
    try:
        return Secret(database_url(url))
    except BadUrl as error:
        problems.append(f"{name} {error}")
        return Secret("sqlite:///")


def read_redis_url(url: str, problems: list[str]) -> Secret | None:
    if url == EMBEDDED:
        return None
    try:
        return Secret(redis_url(url))
    except BadUrl as error:
        problems.append(f"redis.url {error}")
        return None


def read_broker_url(url: str, cache: Secret | None, problems: list[str]) -> Secret | None:
    """The URL of the broker for the executor `celery`, which also needs the library and a cache that others reach."""
    if find_spec("celery") is None:
        problems.append("engine.executor celery needs Celery, which is not installed: pip install 'opsconsole[celery]'")
    if cache is None:
        problems.append("engine.executor celery needs a Redis server that the workers can also reach; set redis.url")
    if not url:
        problems.append(
            "engine.executor celery needs a broker; set celery.broker_url to a Redis database that nothing else uses"
        )
        return None
    try:
        broker = Secret(redis_url(url))
    except BadUrl as error:
        problems.append(f"celery.broker_url {error}")
        return None
    if broker == cache:
        problems.append("celery.broker_url is the same as redis.url; use another server, as the cache evicts keys")
    return broker

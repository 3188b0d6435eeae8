"""What kind of server answers at a URL, as far as the Redis user may know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis

from opsconsole.cache.connection import connect, if_permitted, translating_errors
from opsconsole.cache.faults import CLUSTER, SENTINEL
from opsconsole.core.errors import Unavailable
from opsconsole.core.text import safe


class ServerKind(StrEnum):
    """What a server is run as."""

    STANDALONE = "standalone"
    REPLICA = "replica"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


UNSUPPORTED = {ServerKind.CLUSTER: CLUSTER, ServerKind.SENTINEL: SENTINEL}
"""The kinds of servers that can never hold the cache, and why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server. `kind`, `version` and `policy` (what it evicts when it is full) are None where it does not report them;
    `denied` are the commands that the Redis user may not run and opsconsole can do without.
    """

    kind: ServerKind | None
    version: str | None
    policy: str | None
    denied: tuple[str, ...]


def inspect(url: str) -> Server:
    """The server at a URL. Raises Unavailable."""
    with connect(url) as client:
        with translating_errors():
            hello = _hello(client)
        info, no_info = if_permitted(lambda: dict(client.info()))
        fields = info or {}
        kind = _kind(hello, fields)
        no_scan = no_dbsize = None
        if kind not in UNSUPPORTED:
            _, no_scan = if_permitted(lambda: client.scan(0, count=1))
            _, no_dbsize = if_permitted(client.dbsize)
    version = fields.get("valkey_version") or fields.get("redis_version") or hello.get("version")
    policy = fields.get("maxmemory_policy")
    return Server(
        kind=kind,
        version=None if version is None else safe(version, 40),
        policy=None if policy is None else safe(policy, 40),
        denied=tuple(command for command in (no_info, no_scan, no_dbsize) if command is not None),
    )


def _hello(client: redis.Redis) -> Mapping[str, Any]:
    """What every user may ask a server since Redis 6."""
    try:
        answer: Any = client.execute_command("HELLO", "2")  # type: ignore[no-untyped-call]
    except redis.ResponseError:
        return {}
    pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
    return {str(_text(name)): _text(value) for name, value in pairs}


def _kind(hello: Mapping[str, Any], info: Mapping[str, Any]) -> ServerKind | None:
    mode = hello.get("mode") or info.get("redis_mode") or info.get("server_mode")
    role = hello.get("role") or info.get("role")
    if mode in UNSUPPORTED:
        return ServerKind(str(mode))
    if role in ("slave", "replica"):
        return ServerKind.REPLICA
    return ServerKind.STANDALONE if mode == ServerKind.STANDALONE else None


def _text(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def why_unsupported(url: str) -> str | None:
    """Why the server at a URL can never hold the cache; None if it can, or is unreachable."""
    try:
        kind = inspect(url).kind
    except Unavailable:
        return None
    return None if kind is None else UNSUPPORTED.get(kind)

"""Replaces a sorted set and its hash of names atomically: a reader sees the old pair or the new pair."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from opsconsole.core.errors import OpsconsoleError, Unavailable

if TYPE_CHECKING:
    import redis

    from opsconsole.cache.client import Cache

# redis is imported inside functions: packs import `swap_ranking` when they are loaded, also for `--help`.

CHUNK = 500
"""Members per command: it occupies the server for well under a millisecond."""
PIPELINED = 10
"""Commands per round trip."""
STAGING_TTL_SECONDS = 600
"""Expires a staged set whose builder died, and a replaced set that could not be removed."""
ATTEMPTS = 5

Entry = tuple[str, float, str | None]
"""A member with its score, and the name it is shown under."""


class Contended(OpsconsoleError):
    """Another writer replaced the sorted set during every attempt."""

    def __init__(self, key: str) -> None:
        super().__init__(f"another writer replaced {key} during each of {ATTEMPTS} attempts; find what else writes it")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a ranking was made from, and its member count."""

    value: str
    members: int


def ranking_stamp(cache: Cache, key: str, names_key: str, *, stamp_key: str) -> Stamp | None:
    """The stamp with which the ranking was swapped in; None if there is none, or if its keys no longer have as many
    members and names as then. Raises Unavailable.
    """
    from opsconsole.cache.connection import translating_errors

    with translating_errors():
        pipeline = cache.client.pipeline()
        pipeline.get(stamp_key)
        pipeline.zcard(key)
        pipeline.hlen(names_key)
        stored, members, names = pipeline.execute()
    value, _, sizes = (stored or b"").decode(errors="replace").rpartition(" ")
    return Stamp(value, members) if value and sizes == f"{members},{names}" else None


def swap_ranking(
    cache: Cache,
    key: str,
    names_key: str,
    read: Callable[[], Iterable[Entry]],
    *,
    stamp_key: str | None = None,
    stamp: str | None = None,
) -> int:
    """Replaces the sorted set `key` and the hash `names_key` with the entries from `read`. Returns the member count.

    Both are staged in chunks and swapped in with one transaction, which also writes the `stamp` to `stamp_key`, or
    removes that key; an empty ranking has none of them. When another writer replaces the set after `read` was called,
    `read` is called again, so that the last to swap is always the last to have read. Raises Unavailable, Contended, and
    what `read` raises.
    """
    for _ in range(ATTEMPTS):
        members = _swap_once(cache.client, key, names_key, read, stamp_key, stamp)
        if members is not None:
            return members
    raise Contended(key)


def _swap_once(
    client: redis.Redis,
    key: str,
    names_key: str,
    read: Callable[[], Iterable[Entry]],
    stamp_key: str | None,
    stamp: str | None,
) -> int | None:
    """Stages the entries and swaps them in. None when a key changed meanwhile. Raises Unavailable."""
    from opsconsole.cache.connection import translating_errors

    staging = _Staging(client, key, names_key)
    watched = client.pipeline()
    try:
        with translating_errors():
            watched.watch(key, names_key)  # type: ignore[no-untyped-call]
        entries = iter(read())
        while chunk := list(islice(entries, CHUNK * PIPELINED)):
            with translating_errors():
                staging.add(chunk)
        with translating_errors():
            swapped = staging.swap_in(watched, stamp_key, stamp)
        return staging.members if swapped else None
    finally:
        connection: Any = watched.connection
        if connection is not None:
            connection.disconnect()  # ends the WATCH, without another command
        watched.reset()
        staging.remove()


class _Staging:
    """A sorted set and its names under temporary keys."""

    def __init__(self, client: redis.Redis, key: str, names_key: str) -> None:
        self._client = client
        mark = secrets.token_hex(8)
        self._live = (key, names_key)
        self._new = (f"{key}:{mark}:new", f"{names_key}:{mark}:new")
        self._old = (f"{key}:{mark}:old", f"{names_key}:{mark}:old")
        self.members = 0
        self._names = 0

    def add(self, entries: list[Entry]) -> None:
        """Adds members; each may be added once."""
        members, named = self._new
        pipeline = self._client.pipeline(transaction=False)
        for start in range(0, len(entries), CHUNK):
            some = entries[start : start + CHUNK]
            pipeline.zadd(members, {member: score for member, score, _ in some})
            names: dict[Any, Any] = {member: name for member, _, name in some if name is not None}
            if names:
                pipeline.hset(named, mapping=names)
            self._names += len(names)
        pipeline.expire(members, STAGING_TTL_SECONDS)
        pipeline.expire(named, STAGING_TTL_SECONDS)
        pipeline.execute()
        self.members += len(entries)

    def swap_in(self, watched: redis.client.Pipeline, stamp_key: str | None, stamp: str | None) -> bool:
        """Renames the staged keys to the live ones. Returns whether no live key changed since it was watched."""
        import redis

        if (watched.zcard(self._new[0]), watched.hlen(self._new[1])) != (self.members, self._names):
            raise Unavailable("redis", "it evicted part of a ranking while it was built; its memory limit is too small")
        existed = [bool(watched.exists(live)) for live in self._live]
        watched.multi()
        for live, new, old, live_existed, size in zip(
            self._live, self._new, self._old, existed, (self.members, self._names), strict=True
        ):
            if live_existed:
                watched.rename(live, old)  # first: renaming onto a large key would free it while other clients wait
                watched.expire(old, STAGING_TTL_SECONDS)
            if size:
                watched.rename(new, live)
                watched.persist(live)
        if stamp_key is not None and stamp is not None and self.members:
            watched.set(stamp_key, f"{stamp} {self.members},{self._names}")
        elif stamp_key is not None:
            watched.unlink(stamp_key)
        try:
            watched.execute()
        except redis.WatchError as error:
            if isinstance(error.__context__, redis.ConnectionError | redis.TimeoutError):
                raise  # the connection was lost
            return False
        return True

    def remove(self) -> None:
        """Removes the temporary keys. Those that cannot be removed now expire."""
        from opsconsole.cache.faults import ERRORS

        with suppress(*ERRORS):
            self._client.unlink(*self._new, *self._old)

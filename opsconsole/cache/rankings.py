"""A sorted set with a hash of names, replaced whole: a reader sees the old ones or the new ones, nothing between."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from opsconsole.core.errors import OpsconsoleError, Unavailable

if TYPE_CHECKING:
    import redis

    from opsconsole.cache.client import Cache

# redis and what builds on it are imported in the functions: packs name `swap_ranking` when they are loaded.

CHUNK = 500
"""So many members a command: the server is busy with it for well under a millisecond."""
BESIDE_SECONDS = 600
"""A set that nobody goes on building, or that was swapped out and not removed, is gone after this time."""
TRIES = 5

Entry = tuple[str, float, str | None]
"""A member with its score, and the name it is shown under."""


class Contended(OpsconsoleError):
    """Others replaced the sorted set each time while it was being built."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} was replaced by others {TRIES} times while it was built; see who else writes it")


def swap_ranking(cache: Cache, key: str, names_key: str, read: Callable[[], Iterable[Entry]]) -> int:
    """Makes the sorted set `key` and the hash `names_key` be exactly what `read` gives; how many members that are.

    Both are built beside, in chunks, and swapped in at one instant; without a member there are no keys. Where somebody
    else replaced the set after `read` was called, what it gave may be older than what is there, and it is called again:
    so the last to swap is always the last to have read. Raises Unavailable, Contended, and what `read` raises.
    """
    import redis

    from opsconsole.cache.client import reaching, refusing

    for _ in range(TRIES):
        with cache.client.pipeline() as watched:
            with reaching(), refusing():
                watched.watch(key, names_key)  # type: ignore[no-untyped-call]
            beside = _Beside(cache.client, key, names_key)
            try:
                entries = iter(read())
                while chunk := list(islice(entries, CHUNK)):
                    with reaching(), refusing():
                        beside.add(chunk)
                with reaching(), refusing():
                    beside.swap_in(watched)
            except redis.WatchError:
                continue
            finally:
                beside.remove()
            return beside.members
    raise Contended(key)


class _Beside:
    """A sorted set and its names while nobody sees them."""

    def __init__(self, client: redis.Redis, key: str, names_key: str) -> None:
        self._client = client
        mark = secrets.token_hex(8)
        self._live = (key, names_key)
        self._new = (f"{key}:{mark}:new", f"{names_key}:{mark}:new")
        self._old = (f"{key}:{mark}:old", f"{names_key}:{mark}:old")
        self.members = 0
        self._names = 0

    def add(self, entries: list[Entry]) -> None:
        """Adds members that are not there yet."""
        members, named = self._new
        names: dict[Any, Any] = {member: name for member, _, name in entries if name is not None}
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zadd(members, {member: score for member, score, _ in entries})
        pipeline.expire(members, BESIDE_SECONDS)
        if names:
            pipeline.hset(named, mapping=names)
            pipeline.expire(named, BESIDE_SECONDS)
        pipeline.execute()
        self.members += len(entries)
        self._names += len(names)

    def swap_in(self, watched: redis.client.Pipeline) -> None:
        """Puts them where readers look. Raises WatchError when somebody else did since they were watched."""
        if (watched.zcard(self._new[0]), watched.hlen(self._new[1])) != (self.members, self._names):
            raise Unavailable("redis", "it gave up part of a ranking while that was built; its memory is too small")
        there = [bool(watched.exists(live)) for live in self._live]
        watched.multi()
        for live, new, old, was_there, size in zip(
            self._live, self._new, self._old, there, (self.members, self._names), strict=True
        ):
            if was_there:
                watched.rename(live, old)  # put aside first: a rename onto a large key removes it while all wait
                watched.expire(old, BESIDE_SECONDS)
            if size:
                watched.rename(new, live)
                watched.persist(live)
        watched.execute()

    def remove(self) -> None:
        """Removes what readers do not see; what cannot be removed now expires."""
        import redis

        with suppress(redis.RedisError, OSError):
            self._client.unlink(*self._new, *self._old)

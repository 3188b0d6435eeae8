"""The `[attempts]` section of the configuration."""

from __future__ import annotations

import msgspec


class Options(msgspec.Struct, frozen=True):
    """How the day's attempts are cached.

    `compress_over`: compress values of more bytes than this; None disables compression. `max_ttl_hours`: the TTL for
    users active on each of the last seven days, two hours for users active on one day, in between for others; None
    keeps two hours for all. `incremental`: append attempts made since the last run instead of rebuilding the day;
    cached attempts are not updated, for example when a topic was renamed. `log_users`: a line in the run's log for each
    user whose attempts were cached.
    """

    compress_over: int | None = None
    max_ttl_hours: float | None = None
    incremental: bool = False
    log_users: bool = False

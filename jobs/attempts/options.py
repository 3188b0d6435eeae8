"""What the `[attempts]` section of the configuration may say."""

from __future__ import annotations

import msgspec


class Options(msgspec.Struct, frozen=True):
    """How the day's attempts are cached.

    `compress_over`: values of more bytes than this are kept compressed; none when None. `longest_ttl_hours`: how long
    the day of a user is kept who came on each of the last seven days; those who came less often are between that and
    the usual two hours, which hold for everybody when None. `incremental`: what was made since the last run is appended
    to what is cached; what is there already stays as it was, also when a topic was renamed meanwhile.
    """

    compress_over: int | None = None
    longest_ttl_hours: float | None = None
    incremental: bool = False

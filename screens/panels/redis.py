"""The panel of the cache server."""

from __future__ import annotations

from datetime import timedelta

from opsconsole.core import humanize
from opsconsole.service.snapshot import RedisStats
from screens.panels.top_line import RECONNECTS
from screens.panels.view import WIDE, View
from screens.widgets.lines import Line, Piece, bar, crop, line, rule, spark, text

HIT_RATES = 20


def panel(view: View, cells: int, rows: int) -> list[Line]:
    """The rule and `rows` lines; the last known figures stay while the server is unreachable."""
    redis = view.snapshot.redis
    lines: list[Line] = []
    note: Line = ()
    if redis.outage is not None:
        since = humanize.clock(redis.outage.since, seconds=True)
        note = line(Piece(f"✗ unreachable since {since}", "bad"), ": ", text(redis.outage.reason, limit=200))
    if redis.stats is not None:
        lines = _figures(redis.stats, redis.hit_rates, cells, rows)
        if redis.outage is not None and len(lines) > 1:  # a single line has no room for it
            lines = [(*lines[0], Piece("   (last known)", "warn")), *lines[1:]]
    else:
        lines = [line("   ", Piece("no figures yet" if redis.outage is None else RECONNECTS, "quiet"))]
    return [rule("Redis", cells, note), *(crop(each, cells) for each in lines[:rows])]


def _figures(stats: RedisStats, hit_rates: tuple[float | None, ...], cells: int, rows: int) -> list[Line]:
    if rows >= 3:
        return [
            line(" memory   ", *_memory(stats, 16), f"   peak {humanize.megabytes(stats.peak_memory)}"),
            line(" hits     ", *_hits(stats, hit_rates, HIT_RATES), Piece(f"   {stats.keys:,} keys")),
            line(f" traffic  {stats.ops_per_second:,} ops/s   ", _evicted(stats), f"   {stats.expired:,} expired"),
            line(
                Piece(
                    f" server   {humanize.count(stats.clients, 'client')} · ping {stats.ping_ms:.1f} ms"
                    f" · up {humanize.age(timedelta(seconds=stats.uptime_seconds))} · ",
                    "quiet",
                ),
                text(stats.version, "quiet", 20),
            ),
        ]
    is_wide = cells >= WIDE
    return [
        line(
            " ",
            *_memory(stats, 5 if is_wide else 4),
            f"  {stats.keys:,} keys   ",
            *_hits(stats, hit_rates, 7),
            f"   {stats.ops_per_second:,} ops/s   ",
            _evicted(stats),
        )
    ]


def _memory(stats: RedisStats, cells: int) -> Line:
    if not stats.max_memory:
        return line(f"{humanize.megabytes(stats.memory)}, no limit")
    share = stats.memory / stats.max_memory
    full, rest = bar(share, cells)
    style = "bad" if share > 0.95 else "warn" if share > 0.85 else "live"
    used, limit = humanize.megabytes(stats.memory), humanize.megabytes(stats.max_memory)
    if used[-2:] == limit[-2:]:
        used = used[:-3]
    edges = Piece("▕", "rule"), Piece("▏", "rule")
    return line(f"{used} of {limit} ", edges[0], Piece(full.text, style), Piece(" " * len(rest.text)), edges[1])


def _hits(stats: RedisStats, hit_rates: tuple[float | None, ...], count: int) -> Line:
    if stats.hit_rate is None:
        return line(Piece("no reads yet", "quiet"))
    newest = [rate for rate in hit_rates if rate is not None][-count:]
    return line(f"hit {humanize.percent(stats.hit_rate)} % ", Piece(spark(newest, 1.0), "live"))


def _evicted(stats: RedisStats) -> Piece:
    return Piece(f"{stats.evicted:,} evicted", "warn" if stats.evicted else "")

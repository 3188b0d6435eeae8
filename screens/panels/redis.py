"""The panel of the cache server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from opsconsole.core import humanize
from opsconsole.service import wording
from screens.panels.top_line import RECONNECTS
from screens.panels.view import WIDE, View
from screens.widgets.lines import Drawing, Line, Piece, bar, crop, fitting, line, spark, text

if TYPE_CHECKING:
    from opsconsole.service.snapshot import LostKeys, RedisStats

HIT_RATES = 20
LOSS_SHOWN = timedelta(minutes=15)


def panel(view: View, cells: int, rows: int) -> Drawing:
    """Figures; the last known figures stay while the server is unreachable."""
    redis = view.snapshot.redis
    lines: list[Line] = []
    note: Line = ()
    if redis.outage is not None:
        since = humanize.clock(redis.outage.since, seconds=True)
        note = line(Piece(f"✗ unreachable since {since}", "bad"), ": ", text(redis.outage.reason, limit=200))
    elif redis.lost is not None and view.now - redis.lost.at < LOSS_SHOWN:
        note = line(Piece(f"! {lost_keys(redis.lost)}", "warn"))
    if redis.stats is not None:
        lines = _figures(redis.stats, redis.hit_rates, cells, rows)
        if redis.outage is not None and len(lines) > 1:  # a single line has no room for it
            lines = [*lines[:-1], line("          ", Piece("the last known figures", "warn"))]
    elif redis.unknown is not None:
        lines = [line("   ", Piece("no figures: ", "warn"), text(redis.unknown, "warn", 200))]
    else:
        lines = [line("   ", Piece("no figures yet" if redis.outage is None else RECONNECTS, "quiet"))]
    return Drawing([crop(each, cells) for each in lines[:rows]], line(Piece("Redis", "title")), note)


def lost_keys(lost: LostKeys) -> str:
    """What a restart has cost: `restarted 18:20 UTC, 41,204 keys lost`."""
    return f"restarted {humanize.clock(lost.at)}, {humanize.count(lost.count, 'key')} lost"


def _figures(stats: RedisStats, hit_rates: tuple[float | None, ...], cells: int, rows: int) -> list[Line]:
    ping = f"ping {stats.ping_ms:.1f} ms"
    if stats.memory is None:
        why = Piece(wording.unknown(stats.denied), "warn")
        if rows >= 3:
            return [
                line(" memory   ", why),
                line(f" keys     {_whole(stats.keys)}"),
                line(Piece(f" server   {ping}", "quiet")),
            ]
        return [line(f" {_whole(stats.keys)} keys   {ping}   ", why)]
    operations = f"{_whole(stats.ops_per_second)} ops/s   "
    if rows >= 3:
        peak = "?" if stats.peak_memory is None else humanize.megabytes(stats.peak_memory)
        clients = "? clients" if stats.clients is None else humanize.count(stats.clients, "client")
        up = "?" if stats.uptime_seconds is None else humanize.age(timedelta(seconds=stats.uptime_seconds))
        expired = line(f"   {_whole(stats.expired)} expired")
        others = [line(text(f" · {each}", "quiet", 30)) for each in (ping, f"up {up}", stats.version or "?")]
        return [
            fitting([line(" memory   ", *memory(stats.memory, stats.max_memory, 16)), line(f"   peak {peak}")], cells),
            line(" hit rate ", *_hits(stats, hit_rates, HIT_RATES), Piece(f"   {_whole(stats.keys)} keys")),
            fitting([line(f" traffic  {operations}", _evicted(stats)), expired], cells),
            fitting([line(Piece(" server   ", "quiet"), text(clients, "quiet")), *others], cells),
        ]
    return [
        line(
            " ",
            *memory(stats.memory, stats.max_memory, 5 if cells >= WIDE else 4),
            f"  {_whole(stats.keys)} keys   ",
            "hit " if stats.hit_rate is not None else "",
            *_hits(stats, hit_rates, 7),
            f"   {operations}",
            _evicted(stats),
        )
    ]


def _whole(figure: int | None) -> str:
    return "?" if figure is None else f"{figure:,}"


def memory(used: int, max_memory: int | None, cells: int) -> Line:
    """The memory in use and its limit, with a bar of `cells`."""
    if not max_memory:
        limit = "no limit" if max_memory == 0 else "limit unknown"
        return line(f"{humanize.megabytes(used)}, {limit}")
    share = used / max_memory
    full, rest = bar(share, cells)
    style = "bad" if share > 0.95 else "warn" if share > 0.85 else "live"
    shown, limit = humanize.megabytes(used), humanize.megabytes(max_memory)
    if shown[-2:] == limit[-2:]:
        shown = shown[:-3]
    edges = Piece("▕", "rule"), Piece("▏", "rule")
    return line(f"{shown} of {limit} ", edges[0], Piece(full.text, style), Piece(" " * len(rest.text)), edges[1])


def _hits(stats: RedisStats, hit_rates: tuple[float | None, ...], count: int) -> Line:
    if stats.hit_rate is None:
        return line(Piece("no reads yet" if stats.hits is not None else "hit rate unknown", "quiet"))
    newest = [rate for rate in hit_rates if rate is not None][-count:]
    return line(f"{humanize.percent(stats.hit_rate)} % ", Piece(spark(newest, 1.0), "live"))


def _evicted(stats: RedisStats) -> Piece:
    return Piece(f"{_whole(stats.evicted)} evicted", "warn" if stats.evicted else "")

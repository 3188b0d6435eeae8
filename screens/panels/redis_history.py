"""Redis over the last hour: five figures, each with its course."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from opsconsole.cache.history import RedisPoint, hit_rate
from opsconsole.core import humanize
from opsconsole.service import wording
from screens.panels.redis import memory as memory_bar
from screens.panels.top_line import RECONNECTS
from screens.panels.view import View
from screens.widgets.lines import EMPTY, Line, Piece, crop, fill, left, line, spark, text

if TYPE_CHECKING:
    from opsconsole.service.snapshot import RedisStats

SLOW_PING_MS = 20.0
LABEL_CELLS, FIGURES_CELLS = 9, 44


def rows(view: View, cells: int) -> list[Line]:
    """Five figures, each with its course since the console was opened, at most over an hour."""
    redis = view.snapshot.redis
    if redis.stats is None:
        why = f"no figures: {redis.unknown}" if redis.unknown else RECONNECTS if redis.outage else "no figures yet"
        return [crop(line("   ", text(why, "warn" if redis.unknown else "quiet", 200)), cells)]
    stats, history = redis.stats, redis.history
    room = max(0, cells - LABEL_CELLS - FIGURES_CELLS - 3)
    rates = _course(history, room, hit_rate, 1.0)
    slow = any((point.ping_ms or 0) > SLOW_PING_MS for point in history)
    evicting = any(point.evicted for point in history)
    figures = [
        ("memory", _memory(stats), _course(history, room, _mean("memory")), "quiet"),
        ("hits", _hits(stats, history), rates, "quiet"),
        (
            "traffic",
            line(_number(stats.ops_per_second, " ops/s")),
            _course(history, room, _mean("ops_per_second"), low=0),
            "quiet",
        ),
        ("evicted", _evicted(stats), _course(history, room, _sum("evicted"), low=0), "warn" if evicting else "quiet"),
        (
            "ping",
            line(f"{stats.ping_ms:.1f} ms"),
            _course(history, room, _worst("ping_ms"), low=0),
            "warn" if slow else "quiet",
        ),
    ]
    return [
        crop(
            (
                *fill(line(" ", left(name, LABEL_CELLS, "quiet"), *values), LABEL_CELLS + FIGURES_CELLS + 1),
                Piece(f" {course}", style),
            ),
            cells,
        )
        for name, values, course, style in figures
    ]


def end(view: View) -> Line:
    """Since when the server is unreachable, otherwise which server it is."""
    redis, now = view.snapshot.redis, view.now
    if redis.outage is not None:
        since = humanize.clock(redis.outage.since, seconds=True)
        return line(Piece(f"✗ unreachable since {since}: ", "bad"), text(redis.outage.reason, "bad", 120))
    stats = redis.stats
    if stats is None:
        return EMPTY
    over = f"last {humanize.age(now - redis.history[0].at)}" if len(redis.history) > 1 else ""
    up = "" if stats.uptime_seconds is None else f"up {humanize.age(timedelta(seconds=stats.uptime_seconds))}"
    clients = "" if stats.clients is None else humanize.count(stats.clients, "client")
    parts = [stats.version or "", up, clients, over]
    return line(text(" · ".join(part for part in parts if part), "quiet", 120))


def _memory(stats: RedisStats) -> Line:
    if stats.memory is None:
        return line(Piece(wording.unknown(stats.denied), "warn"))
    peak = "" if stats.peak_memory is None else f" peak {humanize.megabytes(stats.peak_memory)}"
    return (*memory_bar(stats.memory, stats.max_memory, 10), Piece(peak, "quiet"))


def _hits(stats: RedisStats, history: Sequence[RedisPoint]) -> Line:
    """The rate in the time shown, which is more useful than the rate since the server started."""
    if stats.hit_rate is None:
        return line(Piece("no reads yet" if stats.hits is not None else wording.unknown(stats.denied), "quiet"))
    recent = hit_rate(history)
    start = line("no recent reads" if recent is None else f"{humanize.percent(recent)} %")
    return (*start, Piece(f"  {humanize.percent(stats.hit_rate)} % overall", "quiet"))


def _evicted(stats: RedisStats) -> Line:
    style = "warn" if stats.evicted else ""
    return line(Piece(_number(stats.evicted), style), Piece(f"  {_number(stats.expired)} expired", "quiet"))


def _number(figure: int | None, unit: str = "") -> str:
    return "?" if figure is None else f"{figure:,}{unit}"


Summary = Callable[[Sequence[RedisPoint]], float | None]


def _mean(name: str) -> Summary:
    def summary(points: Sequence[RedisPoint]) -> float | None:
        found = [value for point in points if (value := getattr(point, name)) is not None]
        return sum(found) / len(found) if found else None

    return summary


def _sum(name: str) -> Summary:
    def summary(points: Sequence[RedisPoint]) -> float | None:
        found = [value for point in points if (value := getattr(point, name)) is not None]
        return sum(found) if found else None

    return summary


def _worst(name: str) -> Summary:
    def summary(points: Sequence[RedisPoint]) -> float | None:
        return max((value for point in points if (value := getattr(point, name)) is not None), default=None)

    return summary


def _course(
    history: Sequence[RedisPoint], cells: int, summary: Summary, high: float | None = None, low: float | None = None
) -> str:
    """The points as small bars, several in one where there is no room for each. Without `low` the lowest value is a
    little above the ground, so that a change of a large figure shows.
    """
    values = shrunk(history, cells, summary)
    found = [value for value in values if value is not None]
    if not found:
        return ""
    ground = min(found) * 0.9 if low is None else low
    return spark(values, high if high is not None else max(found), ground)


def shrunk(points: Sequence[RedisPoint], cells: int, summary: Summary) -> list[float | None]:
    """One value for each of at most `cells` groups of points, all of the same size but the last."""
    if not cells or not points:
        return []
    size = -(-len(points) // cells)
    return [summary(points[start : start + size]) for start in range(0, len(points), size)]

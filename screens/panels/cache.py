"""The page of the cache: Redis over time, the families of keys, and what clearings did to the hit rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from opsconsole.cache.families import Family
from opsconsole.cache.history import RedisPoint, hit_rate
from opsconsole.cache.statistics import CacheDay, FamilyUsage, UsageSurvey
from opsconsole.core import humanize
from opsconsole.service import wording
from opsconsole.service.cache import Clearing
from screens.exports import Cell, Table
from screens.panels.redis import memory as memory_bar
from screens.panels.top_line import RECONNECTS
from screens.panels.view import Block, Key, View, fit, hint
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, fill, left, line, right, spark, text, width
from screens.widgets.names import middle, shortened

if TYPE_CHECKING:
    from opsconsole.service.snapshot import RedisStats

PANEL = "families"
DAYS = 14
WIDE = 110
"""From this width on, families have their hit rates of two weeks, and clearings the families."""
SLOW_PING_MS = 20.0
NO_FAMILY = "no loaded pack declares a family of cache keys"
NO_CLEARING = "nothing was cleared yet; c clears the keys of a user, subject, family or date"
TABLE = (
    *("family", "pattern", "keys", "memory", "ttl", "mean_ttl_left"),
    *("hit_rate_today", "hit_rate_7d", "filled_by"),
)
LABEL_CELLS, FIGURES_CELLS = 9, 44


@dataclass(frozen=True, slots=True)
class Families:
    """The declared families and what is known of them: the newest survey and since when it is complete, why there is
    none, and the reads of the last days.
    """

    declared: Sequence[Family]
    survey: UsageSurvey | None = None
    surveyed_at: datetime | None = None
    is_counting: bool = False
    error: str = ""
    days: Sequence[CacheDay] = ()


# --- Redis --------------------------------------------------------------------------------------------------------


def redis_rows(view: View, cells: int) -> list[Line]:
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
    rows = [
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
                *fill(line(" ", left(name, LABEL_CELLS, "quiet"), *figures), LABEL_CELLS + FIGURES_CELLS + 1),
                Piece(f" {course}", style),
            ),
            cells,
        )
        for name, figures, course, style in rows
    ]


def redis_end(view: View) -> Line:
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
    """The rate of the time shown, which says more than that since the server's start."""
    if stats.hit_rate is None:
        return line(Piece("no reads yet" if stats.hits is not None else wording.unknown(stats.denied), "quiet"))
    recent = hit_rate(history)
    start = line("no reads in this time" if recent is None else f"{humanize.percent(recent)} %")
    return (*start, Piece(f"  {humanize.percent(stats.hit_rate)} % since its start", "quiet"))


def _evicted(stats: RedisStats) -> Line:
    style = "warn" if stats.evicted else ""
    return line(Piece(_number(stats.evicted), style), Piece(f"  {_number(stats.expired)} expired", "quiet"))


def _number(figure: int | None, unit: str = "") -> str:
    return "?" if figure is None else f"{figure:,}{unit}"


Summary = Callable[[Sequence[RedisPoint]], float | None]


def _mean(name: str) -> Summary:
    def summary(points: Sequence[RedisPoint]) -> float | None:
        known = [value for point in points if (value := getattr(point, name)) is not None]
        return sum(known) / len(known) if known else None

    return summary


def _sum(name: str) -> Summary:
    def summary(points: Sequence[RedisPoint]) -> float | None:
        known = [value for point in points if (value := getattr(point, name)) is not None]
        return sum(known) if known else None

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
    known = [value for value in values if value is not None]
    if not known:
        return ""
    ground = min(known) * 0.9 if low is None else low
    return spark(values, high if high is not None else max(known), ground)


def shrunk(points: Sequence[RedisPoint], cells: int, summary: Summary) -> list[float | None]:
    """One value for each of at most `cells` groups of points, all of the same size but the last."""
    if not cells or not points:
        return []
    size = -(-len(points) // cells)
    return [summary(points[start : start + size]) for start in range(0, len(points), size)]


# --- families -----------------------------------------------------------------------------------------------------


def keys(families: Families) -> list[Key]:
    """The keys of the rows, in their order."""
    return [(PANEL, family.name) for family in _ordered(families)]


def family_end(families: Families) -> Line:
    """How many keys there are, and how exact that is."""
    survey = families.survey
    if survey is None:
        return line(Piece("counting", "live")) if families.is_counting else EMPTY
    if families.is_counting and not survey.done:
        return line(Piece(f"counting: {survey.scanned:,} of {survey.of:,} keys", "live"))
    total = sum(usage.keys for usage in survey.families.values())
    others = f" · {survey.others:,} of other programs" if survey.others else ""
    at = "" if families.surveyed_at is None else f" · counted {humanize.clock(families.surveyed_at)}"
    return line(Piece(f"{humanize.count(total, 'key')}{others}{at}", "quiet"))


def family_rows(families: Families, now: datetime, cells: int, rows: int, cursor: Key | None) -> list[Line]:
    """The names of the columns, a row for each family, and the details of the one under the cursor."""
    if not families.declared:
        return list(hint(NO_FAMILY).lines)
    failed = f"keys cannot be counted: {families.error}"
    errors = [crop(line(" ", text(failed, "bad", 300)), cells)] if families.error else []
    is_wide, today = cells >= WIDE, now.date()
    name = max(16, min(max(len(family.name) for family in families.declared), 34 if is_wide else 26))
    names = shortened((family.name for family in families.declared), name)
    blocks = [
        Block(
            (crop(_family(family, families, today, left(names[family.name], name), cells), cells),),
            (PANEL, family.name),
        )
        for family in _ordered(families)
    ]
    chosen = next((family for family in families.declared if (PANEL, family.name) == cursor), None)
    detail = _details(chosen, families, cells) if chosen is not None else []
    shown, hidden = fit(blocks, max(1, rows - len(errors) - 1 - len(detail)), cells, cursor)
    title = left(f"family, {hidden} more" if hidden else "family", name, "quiet")
    course = [Piece(f"  {'14 days':<{DAYS}}", "quiet")] if is_wide else []
    columns = (right(each, wide, "quiet") for each, wide in _COLUMNS)
    header = crop(line("   ", title, *columns, *course, Piece("  filled by", "quiet")), cells)
    return [*errors, header, *shown, *detail][:rows]


_COLUMNS = (("keys", 10), ("memory", 9), ("TTL left", 10), ("today", 7), ("7 d", 7))


def _ordered(families: Families) -> list[Family]:
    """The largest families first once they were counted; by name until then."""
    survey = families.survey
    if survey is None or families.surveyed_at is None:
        return sorted(families.declared, key=lambda family: family.name)
    return sorted(families.declared, key=lambda family: (-_size(survey, family), family.name))


def _size(survey: UsageSurvey, family: Family) -> float:
    usage = survey.families.get(family.name)
    return 0 if usage is None else usage.memory or usage.keys


def _family(family: Family, families: Families, today: date, name: Piece, room: int) -> Line:
    usage = families.survey.families.get(family.name) if families.survey is not None else None
    days = [day for day in families.days if day.family == family.name]
    figures = (
        f"{usage.keys:,}" if usage else "-",
        _bytes(usage),
        _ttl(family, usage),
        *map(humanize.percent, _rates(family, families, today)),
    )
    start = line(
        "   ",
        name,
        *(right(each, wide) for each, (_, wide) in zip(figures, _COLUMNS, strict=True)),
    )
    course = line("  ", Piece(f"{_daily(days, today):<{DAYS}}", "quiet")) if room >= WIDE else EMPTY
    filler = middle(", ".join(family.filled_by), max(8, room - width(start) - width(course) - 2)) or "readers"
    return (*start, *course, Piece("  "), text(filler, "" if family.filled_by else "quiet", 120))


def table(families: Families, now: datetime) -> Table:
    """The families as a table: sizes in bytes, TTLs in seconds, hit rates as shares."""
    rows: list[Sequence[Cell]] = []
    for family in _ordered(families):
        usage = families.survey.families.get(family.name) if families.survey is not None else None
        keys_, memory = (usage.keys, usage.memory) if usage is not None else (None, None)
        ttl_left = usage.ttl[1] if usage is not None and usage.ttl is not None else None
        rates, filled_by = _rates(family, families, now.date()), " ".join(family.filled_by)
        rows.append((family.name, family.pattern, keys_, memory, family.ttl_seconds, ttl_left, *rates, filled_by))
    return Table(TABLE, rows)


def _rates(family: Family, families: Families, today: date) -> tuple[float | None, float | None]:
    """The hit rates of today and of seven days."""
    days = [day for day in families.days if day.family == family.name]
    week = [day for day in days if day.day > today - timedelta(days=7)]
    return _rate([day for day in days if day.day == today]), _rate(week)


def _bytes(usage: FamilyUsage | None) -> str:
    if usage is None or usage.memory is None:
        return "-"
    return f"{usage.memory / 1024:.0f} kB" if usage.memory < 1024 * 1024 else humanize.megabytes(usage.memory)


def _ttl(family: Family, usage: FamilyUsage | None) -> str:
    """The mean of the sampled keys."""
    if family.ttl is None:
        return "no TTL"
    return "-" if usage is None or usage.ttl is None else humanize.short_duration(usage.ttl[1])


def _rate(days: Sequence[CacheDay]) -> float | None:
    hits, misses = sum(day.hits for day in days), sum(day.misses for day in days)
    return hits / (hits + misses) if hits + misses else None


def _daily(days: Sequence[CacheDay], today: date) -> str:
    of_day = {day.day: day.hit_rate for day in days}
    rates = [of_day.get(today - timedelta(days=n)) for n in reversed(range(DAYS))]
    return spark(rates, 1.0, 0.9 * min((rate for rate in rates if rate is not None), default=0.0))


def _details(family: Family, families: Families, cells: int) -> list[Line]:
    """The pattern, and what the figures of the row leave out."""
    usage = families.survey.families.get(family.name) if families.survey is not None else None
    ttl = "no TTL" if family.ttl is None else f"TTL {humanize.duration(family.ttl)}"
    parts = [ttl]
    if usage is not None and usage.ttl is not None:
        parts.append(f"{humanize.duration(usage.ttl[0])} to {humanize.duration(usage.ttl[2])} left")
    if usage is not None and usage.without_ttl and family.ttl is not None:
        parts.append(f"{usage.without_ttl:,} sampled keys never expire")
    if family.computed_from:
        parts.append(f"from {', '.join(family.computed_from)}")
    sampled = line(Piece("memory and TTL of at most 100 sampled keys ", "quiet"))
    return [
        ends(line("   ", text(family.pattern, "strong", 120)), sampled, cells),
        crop(line("   ", text(" · ".join(parts), "quiet", 300)), cells),
    ]


# --- clearings ----------------------------------------------------------------------------------------------------


def clearing_rows(clearings: Sequence[Clearing], now: datetime, cells: int, rows: int) -> list[Line]:
    """The newest clearings: when, by whom, what, and the hit rate of the families before and after."""
    if not clearings:
        return list(hint(NO_CLEARING).lines)
    return [crop(_clearing(each, now, cells), cells) for each in clearings[:rows]]


def _clearing(clearing: Clearing, now: datetime, cells: int) -> Line:
    at = humanize.date_and_time(clearing.at, now)
    before, after = clearing.before.hit_rate, clearing.after.hit_rate
    fell = before is not None and after is not None and after < before - 0.05
    rates = f"{humanize.percent(before)} → {humanize.percent(after)} %" if before or after else "no reads"
    start = line("   ", left(at, 17), left(clearing.who, 12), text(clearing.target, "", 120))
    removed = f"{humanize.count(clearing.cleared, 'key')}"
    if cells >= WIDE and clearing.families:
        removed += f" of {', '.join(clearing.families)}"
    end = line("  ", text(removed, "quiet", 60), "  ", right(rates, 16, "warn" if fell else ""), " ")
    return ends(start, end, cells)

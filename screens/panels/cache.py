"""The families of cached keys, and what clearings did to the hit rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from opsconsole.cache.families import Family
from opsconsole.cache.figures import CacheDay, FamilyUsage, UsageSurvey
from opsconsole.cache.history import RedisPoint, hit_rate
from opsconsole.core import humanize
from opsconsole.service.cache import Clearing
from screens.exports import Cell, Table
from screens.panels.view import Block, Fitted, Key, View, fitted, hint
from screens.widgets.lines import EMPTY, Line, Piece, crop, ends, left, line, right, spark, text, width
from screens.widgets.names import middle, shortened

PANEL = "families"
DAYS = 14
MEDIUM, WIDE = 78, 110
"""From these widths on, families have all figures; their hit rates of two weeks, and clearings their families."""
AROUND = timedelta(minutes=10)
NO_FAMILY = "no loaded pack declares a family of cache keys"
TABLE = (
    *("family", "pattern", "keys", "memory", "ttl", "mean_ttl_left"),
    *("hit_rate_today", "hit_rate_7d", "filled_by"),
)


@dataclass(frozen=True, slots=True)
class Families:
    """The declared families and their figures: the newest survey and since when it is complete, why there is
    none, and the reads of the last days.
    """

    declared: Sequence[Family]
    survey: UsageSurvey | None = None
    surveyed_at: datetime | None = None
    is_counting: bool = False
    error: str = ""
    days: Sequence[CacheDay] = ()


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


def family_rows(families: Families, now: datetime, cells: int, rows: int, cursor: Key | None) -> Fitted:
    """The names of the columns, a row for each family, and the details of the one under the cursor."""
    if not families.declared:
        return fitted([hint(NO_FAMILY)], rows, cells, None)
    failed = f"keys cannot be counted: {families.error}"
    errors = [crop(line(" ", text(failed, "bad", 300)), cells)] if families.error else []
    is_wide, today = cells >= WIDE, now.date()
    name = max(16, min(max(len(family.name) for family in families.declared), 34 if is_wide else 24))
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
    shown = fitted(blocks, max(1, rows - len(errors) - 1 - len(detail)), cells, cursor)
    title = left(f"family, {shown.hidden} more" if shown.hidden else "family", name, "quiet")
    course = [Piece(f"  {'14 days':<{DAYS}}", "quiet")] if is_wide else []
    columns = (right(each, wide, "quiet") for each, wide in _columns(cells))
    header = crop(line("   ", title, *columns, *course, Piece("  filled by", "quiet")), cells)
    lines = [*errors, header, *shown.lines, *detail][:rows]
    return Fitted(lines, [*(None for _ in (*errors, header)), *shown.rows], shown.hidden)


_COLUMNS = (("keys", 10), ("memory", 9), ("TTL left", 10), ("today", 7), ("7 d", 7))
_MEDIUM_COLUMNS = (("keys", 9), ("memory", 8), ("today", 7), ("7 d", 6))
_NARROW_COLUMNS = (("keys", 9), ("memory", 8), ("today", 7))


def _columns(cells: int) -> tuple[tuple[str, int], ...]:
    """The details of a family have its TTL as well."""
    return _COLUMNS if cells >= WIDE else _MEDIUM_COLUMNS if cells >= MEDIUM else _NARROW_COLUMNS


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
    rate, weekly = map(humanize.percent, _rates(family, families, today))
    keys_ = f"{usage.keys:,}" if usage else "-"
    figures = {"keys": keys_, "memory": _bytes(usage), "TTL left": _ttl(family, usage), "today": rate, "7 d": weekly}
    start = line(
        "   ",
        name,
        *(right(figures[each], wide) for each, wide in _columns(room)),
    )
    course = line("  ", Piece(f"{_daily(days, today):<{DAYS}}", "quiet")) if room >= WIDE else EMPTY
    filler = _filler(family, max(8, room - width(start) - width(course) - 2))
    return (*start, *course, Piece("  "), text(filler, "" if family.filled_by else "quiet", 120))


def _filler(family: Family, cells: int) -> str:
    """The first job that fills it, and the number of others."""
    if not family.filled_by:
        return "readers"
    more = f" +{len(family.filled_by) - 1}" if len(family.filled_by) > 1 else ""
    return middle(family.filled_by[0], cells - len(more)) + more


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
        return "never"
    return "-" if usage is None or usage.ttl is None else humanize.short_duration(usage.ttl[1])


def expiry(family: Family, usage: FamilyUsage | None, *, with_mean: bool = False) -> list[str]:
    """The TTL of a family, what is left of that of the sampled keys, and how many of them never expire."""
    parts = ["never expires" if family.ttl is None else humanize.duration(family.ttl)]
    if usage is not None and usage.ttl is not None:
        least, mean, most = usage.ttl
        words = dict.fromkeys(map(humanize.duration, (least, most)))
        parts.append(f"{' to '.join(words)} left")
        parts += [f"{humanize.duration(mean)} on average"] if with_mean and least < most else []
    if usage is not None and usage.without_ttl and family.ttl is not None:
        parts.append(f"{usage.without_ttl:,} sampled keys never expire")
    return parts


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
    ttl, *others = expiry(family, usage)
    parts = [ttl if family.ttl is None else f"TTL {ttl}", *others]
    if family.computed_from:
        parts.append(f"made from {', '.join(family.computed_from)}")
    about = "memory and TTL of at most 100 sampled keys " if cells >= MEDIUM else "sampled: 100 keys "
    sampled = line(Piece(about, "quiet"))
    return [
        ends(line("   ", text(family.pattern, "strong", 120)), sampled, cells),
        crop(line("   ", text(" · ".join(parts), "quiet", 300)), cells),
    ]


# --- clearings ----------------------------------------------------------------------------------------------------


def clearing_rows(view: View, clearings: Sequence[Clearing], cells: int, rows: int) -> list[Line]:
    """The newest clearings: when, by whom, what, and the hit rate of the families before and after; where nobody counts
    the reads of the families, that of the server in the ten minutes before and after, if it is in the history.
    """
    if not clearings:
        effect = "clears the keys of a user, subject, family or date"
        return list(hint(view.hint("nothing cleared yet", "clear", effect)).lines)
    history = view.snapshot.redis.history
    return [crop(_clearing(each, history, view.now, cells), cells) for each in clearings[:rows]]


def _share(rate: float | None) -> str:
    return "unknown" if rate is None else f"{humanize.percent(rate)} %"


def _clearing(clearing: Clearing, history: Sequence[RedisPoint], now: datetime, cells: int) -> Line:
    at = humanize.date_and_time(clearing.at, now)
    before, after, of_server = clearing.before.hit_rate, clearing.after.hit_rate, ""
    if before is None and after is None:
        before = hit_rate([point for point in history if clearing.at - AROUND <= point.at < clearing.at])
        after = hit_rate([point for point in history if clearing.at <= point.at < clearing.at + AROUND])
        of_server = " of all"
    fell = before is not None and after is not None and after < before - 0.05
    rates = f"{_share(before)} → {_share(after)}{of_server}"
    if before is not None and after is not None:
        rates = f"{humanize.percent(before)} → {humanize.percent(after)} %{of_server}"
    rates = "no reads" if before is None and after is None else rates
    who = left(clearing.who, 12) if cells >= MEDIUM else Piece("")
    start = line("   ", left(at, 18), who, text(clearing.target, "", 120))
    removed = f"{humanize.count(clearing.cleared, 'key')}"
    if cells >= WIDE and clearing.families:
        removed += f" of {', '.join(clearing.families)}"
    end = line(
        "  ", text(removed, "quiet", 60), "  ", right(rates, 22 if cells >= MEDIUM else 14, "warn" if fell else ""), " "
    )
    return ends(start, end, cells)

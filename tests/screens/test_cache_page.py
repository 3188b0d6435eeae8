"""The page of the cache: Redis over time, families, keys and what was cleared."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.cache.families import Family
from opsconsole.cache.figures import FamilyUsage
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.history import RedisPoint
from opsconsole.cache.keys import KeysFound, KeyValue
from opsconsole.cache.reads import Reads
from opsconsole.core.errors import Unavailable
from opsconsole.rules.audit import AuditEntry
from opsconsole.service.cache import Clearing, clearing_of
from opsconsole.service.snapshot import Outage, RedisView
from screens.dialogs.clear import ClearDialog
from screens.pages.cache import CacheScreen
from screens.pages.dashboard import Dashboard
from screens.pages.keys_of_family import KeysScreen
from screens.panels import cache, chart, family, keys_of_family, redis_history
from screens.panels.view import View
from tests.screens import fakes, past_cache, samples
from tests.screens.console import Console, run_console
from tests.screens.test_clearing import text
from tests.screens.test_hostile import ALL, has_only_visible_characters
from tests.screens.test_snapshots import SIZES, Compare, matches_snapshot

FAMILIES = cache.Families(samples.FAMILIES, past_cache.COUNTED, samples.NOW, days=past_cache.DAYS)


def view(redis: RedisView | None = None) -> View:
    snapshot = past_cache.SNAPSHOT
    return View(replace(snapshot, redis=redis) if redis is not None else snapshot, samples.NOW)


# --- rows, without a screen ---------------------------------------------------------------------------------------


def test_figures_of_redis_stand_beside_their_course() -> None:
    rows = text(redis_history.rows(view(), 80)).splitlines()

    assert [row.split()[0] for row in rows] == ["memory", "hits", "traffic", "evicted", "ping"]
    assert rows[1].startswith(" hits     95.1 %  97.2 % overall")
    assert rows[4].rstrip().endswith("▁▁▁▁▁▁▁▁▁▁▁▁▁█▁▁▁▁▁▁")
    assert text([redis_history.end(view())]) == "9.0.1 · up 26 h · 4 clients · last 10 min"


def test_points_share_a_bar_where_there_is_little_room() -> None:
    points = [RedisPoint(samples.ago(seconds=10 * n), ping_ms=float(n)) for n in range(10)]

    assert redis_history.shrunk(points, 4, lambda group: len(group)) == [3, 3, 3, 1]
    assert redis_history.shrunk(points, 0, len) == redis_history.shrunk([], 9, len) == []


def test_an_outage_keeps_the_last_figures_and_is_in_the_title() -> None:
    away = replace(past_cache.SNAPSHOT.redis, outage=Outage(samples.ago(minutes=8), ALL))
    never = RedisView(None, Outage(samples.ago(minutes=8), "refused"))
    odd = RedisView(None, None, unknown=ALL)

    assert "✗ unreachable since 18:12:07 UTC" in text([redis_history.end(view(away))])
    assert len(redis_history.rows(view(away), 80)) == 5
    assert "start it again" in text(redis_history.rows(view(never), 80))
    assert "no figures: [/" in text(redis_history.rows(view(odd), 80))
    for each in (away, never, odd):
        assert has_only_visible_characters(redis_history.rows(view(each), 80), 80)
        assert has_only_visible_characters([redis_history.end(view(each))], 160)


def test_families_show_keys_memory_ttl_rates_and_the_job_that_fills_them() -> None:
    rows = text(cache.family_rows(FAMILIES, samples.NOW, 120, 9, (cache.PANEL, "attempts.day")).lines).splitlines()

    assert rows[0].split() == [
        "family",
        "keys",
        "memory",
        "TTL",
        "left",
        "today",
        "7",
        "d",
        "14",
        "days",
        "filled",
        "by",
    ]
    assert rows[1].split()[:8] == ["▸", "attempts.day", "38,200", "41", "MB", "57", "min", "96.8"]
    assert rows[1].endswith("attempts.cache_day")
    assert rows[2].endswith("readers")
    assert rows[4].split()[0] == "date:user:{date}:{user}"
    assert rows[4].endswith("memory and TTL of at most 100 sampled keys")
    assert rows[5].strip() == "TTL 2 h · 12 s to 1 h 59 min left · made from attempts, questions"
    assert text([cache.family_end(FAMILIES)]) == "41,204 keys · 12 of other programs · counted 18:20 UTC"


def test_families_are_named_before_they_are_counted_and_when_they_cannot_be() -> None:
    counting = cache.Families(samples.FAMILIES, past_cache.SURVEYS[0], is_counting=True)
    failed = cache.Families(samples.FAMILIES, error="Redis is unreachable: " + ALL)

    assert text([cache.family_end(counting)]) == "counting: 20,000 of 41,216 keys"
    assert [name for _, name in cache.keys(counting)] == ["attempts.day", "game.board", "practice.level"]
    rows = cache.family_rows(failed, samples.NOW, 80, 9, None).lines
    assert "keys cannot be counted: Redis is unreachable" in text(rows)
    assert "practice.level" in text(rows)
    assert has_only_visible_characters(rows, 80)
    assert cache.NO_FAMILY in text(cache.family_rows(cache.Families(()), samples.NOW, 80, 9, None).lines)


def test_the_family_under_the_cursor_stays_in_sight() -> None:
    many = tuple(Family(f"shop.f{n:02}", f"shop:{n}:{{user}}", timedelta(hours=1)) for n in range(30))
    families = cache.Families(many)

    rows = text(cache.family_rows(families, samples.NOW, 80, 10, (cache.PANEL, "shop.f29")).lines).splitlines()

    assert len(rows) == 10
    assert rows[0].split()[:3] == ["family,", "23", "more"]
    assert "▸  shop.f29" in rows[7]


def test_keys_are_compared_only_with_those_of_the_day_before_and_a_zero_has_no_column() -> None:
    declared = samples.FAMILIES[0]
    name, today = declared.name, samples.NOW.date()
    first = next(day for day in past_cache.DAYS if day.family == name)
    shown = [replace(first, day=today - timedelta(days=n), keys=keys) for n, keys in ((0, 300), (1, 200), (4, 0))]
    families = cache.Families((declared,), None, None, days=shown)

    rows = text(family.rows(View(past_cache.SNAPSHOT, samples.NOW), declared, families, 78, 40))

    assert rows.count("+50 %") == 1
    assert rows.count(" %") == len(shown) + 1, "hit rates, and one change"
    assert [cell for cell in chart.columns([0, None, 8], "8", 20, 2)[-1][-1].text if cell != " "] == ["█"] * 2


def test_a_clearing_is_compared_with_the_reads_before_it() -> None:
    reads = {"attempts.day": [1000, 10]}
    after = {"cleared": 7, "families": {"attempts.day": 7}, "skipped_families": [], "reads": reads}
    entry = AuditEntry(9, samples.NOW, 4, "ben", "cli", "clear", "user u0417", "done", {}, after)
    days = [day for day in past_cache.DAYS if day.day >= samples.ago(days=1).date()]

    found = clearing_of(entry, days)

    assert found == Clearing(
        4, samples.NOW, "ben", "user u0417", {"attempts.day": 7}, Reads(1000 + 8990, 10 + 340), Reads(8000, 290)
    )
    view = View(samples.BUSY, samples.NOW)
    row = text(cache.clearing_rows(view, [found], 80, 3))
    assert row.split() == ["18:20", "UTC", "ben", "user", "u0417", "7", "keys", "96.6", "→", "96.5", "%"]
    without = clearing_of(replace(entry, after={"families": {"gone": 1}}), ())
    assert "no reads" in text(cache.clearing_rows(view, [without], 80, 3))
    recent = replace(without, at=samples.ago(minutes=5))
    redis = replace(samples.BUSY.redis, history=past_cache.HISTORY)
    row = text(cache.clearing_rows(replace(view, snapshot=replace(samples.BUSY, redis=redis)), [recent], 80, 3))
    assert row.rstrip().endswith("95.1 → 95.1 % of all")
    assert "nothing cleared yet · c clears the keys" in text(cache.clearing_rows(view, [], 80, 3))
    viewer = replace(view, keys={})
    assert text(cache.clearing_rows(viewer, [], 80, 3)).strip() == "nothing cleared yet"


@pytest.mark.parametrize(
    ("typed", "parts", "problem"),
    [
        ("", {}, False),
        ("asha", {"user": "asha"}, False),
        ("asha 2026-01-19", {"user": "asha", "date": "2026-01-19"}, False),
        ("2026-01-19 asha", {"user": "asha", "date": "2026-01-19"}, False),
        ("date=2026-01-19 user=2026-01-18", {"user": "2026-01-18", "date": "2026-01-19"}, False),
        ("2026-01-19 2026-01-18", {"date": "2026-01-19", "user": "2026-01-18"}, False),
        ("asha 2026-01-19 more", {"user": "asha", "date": "2026-01-19"}, True),
        ("subject=maths", {}, True),
    ],
)
def test_what_is_typed_becomes_the_parts_of_a_key(typed: str, parts: dict[str, str], problem: bool) -> None:
    found, sentence = keys_of_family.parts(samples.DAY_FAMILY, typed)

    assert found == parts
    assert bool(sentence) is problem
    if problem:
        assert sentence.endswith("a key of attempts.day has date and user")


def test_a_value_is_harmless_and_says_what_is_left_out() -> None:
    evil = KeyValue(ALL, ALL, None, None, None, 3, (ALL,) * 40, cut=True, compressed=False)

    last = keys_of_family.furthest(evil, 11)
    lines = keys_of_family.value(evil, 80, 12, 0)
    end = keys_of_family.value(evil, 80, 12, last)

    assert len(lines) == 12
    assert has_only_visible_characters([*lines, *end], 80)
    assert text([keys_of_family.value_end(evil, 12, 0)]) == "lines 1 to 11 of 40"
    assert text([keys_of_family.value_end(evil, 12, last)]) == "lines 30 to 40 of 40 · the rest is not shown"
    assert keys_of_family.NO_KEY in text(keys_of_family.value(None, 80, 12, 0))


# --- the page -----------------------------------------------------------------------------------------------------


async def _counted(console: Console) -> None:
    await console.press("5")
    await console.until(lambda: "counted 18:20" in console.text)


@pytest.mark.parametrize("size", ["80x24", "120x40"])
def test_the_page_as_a_picture(snap_compare: Compare, size: str) -> None:
    assert matches_snapshot(snap_compare, past_cache.SNAPSHOT, SIZES[size], "5", shows="counted 18:20")


def test_the_page_counts_and_follows_the_cursor() -> None:
    async def scenario(console: Console) -> None:
        await _counted(console)
        assert "41,204 keys" in console.text
        assert "98.7 → 97.2 %" in console.text
        assert console.service.presence[-1] == "cache"
        await console.press("j")
        assert "▸  practice.level" in console.text
        assert "level:{user}:{subject}" in console.text
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, past_cache.SNAPSHOT)


def test_a_large_terminal_has_the_days_of_the_family_under_the_cursor() -> None:
    async def scenario(console: Console) -> None:
        await console.press("5")
        await console.until(lambda: "1,125 bytes each" in console.text)
        for words in (
            "filled by attempts.cache_day",
            "today            9,300  96.8 %",
            "keys, 14 days with figures",
            "41 MB ███ ███",
        ):
            assert words in console.text
        await console.press("down")
        assert "filled by readers: the first read of a value computes it" in console.text
        await console.press("down")
        assert "no figures yet: a leader counts" in console.text

    run_console(scenario, past_cache.SNAPSHOT, size=(200, 60))


def test_a_click_moves_the_cursor_and_reads_the_value() -> None:
    async def scenario(console: Console) -> None:
        await _counted(console)
        assert await console.pilot.click("#families", offset=(10, 3))
        assert "▸  practice.level" in console.text
        await console.press("k", "enter")
        await console.until(lambda: "2 keys" in console.text)
        await console.pilot.click("#keys", offset=(10, 2))
        await console.until(lambda: ("look", past_cache.OTHER_KEY) in console.service.calls)

    run_console(scenario, past_cache.SNAPSHOT)


def test_a_count_ends_with_the_page() -> None:
    service = fakes.FakeService()
    service.counting.clear()

    async def scenario(console: Console) -> None:
        await console.press("5")
        await console.until(lambda: "counting: 20,000 of 41,216 keys" in console.text)
        await console.press("1")
        service.counting.set()
        await console.press("5")
        await console.until(lambda: "counted 18:20" in console.text)
        assert len(service.calls_of("usage_steps")) == 2

    run_console(scenario, past_cache.SNAPSHOT, service)


def test_without_redis_the_other_panels_stay() -> None:
    service = fakes.FakeService()
    service.unreachable = Unavailable("redis", "Connection refused")
    away = replace(past_cache.SNAPSHOT, redis=RedisView(None, Outage(samples.ago(minutes=8), "Connection refused")))

    async def scenario(console: Console) -> None:
        await console.press("5")
        await console.until(lambda: "keys cannot be counted: Redis is unreachable" in console.text)
        await console.until(lambda: "98.7 → 97.2 %" in console.text)
        assert "96.8" in console.text
        assert "unreachable since 18:12:07" in console.text

    run_console(scenario, away, service)


def test_clearing_starts_with_the_family_under_the_cursor_and_its_key() -> None:
    async def scenario(console: Console) -> None:
        await _counted(console)
        await console.press("j", "c")
        assert isinstance(console.app.screen, ClearDialog)
        await console.until(lambda: console.service.calls_of("count_keys"))
        assert console.service.calls_of("count_keys") == [("count_keys", ClearFilter(family="practice.level"))]
        await console.press("escape", "k", "enter")
        await console.until(lambda: "expires in 56 min 40 s" in console.text)
        await console.press("c")
        await console.until(lambda: len(console.service.calls_of("count_keys")) == 2)
        selected = ClearFilter(user="asha", family="attempts.day", date="2026-01-19")
        assert console.service.calls_of("count_keys")[-1] == ("count_keys", selected)

    run_console(scenario, past_cache.SNAPSHOT)


def test_a_clearing_can_be_cancelled_only_while_it_runs() -> None:
    async def scenario(console: Console) -> None:
        await _counted(console)
        page = console.app.front_page
        assert isinstance(page, CacheScreen)
        assert "cancel" not in page.refused()
        console.service.clearing = False
        page.reload()
        await console.until(lambda: "cancel" in page.refused())

    run_console(scenario, past_cache.SNAPSHOT)


def test_a_clearing_is_counted_again() -> None:
    async def scenario(console: Console) -> None:
        await _counted(console)
        console.service.past_clearings = (replace(past_cache.CLEARINGS[0], command=311), *past_cache.CLEARINGS)
        console.app.show_notice("cleared 7 keys")
        await console.until(lambda: len(console.service.calls_of("usage_steps")) == 2)

    run_console(scenario, past_cache.SNAPSHOT)


def test_the_parts_of_a_key_are_typed() -> None:
    async def scenario(console: Console) -> None:
        await _counted(console)
        await console.press("enter")
        assert isinstance(console.app.screen, KeysScreen)
        await console.until(lambda: "2 keys" in console.text)
        await console.press("slash", *"asha", "enter")
        await console.until(lambda: ("find_keys", "attempts.day", {"user": "asha"}) in console.service.calls)
        await console.until(lambda: '"attempts": []' in console.text)
        await console.press("down")
        await console.until(lambda: keys_of_family.NO_KEY in console.text)
        await console.press("slash", *" x y", "enter")
        await console.until(lambda: "y: a key of attempts.day has date and user" in console.text)
        await console.press("escape", "escape")
        assert isinstance(console.app.screen, CacheScreen)

    run_console(scenario, past_cache.SNAPSHOT)


def test_a_long_value_scrolls_and_a_search_that_fails_is_reported() -> None:
    service = fakes.FakeService()
    service.keys_found = (KeysFound((past_cache.DAY_KEY,), 1, more=False, done=True),)
    long = replace(past_cache.VALUES[past_cache.DAY_KEY], lines=tuple(f"line {n}" for n in range(100)))
    service.values = {past_cache.DAY_KEY: long}

    async def scenario(console: Console) -> None:
        await _counted(console)
        await console.press("enter")
        await console.until(lambda: "lines 1 to 10 of 100" in console.text)
        await console.press("pagedown")
        assert "lines 11 to 20 of 100" in console.text
        await console.press("pageup")
        assert "lines 1 to 10 of 100" in console.text
        service.unreachable = Unavailable("redis", "Connection refused")
        await console.press("slash", "b", "enter")
        await console.until(lambda: "Redis is unreachable" in console.text)

    run_console(scenario, past_cache.SNAPSHOT, service)


def test_without_families_there_is_nothing_to_open() -> None:
    service = fakes.FakeService()
    service.cache_families = ()

    async def scenario(console: Console) -> None:
        await console.press("5", "enter")
        assert cache.NO_FAMILY in console.notice
        await console.press("c")
        assert "no loaded pack declares a cache family" in console.notice
        assert not service.calls_of("usage_steps")

    run_console(scenario, past_cache.SNAPSHOT, service)


def test_what_is_unused_of_a_family_counts_as_empty() -> None:
    survey = replace(past_cache.COUNTED, families={"attempts.day": FamilyUsage(0)})
    rows = text(cache.family_rows(replace(FAMILIES, survey=survey), samples.NOW, 80, 9, None).lines)

    assert rows.splitlines()[1].split()[:4] == ["attempts.day", "0", "-", "96.8"]

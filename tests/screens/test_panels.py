"""The rows of the panels, and the small functions that they are made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import Counts, RunState
from opsconsole.cache.figures import RedisStats
from opsconsole.calendar.windows import Window
from opsconsole.core import humanize
from opsconsole.rules.system_health import store_locked
from opsconsole.service.snapshot import (
    Alert,
    AlertCard,
    AlertState,
    Finding,
    FindingKind,
    Leader,
    Outage,
    Preparation,
    Progress,
    Severity,
    Snapshot,
)
from screens.panels import cursor, dashboard, health, pauses, questions, redis, running, success, upcoming
from screens.panels.top_line import top_line, verdict
from screens.panels.view import Block, View, fit
from screens.widgets import symbols
from screens.widgets.lines import (
    Drawing,
    Line,
    Piece,
    bar,
    crop,
    cut,
    ends,
    fill,
    left,
    line,
    right,
    rule,
    side_by_side,
    spark,
    tail,
    width,
)
from screens.widgets.paint import STYLES
from screens.widgets.panel import border
from tests.screens import samples

WORDS = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12), st.just("")), max_size=5
)


def plain(lines: object) -> str:
    """Lines without styles."""
    return "\n".join("".join(piece.text for piece in each) for each in lines)  # type: ignore[attr-defined]


def drawn(drawing: Drawing, cells: int = 80) -> list[Line]:
    """A panel as it looks below a thin rule."""
    return [(Piece("─"), *border(drawing, cells - 2), Piece("─")), *drawing.lines]


def shown(drawing: Drawing, cells: int = 80) -> str:
    """The same without styles."""
    return plain(drawn(drawing, cells))


def view_of(snapshot: Snapshot, **other: object) -> View:
    """A Snapshot looked at now."""
    return View(snapshot, samples.NOW, **other)  # type: ignore[arg-type]


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))), st.integers(0, 30))
def test_a_text_is_cut_by_cells(text: str, cells: int) -> None:
    assert cell_len(cut(text, cells)) <= cells
    if cell_len(text) <= cells:
        assert cut(text, cells) == text


@given(WORDS, WORDS, st.integers(0, 60))
def test_lines_never_exceed_their_cells(one: list[tuple[str, str]], other: list[tuple[str, str]], cells: int) -> None:
    start, end = tuple(Piece(*p) for p in one), tuple(Piece(*p) for p in other)
    assert width(crop(start, cells)) <= cells
    assert width(fill(start, cells)) == cells
    assert width(ends(start, end, cells)) <= cells
    assert width(rule("Title", cells, end)) <= max(cells, 0)
    assert all(width(each) == 2 * cells + 1 for each in side_by_side([start], cells, [end, start], cells))


def test_wide_characters_do_not_break_a_column() -> None:
    assert left("日本語", 5).text == "日本…"
    assert cell_len(left("日本語", 5).text) == 5
    assert cell_len(right("日本語", 8).text) == 8


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "           now"),
        (53, "in        53 s"),
        (593, "in  9 min 53 s"),
        (599, "in  9 min 59 s"),
        (600, "in      10 min"),
        (2393, "in      39 min"),
        (20340, "in  5 h 39 min"),
        (86399, "in 23 h 59 min"),
        (3 * 86400 + 4 * 3600, "in     3 d  4 h"),
    ],
)
def test_countdowns_are_aligned(seconds: float, expected: str) -> None:
    assert humanize.countdown(seconds).split() == expected.split()
    assert len(humanize.countdown(seconds)) == 14


def test_figures_are_formatted_for_people() -> None:
    assert humanize.elapsed(0.09) == "90 ms"
    assert humanize.elapsed(1.31) == "1.3 s"
    assert humanize.elapsed(125) == "2 min 5 s"
    assert [humanize.short_duration(s) for s in (None, 0.09, 1.3, 65, 720, 12_600)] == [
        "-",
        "90 ms",
        "1.3 s",
        "65 s",
        "12 min",
        "3.5 h",
    ]
    assert [humanize.rate(r) for r in (None, 7400, 52, 0.4, 0)] == ["-/s", "7.4k/s", "52/s", "0.4/s", "0.0/s"]
    assert [humanize.rate(r) for r in (0.0375, 0.001)] == ["2.2/min", "3.6/h"]
    assert [humanize.age(timedelta(seconds=s)) for s in (-5, 53, 240, 18_000, 260_000)] == [
        "0 s",
        "53 s",
        "4 min",
        "5 h",
        "3 d",
    ]
    assert [humanize.megabytes(n * 1024 * 1024) for n in (1.25, 54, 20_480)] == ["1.2 MB", "54 MB", "20.0 GB"]
    assert humanize.count(1, "batch", "batches") == "1 batch"
    assert humanize.count(2000, "item") == "2,000 items"


def test_almost_100_percent_is_never_shown_as_100() -> None:
    assert humanize.percent(0.99999) == "99.9"
    assert humanize.percent(1.0) == "100.0"


def test_times_show_their_zone_and_their_day() -> None:
    assert humanize.clock(samples.NOW, "Asia/Kolkata") == "23:50 IST"
    assert humanize.clock(samples.NOW, "America/Sao_Paulo") == "15:20 UTC-03"
    assert humanize.clock(samples.NOW, "Nowhere/Land") == "18:20 UTC"
    assert humanize.date_and_time(samples.ago(hours=20), samples.NOW) == "18 Jan 22:20 UTC"
    assert humanize.date_and_time(samples.NOW - timedelta(days=30), samples.NOW) == "20 Dec 2025 18:20 UTC"


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("2026-01-19", "19 Jan"),
        ("2025-12-31", "31 Dec 2025"),
        ("2025-12", "Dec 2025"),
        ("2026-01-19T18:30:00Z", "00:00 IST"),
        ("2026-01-18T10:30:00Z", "18 Jan 16:00"),
        ("2026-13", "2026-13"),
        ("2026-02-30", "2026-02-30"),
        ("anything", "anything"),
    ],
)
def test_window_labels_are_short(label: str, expected: str) -> None:
    now = datetime(2026, 1, 19, 19, 0, tzinfo=UTC)
    assert humanize.window_label(label, now, "Asia/Kolkata") == expected


def test_columns_of_the_running_panel_stay_apart_where_there_is_little_room() -> None:
    month = Window(samples.ago(days=50), samples.ago(days=19), "2025-12")
    summary = replace(samples.a_run(4810, "reporting.monthly_summary"), window=month)
    progress = replace(samples.running(), seconds_left=891)
    text = shown(running.panel(view_of(replace(samples.BUSY, live=(progress,), recent=(summary,))), 54, 6))

    assert " 14 min 51 s left " in text
    assert " reporting.…ly_summary 2025-12 " in text


def test_bars_are_full_only_when_all_is_done() -> None:
    assert [len(bar(share, 10)[0].text) for share in (None, 0, 0.001, 0.5, 0.9999, 1, 7)] == [0, 0, 1, 5, 9, 10, 10]
    assert spark([1, None, 8], 8) == "▂ █"
    assert spark([]) == ""
    assert spark([0, 0]) == "▁▁"


def test_every_symbol_is_one_cell_wide_and_has_its_own_ascii_character() -> None:
    states = [*symbols.RUN.values(), symbols.NEVER, symbols.PAUSED]
    assert all(cell_len(symbol.char) == 1 for symbol in [*states, *symbols.BATCH.values(), symbols.BATCH_PARTIAL])
    letters = [symbols.to_ascii(symbol.char) for symbol in (*states, symbols.SEVERITY[Severity.WARNING])]
    assert len(set(letters)) == len(letters)
    assert "".join(letters).isascii()
    assert {symbol.style for symbol in [*states, *symbols.BATCH.values()]} <= set(STYLES)
    assert set(symbols.RUN) == set(RunState)
    assert set(symbols.BATCH) == set(BatchState)


def test_ascii_text_has_the_same_width() -> None:
    for text in ("▶ attempts ██░░ · …", "日本語", "▁▂▃▄▅▆▇█ ↑↓"):
        assert symbols.to_ascii(text).isascii()
        assert len(symbols.to_ascii(text)) == cell_len(text)


def test_the_row_under_the_cursor_is_always_visible() -> None:
    blocks = [Block((line(f" row {i}"), line(" more")), ("running", str(i))) for i in range(9)]
    for i in range(9):
        shown, hidden = fit(blocks, 5, 20, ("running", str(i)))
        assert f"▸row {i}" in plain(shown)
        assert len(shown) <= 5
        assert hidden == 7


@pytest.mark.parametrize("cells", [58, 60, 78, 80, 98, 118, 198, 500])
@pytest.mark.parametrize(
    "snapshot",
    [samples.BUSY, samples.TROUBLE, samples.EMPTY, samples.NEW, samples.PAUSED],
    ids=["busy", "bad", "empty", "new", "held"],
)
def test_every_panel_keeps_to_its_cells_and_rows(snapshot: Snapshot, cells: int) -> None:
    for rows in (1, 3, 20):
        for draw in (running.panel, upcoming.panel, dashboard.jobs, redis.panel, health.panel):
            drawing = draw(view_of(snapshot), cells, rows)
            assert len(drawing.lines) <= rows
            assert all(width(each) <= cells for each in (*drawing.lines, border(drawing, cells)))
            assert drawing.title


def test_a_queued_run_without_a_leader_is_highlighted() -> None:
    queued = samples.BUSY.live[1:]
    for cells in (54, 80):
        lines = drawn(running.panel(view_of(replace(samples.BUSY, live=queued, leader=None)), cells, 9), cells)
        assert ("queued for 12 s", "warn") in [(piece.text.strip(), piece.style) for each in lines for piece in each]


def test_a_run_that_counts_items_shows_no_percentage() -> None:
    run = replace(samples.running().run, planning_done=False, counts=Counts(planned=8_000, ok=100))
    text = shown(running.panel(view_of(replace(samples.BUSY, live=(replace(samples.running(), run=run),))), 80, 5))
    assert "100/8,000+" in text
    assert "%" not in text
    assert "counting items" in text


def test_success_shows_the_symbol_of_every_unsuccessful_run() -> None:
    lines = drawn(success.panel(view_of(samples.BUSY), 80, 5), 80)
    assert "▆✗█▆▃" in plain(lines)
    assert "T" in next(plain([each]) for each in lines if "recalc" in plain([each]))
    header = plain(lines[:1])
    assert header.index("24 h") == plain(lines[1:2]).index("93.0")


@pytest.mark.parametrize("cells", [53, 65, 80, 120])
def test_headers_are_aligned_with_their_numbers(cells: int) -> None:
    lines = drawn(success.panel(view_of(samples.BUSY), cells, 5), cells)
    header, row = plain(lines[:1]), next(plain([each]) for each in lines if "90 ms" in plain([each]))
    for title, number in (("24 h", "100.0"), ("usual", "90 ms")):
        assert header.index(title) + len(title) == row.index(number) + len(number)


def test_jobs_without_a_next_run_are_left_out_of_next() -> None:
    never = tuple(replace(card, next_at=None) for card in samples.JOBS)
    assert "nothing is scheduled" in shown(upcoming.panel(view_of(replace(samples.BUSY, jobs=never)), 80, 3))
    late = (replace(samples.JOBS[0], next_at=samples.ago(seconds=5)),)
    assert "now" in shown(upcoming.panel(view_of(replace(samples.BUSY, jobs=late)), 80, 3))


@pytest.mark.parametrize("cells", [53, 80, 120])
def test_manual_jobs_come_last_in_next(cells: int) -> None:
    manual = replace(samples.JOBS[0], name="exams.cleanup", cron=None, words="manual", next_at=None)

    lines = shown(upcoming.panel(view_of(replace(samples.BUSY, jobs=(manual, samples.JOBS[1]))), cells, 3)).splitlines()

    assert samples.JOBS[1].name in lines[1]
    assert lines[2].split() == ["manual", "exams.cleanup"]


def test_redis_without_a_limit_without_reads_and_unknown() -> None:
    bare = replace(samples.STATS, max_memory=0, hits=0, misses=0, evicted=3)
    text = shown(redis.panel(view_of(replace(samples.BUSY, redis=replace(samples.BUSY.redis, stats=bare))), 80, 1))
    assert "54 MB, no limit" in text
    assert "no reads yet" in text
    nothing = replace(samples.BUSY.redis, stats=None)
    assert "no figures yet" in shown(redis.panel(view_of(replace(samples.BUSY, redis=nothing)), 80, 1))
    unreachable = replace(nothing, outage=Outage(samples.NOW, "refused"))
    assert "reconnects automatically" in shown(redis.panel(view_of(replace(samples.BUSY, redis=unreachable)), 80, 1))


@pytest.mark.parametrize("rows", [1, 4])
def test_figures_of_redis_that_its_user_may_not_read_say_why(rows: int) -> None:
    few = RedisStats(ping_ms=0.3, keys=7, denied=("INFO",))
    none = RedisStats(ping_ms=0.3, denied=("INFO", "DBSIZE"))

    with_keys, without = (
        shown(redis.panel(view_of(replace(samples.BUSY, redis=replace(samples.BUSY.redis, stats=stats))), 100, rows))
        for stats in (few, none)
    )

    assert "unknown: the Redis user may not run INFO" in with_keys
    assert "7" in with_keys
    assert "unknown: the Redis user may not run INFO and DBSIZE" in without
    assert "ping 0.3 ms" in without


@pytest.mark.parametrize("rows", [1, 4])
def test_figures_of_redis_that_the_server_does_not_have_are_left_open(rows: int) -> None:
    partly = RedisStats(ping_ms=0.3, memory=54 * 1024 * 1024)

    text = plain(
        redis.panel(view_of(replace(samples.BUSY, redis=replace(samples.BUSY.redis, stats=partly))), 100, rows).lines
    )

    assert "limit unknown" in text
    assert "? keys" in text
    assert "? ops/s" in text


def test_the_verdict_shows_the_worst_finding_and_its_remedy() -> None:
    text = plain([verdict(view_of(replace(samples.BUSY, findings=(samples.OVERDUE, samples.FAILED))), 110)])
    assert "✗ CRITICAL  reporting.daily_report is overdue: its run has not started · 4 min" in text
    assert text.rstrip().endswith("t trigger  +1 more")
    assert verdict(view_of(samples.BUSY), 80) == ()


def test_the_verdict_reports_a_missing_leader_and_a_process_that_cannot_lead() -> None:
    alone = replace(samples.BUSY, leader=None)
    assert "no leader: no run starts until a process leads" in plain([verdict(view_of(alone), 80)])
    assert "is overdue" in plain([verdict(view_of(replace(alone, findings=(samples.OVERDUE,))), 80)])
    assert "is overdue" not in plain([verdict(view_of(replace(alone, findings=(samples.FAILED,))), 80)])
    broken = replace(alone, engine_problem="the lease cannot be renewed")
    assert "this process cannot lead: the lease cannot be renewed" in plain([verdict(view_of(broken), 80)])


@pytest.mark.parametrize("environment", ["production", "PROD"])
def test_production_is_never_cut_off_in_the_top_line(environment: str) -> None:
    everything = replace(samples.TROUBLE, environment=environment, data_outage=Outage(samples.NOW, "timeout"))
    pieces = top_line(view_of(everything), 80)
    assert [piece.text for piece in pieces if piece.style == "alarm"] == [f" {environment.upper()} "]


def test_the_top_line_counts_the_alerts_that_fire() -> None:
    def card(number: int, severity: Severity, **how: object) -> AlertCard:
        alert = Alert(number, FindingKind.SLOW, f"service {number}", severity, samples.NOW, samples.NOW, "is slow")
        return AlertCard(replace(alert, **how), AlertState.FIRING)  # type: ignore[arg-type]

    warning, critical = card(1, Severity.WARNING), card(2, Severity.CRITICAL)
    explained = card(3, Severity.CRITICAL, cause=1)
    known = replace(card(4, Severity.CRITICAL), state=AlertState.ACKNOWLEDGED)

    def counted(*alerts: AlertCard) -> list[tuple[str, str]]:
        pieces = top_line(view_of(replace(samples.BUSY, alerts=alerts)), 120)
        return [(piece.text, piece.style) for piece in pieces if "alert" in piece.text]

    assert counted(known) == []
    assert counted(warning, explained, known) == [("1 alert", "warn")]
    assert counted(critical, warning, explained) == [("2 alerts", "bad")]


def test_other_operators_are_left_out_first_on_a_narrow_terminal() -> None:
    def top(cells: int, names: tuple[str, ...] = ("asha", "ben"), **other: object) -> str:
        there = tuple(samples.attached(who, i) for i, who in enumerate(names))
        return plain([top_line(view_of(replace(samples.BUSY, attached=there, **other)), cells)])  # type: ignore[arg-type]

    assert top(80).startswith(" staging  leading since 06:06  asha, ben ")
    assert "PRODUCTION  leading since 06:06  asha, ben store ok" in top(80, environment="production")
    assert "asha (2), ben" in top(120, ("asha", "asha", "ben"))
    assert "asha" not in top(80, ("asha",))
    crowd = top(80, ("asha", "ben", "chen", "divya"))
    assert "leading since 06:06" in crowd
    assert "asha" not in crowd
    elsewhere = replace(samples.OTHER, host="a-long-host-name-01")
    assert "observing a-long-host-name-01/912 " in top(80, leader=elsewhere)
    assert "asha" not in top(80, leader=elsewhere)
    assert "observing web2/912 since 15:20" in top(80, leader=samples.OTHER)
    assert "no leader  asha, ben" in top(80, leader=None)
    assert "store down since 18:10 UTC" in top(100, store_outage=Outage(samples.ago(minutes=10), "gone"))


def test_headless_processes_are_not_listed_as_operators() -> None:
    there = (samples.attached("asha"), samples.attached("cron", 2, "headless"))
    assert "asha" not in plain([top_line(view_of(replace(samples.BUSY, attached=there)), 120)])


def test_read_only_is_shown_with_any_leader() -> None:
    for leader, words in ((samples.ME, "leading"), (samples.OTHER, "observing web2/912"), (None, "no leader")):
        text = plain([top_line(view_of(replace(samples.BUSY, leader=leader), read_only=True), 80)])
        assert f" staging  read-only  {words}" in text


def test_the_pause_that_ends_last_is_shown() -> None:
    three = (samples.paused("game.life_regen", 2), samples.paused("game", 9), samples.paused("all", 4))
    active = pauses.active(three, "game.life_regen", samples.NOW)
    assert [pause.target for pause in active] == ["game", "all", "game.life_regen"]
    open_end = pauses.active((*three, samples.paused("game", None)), "game.life_regen", samples.NOW)
    assert open_end[0].until is None
    over = replace(samples.paused("game"), until=samples.NOW)
    later = replace(samples.paused("game"), since=samples.NOW + timedelta(minutes=1))
    assert pauses.active((over, later, samples.paused("games")), "game.life_regen", samples.NOW) == []
    assert pauses.of_all(three, samples.NOW) == three[2]
    assert pauses.of_all(three[:2], samples.NOW) is None


def test_a_pause_ends_on_a_whole_minute() -> None:
    assert pauses.until(timedelta(hours=1), samples.NOW) == samples.NOW.replace(hour=19, second=0)
    assert pauses.until(None, samples.NOW) is None
    soon = samples.NOW + timedelta(hours=24)
    assert pauses.new_end(soon, samples.NOW, "Asia/Kolkata") == "23:50 IST, in 1 d"
    assert humanize.upcoming_time(soon + timedelta(minutes=1), samples.NOW, "Asia/Kolkata") == "20 Jan 23:51 IST"


@pytest.mark.parametrize("cells", [54, 80])
def test_a_paused_job_shows_the_end_and_the_operator(cells: int) -> None:
    lines = shown(upcoming.panel(view_of(samples.PAUSED), cells, 5)).splitlines()
    assert lines[0].rstrip("─ ").endswith("2 paused")
    assert "paused until 23:00 UTC by ben" in lines[1]
    assert "18:30" not in lines[1]
    words = "paused until resumed" if cells == 54 else "paused by chen until resumed"
    assert words in next(text for text in lines if "daily_report" in text)


def test_a_pause_that_ends_before_the_next_scheduled_time_skips_nothing() -> None:
    until = samples.NOW.replace(minute=25)
    paused = replace(samples.BUSY, pauses=(replace(samples.paused("game.life_regen"), until=until),))
    assert "in  9 min 53 s   game.life_regen            ◫ paused until 18:25 UTC by ben" in plain(
        upcoming.panel(view_of(paused), 80, 3).lines
    )
    assert "in  9 min 53 s  game.life_regen" in shown(upcoming.panel(view_of(paused), 54, 3))


def test_success_shows_the_end_of_a_pause() -> None:
    assert "◫ paused     game.life_regen      100.0  100.0  100.0  until 23:00 UTC by ben" in plain(
        success.panel(view_of(samples.PAUSED), 80, 5).lines
    )
    for cells in (65, 80):
        lines = drawn(success.panel(view_of(samples.PAUSED), cells, 5), cells)
        assert {width(each) for each in lines[1:]} == {cells - 1}
        assert "until resumed" in plain(lines)


@pytest.mark.parametrize("cells", [54, 80])
def test_a_waiting_run_shows_what_it_waits_for(cells: int) -> None:
    text = shown(running.panel(view_of(samples.PAUSED), cells, 6))
    assert "◷ attempts.suggest" in text
    assert "waits for attempts.cache_day" in text
    assert "queued for" not in text
    interrupted = replace(samples.WAITING, run=samples.a_run(4814, state=RunState.INTERRUPTED))
    text = shown(running.panel(view_of(replace(samples.PAUSED, live=(interrupted,))), cells, 6))
    assert "interrupted, waits for" in text


@pytest.mark.parametrize("cells", [54, 80])
def test_a_run_being_cancelled_shows_the_operator_and_the_time_until_force(cells: int) -> None:
    def shown(progress: Progress) -> str:
        return plain(running.panel(view_of(replace(samples.PAUSED, live=(progress,))), cells, 6).lines)

    assert "being cancelled by ben · by force in 7 s" in shown(samples.running(stop=samples.STOP))
    over = msgspec.structs.replace(samples.STOP, force_at=samples.NOW)
    assert "being cancelled by ben · by force now" in shown(samples.running(stop=over))
    assert "being cancelled by ben" in shown(replace(samples.WAITING, run=replace(samples.WAITING.run, stop=over)))


def test_a_run_that_has_ended_is_not_being_cancelled() -> None:
    ended = samples.partial(4811, stop=samples.STOP)
    assert running.stopping(ended, samples.NOW) == ()
    assert running.stopping(samples.running().run, samples.NOW) == ()


def test_questions_show_the_environment_only_if_it_has_a_name() -> None:
    run = samples.running().run
    found = [questions.cancel(run, where, samples.NOW) for where in ("", "production")]
    assert [each.sentences[0] for each in found if isinstance(each, questions.Question)] == [
        "attempts.cache_day 2026-01-19:",
        "attempts.cache_day 2026-01-19 in production:",
    ]
    assert questions.quit_with_runs([run], "", waiting=False).sentences[0] == "1 run is running in this process:"


def test_the_end_of_a_typed_text_stays_visible() -> None:
    assert tail("short", 9) == "short"
    assert tail("a long note", 6) == "… note"
    assert cell_len(tail("日本語日本語", 6)) <= 6


def test_health_distinguishes_no_problems_no_jobs_and_unknown() -> None:
    assert "no problems" in shown(health.panel(view_of(samples.QUIET), 80, 2))
    assert "no jobs" in shown(health.panel(view_of(samples.EMPTY), 80, 2))
    unknown = replace(samples.QUIET, store_outage=Outage(samples.NOW, "gone"))
    assert "unknown while the store is unreachable" in shown(health.panel(view_of(unknown), 80, 2))


def test_findings_with_one_cause_are_one_row() -> None:
    items = Finding(Severity.WARNING, FindingKind.FAILING_ITEMS, samples.FAILED.subject, samples.NOW, items=("u0417",))
    view = view_of(replace(samples.BUSY, findings=(samples.FAILED, items)))

    rows = shown(health.panel(view, 200, 5))

    assert health.keys(view) == [health.key(samples.FAILED)]
    assert "3 of 10,000 failed" in rows
    assert "explains 1 more" in rows
    assert "u0417" not in rows
    assert "more" not in plain([verdict(view, 200)])


def test_a_finding_keeps_its_identity_while_its_text_changes() -> None:
    one = Finding(Severity.WARNING, FindingKind.LONG_RUN, "a.b", samples.NOW, samples.running().run)
    other = replace(one, run=replace(samples.running().run, started_at=samples.ago(hours=1)))
    assert health.key(one) == health.key(other)


def test_the_cursor_without_rows() -> None:
    assert cursor.moved(None, [], 1) is None
    assert cursor.next_panel(None, [], 1) is None
    assert cursor.settled(("running", "1"), [], [("running", "1")]) is None
    assert cursor.moved(("running", "1"), [("running", "1")], 5) == ("running", "1")


def test_a_locked_store_is_never_shown_as_ok() -> None:
    lock = Outage(samples.ago(seconds=12), "process 4711 (sqlite3)")
    finding = store_locked(lock.since, lock.reason, samples.NOW)
    locked = replace(samples.BUSY, store_lock=lock, findings=(finding,), leader=None)

    for cells in (80, 120, 200):
        top, worst = (plain([each(view_of(locked), cells)]) for each in (top_line, verdict))
        assert "store locked" in top
        assert "store ok" not in top
        assert worst.startswith(" ✗ CRITICAL  the store is locked by process 4711 (sqlite3): no run can start")
        assert "+1 more" not in worst, "that nobody leads is explained by it"


@pytest.mark.parametrize(("is_me", "who"), [(True, "leading"), (False, "observing batch-1/")])
def test_a_leader_that_does_not_renew_its_lease_is_shown_with_its_age(is_me: bool, who: str) -> None:
    leader = Leader(is_me, "asha", "batch-1", 7, samples.ago(hours=2), age_seconds=6.4, is_late=True)

    text = plain([top_line(view_of(replace(samples.BUSY, leader=leader)), 100)])

    assert f"  {who}" in text
    assert ", lease 6 s old" in text
    assert "since" not in text


def test_what_the_demo_prepares_is_a_bar_in_the_place_of_the_verdict() -> None:
    half = replace(samples.TROUBLE, preparation=Preparation(0.5, "creating sample data of game for 2,000 users"))
    failed = replace(samples.TROUBLE, preparation=Preparation(0.0, "", "the data database is unreachable: disk full"))

    text = plain([verdict(view_of(half), 80)])

    assert text.startswith(" ◷ PREPARING  creating sample data of game")
    assert text.rstrip().endswith("██████████░░░░░░░░░░  50 %")
    assert plain([verdict(view_of(failed), 120)]).startswith(" ✗ NOT PREPARED  the data database is unreachable")

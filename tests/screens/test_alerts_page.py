"""The page of alerts: its lists, its keys and their refusals, and the details of the alert under the cursor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opsconsole.core.errors import Unavailable
from opsconsole.service.snapshot import Snapshot
from screens import command_lines
from screens.pages.alerts import AlertsScreen
from screens.pages.backfills import BackfillScreen
from screens.pages.calendar import CalendarScreen
from screens.pages.dashboard import Dashboard
from screens.pages.keys import commands_of
from screens.pages.packs import PacksScreen
from screens.pages.run import RunScreen
from tests.screens import fakes, past_alerts, samples
from tests.screens.alert_pages import ITEMS, LATE, OUTAGE, OVER, QUEUE, STALE
from tests.screens.console import Console, run_console
from tests.screens.past_alerts import CARDS, SOME
from tests.screens.test_snapshots import SIZES, Compare, matches_snapshot


def rows(console: Console) -> list[str]:
    """The rows of the list."""
    lines = [each.strip("│") for each in console.text.split("\n")]
    start = next(n for n, each in enumerate(lines) if "─ since" in each)
    return [each for each in lines[start + 1 : start + 8] if each[1:2] in ("✗", "!", "✓")]


def detail(console: Console) -> str:
    """What is below the list."""
    return console.text.split("─ since")[1]


# --- lists -----------------------------------------------------------------------------------------------------------


def test_alerts_are_listed_by_cause_with_who_takes_care() -> None:
    async def scenario(console: Console) -> None:
        await console.press("6")
        assert isinstance(console.app.screen, AlertsScreen)
        assert "[all 5]  firing 2   acknowledged 1   silenced 1   resolved 1" in console.text
        listed = [" ".join(each.split()) for each in rows(console)]
        for row, (start, end) in zip(
            listed,
            [
                ("▸✗ 18:12 the data database is unreachable", "+1 firing 8 min"),
                ("✗ 18:16 reporting.daily_report is overdue", "(same cause)"),
                ("! 18 Jan reporting.daily_snapshot has 1 incomplete", "firing 40 h"),
                ("! 17:20 exams.queue reports: the queue is growing", "silenced until 23:20 UTC"),
                ("! 09:02 attempts.cache_day 3 of 10,000", "ben until 22 Jan 18:20 UTC"[:25]),
                ("✓ 06:31 practice.warm_cache 12 of 1,912 failed", "resolved 06:44 UTC"),
            ],
            strict=True,
        ):
            assert row.startswith(start), row
            assert row.endswith(end) or end.startswith("ben"), row
        assert console.service.presence[-1] == "alerts"

    run_console(scenario, SOME, size=(100, 30))


def test_tab_and_arrows_choose_which_alerts_are_listed() -> None:
    async def scenario(console: Console) -> None:
        await console.press("6")
        seen = []
        for key in ("tab", "right", "l", "tab", "tab", "shift+tab", "h", "left"):
            await console.press(key)
            page = console.app.screen
            assert isinstance(page, AlertsScreen)
            seen.append((str(page.segment), len(rows(console))))
        assert seen == [
            ("firing", 3),  # one is explained by another
            ("acknowledged", 1),
            ("silenced", 1),
            ("resolved", 1),
            ("all", 6),
            ("resolved", 1),
            ("silenced", 1),
            ("acknowledged", 1),
        ]

    run_console(scenario, SOME)


@pytest.mark.parametrize(
    ("tabs", "words"),
    [(0, "no alerts: none is open"), (1, "no alert is firing"), (4, "no alert was resolved in the last 24 hours")],
)
def test_an_empty_list_says_what_that_means(tabs: int, words: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press("6", *["tab"] * tabs)
        assert words in console.text
        for key in ("a", "s", "u", "r", "x", "enter"):
            await console.press(key)
            assert isinstance(console.app.screen, AlertsScreen)
            assert console.notice.startswith("no alert to ")
        assert console.service.calls_of("acknowledge", "silence", "alert_page") == []

    run_console(scenario, past_alerts.NONE)


def test_the_cursor_stays_on_its_alert_until_that_leaves_the_list() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*STALE)
        page = console.app.screen
        assert isinstance(page, AlertsScreen)
        console.app.show(replace(SOME, alerts=CARDS[1:]))
        assert page.cursor == ("alerts", "6")
        console.app.show(replace(SOME, alerts=(*CARDS[:2], *CARDS[3:])))
        assert page.cursor == ("alerts", "8"), "the one in its place"
        console.app.show(past_alerts.NONE)
        assert page.cursor is None
        console.app.show(SOME)
        assert page.cursor == ("alerts", "7")

    run_console(scenario, SOME)


# --- details ---------------------------------------------------------------------------------------------------------


def test_the_details_follow_the_cursor() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*OUTAGE)
        await console.until(lambda: "before" in console.text)
        for words in (
            "firing 8 min · critical",
            "is unreachable: connection refused at db.internal:5432",
            "since     18:12 UTC, for 8 min",
            "explains  reporting.daily_report",
            "team fired 18:12 ✓",
            "phone fired 18:13 waiting",
            "phone failed, 4 attempts: SMTP timeout",
            "before    twice in 30 days: 3 Jan 18:20 for 40 s",
            "for 6 min (asha: failover)",
            "runbook   docs/runbook.md#unreachable",
        ):
            assert words in console.text, words
        await console.press("down")
        await console.until(lambda: "cause     the data database is unreachable" in console.text)
        assert "do        t triggers the job" in console.text
        await console.press("down", "down", "down")
        await console.until(lambda: "who       ben acknowledged it until" in console.text)
        for words in (
            "figures   planned 10,000 · ok 9,997 · failed 3",
            "items     u0417 u1290",
            "ticket 81",
            "do        r retries what failed",
            "sent      nothing was sent",
            "before    never",
        ):
            assert words in console.text, words

    run_console(scenario, SOME, size=(120, 40))


def test_details_that_cannot_be_loaded_hide_nothing_else() -> None:
    service = fakes.FakeService()
    service.unreachable = Unavailable("store", "connection refused")

    async def scenario(console: Console) -> None:
        await console.press("6")
        await console.until(lambda: "connection refused" in console.text.split("\n")[4])
        assert len(rows(console)) == 6
        assert "since     18:12 UTC" in console.text
        service.unreachable = None
        await console.press("down")
        await console.until(lambda: "cause     the data database" in console.text)

    run_console(scenario, SOME, service, size=(100, 40))


# --- the way to the cause --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "page"), [(ITEMS, RunScreen), (OVER, RunScreen), (STALE, BackfillScreen), (QUEUE, PacksScreen)]
)
def test_enter_opens_what_is_behind_an_alert(keys: tuple[str, ...], page: type) -> None:
    async def scenario(console: Console) -> None:
        await console.press(*keys, "enter")
        assert isinstance(console.app.screen, page)

    run_console(scenario, SOME)


def test_enter_opens_the_calendar_of_incomplete_windows() -> None:
    stale = replace(past_alerts.STALE, subject="reporting.daily_report", job="reporting.daily_report")
    snapshot = replace(SOME, alerts=(replace(CARDS[2], alert=stale),))

    async def scenario(console: Console) -> None:
        await console.press("6", "b")
        assert isinstance(console.app.screen, CalendarScreen)
        await console.press("6", "enter")
        assert isinstance(console.app.screen, CalendarScreen)

    run_console(scenario, snapshot)


def test_enter_says_when_nothing_is_behind_an_alert() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*OUTAGE, "enter")
        assert console.notice == "alert 7 is about no run and no job"
        await console.press("down", "enter")
        assert console.notice == "reporting.daily_report has not run yet · t triggers it"

    run_console(scenario, SOME)


@pytest.mark.parametrize(
    ("keys", "words"),
    [((*LATE, "t"), "Trigger a job"), ((*ITEMS, "r"), "Retry run 4811"), ((*LATE, "p"), "▸reporting.daily_report")],
)
def test_the_keys_for_runs_and_jobs_work_on_the_alert(keys: tuple[str, ...], words: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press(*keys)
        assert words in console.text

    run_console(scenario, SOME)


def test_a_key_for_runs_says_when_the_alert_has_none() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*OUTAGE, "r")
        assert console.notice == "alert 7 has no run to retry"
        await console.press("p")
        assert console.notice == "choose a row with the arrows or tab first"
        await console.press("equals_sign")
        for command in ("alerts show 7", "ack 7", "silence 7 --for 12h"):
            assert f"opsconsole {command}" in console.text
        await console.press("escape", *["down"] * 5, "equals_sign")
        assert "opsconsole alerts show 3" in console.text
        assert "opsconsole ack 3" not in console.text

    run_console(scenario, SOME)


@pytest.mark.parametrize("is_live", [True, False])
def test_a_run_that_has_not_ended_can_be_cancelled_and_another_one_retried(is_live: bool) -> None:
    live = (samples.running(4811),) if is_live else ()

    async def scenario(console: Console) -> None:
        await console.press("6")
        await console.select(("alerts", "5"))
        await console.press("equals_sign")
        assert ("opsconsole retry 4811" in console.text) is not is_live
        assert ("opsconsole cancel 4811" in console.text) is is_live

    run_console(scenario, replace(SOME, live=live), size=(120, 40))


# --- from other pages ------------------------------------------------------------------------------------------------


def test_the_page_opens_from_everywhere_and_closes_to_where_it_was_opened() -> None:
    async def scenario(console: Console) -> None:
        await console.press("down", "enter", "6")
        assert isinstance(console.app.screen, AlertsScreen)
        await console.press("7", "6")
        assert isinstance(console.app.screen, AlertsScreen)
        await console.press("escape")
        assert isinstance(console.app.screen, RunScreen)
        await console.press("6", "1")
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, SOME)


def test_a_job_without_a_calendar_offers_no_backfill() -> None:
    jobs = tuple(replace(card, has_calendar=False) for card in SOME.jobs)

    async def scenario(console: Console) -> None:
        await console.select(("jobs", SOME.jobs[0].name))
        page = console.app.front_page
        assert page is not None
        assert "backfill" in page.refused()
        console.app.show(SOME)
        assert "backfill" not in page.refused()

    run_console(scenario, replace(SOME, jobs=jobs), size=(120, 40))


def test_the_key_of_a_held_alert_has_one_command_line() -> None:
    async def scenario(console: Console) -> None:
        await console.press("6")
        page = console.app.front_page
        assert page is not None
        await console.select(("alerts", str(past_alerts.ITEMS.id)))
        assert "u end" in console.text
        lines = [line.argv for line in page.command_lines() if line.action == "resume"]
        assert lines == [("unack", str(past_alerts.ITEMS.id))]
        assert [each.command.argv for each in commands_of(page) if each.command and each.key == "u"] == lines

    run_console(scenario, SOME, size=(120, 40))


def test_the_dashboard_names_the_command_that_ends_an_acknowledgement_without_a_key() -> None:
    card = next(each for each in CARDS if each.acknowledged is not None)
    lines = {line.argv[0]: line.action for line in command_lines.of_alert(card, end=Dashboard.END)}

    assert (lines["unack"], lines["ack"]) == ("", "acknowledge")


def test_the_dashboard_shows_and_takes_acknowledgements() -> None:
    async def scenario(console: Console) -> None:
        await console.select(("running", "4812"))
        await console.press("a")
        assert console.notice == "choose a problem to acknowledge with the arrows or tab first"
        assert "ben until 22 Jan" in console.text
        await console.press("home")
        assert "a ack" in console.text
        await console.press("a")
        assert "▸reporting.daily_report" in console.text
        await console.press("enter")
        await console.until(lambda: console.service.calls_of("acknowledge") == [("acknowledge", 8, None, "")])
        await console.press("s")
        assert "Silence" in console.text

    run_console(scenario, SOME, size=(120, 40))


def test_a_finding_without_a_record_cannot_be_acknowledged() -> None:
    async def scenario(console: Console) -> None:
        await console.press("a")
        assert console.notice == "this is not an alert yet: a leader has to record it"

    run_console(scenario, replace(SOME, alerts=()))


@pytest.mark.parametrize(
    ("query", "verb"),
    [("acknowledge alert 7", "acknowledge"), ("silence alert 7", "silence"), ("end silence exams", "unsilence")],
)
def test_the_palette_has_the_actions_on_alerts(query: str, verb: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press("ctrl+p", *query, "enter", "enter")
        await console.until(lambda: console.service.calls_of(verb))

    run_console(scenario, SOME)


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", ["data", "empty", "trouble"])
def test_the_page_as_a_picture(snap_compare: Compare, state: str, size: str) -> None:
    snapshot: Snapshot = {"data": SOME, "empty": past_alerts.NONE, "trouble": past_alerts.LOST}[state]
    keys, words = ("6",), "runbook.md"
    service = fakes.FakeService()
    if state == "empty":
        words = "no alerts"
    elif state == "trouble":
        service.unreachable, words = Unavailable("store", "database is locked"), "database is locked"
    else:
        words = "SMTP timeout"
    assert matches_snapshot(snap_compare, snapshot, SIZES[size], *keys, shows=words, service=service)


@pytest.mark.parametrize("keys", [("a", *"ticket 81"), ("s", "down")], ids=["acknowledge", "silence"])
def test_the_dialogs_as_pictures(snap_compare: Compare, keys: tuple[str, ...]) -> None:
    assert matches_snapshot(snap_compare, SOME, SIZES["80x24"], *LATE, *keys, shows="[ ")

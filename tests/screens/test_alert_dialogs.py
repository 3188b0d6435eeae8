"""Acknowledging and silencing alerts, and ending that: the dialogs, the commands and the notices."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from opsconsole.service.snapshot import AlertState
from screens.dialogs.dialog import Confirm
from screens.pages.alerts import AlertsScreen
from tests.screens import fakes, past_alerts, samples
from tests.screens.alert_pages import ITEMS, LATE, OUTAGE, OVER, QUEUE
from tests.screens.console import Console, run_console
from tests.screens.past_alerts import CARDS, SOME

# --- acknowledge -----------------------------------------------------------------------------------------------------


def test_two_keys_acknowledge_an_alert_until_it_is_resolved() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*OUTAGE, "a")
        for words in (
            "Acknowledge",
            "▸the data database",
            "1 h  4 h  24 h  3 d [until resolved]",
            "when it is resolved, or becomes worse",
        ):
            assert words in console.text, words
        await console.press(*"as: I am on it", "enter")
        await console.until(lambda: console.notice == "acknowledged alert 7")
        assert console.service.calls_of("acknowledge") == [("acknowledge", 7, None, "as: I am on it")]

    run_console(scenario, SOME, fakes.executing("acknowledged alert 7"))


@pytest.mark.parametrize(("keys", "end"), [(("left",) * 4, 19), (("left",) * 9, 19), (("left",) * 3, 22)])
def test_arrows_choose_how_long_it_is_acknowledged(keys: tuple[str, ...], end: int) -> None:
    async def scenario(console: Console) -> None:
        await console.press(*OUTAGE, "a", *keys)
        assert f"{end}:20 UTC, in " in console.text
        await console.press("enter")
        until = datetime(2026, 1, 19, end, 20, tzinfo=UTC)
        await console.until(lambda: console.service.calls_of("acknowledge") == [("acknowledge", 7, until, "")])

    run_console(scenario, SOME)


def test_an_acknowledgement_shows_the_one_that_it_replaces_and_can_be_left() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*ITEMS, "a")
        assert "ben acknowledged it until 22 Jan 18:20 UTC: ticket 81." in console.text
        assert "This acknowledgement replaces it." in console.text
        await console.press("escape", "a", "tab", "enter")
        assert isinstance(console.app.screen, AlertsScreen)
        assert console.service.calls_of("acknowledge") == []

    run_console(scenario, SOME)


def test_what_is_resolved_needs_no_acknowledgement() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*OVER, "a")
        assert console.notice == "alert 3 is resolved: nothing to acknowledge"

    run_console(scenario, SOME)


def test_what_the_leader_refuses_is_shown() -> None:
    service = fakes.FakeService()
    service.result = fakes.refused("alert 7 has been resolved since 18:20")

    async def scenario(console: Console) -> None:
        await console.press("6", "a", "enter")
        await console.until(lambda: console.notice == "refused: alert 7 has been resolved since 18:20")

    run_console(scenario, SOME, service)


# --- silence ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("downs", "target"), [(0, "8"), (1, "reporting.daily_report"), (2, "reporting"), (3, "overdue"), (9, "overdue")]
)
def test_an_alert_its_job_its_pack_and_its_rule_can_be_silenced(downs: int, target: str) -> None:
    async def scenario(console: Console) -> None:
        await console.press(*LATE, "s")
        for words in ("▸reporting.daily_report: overdue", "this alert", "[12 h]", "06:20 UTC, in 11 h 59 min"):
            assert words in console.text, words
        await console.press(*["down"] * downs, *"move", "enter")
        end = datetime(2026, 1, 20, 6, 20, tzinfo=UTC)
        await console.until(lambda: console.service.calls_of("silence") == [("silence", target, end, "move")])

    run_console(scenario, SOME)


def test_what_is_about_no_job_has_fewer_targets() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*OUTAGE, "s", "down")
        assert "▸unreachable " in console.text
        assert "this rule, for every job" in console.text
        assert "the whole pack" not in console.text

    run_console(scenario, SOME)


def test_the_silence_dialog_shows_the_silence_that_it_replaces() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*QUEUE, "s")
        assert "replaces it" not in console.text
        await console.press("down")
        assert "exams is silenced by asha until 23:20 UTC: the API is migrated." in console.text
        assert "This silence replaces it." in console.text

    run_console(scenario, SOME)


# --- u ---------------------------------------------------------------------------------------------------------------


def test_one_key_ends_an_acknowledgement() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*ITEMS)
        assert "u end" in console.text
        await console.press("u")
        await console.until(lambda: console.service.calls_of("unacknowledge") == [("unacknowledge", 5)])

    run_console(scenario, SOME)


def test_a_silence_of_more_than_the_alert_ends_after_a_question() -> None:
    async def scenario(console: Console) -> None:
        await console.press(*QUEUE, "u")
        assert isinstance(console.app.screen, Confirm)
        assert "End the silence of exams?" in console.text
        await console.press("right", "enter")
        assert console.service.calls_of("unsilence") == []
        await console.press("u", "enter")
        await console.until(lambda: console.service.calls_of("unsilence") == [("unsilence", "exams")])

    run_console(scenario, SOME)


def test_a_silence_of_exactly_the_alert_ends_at_once() -> None:
    card = replace(CARDS[2], state=AlertState.SILENCED, silence=past_alerts.EXACT)
    snapshot = replace(SOME, alerts=(card,), silences=(past_alerts.EXACT,))

    async def scenario(console: Console) -> None:
        await console.press("6", "u")
        target = "incomplete_windows reporting.daily_snapshot"
        await console.until(lambda: console.service.calls_of("unsilence") == [("unsilence", target)])

    run_console(scenario, snapshot)


def test_without_either_the_key_resumes_a_paused_job() -> None:
    paused = replace(SOME, pauses=(samples.paused("reporting.daily_report"),))

    async def scenario(console: Console) -> None:
        await console.press(*OUTAGE, "u")
        assert console.notice == "alert 7 is neither acknowledged nor silenced"
        await console.press("down", "u")
        await console.until(lambda: console.service.calls_of("resume") == [("resume", "reporting.daily_report")])

    run_console(scenario, paused)

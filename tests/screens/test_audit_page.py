"""The page of the audit trail: who did what, whether that is unchanged, and who is attached."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opsconsole.core.errors import Unavailable
from opsconsole.rules.audit import Verification
from opsconsole.rules.search_words import BadSearch, SearchProblem
from screens.pages.dashboard import Dashboard
from screens.panels import audit
from screens.panels.view import View
from tests.screens import fakes, past_cache, samples
from tests.screens.console import Console, run_console
from tests.screens.test_clearing import text
from tests.screens.test_hostile import ALL, has_only_visible_characters
from tests.screens.test_snapshots import SIZES, Compare, matches_snapshot

ATTACHED = replace(
    samples.BUSY,
    attached=(
        replace(samples.attached("asha"), pid=4711, screen="run 4812"),
        replace(samples.attached("ben", 2, host="web2"), screen="cache"),
        replace(samples.attached("cron", 3, "headless"), screen=""),
    ),
)
CLEARED = replace(
    past_cache.ENTRIES[2],
    before={"user": "u0417", "subject": None, "counted": 7},
    after={"cleared": 7, "families": {"attempts.day": 7}, "skipped_families": []},
)


# --- rows, without a screen ---------------------------------------------------------------------------------------


def test_a_row_has_who_what_and_the_outcome() -> None:
    rows = text(audit.rows(past_cache.ENTRIES, samples.NOW, 80, 5, audit.key(past_cache.ENTRIES[0])).lines)

    assert rows.splitlines()[0].split() == ["▸", "18:10", "UTC", "asha", "✓", "trigger", "attempts.cache_day", "done"]
    assert rows.splitlines()[4].split() == ["13:20", "UTC", "chen", "✗", "retry", "run", "4770", "refused"]


def test_an_empty_list_says_why() -> None:
    assert "loading" in text(audit.rows(None, samples.NOW, 80, 5, None).lines)
    assert audit.NO_ROW in text(audit.rows([], samples.NOW, 80, 5, None).lines)
    assert audit.NO_MATCH in text(audit.rows([], samples.NOW, 80, 5, None, nothing=audit.NO_MATCH).lines)


def test_details_say_what_came_of_it() -> None:
    rows = text(audit.details(CLEARED, 80, 9))

    assert "who       ben from 10.0.0.7  2026-01-19 18:00:07 UTC" in rows
    assert "done      cleared 7 keys" in rows
    assert "with      user u0417 · counted 7" in rows
    refused = replace(CLEARED, outcome="refused", after={"message": "41,000 keys match now"})
    assert "refused   41,000 keys match now" in text(audit.details(refused, 80, 9))
    other_version = replace(CLEARED, after={"unknown": 1})
    assert "after     unknown 1" in text(audit.details(other_version, 80, 9))


def test_the_state_of_the_chain() -> None:
    proven, broken = past_cache.VERIFIED[-1], past_cache.BROKEN[0]

    assert text([audit.end(proven, is_running=False)]) == "✓ verified to seal 990:ab12ab12"
    assert text([audit.end(past_cache.VERIFIED[0], is_running=True)]) == "verifying: row 500"
    assert text([audit.end(broken, is_running=False)]) == "✗ row 812 was changed"
    assert text([audit.end(None, is_running=True)]) == "verifying"
    assert text([audit.end(Verification(0, None), is_running=False)]) == ""
    assert text([audit.end(None, is_running=False, error="the store is locked")]) == "not verified: the store is locked"


def test_who_is_attached_where_and_since_when() -> None:
    view = View(ATTACHED, samples.NOW)

    rows = text(audit.attached_rows(view, 80, 5)).splitlines()

    assert rows[0].split() == ["asha", "run", "4812", "web1/4711", "since", "17:20", "UTC", "leads"]
    assert rows[1].split() == ["ben", "cache", "web2/4002", "since", "17:20", "UTC"]
    assert rows[2].split()[:2] == ["cron", "headless"]
    assert text([audit.attached_end(view)]) == "2 consoles · 1 headless"
    assert text(audit.attached_rows(view, 80, 2)).splitlines()[1].strip() == "and 2 more"
    assert "is attached" in text(audit.attached_rows(View(samples.BUSY, samples.NOW), 80, 5))


@pytest.mark.parametrize("cells", [60, 80, 120])
def test_no_row_shows_hostile_characters(cells: int) -> None:
    evil = replace(
        CLEARED, who=ALL, origin=ALL, verb=ALL, target=ALL, outcome=ALL, before={ALL: ALL}, after={ALL: [ALL]}
    )
    process = replace(samples.attached(ALL), screen=ALL, host=ALL, origin=ALL)
    view = View(replace(samples.BUSY, attached=(process,)), samples.NOW)

    for lines in (
        audit.rows([evil], samples.NOW, cells, 5, audit.key(evil)).lines,
        audit.details(evil, cells, 20),
        audit.attached_rows(view, cells, 5),
    ):
        assert has_only_visible_characters(lines, cells)


# --- the page -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["80x24", "120x40"])
def test_the_page_as_a_picture(snap_compare: Compare, size: str) -> None:
    assert matches_snapshot(snap_compare, ATTACHED, SIZES[size], "8", shows="verified to seal 990")


def test_the_trail_is_verified_and_the_cursor_opens_rows() -> None:
    async def scenario(console: Console) -> None:
        await console.press("8")
        await console.until(lambda: "verified to seal 990" in console.text)
        await console.until(lambda: "row 990 · command 495" in console.text)
        assert console.service.presence[-1] == "audit"
        await console.press("j", "j")
        assert "row 980 · command 490" in console.text
        await console.press("escape")
        assert isinstance(console.app.screen, Dashboard)
        await console.press("8")
        await console.until(lambda: len(console.service.calls_of("verify")) == 2)

    run_console(scenario, ATTACHED)


def test_older_rows_are_read_a_page_at_a_time() -> None:
    async def scenario(console: Console) -> None:
        await console.press("8")
        await console.until(lambda: "row 990" in console.text)
        await console.press(*["pagedown"] * 10)
        assert "row 406" in console.text
        await console.press("down")
        await console.until(lambda: "row 405 ·" in console.text)
        assert console.service.calls_of("audit")[-1] == ("audit", "", 406)
        await console.press("up")
        await console.until(lambda: "row 406 ·" in console.text)
        await console.press("down")
        await console.until(lambda: "row 405 ·" in console.text)
        await console.press("home")
        await console.until(lambda: "row 990 ·" in console.text)

    run_console(scenario, ATTACHED)


def test_rows_are_filtered_and_a_filter_that_is_wrong_is_explained() -> None:
    service = fakes.FakeService()

    async def scenario(console: Console) -> None:
        await console.press("8", "slash", *"by ben", "enter")
        await console.until(lambda: ("audit", "by ben", None) in service.calls)
        service.unreachable = BadSearch(SearchProblem.NO_NAME, "by")
        await console.press("slash", *" by", "enter")
        await console.until(lambda: "write a name after `by`" in console.text)
        service.unreachable = None
        await console.press("escape")
        await console.until(lambda: "/ filter" in console.text)
        await console.until(lambda: service.calls_of("audit")[-1] == ("audit", "", None))

    run_console(scenario, ATTACHED, service)


def test_without_the_store_the_other_panels_stay() -> None:
    service = fakes.FakeService()
    service.unreachable = Unavailable("store", "database is locked")

    async def scenario(console: Console) -> None:
        await console.press("8")
        await console.until(lambda: "the store is unreachable: database is locked" in console.text)
        assert "web2/4002" in console.text

    run_console(scenario, ATTACHED, service)

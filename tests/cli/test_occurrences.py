"""What became of scheduled instants, asked on the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opsconsole.authoring.occurrence import OccurrenceState, Reason
from tests.cli.conftest import Typing
from tests.cli.seeds import HOUR, NOON, SECOND, paused, queued, ran, record, register
from tests.installation import Installation

HOURLY = "clockwork.hourly"
SKIPPED, MISSED = OccurrenceState.SKIPPED, OccurrenceState.MISSED


@pytest.fixture
def history(place: Installation) -> dict[str, int]:
    """Noon ran, one o'clock was late, two o'clock was blocked by it, then came a pause and an absence."""
    register(place, HOURLY, since=NOON - HOUR, until=NOON + 20 * HOUR)
    noon = ran(place, HOURLY, NOON)
    one = ran(place, HOURLY, NOON + HOUR, late=timedelta(minutes=70))
    two = record(place, HOURLY, NOON + 2 * HOUR, state=SKIPPED, reason=Reason.OVERLAP, blocked_by=one)
    paused(place, "clockwork", NOON + 2 * HOUR + SECOND, NOON + 8 * HOUR + SECOND, "the printer is moved")
    three = record(place, HOURLY, NOON + 3 * HOUR, NOON + 8 * HOUR, state=SKIPPED, reason=Reason.PAUSED)
    nine = record(
        place, HOURLY, NOON + 9 * HOUR, NOON + 19 * HOUR, state=MISSED, reason=Reason.SUPERSEDED, at=NOON + 20 * HOUR
    )
    last = ran(place, HOURLY, NOON + 20 * HOUR)
    return {"noon": noon, "one": one, "two": two, "three": three, "nine": nine, "last": last}


# --- occurrences --------------------------------------------------------------------------------------------------


def test_rows_stand_newest_first_with_totals_under_them(typing: Typing, history: dict[str, int]) -> None:
    told = typing("occurrences", "--job", HOURLY)

    assert told.code == 0
    rows = told.out.splitlines()
    assert rows[1].split()[:3] == ["6", HOURLY, "2026-01-20"]
    assert f"{history['one']}" in next(line for line in rows if "overlap" in line)
    assert "2026-01-19 21:00:00 UTC to 2026-01-20 07:00:00 UTC" in told.out
    assert "1 h 10 min" in told.out
    totals = [line.split() for line in rows[rows.index("") + 2 :]]
    assert [line[1:] for line in totals] == [
        ["late", "-", "1"],
        ["missed", "superseded", "11"],
        ["ran", "-", "2"],
        ["skipped", "overlap", "1"],
        ["skipped", "paused", "6"],
    ]


def test_programs_get_what_lies_between_two_times_exactly(typing: Typing, history: dict[str, int]) -> None:
    between = ("--since", "2026-01-19T16:30:00Z", "--until", "2026-01-20T03:00:00Z")

    told = typing("occurrences", *between, "--json").json

    # Five to eight in the evening were paused, nine to two at night nobody led; three o'clock is not in it.
    assert told["count"] == 4 + 6
    assert [(each["reason"], each["count"], each["exact"]) for each in told["totals"]] == [
        ("superseded", 6, True),
        ("paused", 4, True),
    ]
    assert [(row["id"], row["count"], row["row_count"]) for row in told["occurrences"]] == [
        (history["nine"], 6, 11),
        (history["three"], 4, 6),
    ]
    assert told["occurrences"][1]["due_at"] == "2026-01-19T15:00:00Z"


def test_a_row_tells_its_run_its_lateness_and_what_blocked_it(typing: Typing, history: dict[str, int]) -> None:
    told = typing("occurrences", "--job", HOURLY, "--until", "2026-01-19T14:30:00Z", "--json").json
    two, one, noon = told["occurrences"]

    assert (two["state"], two["reason"], two["blocked_by"], two["run"]) == ("skipped", "overlap", history["one"], None)
    assert (one["state"], one["late_seconds"], one["run"]) == ("late", 4200.0, history["one"])
    assert (noon["state"], noon["late_seconds"], noon["local"]) == ("ran", 1.0, "2026-01-19T12:00:00+00:00")


def test_a_summary_and_a_limit_leave_the_totals_whole(typing: Typing, history: dict[str, int]) -> None:
    whole = typing("occurrences", "--summary", "--json").json
    first = typing("occurrences", "-n", "1", "--json").json

    assert whole["occurrences"] == []
    assert len(first["occurrences"]) == 1
    assert whole["count"] == first["count"] == 21
    assert "ROW" not in typing("occurrences", "--summary").out


def test_only_one_state_may_be_asked_for(typing: Typing, history: dict[str, int]) -> None:
    assert typing("occurrences", "--state", "skipped", "--json").json["count"] == 7
    assert typing("occurrences", "--state", "skipped", "--state", "late", "--json").json["count"] == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--state", "lost"), "'lost' is not one of 'due', 'ran', 'late', 'skipped', 'missed'"),
        (("--since", "soon"), "'soon' is not a time; write it as 2026-01-19T18:20:00Z"),
        (("--job", "clockwork.hourley"), "unknown job 'clockwork.hourley'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(typing: Typing, arguments: tuple[str, ...], says: str) -> None:
    told = typing("occurrences", *arguments)

    assert (told.code, told.out) == (2, "")
    assert says in told.err
    assert told.err.count("\n") == 1


def test_an_empty_history_says_so(typing: Typing) -> None:
    assert "no scheduled times are recorded" in typing("occurrences").out


# --- why ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "what", "says"),
    [
        (
            "2026-01-19T12:00:00Z",
            "noon",
            "run {noon} started 1 s after the scheduled time and ended 2026-01-19 12:01:01 UTC",
        ),
        ("2026-01-19 13:00", "one", "it ran late: run {one} started 1 h 10 min after the scheduled time"),
        ("2026-01-19 14:00", "two", "it was skipped: run {one} of the job had not ended (overlap: skip)"),
        ("2026-01-19 16:00", "three", "asha paused clockwork from"),
        ("2026-01-19 16:00", "three", "the printer is moved"),
        ("2026-01-19 23:00", "nine", "run {last}, scheduled for 2026-01-20 08:00 UTC, ran instead"),
    ],
)
def test_why_names_the_cause_and_the_row(
    typing: Typing, history: dict[str, int], at: str, what: str, says: str
) -> None:
    told = typing("why", HOURLY, "--at", at)

    assert told.code == 0
    assert says.format(**history) in told.out
    assert "a scheduled time of clockwork.hourly" in told.out
    assert "of ops_occurrences: " in told.out


def test_programs_get_the_row_that_proves_it(typing: Typing, history: dict[str, int]) -> None:
    told = typing("why", HOURLY, "--at", "2026-01-19T16:00:00Z", "--json").json
    (answer,) = told["answers"]
    first, pause = answer["rows"][:2]

    assert (answer["scheduled"], answer["state"], answer["reason"]) == (True, "skipped", "paused")
    assert (first["table"], first["row"]) == ("ops_occurrences", history["three"])
    assert (first["content"]["instants"], first["content"]["due_at"]) == (6, "2026-01-19T15:00:00Z")
    assert (pause["table"], pause["content"]["note"]) == ("ops_pauses", "the printer is moved")
    assert (told["previous"], told["next"]) == ("2026-01-19T15:00:00Z", "2026-01-19T17:00:00Z")


def test_a_time_between_two_instants_is_none_and_tells_the_nearest(typing: Typing, history: dict[str, int]) -> None:
    told = typing("why", HOURLY, "--at", "2026-01-19 12:30")

    assert "no scheduled time of clockwork.hourly" in told.out
    assert "previous: 2026-01-19 12:00:00 UTC   next: 2026-01-19 13:00:00 UTC" in told.out


def test_before_its_registration_and_beyond_its_cursor(typing: Typing, history: dict[str, int]) -> None:
    assert "the job was registered at 2026-01-19 11:00 UTC" in typing("why", HOURLY, "--at", "2026-01-19 09:00").out
    beyond = typing("why", HOURLY, "--at", "2026-01-21 09:00").out
    assert "it is not planned yet: the schedule is planned up to 2026-01-20 08:00 UTC" in beyond
    assert "no process has ever led" in beyond


def test_a_queued_run_says_what_it_waits_for(typing: Typing, place: Installation) -> None:
    register(place, HOURLY, since=NOON - HOUR, until=NOON + HOUR)
    first = queued(place, HOURLY, NOON, occurrence=record(place, HOURLY, NOON))
    queued(place, HOURLY, NOON + HOUR, occurrence=record(place, HOURLY, NOON + HOUR))

    told = typing("why", HOURLY, "--at", "2026-01-19 13:00")

    assert f"is queued and waits for run {first} of this job" in told.out


def test_clock_changes_are_explained(typing: Typing, place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSCONSOLE_JOBS__PACKS", "tests.packs.berlin")

    gap = typing("why", "berlin.nightly", "--at", "2026-03-29 02:30")
    fold = typing("why", "berlin.nightly", "--at", "2025-10-26 02:30")
    second = typing("why", "berlin.nightly", "--at", "2025-10-26T01:30:00Z", "--json").json

    assert "02:30 does not exist on 2026-03-29 in Europe/Berlin" in gap.out
    assert "2026-03-29 03:00:00 CEST (2026-03-29T01:00:00Z): a scheduled time of berlin.nightly" in gap.out
    assert "a fixed time fires only the first time" in fold.out
    assert second["answers"][0]["scheduled"] is False
    assert "occurs for the second time" in second["notes"][0]


def test_a_note_cannot_draw_on_the_screen(typing: Typing, place: Installation) -> None:
    register(place, HOURLY, since=NOON - HOUR, until=NOON)
    paused(place, "all", NOON - HOUR, NOON + HOUR, "\x1b[2Jgone")
    record(place, HOURLY, NOON, state=SKIPPED, reason=Reason.PAUSED)

    told = typing("why", HOURLY, "--at", "2026-01-19 12:00")

    assert "\\x1b[2Jgone" in told.out
    assert "\x1b" not in told.out

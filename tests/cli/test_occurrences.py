"""`occurrences` and `why`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from opsconsole.authoring.occurrence import OccurrenceState, Reason
from tests.cli.conftest import RunCli
from tests.cli.seeds import HOUR, NOON, SECOND, paused, queued, ran, record, register
from tests.installation import Installation

HOURLY = "clockwork.hourly"
SKIPPED, MISSED = OccurrenceState.SKIPPED, OccurrenceState.MISSED


@pytest.fixture
def history(installation: Installation) -> dict[str, int]:
    """12:00 ran, 13:00 was late and blocked 14:00, then came a pause and a downtime."""
    register(installation, HOURLY, since=NOON - HOUR, until=NOON + 20 * HOUR)
    noon = ran(installation, HOURLY, NOON)
    one = ran(installation, HOURLY, NOON + HOUR, late=timedelta(minutes=70))
    two = record(installation, HOURLY, NOON + 2 * HOUR, state=SKIPPED, reason=Reason.OVERLAP, blocked_by=one)
    paused(installation, "clockwork", NOON + 2 * HOUR + SECOND, NOON + 8 * HOUR + SECOND, "the printer is moved")
    three = record(installation, HOURLY, NOON + 3 * HOUR, NOON + 8 * HOUR, state=SKIPPED, reason=Reason.PAUSED)
    nine = record(
        installation,
        HOURLY,
        NOON + 9 * HOUR,
        NOON + 19 * HOUR,
        state=MISSED,
        reason=Reason.SUPERSEDED,
        at=NOON + 20 * HOUR,
    )
    last = ran(installation, HOURLY, NOON + 20 * HOUR)
    return {"noon": noon, "one": one, "two": two, "three": three, "nine": nine, "last": last}


ALL = ("--since", "2026-01-01")


def test_by_default_the_last_31_days_are_listed(cli: RunCli, history: dict[str, int]) -> None:
    assert "no scheduled times are recorded in this time; --since goes further back" in cli("occurrences").out
    assert cli("occurrences", "--until", "2026-02-01", "--summary", "--json").json["count"] == 21


# --- occurrences --------------------------------------------------------------------------------------------------


def test_rows_are_listed_newest_first_above_the_totals(cli: RunCli, history: dict[str, int]) -> None:
    result = cli("occurrences", "--job", HOURLY, *ALL)

    assert result.code == 0
    rows = result.out.splitlines()
    assert rows[1].split()[:3] == ["6", HOURLY, "2026-01-20"]
    assert f"{history['one']}" in next(line for line in rows if "overlap" in line)
    assert "2026-01-19 21:00:00 UTC to 2026-01-20 07:00:00 UTC" in result.out
    assert "1 h 10 min" in result.out
    totals = [line.split() for line in rows[rows.index("") + 2 :]]
    assert [line[1:] for line in totals] == [
        ["late", "-", "1"],
        ["missed", "superseded", "11"],
        ["ran", "-", "2"],
        ["skipped", "overlap", "1"],
        ["skipped", "paused", "6"],
    ]


def test_the_json_counts_scheduled_times_between_two_times_exactly(cli: RunCli, history: dict[str, int]) -> None:
    between = ("--since", "2026-01-19T16:30:00Z", "--until", "2026-01-20T03:00:00Z")

    result = cli("occurrences", *between, "--json").json

    # 17:00 to 20:00 were paused; 21:00 to 02:00 were missed; 03:00 is excluded.
    assert result["count"] == 4 + 6
    assert [(each["reason"], each["count"], each["exact"]) for each in result["totals"]] == [
        ("superseded", 6, True),
        ("paused", 4, True),
    ]
    assert [(row["id"], row["count"], row["row_count"]) for row in result["occurrences"]] == [
        (history["nine"], 6, 11),
        (history["three"], 4, 6),
    ]
    assert result["occurrences"][1]["due_at"] == "2026-01-19T15:00:00Z"


def test_a_row_has_its_run_lateness_and_blocking_run(cli: RunCli, history: dict[str, int]) -> None:
    result = cli("occurrences", "--job", HOURLY, "--until", "2026-01-19T14:30:00Z", "--json").json
    two, one, noon = result["occurrences"]

    assert (two["state"], two["reason"], two["blocked_by"], two["run"]) == ("skipped", "overlap", history["one"], None)
    assert (one["state"], one["late_seconds"], one["run"]) == ("late", 4200.0, history["one"])
    assert (noon["state"], noon["late_seconds"], noon["local"]) == ("ran", 1.0, "2026-01-19T12:00:00+00:00")


def test_summary_and_limit_do_not_change_the_totals(cli: RunCli, history: dict[str, int]) -> None:
    whole = cli("occurrences", *ALL, "--summary", "--json").json
    first = cli("occurrences", *ALL, "-n", "1", "--json").json

    assert whole["occurrences"] == []
    assert len(first["occurrences"]) == 1
    assert whole["count"] == first["count"] == 21
    assert "ROW" not in cli("occurrences", *ALL, "--summary").out


def test_occurrences_are_filtered_by_state(cli: RunCli, history: dict[str, int]) -> None:
    assert cli("occurrences", *ALL, "--state", "skipped", "--json").json["count"] == 7
    assert cli("occurrences", *ALL, "--state", "skipped", "--state", "late", "--json").json["count"] == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--state", "lost"), "'lost' is not one of 'due', 'ran', 'late', 'skipped', 'missed'"),
        (("--since", "soon"), "'soon' is not a time; write it as 2026-01-19T18:20:00Z"),
        (("--since", "1d", "--until", "2d"), "--since must be earlier than --until"),
        (("--job", "clockwork.hourley"), "unknown job 'clockwork.hourley'"),
    ],
)
def test_invalid_input_is_refused_in_one_line(cli: RunCli, arguments: tuple[str, ...], message: str) -> None:
    result = cli("occurrences", *arguments)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_an_empty_history_is_reported(cli: RunCli) -> None:
    assert "no scheduled times are recorded" in cli("occurrences").out


# --- why ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "what", "message"),
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
    cli: RunCli, history: dict[str, int], at: str, what: str, message: str
) -> None:
    result = cli("why", HOURLY, "--at", at)

    assert result.code == 0
    assert message.format(**history) in result.out
    assert "a scheduled time of clockwork.hourly" in result.out
    assert "of ops_occurrences: " in result.out


def test_the_json_has_the_row_that_proves_the_cause(cli: RunCli, history: dict[str, int]) -> None:
    result = cli("why", HOURLY, "--at", "2026-01-19T16:00:00Z", "--json").json
    (answer,) = result["answers"]
    first, pause = answer["rows"][:2]

    assert (answer["scheduled"], answer["state"], answer["reason"]) == (True, "skipped", "paused")
    assert (first["table"], first["row"]) == ("ops_occurrences", history["three"])
    assert (first["content"]["instants"], first["content"]["due_at"]) == (6, "2026-01-19T15:00:00Z")
    assert (pause["table"], pause["content"]["note"]) == ("ops_pauses", "the printer is moved")
    assert (result["previous"], result["next"]) == ("2026-01-19T15:00:00Z", "2026-01-19T17:00:00Z")


def test_a_time_between_two_scheduled_times_shows_both(cli: RunCli, history: dict[str, int]) -> None:
    result = cli("why", HOURLY, "--at", "2026-01-19 12:30")

    assert "no scheduled time of clockwork.hourly" in result.out
    assert "previous: 2026-01-19 12:00:00 UTC   next: 2026-01-19 13:00:00 UTC" in result.out


def test_times_before_registration_and_after_the_planned_range_are_explained(
    cli: RunCli, history: dict[str, int]
) -> None:
    assert "the job was registered at 2026-01-19 11:00 UTC" in cli("why", HOURLY, "--at", "2026-01-19 09:00").out
    beyond = cli("why", HOURLY, "--at", "2026-01-21 09:00").out
    assert "it is not planned yet: the schedule is planned up to 2026-01-20 08:00 UTC" in beyond
    assert "no process has ever led" in beyond


def test_a_queued_run_shows_what_it_waits_for(cli: RunCli, installation: Installation) -> None:
    register(installation, HOURLY, since=NOON - HOUR, until=NOON + HOUR)
    first = queued(installation, HOURLY, NOON, occurrence=record(installation, HOURLY, NOON))
    queued(installation, HOURLY, NOON + HOUR, occurrence=record(installation, HOURLY, NOON + HOUR))

    result = cli("why", HOURLY, "--at", "2026-01-19 13:00")

    assert f"is queued and waits for run {first} of this job" in result.out


def test_clock_changes_are_explained(cli: RunCli, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSCONSOLE_JOBS__PACKS", "tests.packs.berlin")

    gap = cli("why", "berlin.nightly", "--at", "2026-03-29 02:30")
    fold = cli("why", "berlin.nightly", "--at", "2025-10-26 02:30")
    second = cli("why", "berlin.nightly", "--at", "2025-10-26T01:30:00Z", "--json").json

    assert "02:30 does not exist on 2026-03-29 in Europe/Berlin" in gap.out
    assert "2026-03-29 03:00:00 CEST (2026-03-29T01:00:00Z): a scheduled time of berlin.nightly" in gap.out
    assert "a fixed time fires only the first time" in fold.out
    assert second["answers"][0]["scheduled"] is False
    assert "occurs for the second time" in second["notes"][0]


def test_control_characters_in_a_note_are_escaped(cli: RunCli, installation: Installation) -> None:
    register(installation, HOURLY, since=NOON - HOUR, until=NOON)
    paused(installation, "all", NOON - HOUR, NOON + HOUR, "\x1b[2Jgone")
    record(installation, HOURLY, NOON, state=SKIPPED, reason=Reason.PAUSED)

    result = cli("why", HOURLY, "--at", "2026-01-19 12:00")

    assert "\\x1b[2Jgone" in result.out
    assert "\x1b" not in result.out

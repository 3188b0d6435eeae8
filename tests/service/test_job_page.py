"""One job in detail, and what another schedule would do, as the service reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.core.errors import BadCron, BadWindow, BadZone, UnknownJob
from opsconsole.rules.admission import WaitReason
from opsconsole.rules.lint_warning import Rule
from opsconsole.service import job_page
from opsconsole.service.job_page import NEWEST_RUNS, JobPage
from opsconsole.store import runs
from tests import run_records
from tests.cli import seeds
from tests.cli.seeds import NOON
from tests.conftest import Installing
from tests.installation import Installation

NIGHTLY = "machine.nightly"
DAY = timedelta(days=1)


@pytest.fixture
def place(installing: Installing) -> Installation:
    return installing(database_url=None, redis_url="redis://127.0.0.1:1", packs="tests.packs.machine,tests.packs.diary")


def read(place: Installation, job: str = NIGHTLY) -> JobPage:
    with place.store.reading() as db:
        return job_page.read(db, place.catalog, job, NOON)


def test_the_next_ten_scheduled_times_follow_each_other(place: Installation) -> None:
    page = read(place)

    assert page.scheduled[0] == datetime(2026, 1, 19, 19, 0, tzinfo=UTC)
    assert page.scheduled == tuple(page.scheduled[0] + n * DAY for n in range(10))
    assert page.words == "At 00:30"


def test_the_newest_ended_runs_come_first_and_have_a_usual_duration(place: Installation) -> None:
    numbers = [seeds.ran(place, NIGHTLY, NOON - n * DAY, ok=["a"]) for n in range(3, 0, -1)]
    seeds.ran(place, "machine.books", NOON - DAY, ok=["a"])

    page = read(place)

    assert [run.id for run in page.newest] == numbers[::-1]
    assert page.usual is not None
    assert (page.usual.middle, page.usual.runs) == (60, 3)


def test_no_more_runs_are_read_than_a_chart_has_room_for(place: Installation) -> None:
    for n in range(NEWEST_RUNS + 3):
        seeds.ran(place, NIGHTLY, NOON - n * timedelta(minutes=1), scheduled=False)

    assert len(read(place).newest) == NEWEST_RUNS


def test_a_queued_run_has_what_it_waits_for(place: Installation) -> None:
    first = seeds.queued(place, "machine.books", NOON)
    with place.store.writing() as db:
        run_records.start(db, runs.get(db, first), token=1, host="web1", version="1", at=NOON)
    waiting = seeds.queued(place, NIGHTLY, NOON)

    (progress,) = read(place).open

    assert progress.run.id == waiting
    assert progress.waits is not None
    assert (progress.waits.reason, progress.waits.run) == (WaitReason.EXCLUSIVE, first)


def test_jobs_that_exclude_each_other_and_that_follow_are_named(place: Installation) -> None:
    page = read(place)

    assert page.excludes == ("machine.books",)
    assert page.followers == ("machine.report",)
    assert read(place, "machine.report").job.after == (NIGHTLY,)


def test_items_that_fail_often_are_named_with_their_number(place: Installation) -> None:
    for n in range(3):
        seeds.ran(place, NIGHTLY, NOON - n * DAY, RunState.PARTIAL, ok=["a"], failed=["b"])

    failing = read(place).failing

    assert [(each.item, each.failed) for each in failing.items] == [("b", 3)]
    assert len(failing.runs) == 3


def test_an_unknown_job_is_refused(place: Installation) -> None:
    with pytest.raises(UnknownJob):
        read(place, "machine.daily")


# --- another schedule -----------------------------------------------------------------------------------------------


def test_a_schedule_is_tried_without_a_job(place: Installation) -> None:
    trial = job_page.try_schedule(place.catalog, "*/45 * * * *", "Asia/Kolkata", None, NOON)

    assert trial.words == "At 0 and 45 minutes past the hour"
    assert trial.scheduled[0] == datetime(2026, 1, 19, 12, 15, tzinfo=UTC)
    assert [warning.rule for warning in trial.warnings] == [Rule.STEP]


def test_a_schedule_is_tried_for_a_job(place: Installation) -> None:
    """It covers the day that contains its scheduled time: early in the day there is nothing to cover yet."""
    early = job_page.try_schedule(place.catalog, "0 3 * * *", "UTC", "diary.page", NOON)
    late = job_page.try_schedule(place.catalog, "50 23 * * *", "UTC", "diary.page", NOON)

    assert [(warning.job, warning.rule) for warning in early.warnings] == [("diary.page", Rule.WINDOW)]
    assert late.warnings == ()


@pytest.mark.parametrize(
    ("cron", "tz", "error"),
    [("61 * * * *", "UTC", BadCron), ("* * *", "UTC", BadCron), ("0 0 * * *", "Mars/Olympus", BadZone)],
)
def test_a_schedule_that_cannot_be_read_is_refused(
    cron: str, tz: str, error: type[Exception], place: Installation
) -> None:
    with pytest.raises(error):
        job_page.try_schedule(place.catalog, cron, tz, None, NOON)


# --- why, without a time --------------------------------------------------------------------------------------------


def test_why_of_a_window_explains_the_scheduled_time_that_covers_it(place: Installation) -> None:
    """The job runs at half past midnight for the day before."""
    explained = place.service.queries.why_window(NIGHTLY, "2026-01-19")

    assert explained.answers[0].at == datetime(2026, 1, 19, 19, 0, tzinfo=UTC)
    assert explained.answers[0].is_scheduled


def test_why_of_a_month_takes_its_label(place: Installation) -> None:
    explained = place.service.queries.why_window("diary.month", "2028-02")

    assert explained.job == "diary.month"
    with pytest.raises(BadWindow, match="'2028' is not a window"):
        place.service.queries.why_window(NIGHTLY, "2028")


def test_why_without_a_time_explains_the_newest_scheduled_time(place: Installation) -> None:
    explained = place.service.queries.why(NIGHTLY)

    assert explained.answers[0].at == explained.answers[0].at.replace(hour=19, minute=0, second=0, microsecond=0)
    assert explained.next is not None
    assert explained.next - explained.answers[0].at == DAY

"""A pack for the cluster tests: one job for every way in which runs can block each other."""

from __future__ import annotations

from datetime import timedelta

from opsconsole import DAY, DAY_BEFORE, NONE, Job, Overlap, Pack, all_of, hours
from tests.packs.counting import SOON, everything, leave_marks, metadata


def _job(name: str, **how: object) -> Job:
    options = {"tz": "Asia/Kolkata", "batch": 2, "retry": SOON, "timeout": timedelta(days=30), **how}
    return Job(f"machine.{name}", everything, leave_marks(f"machine.{name}"), **options)  # type: ignore[arg-type]


pack = Pack(
    "machine",
    jobs=(
        _job("hourly", cron="0 * * * *"),
        _job("patient", cron="*/30 * * * *", overlap=Overlap.QUEUE),
        _job("pushy", cron="10 * * * *", overlap=Overlap.REPLACE),
        _job("forgetful", cron="15 */2 * * *", catch_up=NONE),
        _job("nightly", cron="30 0 * * *", covers=DAY_BEFORE, catch_up=all_of(newest=3), parallel=2, exclusive="books"),
        _job("books", cron="0 */3 * * *", covers=DAY, exclusive="books", priority=5),
        _job("report", cron="0 1 * * *", covers=DAY_BEFORE, after=("machine.nightly",), after_wait=hours(1)),
    ),
    metadata=metadata,
)

"""A pack for the tests of health: the jobs of `counting` with schedules and limits."""

from __future__ import annotations

from opsconsole import DAY_BEFORE, NONE, Job, Limits, Pack, all_of, hours, minutes
from tests.packs.counting import everything, leave_marks, metadata

hourly = Job(
    "judged.hourly",
    everything,
    leave_marks("judged.hourly"),
    cron="0 * * * *",
    batch=10,
    catch_up=all_of(newest=20),
    limits=Limits(max_age=hours(3), longest=minutes(10)),
    exclusive="judged",
)
twin = Job("judged.twin", everything, leave_marks("judged.twin"), cron="0 * * * *", exclusive="judged")
forgetful = Job("judged.forgetful", everything, leave_marks("judged.forgetful"), cron="15 * * * *", catch_up=NONE)
nightly = Job(
    "judged.nightly",
    everything,
    leave_marks("judged.nightly"),
    cron="30 2 * * *",
    tz="Europe/Berlin",
    covers=DAY_BEFORE,
)

pack = Pack("judged", jobs=(hourly, twin, forgetful, nightly), metadata=metadata)

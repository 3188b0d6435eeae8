"""A pack for the tests of the schedule: the jobs of `counting` with their own schedules."""

from __future__ import annotations

from opsconsole import DAY_BEFORE, NONE, Job, Overlap, Pack, all_of, minutes
from tests.packs.counting import everything, leave_marks, metadata

hourly = Job("clockwork.hourly", everything, leave_marks("clockwork.hourly"), cron="0 * * * *")
patient = Job(
    "clockwork.patient", everything, leave_marks("clockwork.patient"), cron="0 * * * *", overlap=Overlap.QUEUE
)
forgetful = Job("clockwork.forgetful", everything, leave_marks("clockwork.forgetful"), cron="15 * * * *", catch_up=NONE)
nightly = Job(
    "clockwork.nightly",
    everything,
    leave_marks("clockwork.nightly"),
    cron="30 0 * * *",
    tz="Asia/Kolkata",
    covers=DAY_BEFORE,
    catch_up=all_of(newest=2),
    priority=5,
)
spread = Job(
    "clockwork.spread", everything, leave_marks("clockwork.spread"), cron="0 * * * *", jitter=minutes(20), catch_up=NONE
)

pack = Pack("clockwork", jobs=(hourly, patient, forgetful, nightly, spread), metadata=metadata)

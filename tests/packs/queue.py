"""A pack for the tests of admission: jobs that wait for, exclude or replace each other."""

from __future__ import annotations

from datetime import timedelta

from opsconsole import DAY, Job, Overlap, Pack
from tests.packs.counting import NEVER, everything, leave_marks, metadata

first = Job("queue.first", everything, leave_marks("queue.first"), cron=NEVER, covers=DAY, batch=1)
second = Job(
    "queue.second", everything, leave_marks("queue.second"), cron=NEVER, covers=DAY, after=("queue.first",), batch=1
)
hasty = Job(
    "queue.hasty",
    everything,
    leave_marks("queue.hasty"),
    cron=NEVER,
    covers=DAY,
    after=("queue.first",),
    after_wait=timedelta(seconds=1),
)
left = Job("queue.left", everything, leave_marks("queue.left"), cron=NEVER, covers=DAY, exclusive="ledger", batch=1)
right = Job("queue.right", everything, leave_marks("queue.right"), cron=NEVER, covers=DAY, exclusive="ledger", batch=1)
newest = Job(
    "queue.newest", everything, leave_marks("queue.newest"), cron="0 * * * *", overlap=Overlap.REPLACE, batch=1
)

pack = Pack("queue", jobs=(first, second, hasty, left, right, newest), metadata=metadata)

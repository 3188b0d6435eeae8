"""A pack of manual jobs: no schedule, started only by an operator."""

from __future__ import annotations

from opsconsole import DAY, Job, Pack
from tests.packs.counting import everything, leave_marks, metadata

tidy = Job("manual.tidy", everything, leave_marks("manual.tidy"), cron=None)
close = Job("manual.close", everything, leave_marks("manual.close"), cron=None, tz="Asia/Kolkata", covers=DAY)

pack = Pack("manual", jobs=(tidy, close), metadata=metadata)

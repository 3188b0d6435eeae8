"""A pack for the tests of clock changes: a job in the hour that Berlin leaves out and repeats."""

from __future__ import annotations

from opsconsole import Job, Pack
from tests.packs.counting import names, pass_over

nightly = Job("berlin.nightly", names, pass_over, cron="30 2 * * *", tz="Europe/Berlin")
pack = Pack("berlin", jobs=(nightly,))

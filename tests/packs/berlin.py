"""A pack for tests of clock changes: a job in the hour that Berlin skips in spring and repeats in autumn."""

from __future__ import annotations

from opsconsole import Job, Pack
from tests.packs.counting import do_nothing, names

nightly = Job("berlin.nightly", names, do_nothing, cron="30 2 * * *", tz="Europe/Berlin")
pack = Pack("berlin", jobs=(nightly,))

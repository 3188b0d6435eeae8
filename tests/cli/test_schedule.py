"""`schedule`, and what shows a changed one."""

from __future__ import annotations

from tests.cli.conftest import RunCli


def test_a_schedule_is_changed_shown_and_reset(cli: RunCli) -> None:
    changed = cli("schedule", "clockwork.hourly", "--cron", "30 4 * * *", "--tz", "Europe/Berlin", "--note", "late")
    following = cli("next", "clockwork.hourly", "-n", "1")
    (job,) = [each for each in cli("jobs", "--json").json if each["job"] == "clockwork.hourly"]

    assert (changed.code, changed.out) == (
        0,
        "the schedule of clockwork.hourly is '30 4 * * *' (Europe/Berlin) from now on\n",
    )
    assert following.out.startswith("At 04:30 (Europe/Berlin)\n")
    assert (job["cron"], job["schedule"]) == ("30 4 * * *", "At 04:30 (changed)")
    assert "(late); reset it to '0 * * * *' (UTC)" in job["changed"]
    assert "30 4 * * *" in cli("audit", "-n", "1", "--json").out

    assert cli("schedule", "clockwork.hourly", "--reset").code == 0
    assert cli("schedule", "clockwork.hourly", "--reset").code == 4
    assert cli("schedule", "clockwork.hourly", "--cron", "0 0 30 2 *").code == 2
    assert cli("schedule", "clockwork.hourly").code == 2

"""`failures`."""

from __future__ import annotations

from tests.cli.conftest import RunCli
from tests.cli.seeds import HOUR, NOON, ran
from tests.installation import Installation

JOB = "counting.count"


def test_it_lists_who_failed_in_how_many_of_the_last_runs(cli: RunCli, installation: Installation) -> None:
    assert cli("failures", JOB).out == f"{JOB} has no runs yet\n"
    ran(installation, JOB, NOON, ok=["asha", "ben"])
    assert cli("failures", JOB).out == f"no item failed in the last 1 run of {JOB}\n"
    ran(installation, JOB, NOON + HOUR, ok=["asha"], failed=["ben", "\x1b[2J"])
    last = ran(installation, JOB, NOON + 2 * HOUR, ok=["asha"], failed=["ben"])

    table = cli("failures", JOB, "-n", "1")
    document = cli("failures", JOB, "--json").json

    assert [line.split() for line in table.out.splitlines()] == [
        ["ITEM", "FAILED", "RATE", "LAST", "RUN", "MESSAGE"],
        ["ben", "2", "of", "3", "66.7", "%", str(last)],
        ["1", "more", "failed", "in", "the", "last", "3", "runs;", "-n", "lists", "more"],
    ]
    assert document == {
        "job": JOB,
        "runs": [last, last - 1, last - 2],
        "total": 2,
        "items": [
            {"item": "ben", "failed": 2, "rate": 2 / 3, "last_run": last, "message": None},
            {"item": "\x1b[2J", "failed": 1, "rate": 1 / 3, "last_run": last - 1, "message": None},
        ],
    }
    assert cli("failures", JOB, "--least", "2", "--json").json["total"] == 1
    assert "\x1b" not in cli("failures", JOB).out


def test_wrong_arguments_are_refused(cli: RunCli) -> None:
    for arguments in (["no.such_job"], [JOB, "--runs", "0"], [JOB, "--runs", "101"], [JOB, "-n", "0"], []):
        assert cli("failures", *arguments).code == 2, arguments

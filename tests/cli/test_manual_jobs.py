"""Manual jobs on the command line: no schedule, and runs only by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import RunCli

RUNS_BY_HAND = "manual.tidy has no schedule; it runs only by hand: `opsconsole run manual.tidy`\n"


@pytest.fixture(autouse=True)
def _manual(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSCONSOLE_JOBS__PACKS", "tests.packs.manual,tests.packs.counting")


def test_next_of_a_manual_job_is_one_sentence(cli: RunCli) -> None:
    listed, document = cli("next", "manual.tidy"), cli("next", "manual.tidy", "--json")

    assert (listed.code, listed.out, listed.err) == (0, RUNS_BY_HAND, "")
    assert (document.code, document.json) == (0, [])


def test_jobs_shows_a_manual_job(cli: RunCli) -> None:
    (tidy,) = [job for job in cli("jobs", "--json").json if job["job"] == "manual.tidy"]
    (line,) = [line for line in cli("jobs").out.splitlines() if line.startswith("manual.tidy")]

    assert (tidy["cron"], tidy["schedule"], tidy["next_at"]) == (None, "manual", None)
    assert line.split()[:3] == ["manual.tidy", "manual", "UTC"]


def test_lint_does_not_warn_about_a_manual_job(cli: RunCli) -> None:
    assert [warning for warning in cli("lint", "--json").json if warning["job"].startswith("manual.")] == []


def test_why_explains_that_a_manual_job_has_no_schedule(cli: RunCli) -> None:
    explained = cli("why", "manual.close", "--at", "2026-01-19 23:50")
    document = cli("why", "manual.close", "--at", "2026-01-19 23:50", "--json").json

    assert explained.code == 0
    assert "the job has no schedule; it runs only when an operator starts it" in explained.out
    assert (document["cron"], document["tz"]) == (None, "Asia/Kolkata")
    assert (document["previous"], document["next"]) == (None, None)
    assert document["answers"][0]["utc"] == "2026-01-19T18:20:00Z"


def test_why_without_a_time_explains_now_for_a_manual_job(cli: RunCli) -> None:
    explained = cli("why", "manual.close")

    assert explained.code == 0
    assert "the job has no schedule; it runs only when an operator starts it" in explained.out


def test_why_takes_a_time_or_a_window(cli: RunCli) -> None:
    refused = cli("why", "manual.close", "--at", "23:50", "--window", "2026-01-19")

    assert refused.code == 2
    assert "give --at or --window, not both" in refused.err


def test_a_date_that_the_zone_skipped_is_no_window(cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "apia.toml"
    file.write_text('[jobs."manual.close"]\ntz = "Pacific/Apia"\n')

    explained = cli("--config", str(file), "why", "manual.close", "--window", "2011-12-30")
    started = cli("--config", str(file), "run", "manual.close", "--date", "2011-12-30")

    sentence = "2011-12-30 does not exist in Pacific/Apia, which skipped it; choose another date"
    assert (explained.code, explained.out, explained.err) == (2, "", f"opsconsole: {sentence}\n")
    assert (started.code, sentence in started.err) == (2, True)

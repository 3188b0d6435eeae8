"""Errors in what was typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import RunCli

LINES = ["[count] 3 items in 1 batches", "[count] \x1b[2Jwiped", "[count] succeeded"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pause",), "Missing argument 'JOB|PACK|all'. See `"),
        (("backfill", "plan", "clockwork.hourly"), "Missing option '--from'. See `"),
        (("show", "soon"), "'soon' is not a valid integer. See `"),
        (("cancel", ""), "an empty filter matches every run; give a run's number or a filter. See `"),
        (("retry", " ", "", "--yes"), "an empty filter matches every run"),
        (("retry", "--job", "", "--state", "failed", "--yes"), "unknown job ''"),
        (("runs", "--job", ""), "unknown job ''"),
        (("nonsense",), "No such command 'nonsense'. See `"),
        (("pause", "clockwork.hourly", "--for", "2h", "--for", "3h"), "--for is given 2 times; give it once. See `"),
        (("--config", "a.toml", "--config", "b.toml", "jobs"), "--config is given 2 times; give it once. See `"),
        (("run", "clockwork.hourly", "--date", "2026-01-01", "--date=2026-01-02"), "--date is given 2 times"),
    ],
)
def test_a_usage_error_is_one_line(cli: RunCli, arguments: tuple[str, ...], message: str) -> None:
    result = cli(*arguments)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("opsconsole: ")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_problems_of_the_configuration_and_of_the_jobs_are_listed_in_one_round(tmp_path: Path) -> None:
    file = tmp_path / "opsconsole.toml"
    file.write_text(
        '[engine]\nexecutor = "threads"\n[http]\nbind = 5\n'
        '[jobs]\npacks = ["jobs.attempts", "no.such.pack"]\n[jobs."attempts.cache_day"]\ncron = "61 * * * *"\n'
    )

    checked = opsconsole("--config", str(file), "check", folder=tmp_path)

    lines = checked.stderr.splitlines()
    assert checked.returncode == 78
    parts = ["engine.executor", "http.bind", "no.such.pack", "61 * * * *"]
    assert [part for part in parts if part not in checked.stderr] == []
    assert all(line.startswith("opsconsole: ") for line in lines)


@pytest.mark.parametrize("section", ["store", "data"])
def test_a_database_in_memory_is_a_problem_of_the_configuration(
    cli: RunCli, monkeypatch: pytest.MonkeyPatch, section: str
) -> None:
    monkeypatch.setenv(f"OPSCONSOLE_{section.upper()}__URL", "sqlite:///:memory:")

    result = cli("runs")

    sentence = "is an SQLite database in memory, which no other process can open; name a file instead"
    assert (result.code, result.out) == (78, "")
    assert result.err.startswith("opsconsole: ")
    assert f"{section}.url {sentence}" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_failure(tmp_path: Path, closed: str) -> None:
    program = f"{sys.executable} -m opsconsole next '0 3 * * *' {closed}"

    ended = subprocess.run(["sh", "-c", program], capture_output=True, text=True, env=ENVIRON | {"HOME": str(tmp_path)})

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_latin_1_terminal_gets_escapes_instead_of_a_failure(tmp_path: Path) -> None:
    checked = opsconsole("check", folder=tmp_path, PYTHONIOENCODING="latin-1", LC_ALL="C")

    assert "UnicodeEncodeError" not in checked.stderr
    assert "no problems" in checked.stdout


ENVIRON = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}


def opsconsole(*arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opsconsole", *arguments]
    env = ENVIRON | {"HOME": str(folder), **environ}
    return subprocess.run(command, capture_output=True, encoding="latin-1", cwd=folder, env=env)

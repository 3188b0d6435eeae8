"""What headless logs about tables that other programs made."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from jobs.attempts.tables import topics
from opsconsole.cli import table_check
from opsconsole.cli.table_check import start_table_check
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import PATIENCE_SECONDS, eventually

MISSING = "data: column users.grade is missing; add it, opsconsole does not alter tables"


@pytest.fixture
def place(installing: Installing, database_url: str) -> Installation:
    """An installation whose tables lack a column."""
    made = installing(database_url=database_url, redis_url="unix:///nowhere/redis.sock", packs="jobs.attempts")
    with made.data.writing() as db:
        db.execute(text("ALTER TABLE users DROP COLUMN grade"))
    return made


def test_the_differences_of_check_are_logged_as_warnings_once(
    place: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    start_table_check(place.settings, place.catalog).join(PATIENCE_SECONDS)

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [MISSING]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_reading_a_large_file_stops_in_time(
    place: Installation, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "opsconsole")
    monkeypatch.setattr(table_check, "MAX_SECONDS", 0.0)
    rows = [{"id": f"t{number}", "name": "t", "subject_id": "s"} for number in range(20_000)]
    with place.data.writing() as db:
        db.execute(topics.insert(), rows)

    start_table_check(place.settings, place.catalog).join(PATIENCE_SECONDS)

    assert "were not compared to the end, run `opsconsole check`: interrupted" in caplog.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_headless_leads_and_logs_them(place: Installation, tmp_path: Path) -> None:
    log = tmp_path / "headless.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "opsconsole", "headless"], env=os.environ | place.environ, stdout=output
        )
    try:
        eventually(lambda: "leading with token" in log.read_text(), "it leads")
        eventually(lambda: MISSING in log.read_text(), "it has compared the tables")
    finally:
        process.terminate()
        code = process.wait(PATIENCE_SECONDS)

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert code == 143
    assert [line["level"] for line in lines if line["message"] == MISSING] == ["warning"]

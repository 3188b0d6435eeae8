"""The process's log as JSON lines."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from opsconsole.cli.log_setup import JournalFormatter, JsonFormatter, is_journal


def formatted(message: str, **fields: object) -> dict[str, object]:
    record = logging.LogRecord("opsconsole.leader", logging.INFO, __file__, 1, message, (), None)
    record.__dict__.update(fields)
    line: dict[str, object] = json.loads(JsonFormatter().format(record))
    assert line.pop("at")
    return line


def test_what_a_line_is_about_is_in_fields_of_its_own() -> None:
    common = {"level": "info", "logger": "opsconsole.leader", "message": "done"}

    assert formatted("done") == common
    assert formatted("done", seal="4:ab") == common | {"seal": "4:ab"}
    about = {"tag": "[Cron]", "job": "exams.generate", "run": 7}
    assert formatted("done", unrelated=1, **about) == common | about
    change = {"alert": 7, "rule": "late", "subject": "a.b", "severity": "critical", "event": "fired", "job": None}
    assert formatted("done", **change) == common | change


@pytest.mark.parametrize(
    ("level", "start"),
    [(logging.DEBUG, "<7>{"), (logging.INFO, "<6>{"), (logging.WARNING, "<4>{"), (logging.ERROR, "<3>{"), (50, "<2>{")],
)
def test_lines_for_the_journal_begin_with_their_priority(level: int, start: str) -> None:
    record = logging.LogRecord("opsconsole.leader", level, __file__, 1, "two\nlines", (), None)

    line = JournalFormatter().format(record)

    assert line.startswith(start)
    assert json.loads(line[3:])["message"] == "two\\x0alines"


def test_the_journal_is_recognised_by_the_stream_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "file").open("w") as file:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")

        assert is_journal(journal)
        assert not is_journal(file)

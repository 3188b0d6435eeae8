"""The process's log as JSON lines."""

from __future__ import annotations

import json
import logging

from opsconsole.cli.log_setup import JsonFormatter


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

"""Where the program's log goes: a file, or JSON lines on standard output."""

from __future__ import annotations

import copy
import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

import msgspec

from opsconsole.core.error_reports import report_error
from opsconsole.core.settings import environment
from opsconsole.core.text import printable, printable_json, safe

MAX_MESSAGE = 4000
LOG_BYTES, LOG_FILES = 1_000_000, 3
FIELDS = ("tag", "job", "run", "seal", "alert", "rule", "subject", "severity", "event")
"""What a line is about: a run of a job, a seal of the audit trail, or a change of an alert."""


PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.NOTSET: 7}
"""The priorities of syslog, by the least level."""


class JsonFormatter(logging.Formatter):
    """Log records as JSON, one per line."""

    def format(self, record: logging.LogRecord) -> str:
        """`{"at", "level", "logger", "message"}`, with the fields of lines about runs, alerts and the audit trail."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": safe(record.getMessage(), MAX_MESSAGE),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        return printable_json(msgspec.json.encode(line).decode())


class JournalFormatter(JsonFormatter):
    """The same for systemd's journal, which reads the priority at the start of a line and removes it."""

    def format(self, record: logging.LogRecord) -> str:
        """`<4>{"at", "level", ...}` for a warning."""
        priority = next(value for level, value in PRIORITIES.items() if record.levelno >= level)
        return f"<{priority}>{super().format(record)}"


class TextFormatter(logging.Formatter):
    """Log records as text that can be looked at on a terminal, one per line, with the traceback of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, which a message cannot end early, and the traceback."""
        record = copy.copy(record)
        record.msg, record.args = safe(record.getMessage(), MAX_MESSAGE), None
        return printable(super().format(record))


class ErrorHandler(logging.Handler):
    """Reports the exceptions that are logged as errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        """Reports the exception of a record, if it has one."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            report_error(record.name, error)


def log_to_stdout() -> None:
    """Sends the program's log to standard output alone, as JSON lines; with their priorities if that is the journal."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JournalFormatter() if is_journal(sys.stdout) else JsonFormatter())
    log_to(handler)


def is_journal(stream: TextIO) -> bool:
    """Whether a stream leads to the journal of systemd, which names it by device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment().get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def log_to_file(folder: Path) -> None:
    """Sends the program's log to a file in `folder` alone, so that nothing of it reaches the terminal."""
    handler = RotatingFileHandler(folder / "opsconsole.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    handler.setFormatter(TextFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    log_to(handler)


def log_to(handler: logging.Handler) -> None:
    """Sends the program's log to `handler` alone, with the exceptions that end a thread."""
    from opsconsole.core.supervision import log_unexpected_ends  # loads SQLAlchemy, which `--help` does without

    log_unexpected_ends()
    root = logging.getLogger()
    root.handlers[:] = [handler, ErrorHandler()]
    root.setLevel(logging.WARNING)
    logging.getLogger("opsconsole").setLevel(logging.INFO)
    # A log that cannot be written must not stop a run.
    logging.raiseExceptions = False

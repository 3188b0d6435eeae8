"""What Sentry receives of errors and failed runs, and what it never receives."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from opsconsole.cli.log_setup import ErrorHandler
from opsconsole.core import clock, error_reports, redaction
from opsconsole.core.channels import sentry_warnings
from opsconsole.core.settings import Secret
from opsconsole.core.supervision import Repeated
from tests.conftest import Installing
from tests.packs import counting
from tests.receivers import HttpReceiver, http_receiver
from tests.services import free_port
from tests.waiting import eventually

SECRET = "canary7-canary7"
ITEM = "asha"


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    """A project of a Sentry server, to which this process reports."""
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)
    redaction.remember([SECRET])
    with http_receiver() as receiver:
        error_reports.configure(dsn(receiver.port), "production", "here")
        yield receiver
        error_reports.configure(None, "", "")


def dsn(port: int) -> Secret:
    return Secret(f"http://3e1f0c@127.0.0.1:{port}/42")


def events(receiver: HttpReceiver) -> list[dict[str, Any]]:
    """The events in the envelopes that arrived: lines of JSON, each after one that has its type."""
    found = []
    for path, body in receiver.requests:
        assert path == "/api/42/envelope/"
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        lines = [msgspec.json.decode(line) for line in plain.splitlines() if line]
        found += [item for header, item in pairwise(lines) if header.get("type") == "event"]
    return found


def received(receiver: HttpReceiver) -> dict[str, Any]:
    eventually(lambda: bool(events(receiver)), "the event")
    [event] = events(receiver)
    return event


def fail(item: str) -> None:
    password = SECRET  # a variable, whose value no report has
    try:
        raise IntegrityError("INSERT INTO people VALUES (:name)", {"name": item}, ValueError(f"{item} {password}"))
    except IntegrityError as error:
        raise RuntimeError(f"cannot save with {password}") from error


def test_an_uncaught_error_of_a_loop_is_reported_without_values(sentry: HttpReceiver) -> None:
    Repeated("schedule", now=clock.now).attempt(lambda: fail(ITEM))

    event = received(sentry)

    cause, error = event["exception"]["values"][-2:]
    assert (error["type"], error["value"]) == ("RuntimeError", "cannot save with ***")
    assert (cause["type"], cause["value"]) == ("IntegrityError", "(see the log)")
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    assert (event["environment"], event["server_name"], event["tags"]["where"]) == ("production", "here", "schedule")
    assert event["release"].startswith("opsconsole@")
    text = str(event)
    assert "asha" not in text
    assert SECRET not in text
    assert "vars" not in error["stacktrace"]["frames"][-1]


def test_an_exception_that_is_logged_is_reported(sentry: HttpReceiver) -> None:
    log = logging.Logger("http")
    log.addHandler(ErrorHandler())
    try:
        fail("asha")
    except RuntimeError:
        log.exception("GET / failed")

    assert received(sentry)["tags"]["where"] == "http"


def test_an_expected_failure_is_not_reported(sentry: HttpReceiver) -> None:
    def unreachable() -> None:
        raise error_of_a_service

    from opsconsole.core.errors import Unavailable

    error_of_a_service = Unavailable("redis", "connection refused")
    Repeated("schedule", now=clock.now).attempt(unreachable)
    Repeated("commands", now=clock.now).attempt(lambda: fail(ITEM))

    assert received(sentry)["tags"]["where"] == "commands"


def test_a_failed_run_is_reported_with_counts_and_kinds(
    sentry: HttpReceiver, tmp_path: Path, installing: Installing
) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'shared.db'}",
        redis_url="unix:///nowhere/redis.sock",
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(place.data, {"asha": "raises", "ben": "fine"})
    run = place.run("counting.count", "2025-01-19")

    event = received(sentry)

    assert event["message"] == "counting.count partial (2025-01-19): 1 of 2 items failed"
    assert event["level"] == "warning"
    assert event["tags"] == {"job": "counting.count", "window": "2025-01-19", "state": "partial", "trigger": "hand"}
    facts = event["contexts"]["run"]
    assert (facts["run"], facts["failed"], facts["kinds"]) == (run.id, 1, dict(run.kinds))
    assert "asha" not in str(event)


def test_a_server_that_is_down_or_refuses_changes_nothing(sentry: HttpReceiver) -> None:
    error_reports.configure(dsn(free_port()), "", "here")
    for _ in range(3):
        Repeated("schedule", now=clock.now).attempt(lambda: fail(ITEM))


def test_nothing_is_imported_or_sent_without_a_dsn(sentry: HttpReceiver) -> None:
    error_reports.configure(None, "", "")
    Repeated("schedule", now=clock.now).attempt(lambda: fail(ITEM))

    assert sentry.requests == []


def test_a_dsn_without_the_sdk_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert list(sentry_warnings(None)) == []
    [sentence] = sentry_warnings(dsn(1))
    assert "pip install 'opsconsole[sentry]'" in sentence

"""A school with a local server that makes its exams, on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from opsconsole import Retry
from tests.jobs.exams.claude import KEY, ClaudeServer, Script, claude_server
from tests.jobs.exams.fixtures import School


@pytest.fixture
def claude(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClaudeServer]:
    """A server with short questions, which the SDK finds, and whose silence is not waited out for minutes."""
    with claude_server(Script(size=400)) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


@pytest.fixture(autouse=True)
def _nobody_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def school(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    """Nobody is there yet. After a call without an answer the next one comes at once."""
    monkeypatch.setattr("jobs.exams.generation.BACKOFF", Retry(first=timedelta(0)))
    made = School(database_url)
    yield made
    made.close()

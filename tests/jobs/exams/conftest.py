"""A local API server and a fixture on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from opsconsole import Retry
from tests.jobs.exams.claude import KEY, ClaudeServer, Script, claude_server
from tests.jobs.exams.fixtures import ExamsFixture


@pytest.fixture
def claude(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClaudeServer]:
    """A local API server with short questions, configured in the environment."""
    with claude_server(Script(size=400)) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


@pytest.fixture(autouse=True)
def _without_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fixture(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExamsFixture]:
    """An empty fixture. Failed calls are retried without backoff."""
    monkeypatch.setattr("jobs.exams.generation.BACKOFF", Retry(first=timedelta(0)))
    made = ExamsFixture(database_url)
    yield made
    made.close()

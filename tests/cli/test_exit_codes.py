"""Every command names the true cause with the right exit code when a dependency is unreachable or unusable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from sqlalchemy import text

from opsconsole.cli import cli as root
from opsconsole.core import database
from tests.cli.conftest import RunCli
from tests.installation import Installation

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
JOB = "counting.count"

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "ack": ("1",),
    "alerts": (),
    "alerts handover": (),
    "alerts report": (),
    "alerts show": ("1",),
    "audit": (),
    "audit seal": (),
    "audit verify": (),
    "backfill apply": ("1", "--yes"),
    "backfill cancel": ("1",),
    "backfill list": (),
    "backfill pause": ("1",),
    "backfill plan": (JOB, "--from", "2025-01-01", "--to", "2025-01-02"),
    "backfill resume": ("1",),
    "backfill run": (JOB, "--from", "2025-01-01", "--to", "2025-01-02", "--yes"),
    "backfill show": ("1",),
    "backfill windows": (JOB,),
    "cache cancel": ("1",),
    "cache clear": ("--user", "anna", "--yes"),
    "cache families": (),
    "cache invalidate": ("--user", "anna"),
    "cache show": ("date:user:2026-01-19:anna",),
    "cache stats": (),
    "cancel": ("1",),
    "check": (),
    "events failed": (),
    "events replay": ("--since", "2h", "--yes"),
    "failures": (JOB,),
    "headless": ("--no-standby",),
    "health": (),
    "jobs": (),
    "lint": (),
    "logs": ("1",),
    "migrate": (),
    "next": (JOB,),
    "occurrences": (),
    "panels": (),
    "pause": (JOB,),
    "resume": (JOB,),
    "retry": ("1",),
    "run": (JOB,),
    "runs": (),
    "schedule": (JOB, "--cron", "0 4 * * *"),
    "show": ("1",),
    "silence": (JOB,),
    "tables": (),
    "tail": (),
    "unack": ("1",),
    "unsilence": (JOB,),
    "why": (JOB, "--at", "12:00"),
}
OTHERS = {"completion", "demo", "mcp", "notify-test", "serve", "worker"}
"""The commands that are not in the table: they use no store, or one of their own."""
WITHOUT_STORE = {"lint": (1, ""), "next": (0, "schedules that were changed by operators are not considered: ")}
"""Commands that do without a store, with their exit codes, as `lint` has warnings, and what they note about it."""
STORE_AWAY = "the store is unreachable"


def commands(group: click.Group, *above: str) -> Iterator[str]:
    """The names of all commands."""
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        if isinstance(found, click.Group):
            yield from commands(found, *above, name)
        if found is not None and (not isinstance(found, click.Group) or found.invoke_without_command):
            yield " ".join((*above, name))


def test_every_command_is_in_the_table() -> None:
    assert sorted({*commands(root)} - OTHERS) == sorted(ARGUMENTS)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_a_command_without_its_store_says_so(
    name: str, cli: RunCli, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)

    result = cli(*name.split(), *ARGUMENTS[name])

    if name in WITHOUT_STORE:
        code, note = WITHOUT_STORE[name]
        assert result.code == code
        assert result.err.startswith(note)
        assert bool(result.err) is bool(note)
    elif name == "check":
        assert result.code == 78
        assert "store postgresql" in result.out
    elif name == "health":
        assert (result.code, STORE_AWAY in result.out) == (3, True), result.out
    else:
        assert (result.code, STORE_AWAY in result.err) == (1, True), result.err
        assert "check store.url" in result.err


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_a_command_refuses_the_store_of_a_newer_version(name: str, cli: RunCli, installation: Installation) -> None:
    with installation.store.writing() as db:
        db.execute(text("UPDATE ops_schema_version SET version_num = '9999'"))

    result = cli(*name.split(), *ARGUMENTS[name])

    if name in WITHOUT_STORE:
        code, note = WITHOUT_STORE[name]
        assert result.code == code
        assert result.err.startswith(note)
        assert bool(result.err) is bool(note)
    else:
        assert result.code == (3 if name == "health" else 78)
        assert "newer than this program's" in result.err + result.out


@pytest.mark.parametrize(
    "words",
    [
        ("run", JOB, "--dry-run"),
        ("events", "replay", "--since", "2h", "--yes"),
    ],
    ids=["run", "events"],
)
def test_a_command_without_its_data_says_so(
    words: tuple[str, ...], cli: RunCli, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSCONSOLE_STORE__URL", installation.environ["DATABASE_URL"])
    monkeypatch.setenv("DATABASE_URL", NOWHERE)

    result = cli(*words)

    assert result.code == 1
    assert "the data database is unreachable" in result.err


@pytest.mark.parametrize(
    "words", [("cache", "stats"), ("cache", "families", "--count"), ("cache", "clear", "--user", "a", "--yes")]
)
def test_a_command_without_redis_says_so(words: tuple[str, ...], cli: RunCli) -> None:
    result = cli(*words)

    assert result.code == 1
    assert "Redis is unreachable" in result.err
    assert "check redis.url" in result.err


@pytest.fixture
def locked(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another program holds the write lock of the store."""
    monkeypatch.setattr(database, "SQLITE_BUSY_SECONDS", 0.1)
    file = Path(installation.environ["DATABASE_URL"].removeprefix("sqlite:///"))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("words", [("pause", JOB), ("run", JOB)])
def test_a_command_that_cannot_write_says_why(words: tuple[str, ...], cli: RunCli) -> None:
    result = cli(*words)

    assert result.code == 1
    assert "database is locked" in result.err


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("words", [("jobs",), ("runs",), ("why", JOB, "--at", "12:00")])
def test_a_command_that_only_reads_needs_no_lock(words: tuple[str, ...], cli: RunCli) -> None:
    assert cli(*words).code == 0

"""Shared by the short campaigns among the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

import pytest

from tests.services import PrivatePostgres

SEED = int(os.environ.get("CHAOS_SEED", "20260119"))
"""`CHAOS_SEED=7 make test ARGS=tests/faults` is another campaign."""
on_both = pytest.mark.parametrize("database", ["sqlite", "postgresql"])
mostly_on_sqlite = pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)])


def databases(request: pytest.FixtureRequest, database: str) -> Callable[[], str] | None:
    """A function that creates empty databases of that kind; None for SQLite, where a file is enough."""
    if database == "sqlite":
        return None
    server: PrivatePostgres = request.getfixturevalue("_shared_postgres")
    return server.new_database


def show(capsys: pytest.CaptureFixture[str], lines: Iterable[str]) -> None:
    """Prints a report, also when the test passes."""
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")

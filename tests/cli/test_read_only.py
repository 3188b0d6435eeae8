"""`--read-only` and `--observe`: nothing is changed, and this process never leads."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from opsconsole.core.errors import Exit
from opsconsole.store import tables
from tests.cli.conftest import RunCli
from tests.installation import Installation

CHANGES = [
    ("run", "counting.daily"),
    ("run", "counting.daily", "--wait"),
    ("retry", "1"),
    ("cancel", "1", "--note", "x", "--yes"),
    ("pause", "counting.daily"),
    ("resume", "all"),
    ("migrate",),
    ("migrate", "--data"),
    ("events", "replay", "--since", "1h", "--yes"),
    ("backfill", "plan", "counting.daily", "--from", "2026-01-01", "--to", "2026-01-02"),
    ("backfill", "run", "counting.daily", "--from", "2026-01-01", "--to", "2026-01-02", "--yes"),
    ("backfill", "apply", "1", "--yes"),
    ("backfill", "pause", "1", "--note", "x"),
    ("backfill", "resume", "1"),
    ("backfill", "cancel", "1", "--note", "x", "--yes"),
]


RECORDS = ("ops_commands", "ops_audit")
"""A refused request is recorded, too."""


def rows(installation: Installation) -> dict[str, list[object]]:
    with installation.store.reading() as db:
        return {
            table.name: list(db.execute(select(table)))
            for table in tables.metadata.sorted_tables
            if table.name not in RECORDS
        }


@pytest.mark.parametrize("command", CHANGES, ids=" ".join)
def test_a_viewer_changes_nothing(cli: RunCli, installation: Installation, command: tuple[str, ...]) -> None:
    before = rows(installation)

    result = cli("--read-only", *command)

    assert result.code in (Exit.NOT_ALLOWED, Exit.USAGE, Exit.REFUSED), result
    assert result.err.count("\n") == 1
    assert rows(installation) == before


@pytest.mark.parametrize("option", ["--read-only", "--observe"])
def test_headless_refuses_to_run_without_anything_to_do(cli: RunCli, installation: Installation, option: str) -> None:
    result = cli(option, "headless")

    assert result.code == 2
    assert result.err == (
        "opsconsole: headless does not lead with --observe or --read-only; add --http to serve the API\n"
    )
    assert rows(installation)["ops_lease"] == []

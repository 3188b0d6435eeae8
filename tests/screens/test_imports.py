"""What the console loads before its first frame: little, as every millisecond of it is one of an empty terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATER = ("alembic", "apscheduler", "psycopg", "redis", "sqlalchemy", "sentry_sdk", "apprise", "httpx", "jobs")


@pytest.mark.parametrize("module", ["opsconsole.cli.console", "screens.app"])
def test_the_first_frame_needs_neither_database_nor_redis(module: str) -> None:
    loads = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}} & set(sys.argv)))"

    loaded = subprocess.run([sys.executable, "-c", loads, *LATER], capture_output=True, text=True, check=True)

    assert loaded.stdout.split() == []

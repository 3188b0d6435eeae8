"""Backup and restore of an installation, on each kind of database."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import backup as script
from opsconsole.authoring.run import RunState
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting
from tests.services import PrivatePostgres, find_postgres

DAY = "2026-01-19"
REFUSED = 4

Install = Callable[[str], Installation]


@pytest.fixture
def install(installing: Installing, redis_url: str) -> Install:
    """Makes an installation with its store and data in one database."""
    inline = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    return lambda url: installing(database_url=url, redis_url=redis_url, packs="tests.packs.counting", environ=inline)


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> str:
    """A database without anything in it, of the same kind."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'restored' / 'ops.db'}"
    server: PrivatePostgres = request.getfixturevalue("postgres_server")
    return server.new_database()


@dataclass(frozen=True)
class Done:
    """The exit code of the script, and what it printed on standard error."""

    code: int
    err: str


Backup = Callable[..., Done]


@pytest.fixture
def backup(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Backup]:
    """Runs the script with DATABASE_URL."""

    def run(*words: object, url: str) -> Done:
        programs = [str(find_postgres())] if url.startswith("postgresql") else []
        monkeypatch.setenv("PATH", os.pathsep.join([*programs, os.environ["PATH"]]))
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setattr(sys, "argv", ["backup.py", *map(str, words)])
        capsys.readouterr()
        return Done(script.main(), capsys.readouterr().err)

    mask = os.umask(0o022)
    yield run
    os.umask(mask)


def test_a_restored_installation_continues_where_the_backup_was_made(
    backup: Backup, install: Install, database_url: str, empty_url: str, tmp_path: Path
) -> None:
    place, folder = install(database_url), tmp_path / "monday"
    counting.put(place.data, {"asha": "fine", "ben": "raises"})
    first = place.run("counting.count", DAY)

    saved = backup("save", folder, url=database_url)
    counting.change(place.data, "ben", "fine")
    restored = backup("restore", folder, url=empty_url)

    assert (saved.code, saved.err) == (0, "")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert (restored.code, restored.err) == (0, "")
    other = install(empty_url)
    assert other.service.queries.run(first.id).state is RunState.PARTIAL
    assert counting.marks(other.data) == {(DAY, "asha"): 1}
    assert other.service.audit.verify(None).problem is None
    counting.change(other.data, "ben", "fine")
    assert other.retry(first.id).state is RunState.SUCCEEDED
    assert counting.marks(other.data) == {(DAY, "asha"): 1, (DAY, "ben"): 1}


def test_nothing_that_exists_is_overwritten(backup: Backup, database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "monday"
    assert backup("save", folder, url=database_url).code == 0

    again = backup("save", folder, url=database_url)
    over = backup("restore", folder, url=database_url)

    message = f"backup: {folder} exists and is not replaced; name a new folder\n"
    assert (again.code, again.err) == (REFUSED, message)
    assert over.code == REFUSED
    assert "is not replaced" in over.err


def test_a_changed_or_invalid_backup_is_not_restored(backup: Backup, tmp_path: Path) -> None:
    (tmp_path / "ops.db").touch()
    url, folder = f"sqlite:///{tmp_path / 'ops.db'}", tmp_path / "monday"
    assert backup("save", folder, url=url).code == 0
    with (folder / "store.sqlite").open("ab") as file:
        file.write(b"x")
    target = f"sqlite:///{tmp_path / 'other.db'}"

    changed = backup("restore", folder, url=target)
    missing = backup("restore", tmp_path / "tuesday", url=target)
    of_another_kind = backup("restore", folder, url="postgresql://ops@127.0.0.1:1/ops")

    assert changed.err == f"backup: {folder}/store.sqlite is missing, or was changed after it was saved\n"
    assert missing.err == f"backup: {tmp_path}/tuesday is not a backup: it has no readable manifest.json\n"
    assert "is of another kind of database" in of_another_kind.err
    assert not (tmp_path / "other.db").exists()


def test_a_failed_backup_leaves_nothing_and_shows_no_password(backup: Backup, tmp_path: Path) -> None:
    url = "postgresql://ops:a-secret-password@127.0.0.1:1/ops"

    failed = backup("save", tmp_path / "monday", url=url)

    assert failed.code == 1
    assert failed.err.startswith("backup: the database ops: ")
    assert "a-secret-password" not in failed.err
    assert not any("monday" in file.name for file in tmp_path.iterdir())


def test_store_and_data_in_two_files_are_both_saved(
    backup: Backup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("store", "data"):
        (tmp_path / f"{name}.db").touch()
        monkeypatch.setenv(f"OPSCONSOLE_{name.upper()}__URL", f"sqlite:///{tmp_path / name}.db")

    assert backup("save", tmp_path / "monday", url="").code == 0

    assert set(json.loads((tmp_path / "monday/manifest.json").read_text())["files"]) == {"store", "data"}

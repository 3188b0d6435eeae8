"""`check` on databases of other programs: it changes nothing, and reports which rights are missing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from opsconsole.authoring.run import RunState
from opsconsole.cli import installation, startup
from opsconsole.core import configuration
from opsconsole.core.errors import BadSettings
from opsconsole.core.settings import Settings
from opsconsole.core.urls import database_url, sqlite_url
from opsconsole.store import Store, rights
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import counting

PACKS = "tests.packs.counting"


def settings(folder: Path, redis_url: str, **urls: str) -> Settings:
    environ = {"REDIS_URL": redis_url, "OPSCONSOLE_JOBS__PACKS": PACKS}
    environ |= {f"OPSCONSOLE_{name.upper()}__URL": url for name, url in urls.items()}
    return configuration.load(folder=folder, environ=environ, search=False)


@pytest.mark.parametrize("mode", ["delete", "wal", "truncate"])
@pytest.mark.parametrize("name", ["theirs.db", "it's 100% #1?.db"])
@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open"])
def test_another_program_s_file_is_not_touched(
    tmp_path: Path, redis_url: str, mode: str, name: str, is_open: bool
) -> None:
    folder = tmp_path / "other program"
    folder.mkdir()
    file = folder / name
    theirs = sqlite3.connect(file)
    theirs.execute(f"PRAGMA journal_mode={mode}")
    theirs.execute("CREATE TABLE things (id TEXT)")
    theirs.commit()
    if not is_open:
        theirs.close()
    before = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}

    found = installation.find_problems(
        settings(tmp_path / "ours", redis_url, store=sqlite_url(file), data=sqlite_url(file))
    )

    after = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
    theirs.close()
    assert after == before
    assert any("the store has no tables yet" in problem for problem in found)
    assert any("column things." in problem for problem in found)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda file: None, "does not exist; run `opsconsole migrate"),
        (lambda file: file.mkdir(), "is not a file; correct"),
        (lambda file: file.write_bytes(b"SQLite format 2" * 99), "file is not a database"),
        (lambda file: file.write_bytes(b""), "has no tables yet"),
    ],
    ids=["missing", "folder", "garbage", "empty"],
)
def test_a_file_that_is_no_store_is_named_and_stays(
    tmp_path: Path, redis_url: str, make: Callable[[Path], object], sentence: str
) -> None:
    file = tmp_path / "wrong.db"
    make(file)
    before = file.read_bytes() if file.is_file() else None

    problems = installation.find_problems(settings(tmp_path / "ours", redis_url, store=sqlite_url(file)))

    assert sentence in problems[0]
    assert (file.read_bytes() if file.is_file() else None) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("wrong.db-")] == []


@pytest.fixture
def owner(postgres_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection of the owner of a migrated database, with a role `guest` that may do nothing."""
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as db:
        db.execute("DROP ROLE IF EXISTS guest")
        db.execute("CREATE ROLE guest LOGIN PASSWORD 'guest-password'")
        yield db
        db.execute("DROP OWNED BY guest")
        db.execute("DROP ROLE guest")


def guest_url(url: str) -> str:
    return database_url(f"postgresql://guest:guest-password@{url.rpartition('@')[2]}")


def granted(owner: psycopg.Connection[tuple[object, ...]], problem: str) -> None:
    """Runs the statements that a problem names."""
    for statement in problem.partition("let the owner run: ")[2].split("; "):
        assert statement.startswith("GRANT ")
        owner.execute(sql.SQL(statement))


def test_missing_rights_are_named_with_the_statements_that_grant_them(
    owner: psycopg.Connection[tuple[object, ...]], postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    url = guest_url(postgres_url)
    place = settings(tmp_path, redis_url, store=url, data=url)
    owner.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")

    store, data = (problem for problem in installation.find_problems(place) if "lacks rights" in problem)
    assert "GRANT USAGE, CREATE ON SCHEMA public TO guest" in store
    granted(owner, store)
    store, data = (problem for problem in installation.find_problems(place) if "lacks rights" in problem)
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON " in store
    assert "GRANT SELECT ON " in data
    assert "guest-password" not in store
    opened = Store(url)
    with pytest.raises(BadSettings, match="its role lacks rights; let the owner run: GRANT"):
        startup._prepare(place, opened, (), rights.READ)
    owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
    startup._prepare(place, opened, (), rights.READ)
    with pytest.raises(BadSettings, match="GRANT INSERT, UPDATE, DELETE ON"):
        startup._prepare(place, opened, (), rights.ALL)
    opened.close()
    granted(owner, store)
    granted(owner, data)
    assert [problem for problem in installation.find_problems(place) if "right" in problem] == []


def test_a_role_that_may_create_nothing_cannot_migrate(
    owner: psycopg.Connection[tuple[object, ...]], postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    url = guest_url(postgres_url)
    owner.execute("CREATE SCHEMA other")
    owner.execute("GRANT USAGE ON SCHEMA other TO guest")
    place = settings(tmp_path, redis_url, store=f"{url}?schema=other", data=f"{url}?schema=other")

    with pytest.raises(BadSettings, match="GRANT CREATE ON SCHEMA other TO guest") as refused:
        list(installation.run_migrations(place, with_data=True))
    granted(owner, refused.value.problems[0])
    done = list(installation.run_migrations(place, with_data=True))

    assert done[0].startswith("the store was upgraded")
    assert installation.find_problems(place) == []


def test_a_schema_that_does_not_exist_is_named(
    owner: psycopg.Connection[tuple[object, ...]], postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    place = settings(tmp_path, redis_url, store=f"{guest_url(postgres_url)}?schema=nowhere")

    (problem,) = (problem for problem in installation.find_problems(place) if problem.startswith("store "))

    assert problem.endswith("let the owner run: CREATE SCHEMA nowhere AUTHORIZATION guest")


def test_a_run_without_a_right_ends_at_once_with_the_cause(
    owner: psycopg.Connection[tuple[object, ...]], installing: Installing, postgres_url: str, redis_url: str
) -> None:
    url = guest_url(postgres_url)
    place: Installation = installing(
        database_url=postgres_url,
        redis_url=redis_url,
        packs=PACKS,
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(place.data, {"asha": "fine", "ben": "fine", "chen": "fine"})
    owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
    other: Installation = installing(
        database_url=postgres_url,
        redis_url=redis_url,
        packs=PACKS,
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline", "OPSCONSOLE_DATA__URL": url},
    )
    run = other.run("counting.count")

    assert run.error is not None
    assert "refuses this: permission denied for table" in run.error
    assert run.error.endswith("`opsconsole check` prints the GRANT")
    assert run.state is RunState.FAILED


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_planted_link_is_a_problem_that_check_names(tmp_path: Path, redis_url: str) -> None:
    link = tmp_path / "opsconsole.log"
    link.symlink_to(tmp_path / "elsewhere")
    os.lchown(link, 65_534, 65_534)
    file = tmp_path / "file"
    file.write_text("")

    planted = installation.find_problems(settings(tmp_path, redis_url))
    no_folder = installation.find_problems(settings(file / "data", redis_url))

    assert planted == [f"{link} is a link that another user made; remove it"]
    assert no_folder[0].startswith(f"the data folder {file}/data cannot be used: {file} is not a folder")

"""Tables of other programs whose names differ in style."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select, text

from jobs.attempts import pack
from jobs.attempts.tables import attempts, user_performance
from jobs.common import users
from opsconsole.core.clock import now
from opsconsole.core.database import Database, inserting
from opsconsole.store.data_tables import create_missing, differences
from opsconsole.store.foreign_names import similar


@pytest.fixture
def data(empty_database_url: str) -> Iterator[Database]:
    """Tables with names as Prisma gives them."""
    made = Database(empty_database_url)
    create_missing(made, [pack])
    execute(
        made,
        'ALTER TABLE attempts RENAME COLUMN user_id TO "userId"',
        'ALTER TABLE attempts RENAME COLUMN solved_at TO "solvedAt"',
        'ALTER TABLE user_performance RENAME TO "UserPerformance"',
    )
    yield made
    made.close()


def execute(data: Database, *lines: str) -> None:
    with data.writing() as db:
        for each in lines:
            db.execute(text(each))


def lines(data: Database, subject: str) -> list[str]:
    return [line for line in differences(data, [pack]) if line.startswith(subject)]


@pytest.mark.parametrize(
    ("name", "present", "found"),
    [
        ("user_id", ["id", "userId"], "userId"),
        ("user_id", ["UserID", "name"], "UserID"),
        ("users", ["User", "Topic"], "User"),
        ("user_performance", ["UserPerformance"], "UserPerformance"),
        ("user_id", ["userId", "userid"], None),
        ("user_id", ["id", "user"], None),
    ],
)
def test_a_name_of_another_style_is_recognised(name: str, present: list[str], found: str | None) -> None:
    assert similar(name, present) == found


def test_the_statements_of_check_rename_columns_and_tables(data: Database) -> None:
    found = [*lines(data, "column "), *lines(data, "table ")]
    execute(data, *(line.partition("run: ")[2] for line in found))

    assert [line.partition("; run")[0] for line in found] == [
        'column attempts.user_id is missing, but there is "userId"',
        'column attempts.solved_at is missing, but there is "solvedAt"',
        'table user_performance is missing, but there is "UserPerformance"',
    ]
    assert differences(data, [pack]) == []


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_views_keep_the_names_of_the_other_program(data: Database, empty_database_url: str) -> None:
    views = lines(data, "if another program needs the names")
    execute(data, *(line.partition("instead: ")[2].rpartition("; and add ")[0] for line in views))
    option = views[0].rpartition("; and add ")[2].removesuffix(" to data.url")
    other = Database(empty_database_url + option)

    assert len(views) == 2
    assert differences(other, [pack]) == []
    assert create_missing(other, [pack]) == []
    with other.writing() as db:
        db.execute(users.insert().values(id="asha", name="Asha", active=True, created_at=now()))
        row = {"id": "a1", "user_id": "asha", "question_id": "q1", "status": "correct", "solved_at": now()}
        db.execute(inserting(db, attempts).values(row).on_conflict_do_nothing())
        db.execute(inserting(db, attempts).values(row).on_conflict_do_nothing())
    with data.reading() as db:
        assert db.execute(text('SELECT "userId" FROM public.attempts')).scalars().all() == ["asha"]
    with other.reading() as db:
        assert db.execute(select(user_performance)).all() == []
    other.close()


@pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
def test_sqlite_is_not_given_views_that_it_cannot_write_through(data: Database) -> None:
    assert lines(data, "if another program") == []

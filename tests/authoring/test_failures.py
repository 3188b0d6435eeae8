"""Kinds of failures: one token per cause, independent of ids in the message."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from opsconsole.authoring.failures import LONGEST_KIND, failure, failure_kind
from opsconsole.core.database import Database
from opsconsole.core.errors import BadValue, BadWindow, Unavailable


class HTTPError(Exception):
    pass


@pytest.mark.parametrize(
    ("message", "item", "kind"),
    [
        ("question q0417 does not exist", "u1", "question_does_not_exist"),
        ("question 'Why?' is missing", "u1", "question_is_missing"),
        ("user asha has no attempts", "asha", "user_has_no_attempts"),
        ("asha: balance is -3.50, expected 12", "asha", "balance_is_expected"),
        ("it isn't there", "x", "it_isnt_there"),
        ("day 2026-01-19 is closed", "x", "day_is_closed"),
        ("Timeout  of `select 1`!", "x", "timeout_of"),
        ("12 34", "x", "failed"),
        ("", "", "failed"),
    ],
)
def test_the_kind_of_a_message_leaves_out_what_differs_between_items(message: str, item: str, kind: str) -> None:
    assert failure_kind(message, item) == kind


def test_a_kind_is_cut_after_a_whole_word() -> None:
    kind = failure_kind("the quick brown fox jumps over the lazy dog " * 3)

    assert len(kind) <= LONGEST_KIND
    assert kind.endswith("_quick_brown") or kind.split("_")[-1] in "the quick brown fox jumps over the lazy dog"
    assert failure_kind("a" * 100) == "a" * LONGEST_KIND


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("3 is bad"), "value_error"),
        (HTTPError("502"), "http_error"),
        (BadWindow("no such day"), "bad_window"),
        (Unavailable("redis", "connection refused"), "redis_unreachable"),
        (IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")), "integrity_error"),
    ],
)
def test_the_kind_of_an_exception_is_its_class(error: Exception, kind: str) -> None:
    assert failure_kind(error, "u1") == kind


def test_a_database_error_has_the_name_that_the_database_gives_it(database_url: str) -> None:
    database = Database(database_url)
    with database.writing() as db:
        db.execute(text("CREATE TABLE things (id INTEGER PRIMARY KEY)"))

    with pytest.raises(IntegrityError) as raised, database.writing() as db:
        db.execute(text("INSERT INTO things VALUES (1), (1)"))
    database.close()

    expected = "sqlite_constraint_primarykey" if database.is_sqlite else "unique_violation"
    assert failure_kind(raised.value) == expected


def test_a_job_can_name_the_kind() -> None:
    assert failure("u1", "question q1 is missing", "question_missing").kind == "question_missing"
    with pytest.raises(BadValue, match="is not a failure kind"):
        failure("u1", "question q1 is missing", "Question missing!")


def test_a_message_is_escaped() -> None:
    assert failure("u1", "bad \x1b[2J text").message == "bad \\x1b[2J text"

"""`opsconsole check` on databases that work, with limits or not at all."""

from __future__ import annotations

from sqlalchemy.engine import make_url

from opsconsole.cli.installation import find_notes, find_problems
from tests.conftest import Installing
from tests.services import PrivatePostgres


def test_databases_in_other_encodings_are_noted(postgres_server: PrivatePostgres, installing: Installing) -> None:
    url = postgres_server.new_database(encoding="LATIN1")
    place = installing(database_url=url, redis_url="unix:///nowhere/redis.sock", packs="tests.packs.counting")

    notes = find_notes(place.settings)

    assert [note.partition(" is ")[2] for note in notes] == [
        "encoded in LATIN1: characters outside ASCII are stored as escapes; a database in UTF8 has no such limit",
        "encoded in LATIN1: other texts fail their items; a database in UTF8 has no such limit",
    ]
    assert str(make_url(url).password) not in "".join(notes)


def test_a_database_in_utf8_needs_no_note(postgres_url: str, installing: Installing) -> None:
    place = installing(database_url=postgres_url, redis_url="unix:///nowhere/redis.sock", packs="tests.packs.counting")

    assert find_notes(place.settings) == []
    assert not [
        problem for problem in find_problems(place.settings) if "unix" not in problem and "Redis" not in problem
    ]

"""Optional parts of jobs: facts prepared once for all batches, stale items, and events."""

from __future__ import annotations

import pytest
from sqlalchemy import Select, delete, insert, select, update

from opsconsole.authoring import outbox
from opsconsole.authoring.run import RunState, Selection
from opsconsole.core.errors import BadWindow, Exit, OpsconsoleError
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs.notes import copies, notes
from tests.soak import postgresql_in_soak

pytestmark = postgresql_in_soak

DAY, OTHER_DAY = "2025-01-19", "2025-01-20"
INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}


@pytest.fixture
def place(installing: Installing, database_url: str, redis_url: str) -> Installation:
    made = installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.notes", environ=INLINE)
    write(made, *((f"n{i}", "good") for i in range(10)))
    return made


def write(place: Installation, *rows: tuple[str, str]) -> None:
    with place.data.writing() as db:
        db.execute(insert(notes), [{"id": id_, "text": text} for id_, text in rows])


def rows(place: Installation, query: Select[*tuple[object, ...]]) -> list[tuple[object, ...]]:
    with place.data.reading() as db:
        return [tuple(row) for row in db.execute(query)]


def test_all_batches_and_retries_share_the_prepared_facts(place: Installation) -> None:
    write(place, ("n99", "bad"))

    first = place.run("notes.copy", DAY)
    write(place, ("later", "good"))
    with place.data.writing() as db:
        db.execute(update(notes).where(notes.c.id == "n99").values(text="fixed"))
    second = place.retry(first.id)

    assert first.facts == second.facts == {"notes": 11}
    assert (first.counts.ok, first.counts.failed, second.counts.planned) == (10, 1, 1)
    assert set(rows(place, select(copies.c.beside))) == {("11",)}


def test_an_event_is_committed_with_its_change_or_not_at_all(place: Installation) -> None:
    write(place, ("n99", "bad"))

    place.run("notes.copy", DAY)

    emitted = rows(place, select(outbox.events.c.key, outbox.events.c.payload).order_by(outbox.events.c.key))
    assert emitted == [(f"n{i}:good", {"note": f"n{i}", "text": "good"}) for i in range(10)]


def test_running_a_window_twice_emits_no_event_twice(place: Installation) -> None:
    place.run("notes.copy", DAY)
    before = rows(place, select(outbox.events))

    place.run("notes.copy", DAY)

    assert len(before) == 10
    assert rows(place, select(outbox.events)) == before


def test_a_run_over_stale_items_touches_no_others(place: Installation) -> None:
    place.run("notes.copy", DAY)
    with place.data.writing() as db:
        db.execute(update(notes).where(notes.c.id == "n3").values(text="new"))
        db.execute(delete(copies).where(copies.c.id == "n5"))

    run = place.ended_run(place.service.commands.trigger("notes.copy", DAY, only=Selection.STALE))

    assert (run.state, run.counts.planned) == (RunState.SUCCEEDED, 2)
    assert rows(place, select(copies.c.text).where(copies.c.id.in_(("n3", "n5"))).order_by(copies.c.id)) == [
        ("new",),
        ("good",),
    ]


def test_a_job_without_stale_refuses_a_stale_run(place: Installation) -> None:
    with pytest.raises(OpsconsoleError, match=r"notes\.newest cannot detect stale items") as refused:
        place.service.commands.trigger("notes.newest", None, only=Selection.STALE)

    assert refused.value.exit_code is Exit.USAGE


def test_results_without_a_date_are_not_replaced_by_older_ones(place: Installation) -> None:
    with pytest.raises(
        BadWindow, match=r"keeps only its newest result; only \d{4}-\d\d-\d\d can be run, not 2025-01-25"
    ):
        place.service.commands.trigger("notes.newest", OTHER_DAY)

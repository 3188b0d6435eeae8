"""Commands, and the append-only audit trail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from opsconsole.core.errors import Refused
from opsconsole.core.settings import Actor
from opsconsole.rules.audit import FIRST
from opsconsole.store import Store, commands, migrate
from opsconsole.store.commands import CommandState
from opsconsole.store.tables import audit
from tests.waiting import finished

ASHA = Actor("asha as root", "10.1.2.3")
AT = datetime(2025, 1, 19, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url, pool=10)
    migrate.upgrade(made)
    yield made
    made.close()


def request(store: Store, target: str = "books.close") -> int:
    with store.writing() as db:
        return commands.request(db, "trigger", target, {"date": "2025-01-19"}, ASHA, AT)


def chain(store: Store) -> list[dict[str, object]]:
    """The audit trail in order, with each row's computed hash next to the stored one."""
    with store.reading() as db:
        rows = [dict(row) for row in db.execute(select(audit).order_by(audit.c.id)).mappings()]
    for row in rows:
        content = {name: value for name, value in row.items() if name not in ("id", "hash")}
        content["at"] = row["at"].astimezone(UTC).isoformat().replace("+00:00", "Z")
        plain = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        row["computed"] = hashlib.sha256(plain.encode()).hexdigest()
    return rows


def is_whole(rows: list[dict[str, object]]) -> bool:
    before = FIRST
    for row in rows:
        if row["previous"] != before or row["hash"] != row["computed"]:
            return False
        before = str(row["hash"])
    return True


def test_a_command_is_executed_once_and_keeps_its_outcome(store: Store) -> None:
    first, second = request(store), request(store, "books.send")
    with store.reading() as db:
        assert commands.requested(db) == [first, second]
        waiting = [commands.get(db, number) for number in (first, second)]
    assert (waiting[0].verb, waiting[0].target, waiting[0].arguments) == (
        "trigger",
        "books.close",
        {"date": "2025-01-19"},
    )
    assert (waiting[0].actor, waiting[0].requested_at) == (ASHA, AT)

    with store.writing() as db:
        commands.finish(db, waiting[0], {"run": 41}, AT + timedelta(seconds=1))

    with store.reading() as db:
        assert commands.requested(db) == [second]
        assert commands.get(db, first).outcome == {"run": 41}
        assert commands.get(db, first).state is CommandState.DONE


def test_the_audit_trail_has_a_row_for_the_request_and_one_for_the_outcome(store: Store) -> None:
    number = request(store)
    with store.writing() as db:
        commands.refuse(db, commands.get(db, number), Refused("it is running"), AT + timedelta(seconds=1))

    rows = chain(store)

    assert [(row["command_id"], row["outcome"], row["who"], row["origin"]) for row in rows] == [
        (number, "requested", "asha as root", "10.1.2.3"),
        (number, "refused", "asha as root", "10.1.2.3"),
    ]
    assert rows[1]["before"] == {"date": "2025-01-19"}
    assert rows[1]["after"] == {"error": "refused", "message": "it is running", "exit_code": 4}
    assert is_whole(rows)


def test_a_command_that_is_rolled_back_leaves_no_audit_row(store: Store) -> None:
    request(store)
    with store.engine.connect() as db, db.begin() as both:
        commands.request(db, "trigger", "books.close", {}, ASHA, AT)
        both.rollback()
    request(store)

    assert len(chain(store)) == 2
    assert is_whole(chain(store))


@pytest.mark.parametrize(
    "change",
    [
        update(audit).values(who="nobody"),
        update(audit).where(audit.c.id == 1).values(target="books.send"),
        delete(audit),
        delete(audit).where(audit.c.id == 1),
    ],
)
def test_the_database_refuses_to_change_the_audit_trail(store: Store, change: object) -> None:
    request(store)

    with pytest.raises(DBAPIError, match="ops_audit only grows"), store.writing() as db:
        db.execute(change)  # type: ignore[call-overload]

    assert len(chain(store)) == 1
    assert is_whole(chain(store))


def test_a_row_changed_without_the_trigger_breaks_the_chain(store: Store) -> None:
    for _ in range(3):
        request(store)
    with store.writing() as db:
        for line in (
            ["DROP TRIGGER ops_audit_no_update"] if store.is_sqlite else ["ALTER TABLE ops_audit DISABLE TRIGGER ALL"]
        ):
            db.execute(text(line))
        db.execute(update(audit).where(audit.c.id == 2).values(who="nobody"))

    assert not is_whole(chain(store))


def test_concurrent_requests_make_one_chain(store: Store) -> None:
    together = threading.Barrier(4)
    wrong: list[Exception] = []

    def request_often() -> None:
        together.wait()
        try:
            for _ in range(10):
                request(store)
        except Exception as error:  # noqa: BLE001 - handed to the test
            wrong.append(error)

    threads = [threading.Thread(target=request_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        finished(thread)

    assert wrong == []
    assert len(chain(store)) == 40
    assert is_whole(chain(store))

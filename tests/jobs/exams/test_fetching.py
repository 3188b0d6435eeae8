"""The HTTP routes of exams: concurrent fetching, requests and analytics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from jobs.exams.inventory import take_oldest
from jobs.exams.tables import exam_requests
from opsconsole.authoring.extensions import Reply
from opsconsole.authoring.pack import Pack
from opsconsole.authoring.run import RunState
from opsconsole.core.database import Database
from opsconsole.store import data_tables as datatables
from tests.conftest import Installing
from tests.http.client import served
from tests.jobs.exams.fixtures import NOON, ExamsFixture
from tests.waiting import PATIENCE_SECONDS

DAY = timedelta(days=1)
FETCH = "/api/get-pre-generated-exam"
REQUEST = "/api/pre-generate-exam"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch, _without_configuration: None) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-anything")


def fetch(fixture: ExamsFixture, user: str = "asha", exam: str = "diagnostic") -> Reply:
    return fixture.ask("GET", FETCH, userId=user, examType=exam)


def decoded(reply: Reply) -> Any:
    return json.loads(msgspec.json.encode(reply.body))


def test_the_oldest_valid_exam_is_returned_and_marked_used(fixture: ExamsFixture) -> None:
    fixture.users("asha", "ben")
    fixture.exam("ben", id="ben's", created_at=NOON - 3 * DAY)
    fixture.exam("asha", id="expired", created_at=NOON - 8 * DAY, expires_at=NOON)
    fixture.exam("asha", id="newer", created_at=NOON - DAY)
    fixture.exam("asha", id="older", created_at=NOON - 2 * DAY)
    fixture.exam("asha", "practice", id="another type", created_at=NOON - 3 * DAY)

    reply = fetch(fixture)

    assert decoded(reply) == {
        "success": True,
        "exam": {
            "id": "older",
            "examType": "diagnostic",
            "questions": [{"id": "q001", "stem": "?"}],
            "createdAt": "2026-03-07T12:00:00.000Z",
            "expiresAt": "2026-03-16T12:00:00.000Z",
        },
    }
    used = {exam["id"]: exam["used_at"] for exam in fixture.exams() if exam["used"]}
    assert used == {"older": NOON}
    assert decoded(fetch(fixture))["exam"]["id"] == "newer"


def test_a_missing_exam_is_requested_once(fixture: ExamsFixture) -> None:
    fixture.users("asha")

    first, second = fetch(fixture), fetch(fixture)
    unknown = fetch(fixture, user="unknown")

    assert {reply.status for reply in (first, second, unknown)} == {404}
    (request,) = fixture.rows(exam_requests)
    assert (request["user_id"], request["exam_type"], request["requested_by"]) == ("asha", "diagnostic", "http")


def test_a_failed_request_is_reopened_by_post_and_not_by_get(fixture: ExamsFixture) -> None:
    fixture.users("asha")
    request = fixture.request("asha", state="failed")

    fetch(fixture)
    assert fixture.states() == {request: "failed"}
    reply = fixture.ask("POST", REQUEST, body={"userId": "asha", "examType": "diagnostic"})

    assert (reply.status, reply.body["requestId"]) == (202, request)
    assert fixture.states() == {request: "waiting"}


def test_fifty_concurrent_callers_get_fifty_different_exams(fixture: ExamsFixture, database_url: str) -> None:
    fixture.users("asha")
    for n in range(50):
        fixture.exam("asha", id=f"e{n:02}", created_at=NOON + timedelta(seconds=n))

    shared = Database(database_url, pool=25)

    def take_one(_: int) -> str | None:
        with shared.writing() as db:
            found = take_oldest(db, "asha", "diagnostic", NOON)
        return None if found is None else str(found.id)

    with ThreadPoolExecutor(50) as callers:
        got = list(callers.map(take_one, range(50)))
    left = take_one(0)
    shared.close()

    assert sorted(str(each) for each in got) == [f"e{n:02}" for n in range(50)]
    assert left is None


def test_requesting_an_exam_twice_makes_one_request(fixture: ExamsFixture) -> None:
    fixture.users("asha")
    body = {"userId": "asha", "examType": "practice"}

    first = fixture.ask("POST", REQUEST, body=body)
    second = fixture.ask("POST", REQUEST, body=body)

    assert (first.status, second.status) == (202, 202)
    assert first.body == second.body
    assert len(fixture.rows(exam_requests)) == 1

    fixture.exam("asha", "practice", id="stored")
    third = fixture.ask("POST", REQUEST, body=body)
    assert (third.status, third.body) == (200, {"success": True, "state": "ready", "examId": "stored"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, "userId"),
        ([], "userId"),
        ({"examType": "practice"}, "userId"),
        ({"userId": 7, "examType": "practice"}, "userId"),
        ({"userId": "a\x00b", "examType": "practice"}, "userId"),
        ({"userId": "a" * 201, "examType": "practice"}, "userId"),
        ({"userId": "asha"}, "examType"),
        ({"userId": "asha", "examType": "final"}, "examType"),
        ({"userId": "asha", "examType": ["practice"]}, "examType"),
    ],
)
def test_errors_name_the_missing_or_invalid_field(fixture: ExamsFixture, body: Any, field: str) -> None:
    reply = fixture.ask("POST", REQUEST, body=body)

    assert (reply.status, reply.body["error"]["field"]) == (400, field)


def test_only_active_users_can_request_an_exam(fixture: ExamsFixture) -> None:
    fixture.users("ben", active=False)

    replies = [fixture.ask("POST", REQUEST, body={"userId": u, "examType": "practice"}) for u in ("ben", "unknown")]

    assert [reply.status for reply in replies] == [404, 404]
    assert fixture.rows(exam_requests) == []


def test_analytics_count_stored_exams(fixture: ExamsFixture) -> None:
    fixture.users("asha", "ben", "chen")
    fixture.users("dora", active=False)
    fixture.exam("asha", "diagnostic", expires_at=NOON + DAY)
    fixture.exam("asha", "practice", expires_at=NOON + DAY + timedelta(seconds=1))
    fixture.exam("asha", "practice", expires_at=NOON)
    fixture.exam("ben", "practice", used=True, used_at=NOON, expires_at=NOON - DAY)
    fixture.exam("dora", "diagnostic", used=True, used_at=NOON)

    stats = fixture.ask("GET", "/api/pre-gen-analytics").body

    assert stats == {
        "success": True,
        "stats": {
            "totalGenerated": 5,
            "totalUsed": 2,
            "totalUnused": 3,
            "totalExpired": 1,
            "averageExamsPerUser": 1.7,
            "diagnosticCount": 2,
            "practiceCount": 3,
            "usedPercentage": 40,
            "expiringWithin24h": 1,
            "userStats": {"usersWithPreGen": 3, "usersWithoutPreGen": 1, "avgPreGenPerUser": 1.7},
            "timestamp": "2026-03-09T12:00:00.000Z",
        },
    }


def test_analytics_without_exams_are_zeros(fixture: ExamsFixture) -> None:
    stats = fixture.ask("GET", "/api/pre-gen-analytics").body["stats"]

    assert {value for name, value in stats.items() if name not in ("userStats", "timestamp")} == {0}
    assert set(stats["userStats"].values()) == {0}


@pytest.fixture
def reader(database_url: str) -> Iterator[Any]:
    """A PostgreSQL role that may only read exams."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no roles")
    owner = create_engine(database_url)
    with owner.begin() as db:
        db.execute(text("CREATE ROLE exam_reader"))
    yield create_engine(database_url), owner
    with owner.begin() as db:
        db.execute(text("DROP OWNED BY exam_reader"))
        db.execute(text("DROP ROLE exam_reader"))
    owner.dispose()


def test_a_role_sees_only_the_exams_of_its_user(fixture: ExamsFixture, database_url: str, reader: Any) -> None:
    engine, owner = reader
    fixture.users("asha", "ben")
    fixture.exam("asha", id="asha's")
    fixture.exam("ben", id="ben's")
    with owner.begin() as db:
        db.execute(text("GRANT SELECT ON pre_generated_exams TO exam_reader"))

    def visible(user: str | None) -> list[str]:
        with engine.begin() as db:
            db.execute(text("SET LOCAL ROLE exam_reader"))
            if user is not None:
                db.execute(text("SELECT set_config('app.user_id', :user, true)"), {"user": user})
            return [row.id for row in db.execute(text("SELECT id FROM pre_generated_exams"))]

    assert visible("asha") == ["asha's"]
    assert visible("ben") == ["ben's"]
    assert visible("unknown") == []
    assert visible(None) == []
    with engine.begin() as db:
        db.execute(text("SET LOCAL ROLE exam_reader"))
        with pytest.raises(ProgrammingError, match="permission denied"):
            db.execute(text("UPDATE pre_generated_exams SET used = true"))
    engine.dispose()


def test_migrating_creates_the_tables_with_their_policy(empty_database_url: str) -> None:
    from jobs.exams import pack

    only: list[Pack] = [pack]
    data = Database(empty_database_url)
    done = datatables.create_missing(data, only)
    assert "table pre_generated_exams created" in done
    assert datatables.create_missing(data, only) == []
    assert datatables.differences(data, only) == []
    data.close()


def test_the_cron_route_starts_generation(installing: Installing, tmp_path: Any, redis_url: str) -> None:
    installation = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="jobs.exams",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    with installation.leading(), served(installation) as client:
        for method in ("GET", "POST"):
            reply = client.request(method, "/api/cron/generate-exams")
            assert (reply.status, reply.json["run"]["job"]) == (202, "exams.generate")
            run = installation.service.commands.wait_for_run(reply.json["run"]["id"], PATIENCE_SECONDS)
            assert run is not None
            assert run.state is RunState.SUCCEEDED
        assert client.get(FETCH + "?userId=asha&examType=diagnostic").code == "no_exam"
        assert client.get("/api/pre-gen-analytics").json["success"] is True

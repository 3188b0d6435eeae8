"""Clearing cached keys over HTTP, and calls that change something in read-only mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from jobs.practice.families import CURRENT, PERFORMANCE, WEAK
from opsconsole.core.settings import Role
from tests.conftest import Installing
from tests.http.client import HttpClient, served
from tests.installation import Installation

CLEAR, INVALIDATE = "/api/cache/clear", "/api/cache/invalidate"


@pytest.fixture
def place(installing: Installing, tmp_path: Path, redis_url: str) -> Installation:
    """An installation with the practice pack."""
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="jobs.attempts,jobs.exams,jobs.practice",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


@pytest.fixture
def client(place: Installation) -> Iterator[HttpClient]:
    with place.leading(), served(place) as connected:
        yield connected


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    """A Redis server with keys of two users, and one of another application."""
    with redis.Redis.from_url(redis_url) as connected:
        for user in ("asha", "ben"):
            connected.set(PERFORMANCE.key(user=user), b"{}")
            for subject in ("math", "art"):
                connected.set(WEAK.key(user=user, subject=subject), b"[]")
                connected.set(CURRENT.key(user=user, subject=subject), b"[]")
        connected.set("cart:asha", "another application's")
        yield connected


def test_keys_of_a_user_or_subject_are_cleared_and_audited(
    client: HttpClient, server: redis.Redis, place: Installation
) -> None:
    of_asha = client.request("POST", CLEAR, {"userId": "asha"})
    of_math = client.request("POST", CLEAR, {"subjectId": "math"})
    of_both = client.request("POST", CLEAR, {"subjectId": "art", "userId": "ben"})

    assert (of_asha.status, of_asha.json["success"], of_asha.json["cleared"]) == (200, True, 5)
    assert of_asha.json["families"]["practice.weak_concepts"] == 2
    assert (of_math.json["cleared"], of_both.json["cleared"]) == (2, 2)
    assert {key.decode() for key in server.scan_iter()} == {"cart:asha", "user:performance:ben"}
    trail = place.audited_commands()
    assert [(entry.verb, entry.who.split()[0], entry.outcome) for entry in reversed(trail)] == [
        ("clear", "http", outcome) for _ in range(3) for outcome in ("requested", "done")
    ]


def test_what_was_computed_from_changed_data_is_removed(client: HttpClient, server: redis.Redis) -> None:
    server.set("session:config:science:10", b"null")
    left = {"cart:asha", "user:performance:ben", "weak:concepts:ben:math", "current:topics:ben:math"}

    of_asha = client.request("POST", INVALIDATE, {"userId": "asha"})
    of_topics = client.request("POST", INVALIDATE, {"source": "topic_mastery", "subjectId": "art"})
    of_configs = client.request("POST", INVALIDATE, {"source": "session_configs"})
    nothing = client.request("POST", INVALIDATE, {"source": "questions", "subjectId": "art", "userId": "ben"})

    assert [reply.json["cleared"] for reply in (of_asha, of_topics, of_configs, nothing)] == [5, 2, 1, 0]
    assert of_configs.json == {"success": True, "cleared": 1, "families": {"practice.config": 1}}
    assert {key.decode() for key in server.scan_iter()} == left
    for body, field in (({}, "userId"), ({"source": "lives"}, "source"), ({"source": 5}, "source")):
        refused = client.request("POST", INVALIDATE, body)
        assert (refused.status, refused.json["error"]["field"]) == (400, field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "userId"),
        ({"userId": None}, "userId"),
        ({"userId": 5}, "userId"),
        ({"userId": "ben", "subjectId": "*"}, "subjectId"),
        ([], "userId"),
    ],
)
def test_a_bad_clear_names_the_field(client: HttpClient, server: redis.Redis, body: object, field: str) -> None:
    before = server.dbsize()

    refused = client.request("POST", CLEAR, body)

    assert (refused.status, refused.json["error"]["field"], server.dbsize()) == (400, field, before)


def test_a_viewer_changes_nothing_over_http(
    installing: Installing, tmp_path: Path, redis_url: str, server: redis.Redis
) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'viewed.db'}",
        redis_url=redis_url,
        packs="jobs.attempts,jobs.exams,jobs.practice",
    )
    settings = place.settings
    viewer = replace(settings, actor=replace(settings.actor, role=Role.VIEWER))
    place.service.reload(viewer, place.catalog)
    before = server.dbsize()
    with served(place) as client:
        replies = [
            client.request("POST", CLEAR, {"userId": "asha"}),
            client.request("POST", INVALIDATE, {"userId": "asha"}),
            client.request("POST", "/api/practice/session", {"userId": "asha", "subjectId": "math"}),
            client.get("/api/get-pre-generated-exam?userId=asha&examType=diagnostic"),
            client.request("POST", "/api/pre-generate-exam", {"userId": "asha", "examType": "diagnostic"}),
            client.request("POST", "/api/cron/generate-exams", None),
            client.request("POST", "/api/cron/run/attempts.cache_day", None),
        ]
        looked = client.get("/api/pre-gen-analytics")

    assert [reply.status for reply in replies] == [403] * 7
    others = [row.target for row in place.service.audit.newest(limit=20) if row.verb == "request"]
    assert others == [
        "POST /api/pre-generate-exam",
        "GET /api/get-pre-generated-exam",
        "POST /api/practice/session",
    ]
    assert server.dbsize() == before
    assert looked.status == 200

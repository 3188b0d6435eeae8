"""Requests for exams are judged by the configuration of the process that makes them, which is the leader."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.common import users
from opsconsole.core.clock import now
from tests.conftest import Installing
from tests.http.client import served
from tests.installation import Installation
from tests.waiting import eventually

EXAM = {"userId": "asha", "examType": "diagnostic"}
VARIABLE, KEY = "ANTHROPIC_API_KEY", "sk-ant-0123456789"


@pytest.fixture
def place(installing: Installing, tmp_path: Path, redis_url: str) -> Installation:
    """An installation with one user and the exams pack."""
    made = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="jobs.exams",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    with made.data.writing() as db:
        db.execute(users.insert().values(id="asha", name="Asha", active=True, created_at=now()))
    return made


@pytest.mark.parametrize("leader_has_key", [True, False])
def test_an_exam_is_requested_when_the_leader_can_make_it(
    place: Installation, monkeypatch: pytest.MonkeyPatch, leader_has_key: bool
) -> None:
    def set_key(present: bool) -> None:
        monkeypatch.setenv(VARIABLE, KEY) if present else monkeypatch.delenv(VARIABLE, False)

    set_key(leader_has_key)
    with place.leading(), served(place) as client:
        eventually(lambda: place.service.queries.leader_notes("exams") is not None, "the leader has written its notes")
        set_key(not leader_has_key)
        missing = client.get("/api/get-pre-generated-exam?userId=asha&examType=diagnostic")
        requested = client.request("POST", "/api/pre-generate-exam", EXAM)

    assert (missing.status, missing.code) == (404, "no_exam")
    if leader_has_key:
        assert (requested.status, requested.json["state"]) == (202, "requested")
    else:
        assert (requested.status, requested.code) == (503, "not_configured")
        assert f"set {VARIABLE}" in requested.json["error"]["message"]


def test_without_a_leader_the_serving_process_is_judged(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, False)
    with served(place) as client:
        refused = client.request("POST", "/api/pre-generate-exam", EXAM)
        monkeypatch.setenv(VARIABLE, KEY)
        requested = client.request("POST", "/api/pre-generate-exam", EXAM)

    assert (refused.status, requested.status) == (503, 202)

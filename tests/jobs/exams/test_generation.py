"""Exams are stored complete or not at all, under every fault of the service."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from email.utils import formatdate
from typing import Any

import pytest

from jobs.exams.api_client import CallFailed, connect
from jobs.exams.tables import exam_calls, exam_chunks, exam_requests
from tests.jobs.exams.claude import KEY, ClaudeServer, Fault
from tests.jobs.exams.fixtures import DOMAINS, PARTS, ExamsFixture, faults, is_whole, max_tries_of_a_part
from tests.soak import postgresql_in_soak

pytestmark = postgresql_in_soak


def paid(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    """Compares the recorded calls with the server's log."""
    ours = [
        (
            c["exam_key"],
            c["seq"],
            c["input_tokens"],
            c["cache_write_tokens"],
            c["cache_read_tokens"],
            c["output_tokens"],
        )
        for c in fixture.rows(exam_calls)
        if c["input_tokens"]
    ]
    theirs = [
        (a.exam, a.part, a.input_tokens, a.cache_write_tokens, a.cache_read_tokens, a.output_tokens)
        for a in claude.log
        if a.billed
    ]
    assert ours == theirs


def test_each_user_gets_both_exams_complete(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha", "ben")
    fixture.users("chen", active=False)
    fixture.run("generate")

    result = fixture.work_off()

    assert (result.ok, result.failed, result.skipped, result.metrics["exams"]) == (4, [], {}, 4)
    exams = fixture.exams()
    assert sorted((e["user_id"], e["exam_type"]) for e in exams) == [
        ("asha", "diagnostic"),
        ("asha", "practice"),
        ("ben", "diagnostic"),
        ("ben", "practice"),
    ]
    assert all(is_whole(exam) for exam in exams)
    assert set(fixture.states().values()) == {"done"}
    assert {exam["id"] for exam in exams} == set(fixture.states())
    assert fixture.rows(exam_chunks) == []
    assert Counter(request.exam for request in claude.log) == {e["id"]: PARTS[e["exam_type"]] for e in exams}
    assert {exam["model"] for exam in exams} == {"sample"}
    paid(fixture, claude)


def test_an_exam_has_the_cost_of_all_its_calls(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha")
    fixture.request("asha")
    faults(claude.script, Fault.NOT_JSON)

    fixture.work_off()

    (exam,) = fixture.exams()
    read = sum(a.input_tokens + a.cache_write_tokens + a.cache_read_tokens for a in claude.log)
    made = sum(a.output_tokens for a in claude.log)
    cost = sum(
        -(-(a.input_tokens * 20 + a.output_tokens * 100 + a.cache_write_tokens * 25 + a.cache_read_tokens) // 10)
        for a in claude.log
    )
    assert (exam["input_tokens"], exam["output_tokens"], exam["cost_micros"]) == (read, made, cost)
    assert len(claude.log) == 4


def test_requests_are_data_and_do_not_identify_the_user(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha")
    fixture.request("asha", id="r-1")

    fixture.work_off()

    first, second = claude.bodies[:2]
    assert first["system"] == second["system"]
    assert first["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert len(first["system"][0]["text"]) > 4 * 512
    assert first["output_config"]["format"]["type"] == "json_schema"
    assert not {"tools", "temperature", "metadata"} & set(first)
    content = first["messages"][0]["content"]
    assert "asha" not in content.lower()
    assert content.startswith("<part>{")
    assert content.endswith("}</part>")
    assert "this is sample question" in second["messages"][0]["content"]
    assert all(domain in first["system"][0]["text"] for domain in DOMAINS)


BODY: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 1000,
    "system": "sample",
    "messages": [
        {"role": "user", "content": '<part>{"exam": "e", "part": 0, "domains": {"assessment_and_diagnosis": 1}}</part>'}
    ],
}

AGAIN = [
    (Fault.RATE_LIMITED, "away", "429 rate_limit_error"),
    (Fault.RATE_LIMITED_FOR, "away", "429 rate_limit_error"),
    (Fault.OVERLOADED, "away", "529 overloaded_error"),
    (Fault.BROKEN, "away", "500 api_error"),
    (Fault.OVERLOADED_200, "away", "200 overloaded_error"),
    (Fault.RESET, "away", "connection failed or interrupted"),
    (Fault.GARBAGE, "away", "not a valid Messages API response"),
    (Fault.MAX_TOKENS, "unfit", "it is incomplete: max_tokens"),
    (Fault.REFUSAL, "unfit", "it is incomplete: refusal"),
    (Fault.NOT_JSON, "unfit", "it is not JSON"),
    (Fault.MARKUP_EVERYWHERE, "unfit", "a question's explanation has control characters or markup"),
]
KINDS = [fault for fault, _, _ in AGAIN]


@pytest.mark.parametrize(("fault", "outcome", "cause"), AGAIN, ids=KINDS)
def test_a_fault_is_retried_once(
    fixture: ExamsFixture, claude: ClaudeServer, fault: Fault, outcome: str, cause: str
) -> None:
    claude.script.retry_after = "0.05"
    fixture.users("asha")
    fixture.request("asha")
    faults(claude.script, None, fault)

    result = fixture.work_off()

    assert (result.ok, result.failed) == (1, [])
    assert fixture.outcomes() == [(0, "kept", None), (1, outcome, cause), (1, "kept", None), (2, "kept", None)]
    assert is_whole(fixture.exams()[0])
    paid(fixture, claude)


@pytest.mark.parametrize(("fault", "outcome", "cause"), AGAIN, ids=KINDS)
def test_three_faults_fail_the_request_and_keep_its_parts(
    fixture: ExamsFixture, claude: ClaudeServer, fault: Fault, outcome: str, cause: str
) -> None:
    claude.script.retry_after = "0.05"
    fixture.users("asha")
    request = fixture.request("asha")
    faults(claude.script, None, fault, fault, fault)

    result = fixture.work_off()

    assert (result.ok, result.failed, result.broken) == (0, [request], None)
    (failure,) = result.failures
    assert failure.message == f"part 2 failed 3 times, the last time: {cause}"
    assert fixture.states() == {request: "failed"}
    assert fixture.rows(exam_requests)[0]["last_error"] == failure.message
    assert fixture.exams() == []
    assert [chunk["seq"] for chunk in fixture.rows(exam_chunks)] == [0]
    assert max_tries_of_a_part(claude.log) == 3
    assert [got for _, got, _ in fixture.outcomes()] == ["kept", outcome, outcome, outcome]

    retried = fixture.run("work_queue", [request])

    assert retried.ok == 1
    assert is_whole(fixture.exams()[0])
    assert [request.part for request in claude.log] == [0, 1, 1, 1, 1, 2]
    paid(fixture, claude)


@pytest.mark.parametrize(
    "fault", [Fault.SHORT, Fault.ALIKE, Fault.OUT_OF_RANGE, Fault.ESCAPES, Fault.MARKUP], ids=lambda fault: fault.name
)
def test_missing_duplicate_and_invalid_questions_come_in_a_smaller_last_part(
    fixture: ExamsFixture, claude: ClaudeServer, fault: Fault
) -> None:
    fixture.users("asha")
    fixture.request("asha")
    faults(claude.script, None, fault, fault)

    fixture.work_off()

    assert is_whole(fixture.exams()[0])
    assert [request.part for request in claude.log][:4] == [0, 1, 2, 3]
    assert claude.log[-1].questions < 21
    paid(fixture, claude)


def test_unusual_characters_are_no_markup(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha")
    fixture.request("asha")
    claude.script.otherwise = Fault.UNUSUAL

    fixture.work_off()

    assert is_whole(fixture.exams()[0])
    assert [request.part for request in claude.log] == [0, 1, 2]


def test_an_account_without_credit_ends_the_run_and_keeps_every_request(
    fixture: ExamsFixture, claude: ClaudeServer
) -> None:
    fixture.users("asha", "ben")
    fixture.request("asha")
    fixture.request("ben")
    claude.script.otherwise = Fault.NO_CREDIT

    result = fixture.work_off()

    assert (result.broken, result.failed, len(claude.log)) == ("claude", [], 1)
    assert result.reason == "400 invalid_request_error: Your credit balance is too low to access the API."
    assert set(fixture.states().values()) == {"waiting"}
    (call,) = fixture.rows(exam_calls)
    assert call["cost_micros"] == 0, "nothing of the budget stays reserved"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "nonsense://proxy"),
        ("SSL_CERT_FILE", "/no/such/certificates.pem"),
        ("ANTHROPIC_BASE_URL", "ftp://127.0.0.1:1"),
        ("ANTHROPIC_BASE_URL", "not an address"),
    ],
)
def test_an_unusable_environment_ends_the_run_and_keeps_the_request(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    fixture.users("asha")
    fixture.request("asha")

    result = fixture.work_off()

    assert (result.broken, result.failed) == ("claude", [])
    assert fixture.states() == {"r-asha-diagnostic": "waiting"}
    assert [call["cost_micros"] for call in fixture.rows(exam_calls)] in ([], [0])


def test_white_space_around_the_key_is_ignored(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", f" {KEY}\n")
    fixture.users("asha")
    fixture.request("asha")

    assert fixture.work_off().ok == 1


def test_a_key_with_characters_that_no_key_has_is_refused_before_a_call(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary\nX-Injected: 1")
    fixture.users("asha")
    fixture.request("asha")

    result = fixture.work_off()

    assert claude.log == []
    assert result.skipped == {
        "exams are not configured: ANTHROPIC_API_KEY has characters that no key has; copy the key again": 1
    }


@pytest.mark.parametrize(
    ("header", "at_least", "at_most"),
    [("7", 7, 7), ("3600", 60, 60), (50, 1, 51), (-30, 0, 0), (86_400, 60, 60)],
    ids=["seconds", "too long", "a time", "a past time", "a far time"],
)
def test_retry_after_is_a_number_of_seconds_or_a_time(
    claude: ClaudeServer, header: str | int, at_least: int, at_most: int
) -> None:
    claude.script.retry_after = header if isinstance(header, str) else formatdate(time.time() + header, usegmt=True)
    claude.script.otherwise = Fault.RATE_LIMITED_FOR

    async def call() -> CallFailed:
        async with connect() as client:
            with pytest.raises(CallFailed) as failed:
                await client.create_message(BODY)
        return failed.value

    wait = asyncio.run(call()).retry_after

    assert wait is not None
    assert at_least <= wait <= at_most


def test_a_service_that_always_returns_too_few_questions_makes_no_exam(
    fixture: ExamsFixture, claude: ClaudeServer
) -> None:
    fixture.users("asha")
    request = fixture.request("asha")
    claude.script.otherwise = Fault.SHORT

    result = fixture.work_off()

    assert result.failed == [request]
    assert fixture.exams() == []
    assert max_tries_of_a_part(claude.log) == 3


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DRIP])
def test_a_call_ends_at_its_timeout(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr("jobs.exams.api_client.CALL_TIMEOUT_SECONDS", 0.5)
    fixture.users("asha")
    fixture.request("asha")
    faults(claude.script, fault)

    fixture.work_off()

    assert fixture.outcomes()[0] == (0, "away", "no response within 0.5 s")
    lost = fixture.rows(exam_calls)[0]
    assert lost["cost_micros"] is None
    assert lost["reserved_micros"] > 0
    assert is_whole(fixture.exams()[0])


def test_an_unavailable_service_ends_the_run_and_fails_one_request(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha", "ben", "chen")
    for user in ("asha", "ben", "chen"):
        fixture.request(user)
    claude.script.otherwise = Fault.OVERLOADED

    result = fixture.work_off()

    assert (result.broken, result.reason) == ("claude", "529 overloaded_error")
    assert len(claude.log) == 3
    assert fixture.states() == {
        "r-asha-diagnostic": "failed",
        "r-ben-diagnostic": "waiting",
        "r-chen-diagnostic": "waiting",
    }

    again = fixture.run("work_queue", result.again, number=fixture.runs)

    assert (again.broken, len(claude.log)) == ("claude", 3)

    next_minute = fixture.work_off()

    assert (next_minute.broken, len(claude.log)) == ("claude", 4)

    claude.script.otherwise = None

    assert fixture.work_off().ok == 2


@pytest.mark.parametrize(
    ("fault", "cause"), [(Fault.BAD_REQUEST, "400 invalid_request_error"), (Fault.FORBIDDEN, "403 permission_error")]
)
def test_a_refusal_is_not_retried_and_ends_the_run(
    fixture: ExamsFixture, claude: ClaudeServer, fault: Fault, cause: str
) -> None:
    fixture.users("asha", "ben")
    fixture.request("asha")
    fixture.request("ben")
    faults(claude.script, fault)

    result = fixture.work_off()
    again = fixture.run("work_queue", result.again, number=fixture.runs)

    assert result.reason == again.reason
    assert (result.broken, result.reason) == ("claude", f"{cause}: sample {cause[4:]}")
    assert len(claude.log) == 1
    assert fixture.work_off().ok >= 1


def test_an_invalid_api_key_is_reported_and_never_shown(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary-8f2e")
    fixture.users("asha")
    fixture.request("asha")

    result = fixture.work_off()

    assert (result.broken, result.reason) == ("claude", "401 authentication_error")
    assert len(claude.log) == 1
    assert fixture.states() == {"r-asha-diagnostic": "waiting"}
    assert "canary" not in repr(result) + repr([fixture.rows(table) for table in (exam_calls, exam_requests)])

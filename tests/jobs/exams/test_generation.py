"""Exams are made whole or not at all, whatever the service does."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from jobs.exams.tables import exam_calls, exam_chunks, exam_requests
from tests.jobs.exams.claude import ClaudeServer, Fault
from tests.jobs.exams.fixtures import DOMAINS, PARTS, School, faults, is_whole, tries_of_a_part


def paid(school: School, claude: ClaudeServer) -> None:
    """The books say what the server's log says, call by call."""
    ours = [
        (
            c["exam_key"],
            c["seq"],
            c["input_tokens"],
            c["cache_write_tokens"],
            c["cache_read_tokens"],
            c["output_tokens"],
        )
        for c in school.rows(exam_calls)
        if c["input_tokens"]
    ]
    theirs = [
        (a.exam, a.part, a.input_tokens, a.cache_write_tokens, a.cache_read_tokens, a.output_tokens)
        for a in claude.log
        if a.billed
    ]
    assert ours == theirs


def test_everybody_gets_both_exams_whole(school: School, claude: ClaudeServer) -> None:
    school.users("asha", "ben")
    school.users("chen", active=False)
    school.run("generate")

    result = school.work_off()

    assert (result.ok, result.failed, result.skipped, result.metrics["exams"]) == (4, [], {}, 4)
    exams = school.exams()
    assert sorted((e["user_id"], e["exam_type"]) for e in exams) == [
        ("asha", "diagnostic"),
        ("asha", "practice"),
        ("ben", "diagnostic"),
        ("ben", "practice"),
    ]
    assert all(is_whole(exam) for exam in exams)
    assert set(school.states().values()) == {"done"}
    assert {exam["id"] for exam in exams} == set(school.states())
    assert school.rows(exam_chunks) == []
    assert Counter(asked.exam for asked in claude.log) == {e["id"]: PARTS[e["exam_type"]] for e in exams}
    assert {exam["model"] for exam in exams} == {"sample"}
    paid(school, claude)


def test_an_exam_says_what_all_its_calls_cost(school: School, claude: ClaudeServer) -> None:
    school.users("asha")
    school.request("asha")
    faults(claude.script, Fault.NOT_JSON)

    school.work_off()

    (exam,) = school.exams()
    read = sum(a.input_tokens + a.cache_write_tokens + a.cache_read_tokens for a in claude.log)
    made = sum(a.output_tokens for a in claude.log)
    cost = sum(
        -(-(a.input_tokens * 20 + a.output_tokens * 100 + a.cache_write_tokens * 25 + a.cache_read_tokens) // 10)
        for a in claude.log
    )
    assert (exam["input_tokens"], exam["output_tokens"], exam["cost_micros"]) == (read, made, cost)
    assert len(claude.log) == 4


def test_what_is_asked_is_data_and_says_nothing_of_the_user(school: School, claude: ClaudeServer) -> None:
    school.users("asha")
    school.request("asha", id="r-1")

    school.work_off()

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
    (Fault.OUT_OF_RANGE, "unfit", "a question's answer is not the index of an option"),
    (Fault.ESCAPES, "unfit", "a question's stem has control characters or markup"),
    (Fault.MARKUP, "unfit", "a question's explanation has control characters or markup"),
]
KINDS = [fault for fault, _, _ in AGAIN]


@pytest.mark.parametrize(("fault", "outcome", "cause"), AGAIN, ids=KINDS)
def test_what_goes_wrong_once_is_asked_for_once_more(
    school: School, claude: ClaudeServer, fault: Fault, outcome: str, cause: str
) -> None:
    claude.script.retry_after = "0.05"
    school.users("asha")
    school.request("asha")
    faults(claude.script, None, fault)

    result = school.work_off()

    assert (result.ok, result.failed) == (1, [])
    assert school.outcomes() == [(0, "kept", None), (1, outcome, cause), (1, "kept", None), (2, "kept", None)]
    assert is_whole(school.exams()[0])
    paid(school, claude)


@pytest.mark.parametrize(("fault", "outcome", "cause"), AGAIN, ids=KINDS)
def test_what_goes_wrong_three_times_fails_the_request_and_keeps_what_was_paid_for(
    school: School, claude: ClaudeServer, fault: Fault, outcome: str, cause: str
) -> None:
    claude.script.retry_after = "0.05"
    school.users("asha")
    request = school.request("asha")
    faults(claude.script, None, fault, fault, fault)

    result = school.work_off()

    assert (result.ok, result.failed, result.broken) == (0, [request], None)
    (told,) = result.failures
    assert told.message == f"part 2 failed 3 times, the last time: {cause}"
    assert school.states() == {request: "failed"}
    assert school.rows(exam_requests)[0]["last_error"] == told.message
    assert school.exams() == []
    assert [chunk["seq"] for chunk in school.rows(exam_chunks)] == [0]
    assert tries_of_a_part(claude.log) == 3
    assert [got for _, got, _ in school.outcomes()] == ["kept", outcome, outcome, outcome]

    retried = school.run("work_queue", [request])

    assert retried.ok == 1
    assert is_whole(school.exams()[0])
    assert [asked.part for asked in claude.log] == [0, 1, 1, 1, 1, 2]
    paid(school, claude)


@pytest.mark.parametrize("fault", [Fault.SHORT, Fault.ALIKE])
def test_questions_that_are_missing_or_alike_come_in_a_last_smaller_part(
    school: School, claude: ClaudeServer, fault: Fault
) -> None:
    school.users("asha")
    school.request("asha")
    faults(claude.script, None, fault, fault)

    school.work_off()

    assert is_whole(school.exams()[0])
    assert [asked.part for asked in claude.log][:4] == [0, 1, 2, 3]
    assert claude.log[-1].questions < 21
    paid(school, claude)


def test_a_service_that_is_always_one_short_makes_no_exam(school: School, claude: ClaudeServer) -> None:
    school.users("asha")
    request = school.request("asha")
    claude.script.otherwise = Fault.SHORT

    result = school.work_off()

    assert result.failed == [request]
    assert school.exams() == []
    assert tries_of_a_part(claude.log) == 3


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DRIP])
def test_a_call_ends_at_its_deadline_however_slowly_it_comes(
    school: School, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr("jobs.exams.api_client.CALL_TIMEOUT_SECONDS", 0.5)
    school.users("asha")
    school.request("asha")
    faults(claude.script, fault)
    began = time.monotonic()

    school.work_off()

    assert time.monotonic() - began < 30  # the SDK alone may take ten to load
    assert school.outcomes()[0] == (0, "away", "no response within 0.5 s")
    lost = school.rows(exam_calls)[0]
    assert lost["cost_micros"] is None
    assert lost["reserved_micros"] > 0
    assert is_whole(school.exams()[0])


def test_a_service_that_is_down_ends_the_run_and_costs_one_request_its_tries(
    school: School, claude: ClaudeServer
) -> None:
    school.users("asha", "ben", "chen")
    for user in ("asha", "ben", "chen"):
        school.request(user)
    claude.script.otherwise = Fault.OVERLOADED

    result = school.work_off()

    assert (result.broken, result.reason) == ("claude", "529 overloaded_error")
    assert len(claude.log) == 3
    assert school.states() == {
        "r-asha-diagnostic": "failed",
        "r-ben-diagnostic": "waiting",
        "r-chen-diagnostic": "waiting",
    }

    again = school.run("work_queue", result.again, number=school.runs)

    assert (again.broken, len(claude.log)) == ("claude", 3)

    next_minute = school.work_off()

    assert (next_minute.broken, len(claude.log)) == ("claude", 4)

    claude.script.otherwise = None

    assert school.work_off().ok == 2


@pytest.mark.parametrize(
    ("fault", "cause"), [(Fault.BAD_REQUEST, "400 invalid_request_error"), (Fault.FORBIDDEN, "403 permission_error")]
)
def test_a_refusal_is_not_retried_and_ends_the_run(
    school: School, claude: ClaudeServer, fault: Fault, cause: str
) -> None:
    school.users("asha", "ben")
    school.request("asha")
    school.request("ben")
    faults(claude.script, fault)

    result = school.work_off()
    again = school.run("work_queue", result.again, number=school.runs)

    assert result.reason == again.reason
    assert (result.broken, result.reason) == ("claude", f"{cause}: sample {cause[4:]}")
    assert len(claude.log) == 1
    assert school.work_off().ok >= 1


def test_a_wrong_key_is_named_and_never_shown(
    school: School, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary-8f2e")
    school.users("asha")
    school.request("asha")

    result = school.work_off()

    assert (result.broken, result.reason) == ("claude", "401 authentication_error")
    assert len(claude.log) == 1
    assert school.states() == {"r-asha-diagnostic": "waiting"}
    assert "canary" not in repr(result) + repr([school.rows(table) for table in (exam_calls, exam_requests)])

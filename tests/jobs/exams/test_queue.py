"""UserFilter gets an exam requested, when it is made, what it may cost, and what is deleted."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import event, update

from jobs.exams import generation
from jobs.exams.options import Price
from jobs.exams.tables import exam_calls, exam_chunks, exam_requests, pre_generated_exams
from tests.jobs.exams.claude import ClaudeServer, Fault
from tests.jobs.exams.fixtures import NOON, School, faults

DAY = timedelta(days=1)
A_MOMENT = timedelta(microseconds=1)
MISSING = "exams are not configured: set ANTHROPIC_API_KEY in the environment of this process and of its workers"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is set, and nobody is asked."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-anything")


def requested(school: School) -> set[tuple[str, str]]:
    return {(row["user_id"], row["exam_type"]) for row in school.rows(exam_requests)}


# --- who lacks one --------------------------------------------------------------------------------------------------


def test_each_active_user_gets_what_is_missing_of_both_types(school: School, key: None) -> None:
    school.users("asha", "ben", "chen", "dora", "eli")
    school.users("fay", active=False)
    school.exam("asha", "diagnostic")
    school.exam("asha", "practice")
    school.exam("ben", "practice", expires_at=NOON + A_MOMENT)
    school.exam("chen", "diagnostic", expires_at=NOON)
    school.exam("dora", "practice", used=True, used_at=NOON)
    school.request("eli", "diagnostic")

    planned = school.planned("generate")
    result = school.run("generate")

    assert sorted(planned) == ["ben", "chen", "dora", "eli"]
    assert result.metrics == {"deleted": 1, "requested": 6}
    assert requested(school) == {
        ("ben", "diagnostic"),
        ("chen", "diagnostic"),
        ("chen", "practice"),
        ("dora", "diagnostic"),
        ("dora", "practice"),
        ("eli", "diagnostic"),
        ("eli", "practice"),
    }


def test_asking_again_requests_nothing_twice_and_takes_up_what_failed(school: School, key: None) -> None:
    school.users("asha")
    failed = school.request("asha", "diagnostic", state="failed", last_error="it failed")
    school.run("generate")
    once = school.rows(exam_requests)

    school.run("generate", ["asha"])

    assert school.rows(exam_requests) == once
    assert len(once) == 2
    (again,) = [row for row in once if row["id"] == failed]
    assert (again["state"], again["attempts"]) == ("waiting", 2)


def test_a_batch_costs_as_many_statements_for_many_users_as_for_few(school: School, key: None) -> None:
    school.users(*(f"u{n:03}" for n in range(60)))
    sent: list[str] = []
    event.listen(school.data.engine, "before_cursor_execute", lambda *said: sent.append(said[2]))

    school.run("generate", [f"u{n:03}" for n in range(2)])
    few = len(sent)
    school.run("generate", [f"u{n:03}" for n in range(2, 60)])

    assert len(sent) - few == few


def test_an_exam_that_is_being_taken_is_never_deleted(school: School) -> None:
    school.users("asha")
    school.exam("asha", id="expired", expires_at=NOON)
    school.exam("asha", id="valid", expires_at=NOON + A_MOMENT)
    school.exam("asha", id="taken a day ago", used=True, used_at=NOON - DAY, expires_at=NOON - DAY)
    school.exam("asha", id="being taken", used=True, used_at=NOON - DAY + A_MOMENT, expires_at=NOON - DAY)
    school.exam("asha", id="taken by an old program", used=True, created_at=NOON - DAY)

    assert sorted(school.planned("cleanup")) == ["expired", "taken a day ago", "taken by an old program"]
    result = school.run("cleanup")

    assert result.metrics == {"deleted": 3}
    assert {exam["id"] for exam in school.exams()} == {"valid", "being taken"}


def test_what_is_stuck_is_cleared_with_its_parts_and_nothing_else(school: School) -> None:
    school.users("asha", "ben")
    failed = school.request("asha", "diagnostic", state="failed")
    forgotten = school.request("asha", "practice", updated_at=NOON - 2 * DAY)
    waiting = school.request("ben", "diagnostic", updated_at=NOON - 2 * DAY + A_MOMENT)
    for request in (failed, waiting):
        chunk = {"questions": [], "input_tokens": 1, "output_tokens": 1, "created_at": NOON}
        school.add(exam_chunks, {"exam_key": request, "seq": 0, **chunk})

    assert sorted(school.planned("clear_stuck")) == sorted([failed, forgotten])
    school.run("clear_stuck")

    assert list(school.states()) == [waiting]
    assert [chunk["exam_key"] for chunk in school.rows(exam_chunks)] == [waiting]


# --- the order, the pace, the money ---------------------------------------------------------------------------------


def test_what_is_begun_comes_first_and_then_what_people_asked_for(school: School, claude: ClaudeServer) -> None:
    school.users("asha", "ben", "chen", "dora")
    school.request("asha", id="old", created_at=NOON - DAY)
    school.request("ben", id="begun")
    faults(claude.script, None, Fault.FORBIDDEN)
    school.run("work_queue", ["begun"])
    school.request("chen", id="by hand", requested_by="http")
    school.request("dora", id="later", next_attempt_at=NOON + A_MOMENT)

    assert school.planned("work_queue") == ["begun", "by hand", "old"]
    school.set(requests_per_run=1)
    assert school.planned("work_queue") == ["begun"]


def test_calls_wait_for_the_limits_a_minute(
    school: School, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        school.now += timedelta(seconds=seconds)

    monkeypatch.setattr("jobs.exams.generation.asyncio.sleep", sleep)
    monkeypatch.setattr(generation.Generator, "_now", lambda _: school.now)
    school.set(requests_per_minute=2)
    school.users("asha")
    school.request("asha")

    school.work_off()
    assert slept == [60.0]

    school.set(requests_per_minute=50, tokens_per_minute=1)
    school.request("asha", "practice")
    slept.clear()
    school.work_off()

    assert len(slept) >= 8
    times = [call["asked_at"] for call in school.rows(exam_calls)]
    assert all(later - earlier >= timedelta(minutes=1) for earlier, later in pairwise(times[3:]))


def test_a_service_that_wants_us_to_wait_is_obeyed_up_to_a_minute(
    school: School, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds))
        school.now += timedelta(seconds=seconds)

    monkeypatch.setattr("jobs.exams.generation.asyncio.sleep", sleep)
    monkeypatch.setattr(generation.Generator, "_now", lambda _: school.now)
    school.users("asha")
    school.request("asha")
    claude.script.retry_after = "7"
    faults(claude.script, Fault.RATE_LIMITED_FOR)
    school.work_off()
    claude.script.retry_after = "3600"
    faults(claude.script, Fault.RATE_LIMITED_FOR)
    school.request("asha", "practice")
    school.work_off()

    assert slept == [7, 60]


def test_the_days_budget_begins_no_exam_and_ends_none_half_paid(school: School, claude: ClaudeServer) -> None:
    school.users("asha", "ben", "chen")
    for user in ("asha", "ben", "chen"):
        school.request(user)
    school.set(daily_budget=Decimal("0.35"))  # an exam is reckoned at 0.29 and costs less
    first = school.work_off()
    whole = sum(call["cost_micros"] for call in school.rows(exam_calls))

    assert first.ok >= 1
    assert first.ok + sum(first.skipped.values()) == 3
    assert list(first.skipped) == ["the daily budget of $0.35 does not allow another exam"]
    assert whole <= 350_000

    school.now += DAY
    assert school.work_off().ok >= 1


def test_an_exam_that_is_begun_is_finished_when_the_budget_is_at_its_end(school: School, claude: ClaudeServer) -> None:
    school.users("asha", "ben")
    begun, other = school.request("asha"), school.request("ben")
    faults(claude.script, None, Fault.FORBIDDEN)
    school.work_off()
    school.set(daily_budget=Decimal(0))

    result = school.work_off()

    assert school.states() == {begun: "done", other: "waiting"}
    assert (result.ok, sum(result.skipped.values())) == (1, 1)


def test_a_run_has_a_budget_of_its_own(school: School, claude: ClaudeServer) -> None:
    school.users("asha", "ben")
    school.request("asha")
    school.request("ben")
    school.set(run_budget=Decimal("0.3"))

    first, second = school.work_off(), school.work_off()

    assert (first.ok, list(first.skipped)) == (1, ["the run budget of $0.30 does not allow another exam"])
    assert second.ok == 1


def test_a_call_costs_what_the_price_table_says(school: School, claude: ClaudeServer) -> None:
    ten = Decimal(10)
    school.set(model="claude-of-ours", prices={"claude-of-ours": Price(ten, ten, ten, ten)})
    school.users("asha")
    school.request("asha")

    school.work_off()

    kinds = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
    for call in school.rows(exam_calls):
        assert call["cost_micros"] == 10 * sum(call[kind] for kind in kinds)


def test_a_request_that_would_take_longer_than_its_batch_goes_on_in_the_next_run(
    school: School, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    school.users("asha")
    request = school.request("asha")
    school.set(requests_per_minute=2)
    monkeypatch.setattr(generation, "LATEST_CALL_SECONDS", 30)

    result = school.work_off()

    assert result.skipped == {"the time of this run is used up; the next run continues": 1}
    assert school.states() == {request: "waiting"}
    assert len(school.rows(exam_chunks)) == 2


def test_the_limits_hold_for_all_workers_together(
    school: School, claude: ClaudeServer, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "LATEST_CALL_SECONDS", 30)
    claude.script.seconds = (0.01, 0.05)
    school.users("asha", "ben", "chen")
    requests = [school.request(user) for user in ("asha", "ben", "chen")]
    workers = [School(database_url, requests_per_minute=5) for _ in requests]

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda worker, request: worker.run("work_queue", [request]), workers, requests))

    assert len(claude.log) == 5
    assert sum(result.ok for result in results) <= 1
    for worker in workers:
        worker.close()


def test_no_transaction_is_open_over_a_call(
    school: School, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    school.users("asha")
    school.request("asha")
    open_ones: list[int] = []

    def look() -> None:
        open_ones.append(school.data.engine.pool.checkedout())  # type: ignore[attr-defined] # of a QueuePool

    monkeypatch.setattr(claude, "pause", look)

    school.work_off()

    assert open_ones == [0, 0, 0]


# --- without a key ----------------------------------------------------------------------------------------------------


def test_without_a_key_everything_says_so_and_nothing_is_asked_for(school: School) -> None:
    school.users("asha")
    school.exam("asha", expires_at=NOON)

    generated, worked = school.run("generate"), school.work_off()
    asked = school.ask("POST", "/api/pre-generate-exam", body={"userId": "asha", "examType": "practice"})

    assert (generated.skipped, generated.failed) == ({MISSING[:119] + "…" if len(MISSING) > 120 else MISSING: 1}, [])
    assert generated.metrics == {"deleted": 1, "requested": 0}
    assert (worked.ok, worked.failed, sum(worked.skipped.values())) == (0, [], 1)
    assert (asked.status, asked.body["error"]["code"]) == (503, "not_configured")
    assert school.panel("Exam requests").message == MISSING
    assert school.rows(exam_requests) == []


def test_check_says_so_and_finds_nothing_wrong_with_it(tmp_path: Path, redis_url: str) -> None:
    environ = {"PATH": "", "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path), "REDIS_URL": redis_url}
    command = [sys.executable, "-m", "opsconsole", "check"]
    here = environ | {"OPSCONSOLE_JOBS__PACKS": "jobs.exams"}
    ran = subprocess.run(command, capture_output=True, text=True, env=here, cwd=Path(__file__).parents[2])

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"· {MISSING}" in ran.stdout.splitlines()
    assert ran.stdout.splitlines()[-1] == "✓ all is well"


def test_the_sdk_is_loaded_when_an_exam_is_made_and_not_before() -> None:
    script = """
import sys
from opsconsole.authoring import catalog
import opsconsole.service.service, opsconsole.leader.engine, opsconsole.http.app, opsconsole.worker.process
catalog.load(("jobs.exams",), {}, {})
print([name for name in sys.modules if name.partition(".")[0] in ("anthropic", "httpx2", "pydantic")])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


# --- what the console shows -------------------------------------------------------------------------------------------


def test_the_panels_show_queue_stock_causes_tokens_and_cost(school: School, claude: ClaudeServer) -> None:
    school.users("asha", "ben")
    school.request("asha", created_at=NOON - timedelta(hours=3))
    school.request("ben", "practice", state="failed")
    faults(claude.script, Fault.NOT_JSON, Fault.OVERLOADED)
    school.work_off()
    school.request("asha", "practice", created_at=NOON - timedelta(minutes=75))
    spent = sum(call["cost_micros"] for call in school.rows(exam_calls)) / 1e6

    queue, stock, calls = (school.panel(t) for t in ("Exam requests", "Stored exams", "Claude API calls"))

    assert dict(queue.facts) == {
        "generation": "claude-sonnet-5-5, mode messages",
        "oldest open request": "1 h 15 min",
        "cost today": f"${spent:,.2f} of $50.00",
    }
    assert queue.rows == (
        ("waiting", "0", "1"),
        ("submitted", "0", "0"),
        ("failed", "0", "1"),
        ("done", "1", "0"),
    )
    assert stock.rows[0][:5] == ("diagnostic", "1", "0", "0", "0")
    assert stock.rows[0][5].endswith(" kB")
    assert {(row[0], row[1], row[2]) for row in calls.rows} == {
        ("accepted", "", "3"),
        ("invalid content", "it is not JSON", "1"),
        ("no response", "529 overloaded_error", "1"),
    }


def test_what_somebody_has_to_look_at_is_said(school: School, key: None) -> None:
    school.users("asha")
    for n in range(3):
        school.users(f"u{n}")
        school.request(f"u{n}", state="failed")
    school.request("asha", created_at=NOON - timedelta(hours=2))
    school.exam("asha", questions=[{"stem": "x" * 310_000}])
    school.exam("asha", expires_at=NOON - timedelta(hours=8))
    school.set(daily_budget=Decimal(0))

    says = school.panel("Exam requests").message

    assert "the daily budget is reached: $0.00 of $0.00" in says
    assert "3 requests failed in the last hour" in says
    assert "the queue is growing: 3 requests added and 0 completed in the last hour" in says
    assert "1 exam should have been deleted by now" in says


def test_exams_three_times_as_large_as_usual_are_said(school: School, key: None) -> None:
    school.users("asha")
    school.exam("asha", questions=[{"stem": "x" * 310_000}])
    assert school.panel("Exam requests").message == "diagnostic exams have 310 kB on average; 100 kB is typical"
    with school.data.writing() as db:
        db.execute(update(pre_generated_exams).values(questions=[{"stem": "x" * 290_000}]))
    assert school.panel("Exam requests").message == ""

"""Requests, the work queue, limits and budgets, and cleanup."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import event, update

from jobs.attempts.tables import attempts
from jobs.common import metadata, users
from jobs.exams import generation, pack
from jobs.exams.options import Price
from jobs.exams.tables import exam_calls, exam_chunks, exam_requests, pre_generated_exams
from tests.jobs.exams.claude import ClaudeServer, Fault
from tests.jobs.exams.fixtures import NOON, ExamsFixture, faults

DAY = timedelta(days=1)
A_MOMENT = timedelta(microseconds=1)
MISSING = "exams are not configured: set ANTHROPIC_API_KEY in the environment of the process that leads"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API key is set; no call is made."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-anything")


def requested(fixture: ExamsFixture) -> set[tuple[str, str]]:
    return {(row["user_id"], row["exam_type"]) for row in fixture.rows(exam_requests)}


# --- who lacks one --------------------------------------------------------------------------------------------------


def test_missing_exams_of_both_types_are_requested_for_active_users(fixture: ExamsFixture, key: None) -> None:
    fixture.users("asha", "ben", "chen", "dora", "eli")
    fixture.users("fay", active=False)
    fixture.exam("asha", "diagnostic")
    fixture.exam("asha", "practice")
    fixture.exam("ben", "practice", expires_at=NOON + A_MOMENT)
    fixture.exam("chen", "diagnostic", expires_at=NOON)
    fixture.exam("dora", "practice", used=True, used_at=NOON)
    fixture.request("eli", "diagnostic")

    planned = fixture.planned("generate")
    result = fixture.run("generate")

    assert sorted(planned) == ["ben", "chen", "dora", "eli"]
    assert result.metrics == {"deleted": 1, "requested": 6}
    assert requested(fixture) == {
        ("ben", "diagnostic"),
        ("chen", "diagnostic"),
        ("chen", "practice"),
        ("dora", "diagnostic"),
        ("dora", "practice"),
        ("eli", "diagnostic"),
        ("eli", "practice"),
    }


def test_on_request_exams_are_made_ahead_only_for_active_users(fixture: ExamsFixture, key: None) -> None:
    attempted = {"asha": 1, "ben": 13.99, "chen": 14.01, "dora": -1, "fay": 1}
    fixture.users(*attempted, "eli", "gita", "hari")
    long_ago = NOON - timedelta(days=200)
    with fixture.data.writing() as db:
        metadata.create_all(db, tables=[attempts])
        db.execute(update(users).values(created_at=long_ago))
        db.execute(update(users).where(users.c.id == "eli").values(created_at=NOON - timedelta(days=13)))
        db.execute(update(users).where(users.c.id == "fay").values(active=False))
    for user, ago in attempted.items():
        mine = {"id": user, "user_id": user, "question_id": "q1", "status": "correct"}
        fixture.add(attempts, mine | {"solved_at": NOON - timedelta(days=ago)})
    fixture.exam("gita", expires_at=NOON)  # to be deleted, not to be replaced
    for days in (14, None):
        fixture.set(active_within_days=days)
        planned, result = fixture.planned("generate"), fixture.run("generate")
        if days is not None:
            assert sorted(planned) == ["asha", "ben", "eli", "gita"]
            assert {user for user, _ in requested(fixture)} == {"asha", "ben", "eli"}
            assert result.metrics == {"deleted": 1, "requested": 6}
            fetched = fixture.ask("GET", "/api/get-pre-generated-exam", userId="hari", examType="practice")
            assert fetched.status == 404
            assert ("hari", "practice") in requested(fixture)
    assert {user for user, _ in requested(fixture)} == {"asha", "ben", "chen", "dora", "eli", "gita", "hari"}


@pytest.mark.parametrize("days", [0, -1, 3651, 10**12])
def test_a_wrong_number_of_active_days_is_reported(fixture: ExamsFixture, key: None, days: int) -> None:
    fixture.users("asha")
    with fixture.data.writing() as db:
        metadata.create_all(db, tables=[attempts])
    fixture.set(active_within_days=days)

    fixture.planned("generate")
    result = fixture.run("generate", ["asha"])

    assert result.skipped == {"exams are not configured: active_within_days must be between 1 and 3,650": 1}
    assert requested(fixture) == set()


def test_generate_is_idempotent_and_reopens_failed_requests(fixture: ExamsFixture, key: None) -> None:
    fixture.users("asha")
    failed = fixture.request("asha", "diagnostic", state="failed", last_error="it failed")
    fixture.run("generate")
    once = fixture.rows(exam_requests)

    fixture.run("generate", ["asha"])

    assert fixture.rows(exam_requests) == once
    assert len(once) == 2
    (again,) = [row for row in once if row["id"] == failed]
    assert (again["state"], again["attempts"]) == ("waiting", 2)


def test_the_number_of_statements_does_not_grow_with_the_batch(fixture: ExamsFixture, key: None) -> None:
    fixture.users(*(f"u{n:03}" for n in range(60)))
    sent: list[str] = []
    event.listen(fixture.data.engine, "before_cursor_execute", lambda *args: sent.append(args[2]))

    fixture.run("generate", [f"u{n:03}" for n in range(2)])
    few = len(sent)
    fixture.run("generate", [f"u{n:03}" for n in range(2, 60)])

    assert len(sent) - few == few


def test_an_exam_in_use_is_never_deleted(fixture: ExamsFixture) -> None:
    fixture.users("asha")
    fixture.exam("asha", id="expired", expires_at=NOON)
    fixture.exam("asha", id="valid", expires_at=NOON + A_MOMENT)
    fixture.exam("asha", id="taken a day ago", used=True, used_at=NOON - DAY, expires_at=NOON - DAY)
    fixture.exam("asha", id="being taken", used=True, used_at=NOON - DAY + A_MOMENT, expires_at=NOON - DAY)
    fixture.exam("asha", id="taken by an old program", used=True, created_at=NOON - DAY)

    assert sorted(fixture.planned("cleanup")) == ["expired", "taken a day ago", "taken by an old program"]
    result = fixture.run("cleanup")

    assert result.metrics == {"deleted": 3}
    assert {exam["id"] for exam in fixture.exams()} == {"valid", "being taken"}


def test_clear_stuck_deletes_only_stuck_requests_with_their_parts(fixture: ExamsFixture) -> None:
    fixture.users("asha", "ben")
    failed = fixture.request("asha", "diagnostic", state="failed")
    forgotten = fixture.request("asha", "practice", updated_at=NOON - 2 * DAY)
    waiting = fixture.request("ben", "diagnostic", updated_at=NOON - 2 * DAY + A_MOMENT)
    for request in (failed, waiting):
        chunk = {"questions": [], "input_tokens": 1, "output_tokens": 1, "created_at": NOON}
        fixture.add(exam_chunks, {"exam_key": request, "seq": 0, **chunk})

    assert sorted(fixture.planned("clear_stuck")) == sorted([failed, forgotten])
    fixture.run("clear_stuck")

    assert list(fixture.states()) == [waiting]
    assert [chunk["exam_key"] for chunk in fixture.rows(exam_chunks)] == [waiting]


# --- the order, the pace, the money ---------------------------------------------------------------------------------


def test_started_exams_come_first_then_requests_by_people(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha", "ben", "chen", "dora")
    fixture.request("asha", id="old", created_at=NOON - DAY)
    fixture.request("ben", id="started")
    faults(claude.script, None, Fault.FORBIDDEN)
    fixture.run("work_queue", ["started"])
    fixture.request("chen", id="by hand", requested_by="http")
    fixture.request("dora", id="later", next_attempt_at=NOON + A_MOMENT)

    assert fixture.planned("work_queue") == ["started", "by hand", "old"]
    fixture.set(requests_per_run=1)
    assert fixture.planned("work_queue") == ["started"]


def test_what_a_clock_wrote_that_was_ahead_does_not_wait_for_that_time(
    fixture: ExamsFixture, claude: ClaudeServer
) -> None:
    fixture.users("asha", "ben", "chen")
    fixture.now = NOON + DAY
    asha = fixture.request("asha")
    ben = fixture.request("ben", state="submitted", next_attempt_at=fixture.now + 2 * A_MOMENT)
    faults(claude.script, Fault.FORBIDDEN, Fault.FORBIDDEN)
    fixture.run("work_queue", [asha])
    fixture.now = NOON
    fixture.request("chen", next_attempt_at=NOON + A_MOMENT)
    fixture.set(requests_per_minute=1)

    assert fixture.planned("work_queue") == [asha, ben]
    fixture.run("work_queue", [asha])

    assert len(claude.log) == 2, "the call of tomorrow does not use up the limit of today"


def waits_that_pass_at_once(fixture: ExamsFixture, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait of the generator. They pass on the clock of the fixture only."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        fixture.now += timedelta(seconds=seconds)

    # Not asyncio.sleep itself: the event loops of other tests' servers may still use that.
    monkeypatch.setattr(generation, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    monkeypatch.setattr(generation.Generator, "_now", lambda _: fixture.now)
    return slept


def test_calls_wait_for_the_limits_per_minute(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = waits_that_pass_at_once(fixture, monkeypatch)
    fixture.set(requests_per_minute=2)
    fixture.users("asha")
    fixture.request("asha")

    fixture.work_off()
    assert slept == [60.0]

    fixture.set(requests_per_minute=50, tokens_per_minute=1)
    fixture.request("asha", "practice")
    slept.clear()
    fixture.work_off()

    assert len(slept) >= 8
    times = [call["asked_at"] for call in fixture.rows(exam_calls)]
    assert all(later - earlier >= timedelta(minutes=1) for earlier, later in pairwise(times[3:]))


def test_retry_after_is_respected_up_to_a_minute(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = waits_that_pass_at_once(fixture, monkeypatch)
    fixture.users("asha")
    fixture.request("asha")
    claude.script.retry_after = "7"
    faults(claude.script, Fault.RATE_LIMITED_FOR)
    fixture.work_off()
    claude.script.retry_after = "3600"
    faults(claude.script, Fault.RATE_LIMITED_FOR)
    fixture.request("asha", "practice")
    fixture.work_off()

    assert [round(seconds) for seconds in slept] == [7, 60]


def test_the_daily_budget_stops_new_exams_only(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha", "ben", "chen")
    for user in ("asha", "ben", "chen"):
        fixture.request(user)
    fixture.set(daily_budget=Decimal("0.35"))  # the estimate of an exam is 0.29, its cost is lower
    first = fixture.work_off()
    whole = sum(call["cost_micros"] for call in fixture.rows(exam_calls))

    assert first.ok >= 1
    assert first.ok + sum(first.skipped.values()) == 3
    assert list(first.skipped) == ["the daily budget of $0.35 does not allow another exam"]
    assert whole <= 350_000

    fixture.now += DAY
    assert fixture.work_off().ok >= 1


def test_a_started_exam_is_completed_after_the_budget_is_spent(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha", "ben")
    started, other = fixture.request("asha"), fixture.request("ben")
    faults(claude.script, None, Fault.FORBIDDEN)
    fixture.work_off()
    fixture.set(daily_budget=Decimal(0))

    result = fixture.work_off()

    assert fixture.states() == {started: "done", other: "waiting"}
    assert (result.ok, sum(result.skipped.values())) == (1, 1)


def test_a_run_has_its_own_budget(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha", "ben")
    fixture.request("asha")
    fixture.request("ben")
    fixture.set(run_budget=Decimal("0.3"))

    first, second = fixture.work_off(), fixture.work_off()

    assert (first.ok, list(first.skipped)) == (1, ["the run budget of $0.30 does not allow another exam"])
    assert second.ok == 1


def test_the_cost_of_a_call_follows_the_price_table(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    ten = Decimal(10)
    fixture.set(model="claude-of-ours", prices={"claude-of-ours": Price(ten, ten, ten, ten)})
    fixture.users("asha")
    fixture.request("asha")

    fixture.work_off()

    kinds = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
    calls = fixture.rows(exam_calls)
    assert calls
    assert [call["cost_micros"] for call in calls] == [10 * sum(call[kind] for kind in kinds) for call in calls]


def test_a_long_request_continues_in_the_next_run(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixture.users("asha")
    request = fixture.request("asha")
    fixture.set(requests_per_minute=2)
    monkeypatch.setattr(generation, "LATEST_CALL_SECONDS", 30)

    result = fixture.work_off()

    assert result.skipped == {"the time of this run is used up; the next run continues": 1}
    assert fixture.states() == {request: "waiting"}
    assert len(fixture.rows(exam_chunks)) == 2


def test_limits_apply_to_all_workers_together(
    fixture: ExamsFixture, claude: ClaudeServer, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "LATEST_CALL_SECONDS", 30)
    claude.script.seconds = (0.01, 0.05)
    fixture.users("asha", "ben", "chen")
    requests = [fixture.request(user) for user in ("asha", "ben", "chen")]
    workers = [ExamsFixture(database_url, requests_per_minute=5) for _ in requests]

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda worker, request: worker.run("work_queue", [request]), workers, requests))

    assert len(claude.log) == 5
    assert sum(result.ok for result in results) <= 1
    for worker in workers:
        worker.close()


def test_no_transaction_is_open_during_a_call(
    fixture: ExamsFixture, claude: ClaudeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixture.users("asha")
    fixture.request("asha")
    open_ones: list[int] = []

    def look() -> None:
        open_ones.append(fixture.data.engine.pool.checkedout())  # type: ignore[attr-defined] # of a QueuePool

    monkeypatch.setattr(claude, "pause", look)

    fixture.work_off()

    assert open_ones == [0, 0, 0]


# --- without a key ----------------------------------------------------------------------------------------------------


def test_without_a_key_all_interfaces_report_it_and_nothing_is_requested(fixture: ExamsFixture) -> None:
    fixture.users("asha")
    fixture.exam("asha", expires_at=NOON)

    generated = fixture.run("generate")
    response = fixture.ask("POST", "/api/pre-generate-exam", body={"userId": "asha", "examType": "practice"})

    assert (generated.skipped, generated.failed) == ({MISSING[:119] + "…" if len(MISSING) > 120 else MISSING: 1}, [])
    assert generated.metrics == {"deleted": 1, "requested": 0}
    assert (response.status, response.body["error"]["code"]) == (503, "not_configured")
    assert fixture.panel("Exam requests").message == f"this process: {MISSING}"
    assert fixture.rows(exam_requests) == []


def test_without_a_key_a_waiting_request_reports_it(fixture: ExamsFixture) -> None:
    fixture.users("asha", "ben")
    assert fixture.planned("work_queue") == []
    for user in ("asha", "ben"):
        fixture.request(user, "practice")

    worked = fixture.work_off()

    assert (worked.ok, worked.failed, sum(worked.skipped.values())) == (0, [], 1)
    assert {row["state"] for row in fixture.rows(exam_requests)} == {"waiting"}


def test_check_reports_a_missing_key_without_a_problem(tmp_path: Path, redis_url: str) -> None:
    environ = {"PATH": "", "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path), "REDIS_URL": redis_url}
    command = [sys.executable, "-m", "opsconsole", "check"]
    here = environ | {"OPSCONSOLE_JOBS__PACKS": "jobs.exams"}
    ran = subprocess.run(command, capture_output=True, text=True, env=here, cwd=Path(__file__).parents[2])

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"· this process: {MISSING}" in ran.stdout.splitlines()
    assert ran.stdout.splitlines()[-1] == "✓ no problems"


def test_the_sdk_is_loaded_only_to_generate_exams() -> None:
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


def test_the_panels_show_requests_exams_and_calls(fixture: ExamsFixture, claude: ClaudeServer) -> None:
    fixture.users("asha", "ben")
    fixture.request("asha", created_at=NOON - timedelta(hours=3))
    fixture.request("ben", "practice", state="failed")
    faults(claude.script, Fault.NOT_JSON, Fault.OVERLOADED)
    fixture.work_off()
    fixture.request("asha", "practice", created_at=NOON - timedelta(minutes=75))
    spent = sum(call["cost_micros"] for call in fixture.rows(exam_calls)) / 1e6

    queue, stock, calls = (fixture.panel(t) for t in ("Exam requests", "Stored exams", "Claude API calls"))

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


def test_the_panel_shows_alerts(fixture: ExamsFixture, key: None) -> None:
    fixture.users("asha")
    for n in range(3):
        fixture.users(f"u{n}")
        fixture.request(f"u{n}", state="failed")
    fixture.request("asha", created_at=NOON - timedelta(hours=2))
    fixture.exam("asha", questions=[{"stem": "x" * 310_000}])
    fixture.exam("asha", expires_at=NOON - timedelta(hours=8))
    fixture.set(daily_budget=Decimal(0))

    message = fixture.panel("Exam requests").message

    assert "the daily budget is reached: $0.00 of $0.00" in message
    assert "3 requests failed in the last hour" in message
    assert "the queue is growing: 3 requests added and 0 completed in the last hour" in message
    assert "1 exam should have been deleted by now" in message


def test_the_panel_shows_what_the_checks_find_and_nothing_else(fixture: ExamsFixture, key: None) -> None:
    fixture.users("asha")
    fixture.request("asha", created_at=NOON - timedelta(hours=7))
    fixture.set(daily_budget=Decimal(0))

    found = {check.name: list(check.read(fixture.serving)) for check in pack.checks}

    shown = fixture.panel("Exam requests").message
    assert shown == "; ".join(condition.message for each in found.values() for condition in each)
    assert {name for name, each in found.items() if each} == {"daily_budget", "queue"}
    (waiting,) = found["queue"]
    assert (waiting.message, waiting.since) == ("the oldest request has waited for 7 h", NOON - timedelta(hours=7))
    fixture.set(mode="batch", daily_budget=Decimal(50))
    assert fixture.panel("Exam requests").message == "", "a message batch may take a day"


def test_exams_of_three_times_the_typical_size_alert(fixture: ExamsFixture, key: None) -> None:
    fixture.users("asha")
    fixture.exam("asha", questions=[{"stem": "x" * 310_000}])
    assert fixture.panel("Exam requests").message == "diagnostic exams have 310 kB on average; 100 kB is typical"
    with fixture.data.writing() as db:
        db.execute(update(pre_generated_exams).values(questions=[{"stem": "x" * 290_000}]))
    assert fixture.panel("Exam requests").message == ""

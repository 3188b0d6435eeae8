"""What clients read and request: lists and pages, commands of each kind, roles, repeated requests, and events."""

from __future__ import annotations

import ast
import json
import socket
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from opsconsole.core.configuration import load
from opsconsole.core.errors import BadSettings
from opsconsole.core.settings import Actor, Role
from opsconsole.http import events, openapi
from opsconsole.http.api import OPERATIONS
from opsconsole.http.fields import field_types, is_required
from opsconsole.http.openapi import PLAIN
from opsconsole.rules.actions import Verb
from opsconsole.rules.backfill import Only
from opsconsole.rules.run_search import RunSearch
from opsconsole.service.commands import RefusedBefore
from tests.conftest import Installing
from tests.http.client import HttpClient, served
from tests.http.conftest import SECRET
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually, finished

VIEWER, OPERATOR = "viewer-token-of-grafana", "operator-token-of-deploy"
CONFIG = """
[http.tokens.grafana]
variable = "GRAFANA_TOKEN"
[http.tokens.deploy]
role = "operator"
file = "{file}"
"""
JOB = "counting.count"
DAY = "2026-01-19"
BODIES: dict[str, Any] = {
    "jobs": [JOB],
    "runs": [1],
    "from": DAY,
    "to": DAY,
    "target": "counting",
    "since": "2h",
    "counted": 0,
    "cron": "0 4 * * *",
}
"""Values of required fields."""


@pytest.fixture
def place(installing: Installing, tmp_path: Path, redis_url: str) -> Installation:
    """An installation with $CRON_SECRET and two more tokens; asha's item succeeds, ben's fails."""
    file = tmp_path / "deploy.token"
    file.write_text(OPERATOR + "\n")
    file.chmod(0o600)
    found = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.counting,jobs.attempts,jobs.exams,jobs.practice",
        environ={"CRON_SECRET": SECRET, "OPSCONSOLE_ENGINE__EXECUTOR": "inline", "GRAFANA_TOKEN": VIEWER},
        config=CONFIG.format(file=file),
    )
    counting.put(found.data, {"asha": "fine", "ben": "fails"})
    return found


@pytest.fixture
def viewer(place: Installation) -> Iterator[HttpClient]:
    """A client whose token may only view, of an installation that is led."""
    with served(place) as connected, place.leading() as engine:
        eventually(lambda: is_at_work(engine), "it is leading")
        yield HttpClient(connected.address, VIEWER)


@pytest.fixture
def operator(viewer: HttpClient) -> HttpClient:
    """A client of the same installation whose token may do everything."""
    return HttpClient(viewer.address, OPERATOR)


def ok(response: Any, status: int = 200) -> dict[str, Any]:
    assert response.status == status, response.body
    document: dict[str, Any] = response.json
    assert document["success"] is True
    return document


def ended_run(place: Installation, client: HttpClient, day: str = DAY) -> int:
    started = ok(client.request("POST", f"/api/cron/run/{JOB}", {"date": day}), 202)
    number: int = started["run"]["id"]
    assert place.service.commands.wait_for_run(number, PATIENCE_SECONDS) is not None
    return number


def test_a_run_is_listed_shown_and_retried_with_its_failures_and_log(
    place: Installation, viewer: HttpClient, operator: HttpClient
) -> None:
    numbers = [ended_run(place, operator, f"2026-01-{day}") for day in (17, 18, 19)]

    first = ok(viewer.get(f"/api/runs?q={JOB.replace('.', '%20')}&state=partial,failed&limit=2"))
    last = ok(viewer.get(f"/api/runs?limit=2&before={first['next']}"))
    shown = ok(viewer.get(f"/api/runs/{numbers[0]}"))["run"]
    failures = ok(viewer.get(f"/api/runs/{numbers[0]}/failures"))
    log = ok(viewer.get(f"/api/runs/{numbers[0]}/log"))
    retried = ok(operator.request("POST", f"/api/runs/{numbers[0]}/retry"), 202)["run"]
    mine = ok(operator.get("/api/runs?q=mine"))["runs"]

    assert [run["id"] for run in first["runs"] + last["runs"]] == numbers[::-1]
    assert (first["total"], last["next"]) == (3, None)
    assert (shown["state"], shown["ok"], shown["failed"], shown["requested_by"]) == ("partial", 1, 1, "deploy")
    assert shown["causes"][0]["items"] == ["ben"]
    assert [each["item"] for each in failures["failures"]] == ["ben"]
    assert failures["next"] is None
    assert "partial" in log["log"][-1]["line"]
    assert retried["window"] == "2026-01-17"
    assert retried["id"] in [run["id"] for run in mine]


def test_jobs_scheduled_times_and_explanations_are_read(viewer: HttpClient) -> None:
    jobs = {each["job"]: each for each in ok(viewer.get("/api/jobs"))["jobs"]}
    details = ok(viewer.get("/api/jobs/cacheAttemptDay"))["details"]
    why = ok(viewer.get("/api/why?job=attempts.cache_day"))["why"]
    occurrences = ok(viewer.get("/api/occurrences?since=2h"))
    families = ok(viewer.get("/api/cache/families?count=true"))["families"]

    assert jobs["attempts.cache_day"]["tz"] == "Asia/Kolkata"
    assert len(details["scheduled"]) == 10
    assert why["answers"]
    assert occurrences["occurrences"] == []
    assert {"attempts.day", "practice.config"} <= {each["name"] for each in families}


def test_every_command_has_a_route_and_works(place: Installation, viewer: HttpClient, operator: HttpClient) -> None:
    done = ended_run(place, operator)
    planned = ok(
        operator.request("POST", "/api/backfills", {"jobs": [JOB], "from": "2026-01-01", "to": "2026-01-03"}), 201
    )["backfill"]
    ok(operator.request("POST", f"/api/backfills/{planned['id']}/apply"))
    ok(operator.request("POST", "/api/jobs/counting/pause", {"for": "2h", "note": "maintenance"}))
    paused = {each["job"]: each["pauses"] for each in ok(viewer.get("/api/jobs"))["jobs"]}
    ok(operator.request("POST", "/api/jobs/counting/resume"))
    ok(operator.request("POST", f"/api/jobs/{JOB}/schedule", {"cron": "0 4 * * *", "note": "late source"}))
    changed = ok(viewer.get(f"/api/jobs/{JOB}"))["details"]["job"]
    ok(operator.request("POST", f"/api/jobs/{JOB}/schedule/reset"))
    ok(operator.request("POST", "/api/silences", {"target": JOB, "note": "known"}))
    silences = ok(viewer.get("/api/alerts"))["silences"]
    ok(operator.request("POST", "/api/silences/end", {"target": JOB}))
    counted = ok(operator.get("/api/cache/count?user=asha"))
    cleared = ok(operator.request("POST", "/api/cache/families/clear", {"user": "asha", "counted": counted["keys"]}))
    again = operator.request("POST", f"/api/runs/{done}/cancel", {"note": "too late"})
    all_ended = operator.request("POST", "/api/runs/cancel", {"runs": [done, 999_999]})
    audit = ok(viewer.get("/api/audit?limit=4"))

    assert planned["to_run"] == 3
    assert paused[JOB][0]["requested_by"] == "deploy"
    assert (silences[0]["by"], silences[0]["note"]) == ("deploy", "known")
    assert cleared["cleared"] == counted["keys"] == 0
    assert changed["changed"].startswith("changed by deploy")
    assert (again.status, again.code) == (all_ended.status, all_ended.code) == (409, "refused")
    by_alerts = {"opsconsole"}  # the one about the failed item may fire at any time
    assert {row["actor"] for row in audit["rows"]} - by_alerts == {"deploy"}
    assert {operation.verb for operation in OPERATIONS} - {None} == set(Verb)


def test_a_viewer_may_request_nothing_and_each_attempt_is_audited(place: Installation, viewer: HttpClient) -> None:
    posts = [operation for operation in OPERATIONS if operation.method == "POST"]
    for operation in posts:
        path = operation.path.format(job=JOB, run=1, backfill=1, alert=1)
        names = [name for name in field_types(operation.request) if f"{{{name}}}" not in operation.path]
        body = {name: BODIES[name] for name in names if is_required(operation.request, name)}
        extra = {"user": "asha", "command": 1} if "/cache/" in path else {"q": JOB, "dry_run": False}

        refused = viewer.request("POST", path, body | {name: extra[name] for name in extra if name in names})
        invalid = viewer.request("POST", path, {"colour": "red"})

        assert (refused.status, refused.code) == (invalid.status, invalid.code) == (403, "not_allowed"), path
    rows = place.service.audit.newest(limit=200)
    mine = [row.outcome for row in rows if row.who == "grafana"]
    assert (mine.count("requested"), mine.count("refused"), len(mine)) == (
        2 * len(posts),
        2 * len(posts),
        4 * len(posts),
    )
    assert place.service.queries.runs(limit=1) == []
    assert place.service.queries.pauses() == []
    assert place.service.backfills.newest(limit=1) == []


def test_a_route_of_a_pack_that_writes_unannounced_writes_nothing_for_a_viewer(
    installing: Installing, tmp_path: Path, redis_url: str
) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.routes,tests.packs.counting",
        environ={
            "CRON_SECRET": SECRET,
            "GRAFANA_TOKEN": VIEWER,
            "OPSCONSOLE_HTTP__TOKENS__GRAFANA__VARIABLE": "GRAFANA_TOKEN",
        },
    )
    counting.put(place.data, {"asha": "fine"})
    with served(place) as operator:
        viewer = HttpClient(operator.address, VIEWER)
        refused, kept = viewer.get("/written"), viewer.get("/things/fine").json["things"]
        written, left = operator.get("/written"), viewer.get("/things/fine").json["things"]

    assert (refused.status, kept) == (500, 1)
    assert (written.status, left) == (200, 0)


def test_a_repeated_request_is_carried_out_once(place: Installation, operator: HttpClient) -> None:
    key = {"Idempotency-Key": "cron 2026-01-19"}
    first, second = (operator.request("POST", f"/api/cron/run/{JOB}", {"date": DAY}, key) for _ in range(2))
    other = operator.request("POST", "/api/cron/run/attempts.cache_day", {"date": DAY}, key)
    invalid = operator.request("POST", f"/api/cron/run/{JOB}", {"date": DAY}, {"Idempotency-Key": ""})
    of_another = HttpClient(operator.address, SECRET).request("POST", "/api/jobs/all/pause", {}, key)

    assert ok(first, 202)["run"]["id"] == ok(second, 202)["run"]["id"]
    assert (other.status, other.code) == (409, "refused")
    assert (invalid.status, invalid.code) == (400, "bad_key")
    ok(of_another)
    assert len(place.service.queries.runs(limit=10)) == 1


def test_a_plan_that_is_requested_again_is_made_once_and_audited(place: Installation, operator: HttpClient) -> None:
    plan, key = {"jobs": [JOB], "from": "2026-01-01", "to": "2026-01-03"}, {"Idempotency-Key": "1"}
    first, second, other = (
        operator.request("POST", "/api/backfills", plan | more, key) for more in ({}, {}, {"newest_first": True})
    )
    audited = ok(operator.get("/api/audit"))["rows"]

    assert ok(first, 201)["backfill"]["id"] == ok(second, 201)["backfill"]["id"]
    assert (other.status, other.code) == (409, "refused")
    assert len(place.service.backfills.newest(limit=5)) == 1
    mine = [(row["action"], row["outcome"]) for row in audited if row["actor"] == "deploy"]
    assert mine == [("plan_backfill", "done"), ("plan_backfill", "requested")]


def test_runs_that_match_a_filter_are_counted_before_they_are_retried(
    place: Installation, operator: HttpClient
) -> None:
    numbers = [ended_run(place, operator, f"2026-01-{day}") for day in (17, 18)]
    filter_: dict[str, Any] = {"q": "counting partial", "job": JOB, "by": "deploy", "since": "1h"}
    key = {"Idempotency-Key": "1"}

    counted = ok(operator.request("POST", "/api/runs/retry", filter_, key))
    retried, again = (
        ok(operator.request("POST", "/api/runs/retry", filter_ | {"dry_run": False}, key)) for _ in range(2)
    )
    none_left = ok(operator.request("POST", "/api/runs/cancel", {"job": JOB, "state": ["queued"], "until": "1h"}))
    without = [operator.request("POST", f"/api/runs/{verb}", {"dry_run": False}) for verb in ("retry", "cancel")]
    both = operator.request("POST", "/api/runs/cancel", {"runs": numbers, "q": JOB})
    audited = ok(operator.get("/api/audit?q=retry"))["rows"]

    assert counted == {"success": True, "command": None, "message": "would retry 2 runs", "runs": numbers}
    assert (len(retried["runs"]), retried["message"]) == (2, "queued 2 runs")
    assert again == retried
    assert (none_left["command"], none_left["runs"]) == (None, [])
    assert [(each.status, each.code) for each in (*without, both)] == [(400, "missing")] * 2 + [(400, "bad_body")]
    assert audited[-1]["after"]["matching"]["q"] == "counting partial"


def test_a_filter_that_limits_nothing_changes_no_run(place: Installation, operator: HttpClient) -> None:
    number = ended_run(place, operator)
    blank = [
        operator.request("POST", f"/api/runs/{verb}", {"q": q, "dry_run": False})
        for verb in ("retry", "cancel")
        for q in (" ", "all", '""')
    ]

    assert {(each.status, each.code) for each in blank} == {(400, "missing")}
    assert [run.id for run in place.service.queries.runs(limit=5)] == [number]


def test_more_runs_than_were_counted_are_not_retried(place: Installation, operator: HttpClient) -> None:
    for day in (17, 18):
        ended_run(place, operator, f"2026-01-{day}")
    request, key = {"job": JOB, "dry_run": False}, {"Idempotency-Key": "1"}

    refused = operator.request("POST", "/api/runs/retry", request | {"counted": 1})
    retried, again = (operator.request("POST", "/api/runs/retry", request | {"counted": 2}, key) for _ in range(2))

    assert (refused.status, refused.code) == (409, "refused")
    assert "2 runs match now, not 1" in refused.body.decode()
    assert len(ok(retried)["runs"]) == 2
    assert again.json == retried.json


def test_a_dry_run_of_given_runs_counts_those_that_would_change(place: Installation, operator: HttpClient) -> None:
    number, newer = (ended_run(place, operator, day) for day in (DAY, "2026-01-20"))
    again = ok(operator.request("POST", f"/api/runs/{newer}/retry"), 202)["run"]["id"]
    assert place.service.commands.wait_for_run(again, PATIENCE_SECONDS) is not None

    to_cancel = ok(operator.request("POST", f"/api/runs/cancel?runs={number},999999&dry_run=true"))
    to_retry = ok(operator.request("POST", "/api/runs/retry", {"runs": [number, 999_999], "dry_run": True}))

    assert (to_cancel["message"], to_cancel["runs"]) == ("would cancel 0 runs", [])
    assert (to_retry["message"], to_retry["runs"]) == ("would retry 1 run", [number])
    newest = place.service.history.retryable(RunSearch(jobs=(JOB,)), limit=2)
    assert [run.id for run in newest] == [number, again], "a run that was retried does not take the place of another"


def test_a_viewer_is_refused_without_a_search_and_again_with_the_same_key(
    place: Installation, viewer: HttpClient, operator: HttpClient
) -> None:
    ended_run(place, operator)
    key, plan = {"Idempotency-Key": "1"}, {"jobs": [JOB], "from": DAY, "to": DAY}

    replies = [
        *(viewer.request("POST", "/api/backfills", plan, key) for _ in range(2)),
        viewer.request("POST", "/api/runs/retry", {"job": JOB, "dry_run": False}),
        viewer.request("POST", "/api/runs/cancel", {}),
    ]

    rows = [row for row in place.service.audit.newest(limit=50) if row.who == "grafana"]
    assert [reply.status for reply in replies] == [403] * 4
    assert [row.after["runs"] for row in rows if row.after and "runs" in row.after] == [[]]
    assert place.service.backfills.newest(limit=1) == []
    raised = place.service.backfills.by(Actor("grafana", "", Role.OPERATOR), key["Idempotency-Key"])
    with pytest.raises(RefusedBefore, match="use a new key"):
        raised.plan([JOB], date.fromisoformat(DAY), date.fromisoformat(DAY), only=Only.MISSING)


def test_head_starts_nothing(place: Installation, operator: HttpClient) -> None:
    head, listed = operator.request("HEAD", "/api/cron/generate-exams"), operator.request("HEAD", "/api/jobs")

    assert (head.status, head.headers["allow"], head.body) == (405, "GET, POST", b"")
    assert (listed.status, listed.body) == (200, b"")
    assert place.service.queries.runs(limit=1) == []


def test_a_key_is_refused_for_a_request_with_other_fields(operator: HttpClient) -> None:
    key = {"Idempotency-Key": "1"}
    pauses = [operator.request("POST", f"/api/jobs/{JOB}/pause", {"for": span}, key) for span in ("2h", "2h", "5h")]
    key = {"Idempotency-Key": "2"}
    days = [operator.request("POST", f"/api/cron/run/{JOB}", {"date": day}, key) for day in (DAY, "2026-01-18")]

    assert [reply.status for reply in (*pauses, *days)] == [200, 200, 409, 202, 409]
    assert pauses[0].json["command"] == pauses[1].json["command"]


def test_a_repeated_replay_since_an_age_is_one_command(operator: HttpClient) -> None:
    key = {"Idempotency-Key": "1"}
    first, second = (operator.request("POST", "/api/events/replay", {"since": "2h"}, key) for _ in range(2))

    assert ok(first)["command"] == ok(second)["command"]


def test_wrong_fields_are_named(viewer: HttpClient, operator: HttpClient) -> None:
    wrong = [
        (viewer.get("/api/runs?limit=0"), "limit"),
        (viewer.get("/api/runs?state=running,gone"), "state"),
        (viewer.get("/api/runs?q=by"), "q"),
        (viewer.get("/api/runs?since=soon"), "since"),
        (viewer.get("/api/runs?since=1h&until=2h"), "since"),
        (viewer.get("/api/runs/first"), "run"),
        (viewer.get("/api/runs?colour=red"), "colour"),
        (viewer.get("/api/runs?before=null"), "before"),
        (viewer.get("/api/why"), "job"),
        (viewer.get("/api/cache/count"), "user"),
        (operator.request("POST", "/api/jobs/all/pause", {"for": "forever"}), "for"),
        (operator.request("POST", "/api/jobs/all/pause", {"note": 5}), "note"),
        (operator.request("POST", "/api/jobs/all/pause", {"until": "2020-01-01T00:00:00Z"}), "until"),
        (operator.request("POST", "/api/silences", {"target": "nothing"}), "target"),
        (operator.request("POST", "/api/backfills", {"jobs": [], "from": DAY, "to": DAY}), "jobs"),
        (operator.request("POST", "/api/backfills", {"jobs": [JOB], "from": DAY, "to": "soon"}), "to"),
        (operator.request("POST", "/api/backfills", {"jobs": [JOB], "from": DAY, "to": "2026-01-01"}), "from"),
        (viewer.get(f"/api/why?job={JOB}&at=soon"), "at"),
        (operator.request("POST", "/api/cache/families/clear", {"user": "a"}), "counted"),
        (operator.request("POST", f"/api/cron/run/{JOB}", {"params": {"no": 1}}), "params"),
        (operator.request("POST", f"/api/jobs/{JOB}/schedule", {"cron": "every day"}), "cron"),
        (operator.request("POST", f"/api/jobs/{JOB}/schedule", {"cron": "0 4 * * *", "tz": "Mars"}), "tz"),
    ]

    for response, field in wrong:
        assert (response.status, response.json["error"].get("field")) == (400, field), response.body
    assert viewer.get("/api/runs/999999").code == "unknown_run"
    assert viewer.get("/api/jobs/nothing").code == "unknown_job"


def test_the_document_has_every_route_and_those_of_packs(viewer: HttpClient) -> None:
    document = viewer.get("/openapi.json").json

    described = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert {f"{each.method} {each.path}" for each in OPERATIONS} <= described
    assert {f"GET {path}" for path in PLAIN} <= described
    assert {"GET /cache/attempt-day/{user}/{date}", "POST /api/cache/clear"} <= described
    assert document["components"]["schemas"]["RunDetails"]["properties"]["state"]


def test_routes_of_packs_are_described_with_their_fields_and_answers(viewer: HttpClient) -> None:
    document = viewer.get("/openapi.json").json
    paths, schemas = document["paths"], document["components"]["schemas"]

    session = paths["/api/practice/session"]["post"]
    body = session["requestBody"]["content"]["application/json"]["schema"]
    exam = paths["/api/get-pre-generated-exam"]["get"]
    days = paths["/api/cache/stats"]["get"]["parameters"]

    assert (set(body["properties"]), body["required"]) == ({"userId", "subjectId"}, ["userId", "subjectId"])
    assert set(session["responses"]) == {"201", *openapi.ERRORS}
    assert [(each["name"], each["in"]) for each in exam["parameters"]] == [("userId", "query"), ("examType", "query")]
    assert [(each["name"], each["schema"]["maximum"]) for each in days] == [("days", 90)]
    assert set(schemas["Exam"]["properties"]) == {"id", "examType", "questions", "createdAt", "expiresAt"}
    assert (
        len(paths["/api/health/redis"]["get"]["responses"]["503"]["content"]["application/json"]["schema"]["anyOf"])
        == 2
    )


def test_every_status_in_the_code_is_described(viewer: HttpClient) -> None:
    places = [
        *Path(openapi.__file__).parent.glob("*.py"),
        *(Path(openapi.__file__).parents[2] / "jobs").glob("*/routes.py"),
    ]
    calls = [node for path in places for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    first = {
        call.args[0].value
        for call in calls
        if ast.unparse(call.func) in ("HttpError", "Reply.error", "super().__init__")
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, int)
    }
    document = viewer.get("/openapi.json").json

    described = [set(each["responses"]) for item in document["paths"].values() for each in item.values()]
    assert len(first) > 8
    assert all({str(status) for status in first} <= each for each in described)


def test_no_answer_has_a_secret(
    place: Installation, viewer: HttpClient, operator: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    number = ended_run(place, operator)
    paths = [
        each.path.format(job=JOB, run=number, backfill=1, alert=1) + (f"?job={JOB}" if each.path == "/api/why" else "")
        for each in OPERATIONS
        if each.method == "GET"
    ]
    wrong = HttpClient(viewer.address, f"{SECRET}x")

    answers = [operator.get(path).body for path in [*paths, "/readyz?verbose", "/metrics", "/openapi.json", "/nothing"]]
    answers += [operator.get(f"/api/runs?q={secret}").body for secret in (SECRET, VIEWER)]
    answers.append(wrong.get("/api/jobs").body)
    answers.append(operator.request("POST", f"/api/cron/run/{JOB}", f'{{"date": {SECRET}}}'.encode()).body)

    texts = [*(answer.decode() for answer in answers), caplog.text]
    assert [secret for secret in (SECRET, VIEWER, OPERATOR) for text in texts if secret in text] == []


def test_metrics_count_what_happens(place: Installation, operator: HttpClient) -> None:
    def scrape() -> dict[str, float]:
        text = operator.get("/metrics").body.decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    before = scrape()
    ended_run(place, operator)
    operator.get("/api/runs/1")
    after = scrape()
    again = scrape()

    assert before["opsconsole_leading"] == before["opsconsole_store_up"] == before["opsconsole_redis_up"] == 1
    assert f'opsconsole_runs_total{{job="{JOB}",state="partial"}}' not in before
    for figures in (after, again):
        assert figures[f'opsconsole_runs_total{{job="{JOB}",state="partial"}}'] == 1
        assert figures[f'opsconsole_items_total{{job="{JOB}",outcome="ok"}}'] == 1
        assert figures[f'opsconsole_run_duration_seconds_count{{job="{JOB}"}}'] == 1
        assert sum(value for name, value in figures.items() if name.startswith("opsconsole_failures_total")) == 1
    assert after['opsconsole_http_requests_total{method="GET",route="/api/runs/{run}",status="200"}'] == 1
    assert after["process_resident_memory_bytes"] > 0


def test_metrics_are_served_while_redis_is_unreachable(installing: Installing, tmp_path: Path) -> None:
    place = installing(database_url=f"sqlite:///{tmp_path / 'ops.db'}", redis_url="unix:///nowhere/redis.sock")

    with served(place) as client:
        response = client.get("/metrics")

    assert response.status == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert b"opsconsole_redis_up 0.0" in response.body
    assert b"opsconsole_store_up 1.0" in response.body
    assert b"opsconsole_leader_present 0.0" in response.body


def test_a_clearing_without_redis_is_answered_as_unavailable(installing: Installing, tmp_path: Path) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}", redis_url="unix:///nowhere/redis.sock", packs="jobs.practice"
    )

    with served(place) as client, place.leading() as engine:
        eventually(lambda: engine.is_leading, "it is leading")
        ours = client.request("POST", "/api/cache/families/clear", {"user": "asha", "counted": 0})
        of_pack = client.request("POST", "/api/cache/clear", {"userId": "asha"})

    assert (ours.status, ours.code) == (of_pack.status, of_pack.code) == (503, "unavailable")


# --- events -------------------------------------------------------------------------------------------------------


class Follower:
    """Reads the events of a client in a thread, head and chunk sizes included."""

    def __init__(self, client: HttpClient, last: str = "") -> None:
        resume = f"Last-Event-ID: {last}\r\n" if last else ""
        head = f"GET {events.PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {client.secret}\r\n{resume}\r\n"
        self._socket = client.connect()
        self._socket.sendall(head.encode())
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._socket, self._socket.makefile("rb") as received:
            for line in received:
                self.lines.append(line.decode().rstrip())

    def leave(self) -> None:
        """Closes the connection."""
        self._socket.shutdown(socket.SHUT_RDWR)
        finished(self._thread)

    @property
    def has_ended(self) -> bool:
        """Whether the server has closed the connection."""
        return not self._thread.is_alive()

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of the events of a kind."""
        found = zip(self.lines, self.lines[1:], strict=False)
        return [
            json.loads(data[6:]) for event, data in found if event == f"event: {kind}" and data.startswith("data: ")
        ]

    @property
    def ids(self) -> list[str]:
        return [line[4:] for line in self.lines if line.startswith("id: ")]


def test_events_follow_a_run_resume_and_end_with_the_server(place: Installation) -> None:
    with place.leading() as engine, served(place) as connected:
        eventually(lambda: is_at_work(engine), "it is leading")
        operator = HttpClient(connected.address, OPERATOR)
        follower = Follower(HttpClient(connected.address, VIEWER))
        eventually(lambda: follower.of("leader") != [], "the state is sent")
        number = ended_run(place, operator)
        eventually(lambda: any(run["state"] == "partial" for run in follower.of("run")), "the end of the run is sent")
        resumed = Follower(HttpClient(connected.address, VIEWER), last=follower.ids[0])
        eventually(lambda: resumed.of("run") != [], "what was missed is sent")
        fresh = Follower(HttpClient(connected.address, VIEWER), last="another-5")
        eventually(lambda: fresh.of("state") != [], "an unknown place starts from the state")

    assert "content-type: text/event-stream; charset=utf-8" in follower.lines
    assert {run["id"] for run in follower.of("run") + resumed.of("run")} == {number}
    assert resumed.of("state") == []
    eventually(lambda: follower.has_ended and resumed.has_ended and fresh.has_ended, "the streams end with the server")


def test_the_number_of_followers_is_limited_and_a_heartbeat_keeps_them(
    viewer: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_CLIENTS", 2)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    followers = [Follower(viewer) for _ in range(2)]
    eventually(lambda: all(": heartbeat" in each.lines for each in followers), "heartbeats are sent")

    refused = viewer.get(events.PATH)
    for follower in followers:
        follower.leave()

    assert (refused.status, refused.code) == (503, "busy")
    eventually(lambda: viewer.request("HEAD", events.PATH).status == 200, "there is room for others")


# --- tokens -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('variable = "SHORT"', "http.tokens.grafana: the token in $SHORT has fewer than 16 characters"),
        ('variable = "MISSING"', "http.tokens.grafana: $MISSING is not set"),
        ('variable = "CRON_SECRET"', "http.tokens.grafana is the same as CRON_SECRET; each needs its own secret"),
        ('variable = "UMLAUT"', "http.tokens.grafana: the token in $UMLAUT has characters that HTTP headers"),
        ('file = "/no/where"', "http.tokens.grafana.file: /no/where cannot be read: No such file or directory"),
        ("", "http.tokens.grafana needs either a file or a variable that holds the token"),
        ('variable = "LONG"\nrole = "admin"', "http.tokens.grafana.role must be viewer or operator"),
    ],
)
def test_a_token_that_cannot_be_used_is_named(tmp_path: Path, lines: str, problem: str) -> None:
    config = tmp_path / "opsconsole.toml"
    config.write_text(f"[http.tokens.grafana]\n{lines}\n")
    environ = {"SHORT": "short", "LONG": "long-enough-for-us-all", "UMLAUT": "gehëim" * 4, "CRON_SECRET": SECRET}

    with pytest.raises(BadSettings) as refused:
        load(config, folder=tmp_path, environ=environ, search=False)

    assert [each for each in refused.value.problems if problem in each]
    assert not [each for each in refused.value.problems if SECRET in each or "gehëim" in each]


def test_tokens_come_from_variables_too_and_are_never_shown(tmp_path: Path) -> None:
    environ = {
        "OPSCONSOLE_HTTP__TOKENS__GRAFANA__VARIABLE": "GRAFANA_TOKEN",
        "OPSCONSOLE_HTTP__TOKENS__GRAFANA__ROLE": "viewer",
        "GRAFANA_TOKEN": VIEWER,
    }

    settings = load(folder=tmp_path, environ=environ, search=False)

    assert [(token.name, token.role) for token in settings.http_tokens] == [("grafana", "viewer")]
    assert settings.effective()["http.tokens.grafana"] == "viewer, from $GRAFANA_TOKEN"
    assert VIEWER not in repr(settings)

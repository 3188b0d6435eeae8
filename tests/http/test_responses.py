"""HTTP responses: health checks, triggers, pack routes, errors and limits."""

from __future__ import annotations

import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.core.clock import now
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop
from opsconsole.http import app, commanding, connection, requests, threads
from opsconsole.http.listener import listening, read_address
from opsconsole.http.server import Server
from opsconsole.rules.alerts import Acknowledgement
from opsconsole.rules.findings import FindingKind
from opsconsole.store import alerts
from tests.conftest import Installing
from tests.http.client import HttpClient, served
from tests.http.conftest import PACKS
from tests.installation import Installation, is_at_work
from tests.packs import counting, routes
from tests.waiting import PATIENCE_SECONDS, eventually, signalled

DAY = "2026-01-19"
NO_REDIS = "unix:///nowhere/redis.sock"
RUN = "/api/cron/run/requests.daily"


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests do not wait for a leader."""
    monkeypatch.setattr(commanding, "LEADER_SECONDS", 0.0)


def error(response: Any) -> dict[str, str]:
    assert response.code
    found: dict[str, str] = response.json["error"]
    return found


# --- health -------------------------------------------------------------------------------------------------------


def test_healthz_succeeds_while_dependencies_are_unreachable(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs=PACKS)

    with served(place) as client:
        response = client.get("/healthz")

    assert (response.status, response.json) == (200, {"success": True})
    assert response.headers["cache-control"] == "no-store"
    assert "server" not in response.headers


def test_healthz_fails_when_only_a_restart_helps(place: Installation, client: HttpClient) -> None:
    hanging, release = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        signalled(release, "the test releases it")

    stuck = Loop(Work.SAMPLER, hang, seconds=1.0, now=now, stalled_seconds=0.0)
    ended = Loop(Work.PRESENCE, lambda: None, seconds=1.0, now=now)
    ended.start()
    ended.stop()
    ended._stopping.clear()  # as after an end that nobody requested
    place.service.supervisor.watch(stuck)
    stuck.start()
    signalled(hanging, "it hangs")
    stalled = client.get("/healthz")
    release.set()
    stuck.stop()
    healthy = client.get("/healthz")
    place.service.supervisor.watch(ended)
    dead = client.get("/healthz")

    assert (stalled.status, stalled.code, healthy.status) == (503, "stuck", 200)
    assert error(stalled)["message"] == "sampler: no progress; restart this process"
    assert (dead.status, error(dead)["message"]) == (503, "presence: no progress; restart this process")


def loops(client: HttpClient) -> set[str]:
    return set(client.get("/readyz?verbose").json["loops"])


def test_readyz_succeeds_while_any_process_is_leading(place: Installation, client: HttpClient) -> None:
    without_leader = client.get("/readyz")
    with place.leading() as engine:
        eventually(lambda: is_at_work(engine), "it is leading")
        eventually(lambda: {"engine", "lease", "event_relay"} <= loops(client), "its parts are watched")
        leading, verbose = client.get("/readyz"), client.get("/readyz?verbose")
        place.service.use_engine(None)
        following = client.get("/readyz")

    assert (without_leader.status, without_leader.code, without_leader.json["state"]) == (503, "not_ready", "waiting")
    assert error(without_leader)["message"] == "no process is leading yet"
    assert without_leader.headers["retry-after"] == "5"
    firing = {"critical": 0, "warning": 0}
    assert leading.json == {"success": True, "state": "leading", "store": "ok", "redis": "ok", "alerts": firing}
    assert verbose.json["lease_age_seconds"] is not None
    assert all(loop["ok"] for loop in verbose.json["loops"].values())
    assert (following.status, following.json["state"]) == (200, "following")


def test_readyz_fails_without_redis(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs=PACKS)

    with served(place) as client:
        response = client.get("/readyz")

    assert (response.status, response.json["redis"], response.json["store"]) == (503, "unreachable", "ok")
    assert error(response)["message"].startswith("Redis is unreachable: ")


# --- alerts -------------------------------------------------------------------------------------------------------


def test_alerts_are_listed_with_their_state_and_counted_by_readyz(place: Installation, client: HttpClient) -> None:
    none = client.get("/api/alerts")
    with place.store.writing() as db:
        values = {"since": now(), "opened_at": now(), "message": "1 of 2 failed", "evidence": {"count": 1}}
        cause = alerts.add(db, (FindingKind.FAILED_RUN, "counting.count"), {**values, "severity": 2})
        effect = {**values, "severity": 1, "cause_id": cause}
        alerts.add(db, (FindingKind.FAILING_ITEMS, "counting.count"), effect)
        alerts.acknowledge(db, cause, Acknowledgement("asha", now(), None, "ticket 81"))

    every = client.get("/api/alerts").json
    firing = client.get("/api/alerts?state=firing,silenced").json
    bad, unknown = client.get("/api/alerts?state=on_fire"), client.get("/api/alerts?job=x")
    twice = client.get("/api/alerts?state=firing&state=resolved")

    assert none.json == {"success": True, "alerts": [], "silences": []}
    assert [(each["rule"], each["state"], each["cause"]) for each in every["alerts"]] == [
        ("failed_run", "acknowledged", None),
        ("failing_items", "firing", cause),
    ]
    assert every["alerts"][0]["acknowledged"]["by"] == "asha"
    assert [each["rule"] for each in firing["alerts"]] == ["failing_items"]
    assert (bad.status, bad.code, error(bad)["field"]) == (400, "bad_field", "state")
    assert (twice.status, twice.code, error(twice)["field"]) == (400, "repeated", "state"), "not just the last one"
    assert (unknown.status, unknown.code, error(unknown)["field"]) == (400, "unknown_field", "job")
    assert client.get("/readyz").json["alerts"] == {"critical": 0, "warning": 0}, "the cause is acknowledged"


# --- triggers -----------------------------------------------------------------------------------------------------


def test_a_run_is_started_for_a_date(installing: Installing, database_url: str, redis_url: str) -> None:
    inline = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    place = installing(database_url=database_url, redis_url=redis_url, packs=PACKS, environ=inline)
    counting.put(place.data, {"asha": "fine", "ben": "fine"})

    with served(place) as client, place.leading():
        response = client.request("POST", RUN, {"date": DAY})
        run = response.json["run"]
        ended = place.service.commands.wait_for_run(run["id"], PATIENCE_SECONDS)

    assert response.status == 202
    assert run == {"id": run["id"], "job": "requests.daily", "window": DAY, "state": run["state"]}
    assert run["state"] in ("queued", "running", "succeeded")
    assert ended is not None
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 2)
    assert set(counting.marks(place.data, "requests.daily")) == {(DAY, "asha"), (DAY, "ben")}


def test_a_date_in_the_query_selects_the_window(place: Installation, client: HttpClient) -> None:
    with place.leading():
        run = client.request("POST", f"{RUN}?date={DAY}").json["run"]
        place.service.commands.wait_for_run(run["id"], PATIENCE_SECONDS)
        both = client.request("POST", f"{RUN}?date={DAY}", {"date": DAY})
        other = client.request("POST", f"{RUN}?day={DAY}")

    assert run["window"] == DAY
    assert (both.status, both.code) == (400, "bad_query")
    assert (other.status, other.code, error(other)["field"]) == (400, "unknown_field", "day")


def test_an_alias_starts_the_job_for_the_current_window(place: Installation, client: HttpClient) -> None:
    with place.leading():
        plain = client.request("POST", "/api/cron/run/daily-count")
        first = place.service.commands.wait_for_run(plain.json["run"]["id"], PATIENCE_SECONDS)
        null = client.request("POST", "/api/cron/run/daily-count", {"date": None})
        place.service.commands.wait_for_run(null.json["run"]["id"], PATIENCE_SECONDS)

    assert first is not None
    assert plain.json["run"]["job"] == "requests.daily"
    assert null.status == 202
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", plain.json["run"]["window"])


def test_the_audit_trail_records_http_and_the_client_address(place: Installation, client: HttpClient) -> None:
    with place.leading():
        run = client.request("POST", RUN, {"date": DAY}).json["run"]["id"]
        place.service.commands.wait_for_run(run, PATIENCE_SECONDS)

    assert place.service.queries.run(run).requested_by == "http"
    assert {(entry.who, entry.origin) for entry in place.audited_commands()} == {("http", "127.0.0.1")}


def test_an_active_window_is_not_started_twice(place: Installation, client: HttpClient) -> None:
    counting.put(place.data, {"asha": "dawdles", "ben": "dawdles", "chen": "fine"}, score=300)
    with place.leading():
        first = client.request("POST", RUN, {"date": DAY})
        second = client.request("POST", RUN, {"date": DAY})
        place.service.commands.wait_for_run(first.json["run"]["id"], PATIENCE_SECONDS)

    assert (second.status, second.code) == (409, "refused")
    assert error(second)["message"].startswith(f"requests.daily {DAY} already has run 1, which is ")


def test_an_unknown_job_is_not_found_and_similar_names_are_suggested(place: Installation, client: HttpClient) -> None:
    response = client.request("POST", "/api/cron/run/requests.dayly%1b[2J")

    assert (response.status, response.code) == (404, "unknown_job")
    assert "requests.daily" in error(response)["message"]
    assert place.service.audit.newest(limit=1) == []


@pytest.mark.parametrize(
    ("body", "code", "field", "message"),
    [
        ({"date": "19.01.2026"}, "bad_date", "date", "'19.01.2026' is not a date; write it as 2026-01-19"),
        ({"date": ""}, "bad_date", "date", "'' is not a date; write it as 2026-01-19"),
        ({"date": "2999-01-19"}, "bad_date", "date", "2999-01-19 has not started in UTC; choose a date up to today"),
        ({"date": 20260119}, "bad_field", "date", "date must be a string of up to 40 characters"),
        ({"day": DAY}, "unknown_field", "day", "the fields are date, stale_only, params"),
        ([DAY], "bad_body", None, "the body must be a JSON object"),
        (DAY, "bad_body", None, "the body must be a JSON object"),
        (b"date=2026-01-19", "bad_json", None, "the body is not valid JSON"),
        (b'{"date": "\xff"}', "bad_json", None, "the body is not valid JSON"),
        (b'{"date": "\\ud800"}', "bad_json", None, "the body is not valid JSON"),
        (b"[" * 20_000, "bad_json", None, "the body is not valid JSON"),
        (b'{"date": NaN}', "bad_json", None, "the body is not valid JSON"),
        (b"null", "bad_body", None, "the body is null; leave it out or send an object"),
        ({"date": "\0"}, "bad_text", None, "NUL characters are not allowed"),
    ],
)
def test_an_invalid_body_is_refused_and_requests_no_run(
    place: Installation, client: HttpClient, body: Any, code: str, field: str | None, message: str
) -> None:
    with place.leading() as engine:
        eventually(lambda: is_at_work(engine), "it is leading")
        response = client.request("POST", RUN, body)

    assert (response.status, response.code) == (400, code)
    assert error(response) == {"code": code, "message": message} | ({"field": field} if field else {})
    assert place.service.audit.newest(limit=1) == []


@pytest.mark.usefixtures("no_waiting")
def test_without_a_leader_no_run_is_requested(place: Installation, client: HttpClient) -> None:
    response = client.request("POST", RUN, {"date": DAY})

    assert (response.status, response.code) == (503, "no_leader")
    assert response.headers["retry-after"] == "5"
    assert place.service.audit.newest(limit=1) == []


def test_a_viewer_cannot_start_a_run(installing: Installing, redis_url: str) -> None:
    from dataclasses import replace

    from opsconsole.core.settings import Role

    place = installing(database_url=None, redis_url=redis_url, packs=PACKS)
    viewer = replace(place.settings.actor, role=Role.VIEWER)
    with place.leading() as engine, served(place) as client:
        eventually(lambda: is_at_work(engine), "it is leading")
        place.service.reload(replace(place.settings, actor=viewer), place.catalog)
        response = client.request("POST", RUN, {"date": DAY})

    assert (response.status, response.code) == (403, "not_allowed")
    assert place.service.queries.runs(limit=1) == []


# --- pack routes ----------------------------------------------------------------------------------------------------


def test_a_pack_route_receives_path_query_and_data(installing: Installing, database_url: str, redis_url: str) -> None:
    place = installing(database_url=database_url, redis_url=redis_url, packs=PACKS)
    counting.put(place.data, {"asha": "fine", "ben": "fine", "chen": "raises"})

    with served(place) as client:
        response = client.get("/things/fine?since=7d&who=%C3%84sha")

    assert response.json == {"success": True, "mood": "fine", "things": 2, "query": {"since": "7d", "who": "Äsha"}}


def test_a_pack_route_receives_the_body_and_may_return_encoded_json(client: HttpClient) -> None:
    assert client.request("POST", "/echo", {"asha": [1, 2.5, None]}).json["body"] == {"asha": [1, 2.5, None]}
    assert client.request("POST", "/echo").json["body"] is None
    assert client.get("/packed").body == b'{"packed":true}'


def test_errors_of_a_pack_and_of_its_dependencies_are_returned(client: HttpClient) -> None:
    taken, unavailable = client.request("POST", "/things/fine"), client.get("/unavailable")

    assert (taken.status, error(taken)) == (
        409,
        {"code": "taken", "message": "another user has it", "field": "seat"},
    )
    assert (unavailable.status, unavailable.code) == (503, "unavailable")
    assert error(unavailable)["message"] == "Redis is unreachable: the connection was\\x1b[2J cut"


@pytest.mark.parametrize(
    "path",
    [
        "/failed",
        "/invalid_sql",
        "/unserializable",
        *(f"/raised/{what}" for what in routes.RAISED),
        *(f"/odd/{what}" for what in routes.ODD),
    ],
)
def test_an_exception_in_a_pack_appears_only_in_the_log(
    client: HttpClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = client.get(path)

    assert (response.status, response.code) == (500, "failed")
    assert b"hunter2" not in response.body
    assert [f"GET {path} failed" in record.getMessage() for record in caplog.records] == [True]
    assert client.get("/packed").status == 200


def test_a_reply_without_content(client: HttpClient) -> None:
    assert (client.get("/empty").status, client.get("/empty").body) == (204, b"")


def test_unknown_paths_and_methods(client: HttpClient) -> None:
    lost, slash, method = client.get("/things"), client.get("/healthz/"), client.request("DELETE", "/things/fine")

    assert (lost.status, lost.code) == (404, "not_found")
    assert (slash.status, slash.code) == (404, "not_found")
    assert (method.status, method.code, method.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD, POST")
    assert client.request("HEAD", "/things/fine").body == b""
    assert client.get("/things/a%00b").code == "bad_text"


def test_slow_pack_routes_do_not_delay_other_routes(place: Installation, client: HttpClient) -> None:
    with place.leading() as engine, ThreadPoolExecutor(app.PACK_THREADS + 2) as clients:
        eventually(lambda: is_at_work(engine), "it is leading")
        slow = [clients.submit(client.get, "/slow/2.5") for _ in range(app.PACK_THREADS + 2)]
        health, run = client.get("/healthz"), client.request("POST", RUN, {"date": DAY})
        unfinished = [request for request in slow if not request.done()]

        assert (health.status, run.status) == (200, 202)
        assert len(unfinished) == len(slow)
        assert {request.result().status for request in slow} == {200}
        place.service.commands.wait_for_run(run.json["run"]["id"], PATIENCE_SECONDS)


def test_requests_beyond_the_queue_limit_get_503(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PACK_THREADS", 1)
    monkeypatch.setattr(threads, "MAX_WAITING", 1)

    with served(place) as client, ThreadPoolExecutor(6) as clients:
        responses = [request.result() for request in [clients.submit(client.get, "/slow/1.5") for _ in range(6)]]

    assert {response.status for response in responses} == {200, 503}
    assert {response.code for response in responses if response.status == 503} == {"busy"}


# --- limits -------------------------------------------------------------------------------------------------------


def test_a_body_above_the_limit_is_refused(client: HttpClient) -> None:
    limit = requests.MAX_BODY_BYTES
    fits = b'"' + b"a" * (limit - 2) + b'"'

    assert client.request("POST", "/echo", fits).status == 200
    for size in (limit + 1, limit * 4, limit * 40):
        response = client.request("POST", "/echo", b'"' + b"a" * (size - 2) + b'"')
        assert (response.status, response.code) == (413, "too_large")


def test_a_chunked_body_is_counted_as_it_arrives(client: HttpClient) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    headers = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"

    response = client.raw(headers + chunk * 5 + b"0\r\n\r\n")

    assert response.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in response


def test_a_body_that_does_not_arrive_times_out(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(connection, "CLIENT_SECONDS", 0.5)

    response = client.raw(b'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"date"')

    assert response.startswith(b"HTTP/1.1 408 ")
    assert b'"timeout"' in response


def test_a_server_that_started_again_has_its_limits_anew(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PACK_THREADS", 1)
    with listening(read_address("127.0.0.1:0"), protected=False) as listener, ThreadPoolExecutor(6) as clients:
        server = Server(listener, place.service)
        client = HttpClient(str(listener.address))
        try:
            waiting = [clients.submit(client.get, "/slow/8") for _ in range(3)]  # one has the thread, two wait for it
            eventually(lambda: bool(server._app._pack_threads._waiting), "they wait")
            server._uvicorn.should_exit = True
            for each in waiting:
                with suppress(OSError, HTTPException):
                    each.result()
            eventually(lambda: is_ok(client, "/healthz"), "it serves again")

            again = [clients.submit(client.get, "/slow/0.2") for _ in range(5)]
            statuses = [each.result().status for each in again]
        finally:
            server.stop()

    assert statuses == [200] * 5


def is_ok(client: HttpClient, path: str) -> bool:
    try:
        return client.get(path).status == 200
    except (OSError, HTTPException):
        return False

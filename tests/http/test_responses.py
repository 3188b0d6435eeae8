"""What programs are told over HTTP: health, triggers, what packs answer, and errors that say what is wrong."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from opsconsole.authoring.run import RunState
from opsconsole.http import app, requests as asked, runs as running
from tests.conftest import Installing
from tests.http.client import Wire, served
from tests.http.conftest import PACKS
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import PATIENCE_SECONDS, eventually

DAY = "2026-01-19"
NO_REDIS = "unix:///nowhere/redis.sock"
RUN = "/api/cron/run/asking.daily"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for."""
    monkeypatch.setattr(running, "LEADER_SECONDS", 0.0)


def error(heard: Any) -> dict[str, str]:
    assert heard.code
    found: dict[str, str] = heard.json["error"]
    return found


# --- health -------------------------------------------------------------------------------------------------------


def test_a_process_is_alive_whatever_else_is_away(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs=PACKS)

    with served(place) as wire:
        heard = wire.get("/healthz")

    assert (heard.status, heard.json) == (200, {"success": True})
    assert heard.headers["cache-control"] == "no-store"
    assert "server" not in heard.headers


def test_it_is_ready_when_it_leads_or_somebody_else_does(place: Installation, wire: Wire) -> None:
    nobody = wire.get("/readyz")
    with place.leading() as engine:
        eventually(lambda: engine.is_leading, "it leads")
        leading = wire.get("/readyz")
        place.service.use_engine(None)
        following = wire.get("/readyz")

    assert (nobody.status, nobody.code, nobody.json["state"]) == (503, "not_ready", "waiting")
    assert error(nobody)["message"] == "nobody leads yet"
    assert nobody.headers["retry-after"] == "5"
    assert leading.json == {"success": True, "state": "leading", "store": "ok", "redis": "ok"}
    assert (following.status, following.json["state"]) == (200, "following")


def test_it_is_not_ready_without_redis_and_says_so(installing: Installing) -> None:
    place = installing(database_url=None, redis_url=NO_REDIS, packs=PACKS)

    with served(place) as wire:
        heard = wire.get("/readyz")

    assert (heard.status, heard.json["redis"], heard.json["store"]) == (503, "away", "ok")
    assert error(heard)["message"].startswith("Redis is unreachable: ")


# --- triggers -----------------------------------------------------------------------------------------------------


def test_a_run_is_started_for_a_date_and_goes_to_its_end(
    installing: Installing, database_url: str, redis_url: str
) -> None:
    inline = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
    place = installing(database_url=database_url, redis_url=redis_url, packs=PACKS, environ=inline)
    counting.put(place.data, {"asha": "fine", "ben": "fine"})

    with served(place) as wire, place.leading():
        heard = wire.ask("POST", RUN, {"date": DAY})
        run = heard.json["run"]
        ended = place.service.commands.wait_for_run(run["id"], PATIENCE_SECONDS)

    assert heard.status == 202
    assert run == {"id": run["id"], "job": "asking.daily", "window": DAY, "state": run["state"]}
    assert run["state"] in ("queued", "running", "succeeded")
    assert ended is not None
    assert (ended.state, ended.counts.ok) == (RunState.SUCCEEDED, 2)
    assert set(counting.marks(place.data, "asking.daily")) == {(DAY, "asha"), (DAY, "ben")}


def test_a_job_answers_to_its_alias_and_takes_the_window_of_now(place: Installation, wire: Wire) -> None:
    with place.leading():
        plain = wire.ask("POST", "/api/cron/run/daily-count")
        first = place.service.commands.wait_for_run(plain.json["run"]["id"], PATIENCE_SECONDS)
        null = wire.ask("POST", "/api/cron/run/daily-count", {"date": None})
        place.service.commands.wait_for_run(null.json["run"]["id"], PATIENCE_SECONDS)

    assert first is not None
    assert plain.json["run"]["job"] == "asking.daily"
    assert null.status == 202
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", plain.json["run"]["window"])


def test_the_trail_says_that_it_was_asked_over_http_and_from_where(place: Installation, wire: Wire) -> None:
    with place.leading():
        run = wire.ask("POST", RUN, {"date": DAY}).json["run"]["id"]
        place.service.commands.wait_for_run(run, PATIENCE_SECONDS)

    assert place.service.queries.run(run).requested_by == "http"
    assert {(entry.who, entry.origin) for entry in place.service.queries.audit_entries(limit=10)} == {
        ("http", "127.0.0.1")
    }


def test_a_window_that_goes_on_already_is_not_started_twice(place: Installation, wire: Wire) -> None:
    counting.put(place.data, {"asha": "dawdles", "ben": "dawdles", "chen": "fine"}, score=300)
    with place.leading():
        first = wire.ask("POST", RUN, {"date": DAY})
        second = wire.ask("POST", RUN, {"date": DAY})
        place.service.commands.wait_for_run(first.json["run"]["id"], PATIENCE_SECONDS)

    assert (second.status, second.code) == (409, "refused")
    assert error(second)["message"].startswith(f"asking.daily {DAY} already has run 1, which is ")


def test_a_job_that_is_not_there_is_not_found_and_what_comes_close_is_named(place: Installation, wire: Wire) -> None:
    heard = wire.ask("POST", "/api/cron/run/asking.dayly%1b[2J")

    assert (heard.status, heard.code) == (404, "unknown_job")
    assert "asking.daily" in error(heard)["message"]
    assert place.service.queries.audit_entries(limit=1) == []


@pytest.mark.parametrize(
    ("body", "code", "field", "says"),
    [
        ({"date": "19.01.2026"}, "bad_date", "date", "'19.01.2026' is not a date; write it as 2026-01-19"),
        ({"date": ""}, "bad_date", "date", "'' is not a date; write it as 2026-01-19"),
        ({"date": "2999-01-19"}, "bad_date", "date", "2999-01-19 has not begun in UTC; choose a date up to today"),
        ({"date": 20260119}, "bad_date", "date", "a date is a text, written as 2026-01-19"),
        ({"day": DAY}, "unknown_field", "day", 'there is only "date" to say'),
        ([DAY], "bad_body", None, 'the body is a JSON object, such as {"date": "2026-01-19"}'),
        (DAY, "bad_body", None, 'the body is a JSON object, such as {"date": "2026-01-19"}'),
        (b"date=2026-01-19", "bad_json", None, "the body is not JSON"),
        (b'{"date": "\xff"}', "bad_json", None, "the body is not JSON"),
        (b'{"date": "\\ud800"}', "bad_json", None, "the body is not JSON"),
        (b"[" * 20_000, "bad_json", None, "the body is not JSON"),
        (b'{"date": NaN}', "bad_json", None, "the body is not JSON"),
        ({"date": "\0"}, "bad_text", None, "a text with a NUL in it is in no database"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name_and_nothing_is_asked_for(
    place: Installation, wire: Wire, body: Any, code: str, field: str | None, says: str
) -> None:
    with place.leading() as engine:
        eventually(lambda: engine.is_leading, "it leads")
        heard = wire.ask("POST", RUN, body)

    assert (heard.status, heard.code) == (400, code)
    assert error(heard) == {"code": code, "message": says} | ({"field": field} if field else {})
    assert place.service.queries.audit_entries(limit=1) == []


@pytest.mark.usefixtures("hasty")
def test_while_nobody_leads_nothing_is_asked_for(place: Installation, wire: Wire) -> None:
    heard = wire.ask("POST", RUN, {"date": DAY})

    assert (heard.status, heard.code) == (503, "no_leader")
    assert heard.headers["retry-after"] == "5"
    assert place.service.queries.audit_entries(limit=1) == []


def test_whoever_may_only_look_starts_nothing(installing: Installing, redis_url: str) -> None:
    from dataclasses import replace

    from opsconsole.core.settings import Role

    place = installing(database_url=None, redis_url=redis_url, packs=PACKS)
    viewer = replace(place.settings.actor, role=Role.VIEWER)
    with place.leading() as engine, served(place) as wire:
        eventually(lambda: engine.is_leading, "it leads")
        place.service.reload(replace(place.settings, actor=viewer), place.catalog)
        heard = wire.ask("POST", RUN, {"date": DAY})

    assert (heard.status, heard.code) == (403, "not_allowed")
    assert place.service.queries.runs(limit=1) == []


# --- what packs answer --------------------------------------------------------------------------------------------


def test_a_pack_reads_the_path_and_the_query_and_its_data(
    installing: Installing, database_url: str, redis_url: str
) -> None:
    place = installing(database_url=database_url, redis_url=redis_url, packs=PACKS)
    counting.put(place.data, {"asha": "fine", "ben": "fine", "chen": "raises"})

    with served(place) as wire:
        heard = wire.get("/things/fine?since=7d&who=%C3%84sha")

    assert heard.json == {"success": True, "mood": "fine", "things": 2, "query": {"since": "7d", "who": "Äsha"}}


def test_a_pack_is_given_the_body_and_may_answer_in_json_of_its_own(wire: Wire) -> None:
    assert wire.ask("POST", "/echo", {"asha": [1, 2.5, None]}).json["body"] == {"asha": [1, 2.5, None]}
    assert wire.ask("POST", "/echo").json["body"] is None
    assert wire.get("/packed").body == b'{"packed":true}'


def test_what_a_pack_refuses_and_what_is_away_is_told_as_it_is(wire: Wire) -> None:
    taken, away = wire.ask("POST", "/things/fine"), wire.get("/away")

    assert (taken.status, error(taken)) == (
        409,
        {"code": "taken", "message": "somebody else has it", "field": "seat"},
    )
    assert (away.status, away.code) == (503, "unavailable")
    assert error(away)["message"] == "Redis is unreachable: the connection was\\x1b[2J cut"


@pytest.mark.parametrize("path", ["/stumbled", "/mistaken", "/unspeakable"])
def test_a_pack_that_stumbles_is_told_of_in_the_log_only(
    wire: Wire, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        heard = wire.get(path)

    assert (heard.status, heard.code) == (500, "failed")
    assert b"hunter2" not in heard.body
    assert f"GET {path} failed" in caplog.text


def test_paths_and_methods_that_are_not_there(wire: Wire) -> None:
    lost, slash, method = wire.get("/things"), wire.get("/healthz/"), wire.ask("DELETE", "/things/fine")

    assert (lost.status, lost.code) == (404, "not_found")
    assert (slash.status, slash.code) == (404, "not_found")
    assert (method.status, method.code, method.headers["allow"]) == (405, "method_not_allowed", "GET, POST")
    assert wire.ask("HEAD", "/things/fine").body == b""
    assert wire.get("/things/a%00b").code == "bad_text"


def test_slow_answers_hold_nobody_up_who_asks_for_something_else(place: Installation, wire: Wire) -> None:
    with place.leading() as engine, ThreadPoolExecutor(app.PACK_THREADS + 2) as people:
        eventually(lambda: engine.is_leading, "it leads")
        slow = [people.submit(wire.get, "/dawdled/2.5") for _ in range(app.PACK_THREADS + 2)]
        health, run = wire.get("/healthz"), wire.ask("POST", RUN, {"date": DAY})
        still = [one for one in slow if not one.done()]

        assert (health.status, run.status) == (200, 202)
        assert len(still) == len(slow)
        assert {one.result().status for one in slow} == {200}
        place.service.commands.wait_for_run(run.json["run"]["id"], PATIENCE_SECONDS)


def test_more_than_may_wait_are_told_to_come_back(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PACK_THREADS", 1)
    monkeypatch.setattr(app, "WAITING", 1)

    with served(place) as wire, ThreadPoolExecutor(6) as people:
        heard = [one.result() for one in [people.submit(wire.get, "/dawdled/1.5") for _ in range(6)]]

    assert {one.status for one in heard} == {200, 503}
    assert {one.code for one in heard if one.status == 503} == {"busy"}


# --- limits -------------------------------------------------------------------------------------------------------


def test_a_body_may_be_so_large_and_no_larger(wire: Wire) -> None:
    most = asked.MOST_BYTES
    fits = b'"' + b"a" * (most - 2) + b'"'

    assert wire.ask("POST", "/echo", fits).status == 200
    for size in (most + 1, most * 4, most * 40):
        try:
            heard = wire.ask("POST", "/echo", b'"' + b"a" * (size - 2) + b'"')
        except (BrokenPipeError, ConnectionResetError):
            assert size > asked.READ_BYTES  # it went on sending after it was told
        else:
            assert (heard.status, heard.code) == (413, "too_large")


def test_a_body_in_pieces_without_a_length_is_counted_as_it_comes(wire: Wire) -> None:
    piece = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    heard = wire.raw(head + piece * 5 + b"0\r\n\r\n")

    assert heard.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in heard


def test_a_body_that_does_not_come_is_not_waited_for(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "BODY_SECONDS", 0.1)

    heard = wire.raw(b'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"date"')

    assert heard.startswith(b"HTTP/1.1 408 ")
    assert b'"too_slow"' in heard

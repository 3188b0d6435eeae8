"""Looking at cached keys and clearing them from the command line, on a real server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from opsconsole.cache.clearing import ClearFilter
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.service import confirmations as guard
from tests.cli.conftest import Typing
from tests.conftest import Installing
from tests.faults.fork_server import ForkServer
from tests.installation import Installation
from tests.terminal import Terminal
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]

DAYS = {f"shelf:day:2026-01-19:{user}": "[]" for user in ("asha", "ben", "chen")}
LEVELS = {f"shelf:level:{user}:maths": "3" for user in ("asha", "ben")}
OTHERS = {"shelf:board:maths": "1", "somebody:elses:asha": "1"}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as made:
        made.mset(DAYS | LEVELS | OTHERS)
        yield made


@pytest.fixture
def place(installing: Installing, redis_url: str, tmp_path: Path) -> Installation:
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.shelf",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


def of_families(text: str) -> dict[str, str]:
    return {line.split()[0]: line.split()[1] for line in text.splitlines() if line.startswith("shelf.")}


# --- counting -----------------------------------------------------------------------------------------------------


def test_a_dry_run_only_counts(typing: Typing, place: Installation, client: redis.Redis) -> None:
    told = typing("cache", "clear", "--user", "asha", "--dry-run")

    assert (told.code, told.err) == (0, "")
    assert of_families(told.out) == {"shelf.day": "1", "shelf.level": "1"}
    assert "total           2" in told.out
    for key in ("shelf:day:2026-01-19:asha", "shelf:level:asha:maths"):
        assert key in told.out
    assert "skipped families without such an id: shelf.board" in told.out
    assert set(client.keys()) == {*DAYS, *LEVELS, *OTHERS}
    assert place.service.queries.audit_entries(limit=1) == []


def test_what_is_counted_is_told_to_programs_too(typing: Typing, client: redis.Redis) -> None:
    told = typing("cache", "clear", "--date", "2026-01-19", "--dry-run", "--json").json

    assert told | {"samples": sorted(told["samples"])} == {
        "command": None,
        "counted": 3,
        "cleared": 0,
        "message": None,
        "families": {"shelf.day": 3},
        "samples": sorted(DAYS),
        "skipped_families": ["shelf.level", "shelf.board"],
    }


# --- clearing -----------------------------------------------------------------------------------------------------


def test_keys_are_cleared_though_nobody_leads(typing: Typing, place: Installation, client: redis.Redis) -> None:
    told = typing("cache", "clear", "--user", "asha", "--yes")

    assert (told.code, told.err) == (0, "")
    assert told.out.endswith("\n2 keys of 2 families are cleared\n")
    assert set(client.keys()) == {*DAYS, *LEVELS, *OTHERS} - {"shelf:day:2026-01-19:asha", "shelf:level:asha:maths"}
    assert place.service.queries.leader() is None, "the lease was given back"
    assert [(row.verb, row.target, row.outcome) for row in place.service.queries.audit_entries(limit=9)] == [
        ("clear", "user asha", "done"),
        ("clear", "user asha", "requested"),
    ]


def test_who_leads_clears_them_and_answers(typing: Typing, place: Installation, client: redis.Redis) -> None:
    with place.leading() as engine:
        eventually(lambda: engine.is_leading, "it leads")
        told = typing("cache", "clear", "--family", "shelf.level", "--subject", "maths", "--yes", "--json").json
        assert engine.is_leading

    assert isinstance(told.pop("command"), int)
    assert (told["counted"], told["cleared"], told["families"]) == (2, 2, {"shelf.level": 2})
    assert told["message"] == "2 keys of 1 family are cleared"
    assert set(client.keys()) == {*DAYS, *OTHERS}


def test_where_there_is_nothing_nothing_is_asked_for(typing: Typing, place: Installation, client: redis.Redis) -> None:
    told = typing("cache", "clear", "--user", "dora", "--family", "shelf.day")

    assert (told.code, told.err) == (0, "")
    assert told.out == "nothing to clear: no cached key matches user dora, family shelf.day\n"
    assert typing("cache", "clear", "--user", "dora", "--json").json["cleared"] == 0
    assert place.service.queries.audit_entries(limit=1) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give a user, a subject, a family or a date"),
        (("--user", "*"), "'*' cannot be part of a cache key"),
        (("--user", ""), "it is empty"),
        (("--subject", "[a]"), "cannot be part of a cache key"),
        (("--user", "a\nb"), "'a\\\\x0ab' cannot be part of a cache key"),
        (("--date", "19.1.2026"), "'19.1.2026' is not a date"),
        (("--family", "shelf.dya"), "there is no cache family 'shelf.dya'; the families are shelf.day"),
    ],
)
def test_what_names_no_keys_is_refused(
    typing: Typing, place: Installation, client: redis.Redis, arguments: tuple[str, ...], says: str
) -> None:
    told = typing("cache", "clear", *arguments, "--yes")

    assert (told.code, told.out) == (2, "")
    assert says in told.err
    assert told.err.count("\n") == 1
    assert client.dbsize() == 7
    assert place.service.queries.audit_entries(limit=1) == []


def test_a_script_has_to_say_yes(typing: Typing, client: redis.Redis) -> None:
    told = typing("cache", "clear", "--user", "asha")

    assert told.code == 2
    assert "Clear 2 keys of 2 families? Confirm with --yes" in told.err
    assert client.dbsize() == 7


def test_on_a_terminal_it_asks_first(typing: Typing, place: Installation, client: redis.Redis) -> None:
    told = typing("cache", "clear", "--user", "asha", answers="n")

    assert told.code == 1
    assert "Clear 2 keys of 2 families?" in told.err
    assert "not confirmed; nothing was changed" in told.err
    assert client.dbsize() == 7
    assert place.service.queries.audit_entries(limit=1) == []
    assert typing("cache", "clear", "--user", "asha", answers="y").code == 0
    assert client.dbsize() == 5


def test_on_a_real_terminal_it_tells_how_far_it_is(
    fork_server: ForkServer, place: Installation, client: redis.Redis
) -> None:
    client.mset({f"shelf:level:u{n}:maths": "3" for n in range(30_000)})
    words = ["cache", "clear", "--subject", "maths"]
    terminal = Terminal(words, env={**os.environ, **place.environ}, cwd=ROOT, fork_server=fork_server)
    try:
        terminal.wait_for("Type clear to confirm")
        assert b"counting" in terminal.drawn
        terminal.type("clear\r")
        assert terminal.ended() == 0
    finally:
        terminal.close()
    assert "30,002 keys of 1 family are cleared" in terminal.text
    assert set(client.keys()) == {*DAYS, *OTHERS}


def test_in_production_its_name_has_to_be_typed(
    typing: Typing, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSCONSOLE_CONSOLE__ENVIRONMENT", "production")

    refused = typing("cache", "clear", "--user", "asha", answers="y")

    assert refused.code == 1
    assert "Clear 2 keys of 2 families in PRODUCTION? Type production to confirm" in refused.err
    assert client.dbsize() == 7
    assert typing("cache", "clear", "--user", "asha", answers="production").code == 0
    assert client.dbsize() == 5


def test_above_a_thousand_keys_the_familys_name_has_to_be_typed(typing: Typing, client: redis.Redis) -> None:
    client.mset({f"shelf:level:u{n}:maths": "3" for n in range(1200)})

    refused = typing("cache", "clear", "--family", "shelf.level", answers="y")

    assert refused.code == 1
    assert "Clear 1,202 keys of 1 family? Type shelf.level to confirm" in refused.err
    assert typing("cache", "clear", "--family", "shelf.level", answers="shelf.level").code == 0
    assert set(client.keys()) == {*DAYS, *OTHERS}


@pytest.mark.parametrize(
    ("wanted", "keys", "environment", "word"),
    [
        (ClearFilter(user="asha"), 1000, "staging", None),
        (ClearFilter(user="asha"), 1001, "staging", "staging"),
        (ClearFilter(user="asha"), 1001, "", "clear"),
        (ClearFilter(family="shelf.day"), 1001, "staging", "shelf.day"),
        (ClearFilter(family="shelf.day"), 1, "Prod", "Prod"),
    ],
)
def test_what_has_to_be_typed_depends_on_where_and_how_much(
    wanted: ClearFilter, keys: int, environment: str, word: str | None
) -> None:
    assert guard.word_to_clear(wanted, keys, environment) == word


def test_who_may_only_look_clears_nothing(typing: Typing, client: redis.Redis) -> None:
    told = typing("--read-only", "cache", "clear", "--user", "asha", "--yes")

    assert told.code == 77
    assert "not allowed in read-only mode" in told.err
    assert client.dbsize() == 7


def test_what_has_grown_since_it_was_counted_is_refused(typing: Typing, client: redis.Redis) -> None:
    def think() -> str:
        client.mset({f"shelf:level:u{n}:maths": "3" for n in range(50)})
        return "y"

    told = typing("cache", "clear", "--subject", "maths", answers=think)

    assert told.code == 4
    assert told.err.endswith("opsconsole: there are 52 keys by now, not 2; look again before clearing them\n")
    assert client.dbsize() == 57


def test_a_server_that_goes_away_meanwhile_is_told(
    typing: Typing, own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", own_redis.url)
    with redis.Redis.from_url(own_redis.url) as client:
        client.mset(DAYS)

    def think() -> str:
        own_redis.stop()
        return "y"

    meanwhile = typing("cache", "clear", "--user", "asha", answers=think)
    before = typing("cache", "clear", "--user", "asha", "--yes")

    assert (meanwhile.code, before.code) == (1, 1)
    assert "Redis is unreachable" in meanwhile.err
    assert "Redis is unreachable" in before.err


# --- families and statistics --------------------------------------------------------------------------------------


def test_families_tell_how_long_they_live_and_whom_they_belong_to(typing: Typing) -> None:
    lines = typing("cache", "families").out.splitlines()

    assert [line.split() for line in lines] == [
        ["FAMILY", "PATTERN", "TTL", "BELONGS", "TO", "COMPUTED", "FROM"],
        ["shelf.board", "shelf:board:{board}", "none", "-", "-"],
        ["shelf.day", "shelf:day:{date}:{user}", "2", "h", "user", "books"],
        ["shelf.level", "shelf:level:{user}:{subject}", "1", "h", "user,", "subject", "-"],
    ]


def test_their_keys_are_counted_on_request(typing: Typing, client: redis.Redis) -> None:
    lines = typing("cache", "families", "--count").out.splitlines()
    told = {each["name"]: each for each in typing("cache", "families", "--count", "--json").json}

    assert [line.split()[-1] for line in lines] == ["KEYS", "1", "3", "2"]
    assert told["shelf.day"] == {
        "name": "shelf.day",
        "pattern": "shelf:day:{date}:{user}",
        "ttl_seconds": 7200,
        "belongs_to": ["user"],
        "computed_from": ["books"],
        "keys": 3,
        "exact": True,
    }
    assert "keys" not in typing("cache", "families", "--json").json[0]


def test_the_server_tells_about_itself(typing: Typing, client: redis.Redis) -> None:
    told = typing("cache", "stats")

    assert told.code == 0
    assert "keys           7" in told.out
    assert typing("cache", "stats", "--json").json["keys"] == 7

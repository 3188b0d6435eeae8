"""`cache` and its subcommands, on a real Redis server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from opsconsole.cache.filters import ClearFilter
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.service import confirmations
from tests.cli.conftest import RunCli
from tests.conftest import Installing
from tests.faults.fork_server import ForkServer
from tests.installation import Installation, is_at_work
from tests.terminal import Terminal
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]

DAYS = {f"shelf:day:2026-01-19:{user}": "[]" for user in ("asha", "ben", "chen")}
LEVELS = {f"shelf:level:{user}:maths": "3" for user in ("asha", "ben")}
OTHERS = {"shelf:board:maths": "1", "unrelated:asha": "1"}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as made:
        made.mset(DAYS | LEVELS | OTHERS)
        yield made


@pytest.fixture
def installation(installing: Installing, redis_url: str, tmp_path: Path) -> Installation:
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.shelf",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


def of_families(text: str) -> dict[str, str]:
    return {line.split()[0]: line.split()[1] for line in text.splitlines() if line.startswith("shelf.")}


# --- counting -----------------------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_clears_nothing(cli: RunCli, installation: Installation, client: redis.Redis) -> None:
    result = cli("cache", "clear", "--user", "asha", "--dry-run")

    assert (result.code, result.err) == (0, "")
    assert of_families(result.out) == {"shelf.day": "1", "shelf.level": "1"}
    assert "total           2" in result.out
    for key in ("shelf:day:2026-01-19:asha", "shelf:level:asha:maths"):
        assert key in result.out
    assert "skipped families without such an id: shelf.board" in result.out
    assert set(client.keys()) == {*DAYS, *LEVELS, *OTHERS}
    assert installation.service.audit.newest(limit=1) == []


def test_the_json_of_a_dry_run_has_the_counts(cli: RunCli, client: redis.Redis) -> None:
    result = cli("cache", "clear", "--date", "2026-01-19", "--dry-run", "--json").json

    assert result | {"samples": sorted(result["samples"])} == {
        "command": None,
        "counted": 3,
        "cleared": 0,
        "message": None,
        "families": {"shelf.day": 3},
        "samples": sorted(DAYS),
        "skipped_families": ["shelf.level", "shelf.board"],
    }


# --- clearing -----------------------------------------------------------------------------------------------------


def test_keys_are_cleared_without_another_leader(cli: RunCli, installation: Installation, client: redis.Redis) -> None:
    result = cli("cache", "clear", "--user", "asha", "--yes")

    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("\ncleared 2 keys of 2 families\n")
    assert set(client.keys()) == {*DAYS, *LEVELS, *OTHERS} - {"shelf:day:2026-01-19:asha", "shelf:level:asha:maths"}
    assert installation.service.queries.leader() is None, "the lease was released"
    assert [(row.verb, row.target, row.outcome) for row in installation.service.audit.newest(limit=9)] == [
        ("clear", "user asha", "done"),
        ("clear", "user asha", "requested"),
    ]


def test_another_leader_clears_the_keys(cli: RunCli, installation: Installation, client: redis.Redis) -> None:
    with installation.leading() as engine:
        eventually(lambda: is_at_work(engine), "the engine leads")
        result = cli("cache", "clear", "--family", "shelf.level", "--subject", "maths", "--yes", "--json").json
        assert engine.is_leading

    assert isinstance(result.pop("command"), int)
    assert (result["counted"], result["cleared"], result["families"]) == (2, 2, {"shelf.level": 2})
    assert result["message"] == "cleared 2 keys of 1 family"
    assert set(client.keys()) == {*DAYS, *OTHERS}


def test_nothing_is_requested_when_no_key_matches(cli: RunCli, installation: Installation, client: redis.Redis) -> None:
    result = cli("cache", "clear", "--user", "dora", "--family", "shelf.day")

    assert (result.code, result.err) == (0, "")
    assert result.out == "nothing to clear: no cached key matches user dora, family shelf.day\n"
    assert cli("cache", "clear", "--user", "dora", "--json").json["cleared"] == 0
    assert installation.service.audit.newest(limit=1) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_an_invalid_filter_is_refused(
    cli: RunCli, installation: Installation, client: redis.Redis, arguments: tuple[str, ...], message: str
) -> None:
    result = cli("cache", "clear", *arguments, "--yes")

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert client.dbsize() == 7
    assert installation.service.audit.newest(limit=1) == []


def test_without_a_terminal_yes_is_required(cli: RunCli, client: redis.Redis) -> None:
    result = cli("cache", "clear", "--user", "asha")

    assert result.code == 2
    assert "Clear 2 keys of 2 families? Confirm with --yes" in result.err
    assert client.dbsize() == 7


def test_it_asks_for_confirmation_on_a_terminal(cli: RunCli, installation: Installation, client: redis.Redis) -> None:
    result = cli("cache", "clear", "--user", "asha", answers="n")

    assert result.code == 1
    assert "Clear 2 keys of 2 families?" in result.err
    assert "not confirmed; nothing was changed" in result.err
    assert client.dbsize() == 7
    assert installation.service.audit.newest(limit=1) == []
    assert cli("cache", "clear", "--user", "asha", answers="y").code == 0
    assert client.dbsize() == 5


def test_progress_is_shown_on_a_real_terminal(
    fork_server: ForkServer, installation: Installation, client: redis.Redis
) -> None:
    client.mset({f"shelf:level:u{n}:maths": "3" for n in range(30_000)})
    words = ["cache", "clear", "--subject", "maths"]
    terminal = Terminal(words, env={**os.environ, **installation.environ}, cwd=ROOT, fork_server=fork_server)
    try:
        terminal.wait_for("Type clear to confirm")
        assert b"counting" in terminal.drawn
        terminal.type("clear\r")
        assert terminal.ended() == 0
    finally:
        terminal.close()
    assert "cleared 30,002 keys of 1 family" in terminal.text
    assert set(client.keys()) == {*DAYS, *OTHERS}


def test_in_production_the_environment_must_be_typed(
    cli: RunCli, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSCONSOLE_CONSOLE__ENVIRONMENT", "production")

    refused = cli("cache", "clear", "--user", "asha", answers="y")

    assert refused.code == 1
    assert "Clear 2 keys of 2 families in PRODUCTION? Type production to confirm" in refused.err
    assert client.dbsize() == 7
    assert cli("cache", "clear", "--user", "asha", answers="production").code == 0
    assert client.dbsize() == 5


def test_above_a_thousand_keys_the_family_must_be_typed(cli: RunCli, client: redis.Redis) -> None:
    client.mset({f"shelf:level:u{n}:maths": "3" for n in range(1200)})

    refused = cli("cache", "clear", "--family", "shelf.level", answers="y")

    assert refused.code == 1
    assert "Clear 1,202 keys of 1 family? Type shelf.level to confirm" in refused.err
    assert cli("cache", "clear", "--family", "shelf.level", answers="shelf.level").code == 0
    assert set(client.keys()) == {*DAYS, *OTHERS}


@pytest.mark.parametrize(
    ("selected", "keys", "environment", "word"),
    [
        (ClearFilter(user="asha"), 1000, "staging", None),
        (ClearFilter(user="asha"), 1001, "staging", "staging"),
        (ClearFilter(user="asha"), 1001, "", "clear"),
        (ClearFilter(family="shelf.day"), 1001, "staging", "shelf.day"),
        (ClearFilter(family="shelf.day"), 1, "Prod", "Prod"),
    ],
)
def test_the_word_to_type_depends_on_environment_and_number_of_keys(
    selected: ClearFilter, keys: int, environment: str, word: str | None
) -> None:
    assert confirmations.word_to_clear(selected, keys, environment) == word


def test_a_viewer_cannot_clear_keys(cli: RunCli, client: redis.Redis) -> None:
    result = cli("--read-only", "cache", "clear", "--user", "asha", "--yes")

    assert result.code == 77
    assert "not allowed in read-only mode" in result.err
    assert client.dbsize() == 7


def test_clearing_is_refused_when_many_more_keys_match_by_then(cli: RunCli, client: redis.Redis) -> None:
    def think() -> str:
        client.mset({f"shelf:level:u{n}:maths": "3" for n in range(50)})
        return "y"

    result = cli("cache", "clear", "--subject", "maths", answers=think)

    assert result.code == 4
    assert result.err.endswith("opsconsole: 52 keys match now, not 2; count them again before clearing\n")
    assert client.dbsize() == 57


def test_an_unreachable_server_is_reported(
    cli: RunCli, own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", own_redis.url)
    with redis.Redis.from_url(own_redis.url) as client:
        client.mset(DAYS)

    def think() -> str:
        own_redis.stop()
        return "y"

    meanwhile = cli("cache", "clear", "--user", "asha", answers=think)
    before = cli("cache", "clear", "--user", "asha", "--yes")

    assert (meanwhile.code, before.code) == (1, 1)
    assert "Redis is unreachable" in meanwhile.err
    assert "Redis is unreachable" in before.err


# --- families and statistics --------------------------------------------------------------------------------------


def test_families_are_listed_with_ttl_owners_and_sources(cli: RunCli) -> None:
    lines = cli("cache", "families").out.splitlines()

    assert [line.split() for line in lines] == [
        ["FAMILY", "PATTERN", "TTL", "BELONGS", "TO", "COMPUTED", "FROM", "FILLED", "BY"],
        ["shelf.board", "shelf:board:{board}", "none", "-", "-", "readers"],
        ["shelf.day", "shelf:day:{date}:{user}", "2", "h", "user", "books", "readers"],
        ["shelf.level", "shelf:level:{user}:{subject}", "1", "h", "user,", "subject", "-", "readers"],
    ]


def test_the_keys_of_families_are_counted_on_request(cli: RunCli, client: redis.Redis) -> None:
    lines = cli("cache", "families", "--count").out.splitlines()
    result = {each["name"]: each for each in cli("cache", "families", "--count", "--json").json}

    assert [line.split()[-1] for line in lines] == ["KEYS", "1", "3", "2"]
    assert result["shelf.day"] == {
        "name": "shelf.day",
        "pattern": "shelf:day:{date}:{user}",
        "ttl_seconds": 7200,
        "belongs_to": ["user"],
        "computed_from": ["books"],
        "filled_by": [],
        "compress_over": None,
        "keys": 3,
        "exact": True,
    }
    assert "keys" not in cli("cache", "families", "--json").json[0]


def test_a_key_is_shown(cli: RunCli, client: redis.Redis) -> None:
    client.set("shelf:day:2026-01-19:asha", '{"read": [1]}', ex=60)

    shown, facts = (
        cli("cache", "show", "shelf:day:2026-01-19:asha"),
        cli("cache", "show", "shelf:board:maths", "--json"),
    )

    assert re.fullmatch(r"string, [\d,]+ bytes of memory, expires in (1 min|59(\.\d)? s)", shown.out.splitlines()[0])
    assert shown.out.splitlines()[1:] == ["{", '  "read": [', "    1", "  ]", "}"]
    assert facts.json["key"] == "shelf:board:maths"
    missing, foreign = cli("cache", "show", "shelf:day:2026-01-19:nobody"), cli("cache", "show", "sessions:1")
    assert (missing.code, foreign.code) == (2, 2)
    assert missing.err == (
        "opsconsole: shelf:day:2026-01-19:nobody does not exist: it was never filled, has expired or was cleared\n"
    )
    assert "this key belongs to no declared family" in foreign.err


# --- invalidating -------------------------------------------------------------------------------------------------


def test_what_was_computed_from_changed_data_is_removed_without_a_question(
    cli: RunCli, client: redis.Redis, installation: Installation
) -> None:
    of_ben = cli("cache", "invalidate", "--user", "ben")
    of_books = cli("cache", "invalidate", "--source", "books", "--user", "asha", "--json").json
    of_maths = cli("cache", "invalidate", "--subject", "maths")

    assert (of_ben.code, of_ben.err) == (0, "")
    assert of_ben.out == "cleared 2 keys of 2 families\nskipped families without such an id: shelf.board\n"
    assert of_books == {
        "command": 2,
        "message": "cleared 1 key of 1 family",
        "cleared": 1,
        "families": {"shelf.day": 1},
        "skipped_families": [],
    }
    assert of_maths.out.splitlines()[0] == "cleared 1 key of 1 family"
    assert set(client.scan_iter()) == {"shelf:day:2026-01-19:chen", *OTHERS}
    trail = installation.service.audit.newest(limit=20)
    assert [(entry.verb, entry.target) for entry in reversed(trail) if entry.outcome == "done"] == [
        ("clear", "user ben"),
        ("clear", "user asha, source books"),
        ("clear", "subject maths"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a user, a subject or a source"),
        (("--source", "boks"), "no cached value is computed from 'boks', but from books"),
        (("--user", "*"), "cannot be part of a cache key"),
    ],
)
def test_a_wrong_invalidation_is_refused(
    cli: RunCli, client: redis.Redis, arguments: tuple[str, ...], message: str
) -> None:
    refused = cli("cache", "invalidate", *arguments)

    assert refused.code == 2
    assert message in refused.err
    assert client.dbsize() == 7


def test_server_statistics_are_shown(cli: RunCli, client: redis.Redis) -> None:
    result = cli("cache", "stats")

    assert result.code == 0
    assert "keys           7" in result.out
    assert cli("cache", "stats", "--json").json["keys"] == 7

"""What `check` reports about Redis, and what the program refuses to start with."""

from __future__ import annotations

import pytest
import redis

from opsconsole.core.errors import Exit
from opsconsole.embedded.redis import EmbeddedRedis
from tests.cli.conftest import RunCli
from tests.redis_servers import StrangeServer


def say(mode: str, role: str = "master") -> StrangeServer:
    """A server that reports what it is, and allows nothing else."""
    fields = {"server": "redis", "version": "7.4.0", "mode": mode, "role": role}
    words = [word for pair in fields.items() for word in pair]
    hello = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
    denied = b"-NOPERM this user has no permissions to run the '%s' command\r\n"
    answers = {b"HELLO": hello, b"AUTH": b"+OK\r\n"}
    return StrangeServer(lambda command: answers.get(command[0], denied % command[0].lower()))


@pytest.mark.parametrize(
    ("mode", "why"), [("cluster", "it is a Redis Cluster, which is not supported"), ("sentinel", "it is a Sentinel")]
)
@pytest.mark.parametrize("words", [("check",), ("headless",)])
def test_servers_that_never_work_are_refused_with_78_without_any_permission(
    mode: str, why: str, words: tuple[str, ...], cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = say(mode)
    monkeypatch.setenv("REDIS_URL", server.url.replace("redis://", "redis://ops:swordfish@"))

    found = cli(*words)
    server.close()

    assert found.code == Exit.CONFIGURATION
    assert why in found.out + found.err
    assert "swordfish" not in found.out + found.err


def test_check_reports_a_replica(own_redis: EmbeddedRedis, cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", own_redis.url)
    with redis.Redis.from_url(own_redis.url) as client:
        client.replicaof("127.0.0.1", 1)

        found = cli("check")

    assert found.code == Exit.CONFIGURATION
    assert "✗ Redis is a read-only replica; give the address of its primary" in found.out


def test_check_reports_version_policy_and_what_the_user_may_not_run(
    own_redis: EmbeddedRedis, cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", own_redis.url.replace("unix://", "unix://ops:word@"))
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.execute_command("ACL", "SETUSER", "ops", "on", ">word", "~*", "+@all", "-dbsize")
        some = cli("check", "--json")
        client.execute_command("ACL", "SETUSER", "ops", "-info")
        few = cli("check", "--json")

    assert (some.code, few.code) == (Exit.DONE, Exit.DONE)
    assert any("maxmemory-policy allkeys-lru" in note for note in some.json["notes"])
    assert any("leaderboards and events" in note for note in some.json["notes"])
    assert [note for note in few.json["notes"] if "may not run" in note] == [
        "the Redis user may not run INFO: what needs it is shown as unknown, or refused",
        "the Redis user may not run DBSIZE: what needs it is shown as unknown, or refused",
    ]


def test_figures_without_info_say_why(own_redis: EmbeddedRedis, cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", own_redis.url.replace("unix://", "unix://ops:word@"))
    with redis.Redis.from_url(own_redis.url) as client:
        client.execute_command("ACL", "SETUSER", "ops", "on", ">word", "~*", "+@all", "-info")

        table, document = cli("cache", "stats"), cli("cache", "stats", "--json")

    assert (table.code, document.code) == (0, 0)
    assert "unknown: the Redis user may not run INFO" in table.out
    assert (document.json["memory"], document.json["keys"], document.json["denied"]) == (None, 0, ["INFO"])

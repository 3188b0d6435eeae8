"""Nothing that a command prints or HTTP answers can control a terminal, even if the data is hostile."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from opsconsole.core.text import printable
from tests.cli.conftest import RunCli
from tests.conftest import Installing
from tests.http.client import HttpClient, served
from tests.installation import Installation
from tests.packs import counting
from tests.packs.escapes import EVIL

USER = f"user{EVIL}"
KEYS = {f"{kind} {EVIL}": "fine" for kind in ("fine", "skipped", "failed", "raised")}

COMMANDS = [
    ("jobs",),
    ("jobs", "--json"),
    ("runs",),
    ("runs", "--json"),
    ("show", "1"),
    ("show", "1", "--json"),
    ("logs", "1"),
    ("logs", "1", "--json"),
    ("panels",),
    ("panels", "--json"),
    ("audit",),
    ("audit", "--json"),
    ("check",),
    ("check", "--json"),
    ("lint",),
    ("cache", "families"),
    ("cache", "stats"),
    ("cache", "stats", "--json"),
    ("cache", "clear", "--user", USER, "--yes"),
    ("cache", "clear", "--family", EVIL, "--yes"),
    ("events", "failed"),
    ("occurrences",),
    ("retry", "1", "--wait"),
    ("run", EVIL),
    ("run", "escapes.print", "--date", EVIL),
    ("show", EVIL),
    ("next", EVIL),
    ("next", f"* * * * {EVIL}"),
    ("why", EVIL, "--at", EVIL),
    ("pause", "escapes.print", "--note", EVIL),
    ("resume", "escapes.print", "--note", EVIL),
    ("panels", EVIL),
    ("backfill", "plan", EVIL, "--from", EVIL, "--to", EVIL),
    ("audit", "verify", "--seal", EVIL),
    (EVIL,),
    ("run", f"--{EVIL}"),
]


@pytest.fixture
def installation(installing: Installing, redis_url: str, tmp_path: Path) -> Installation:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.escapes",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline", "SUDO_USER": USER, "OPSCONSOLE_CONSOLE__ENVIRONMENT": EVIL},
    )
    counting.put(place.data, KEYS)
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"escapes:{USER}", EVIL)
        client.set(EVIL, EVIL)
    place.run("escapes.print")
    return place


def test_commands_print_only_what_can_be_seen(cli: RunCli) -> None:
    for command in COMMANDS:
        result = cli(*command)
        for printed in (result.out, result.err):
            assert printable(printed) == printed, command
        assert "Traceback" not in result.err


def test_http_answers_only_what_can_be_seen(installation: Installation) -> None:
    word = quote(EVIL, safe="")
    with served(installation) as client:
        for path in (f"/echo/{word}?{word}={word}", "/error", "/raw", f"/{word}", "/readyz", "/readyz?verbose=1"):
            body = get(client, path)
            assert printable(body) == body, path
        answer = client.request("POST", f"/api/cron/run/{word}")
        assert printable(answer.body.decode()) == answer.body.decode()
        assert client.get(f"/echo/{word}").json[EVIL] == EVIL


def get(client: HttpClient, path: str) -> str:
    return client.get(path).body.decode()

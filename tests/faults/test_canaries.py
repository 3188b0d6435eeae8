"""The search for secrets after each fault test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from opsconsole.http.api import OPERATIONS
from tests.cli.conftest import run_in_process
from tests.cli.test_exit_codes import ARGUMENTS
from tests.conftest import Installing
from tests.faults.canaries import CANARY, leaks, passwords, rows_with
from tests.http.client import served
from tests.packs import counting

SECRET = "swordfish"


def test_a_secret_in_a_file_or_a_text_is_found(tmp_path: Path) -> None:
    (tmp_path / "opsconsole").mkdir()
    (tmp_path / "opsconsole/opsconsole.log").write_text(f"cannot log in with {SECRET}")
    (tmp_path / "opsconsole/other.log").write_text("cannot log in with ***")
    (tmp_path / "opsconsole.toml").write_text(SECRET)

    assert [*leaks([SECRET], tmp_path, {"terminal": b"***", "answer": SECRET.encode()})] == [
        "opsconsole/opsconsole.log",
        "answer",
    ]


def test_a_secret_in_a_row_is_found(postgres_url: str, installing: Installing, tmp_path: Path) -> None:
    place = installing(database_url=postgres_url, redis_url="unix:///nowhere/redis.sock", packs="tests.packs.counting")
    place.service.commands.pause("counting.count", until=None, note=SECRET)

    assert passwords(place.environ) >= {make_url(postgres_url).password}
    assert [*rows_with([SECRET], place)] == ["ops_audit", "ops_commands"]
    assert [*leaks([SECRET], tmp_path, {})] == []


def test_no_answer_has_a_secret(
    postgres_url: str, installing: Installing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether the services work, or refuse the password, which they repeat."""
    place = installing(
        database_url=postgres_url,
        redis_url=f"redis://ops:{CANARY}-of-redis@127.0.0.1:1/0",
        packs="tests.packs.counting",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(place.data, {"asha": "fine", "ben": "raises"})
    run = place.run("counting.count", "2026-01-19")
    for name, value in place.environ.items():
        monkeypatch.setenv(name, value)
    shown = {}
    with served(place) as client:
        for route in (*(each.path for each in OPERATIONS if each.method == "GET"), "/metrics", "/readyz?verbose"):
            path = re.sub(r"\{\w+\}", str(run.id), route)
            shown[path] = client.get(path).body
    wrong = make_url(postgres_url).set(password=f"{CANARY}-of-nobody").render_as_string(hide_password=False)
    for database_url in (postgres_url, wrong):
        monkeypatch.setenv("DATABASE_URL", database_url)
        for name in ("alerts", "audit", "check", "health", "jobs", "logs", "panels", "runs", "show"):
            result = run_in_process(monkeypatch, capsys, *name.split(), *ARGUMENTS[name])
            shown[f"{name}{' refused' if database_url == wrong else ''}"] = (result.out + result.err).encode()

    assert [*leaks({CANARY, *passwords(place.environ)}, place.settings.folder, shown)] == []
    assert b"counting.count" in shown["/metrics"]
    assert b"password authentication failed" in shown["jobs refused"]

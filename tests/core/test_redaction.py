"""No text of this program repeats a secret, also those of libraries and servers."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from opsconsole.core import configuration, redaction
from opsconsole.core.text import printable, safe
from opsconsole.core.urls import database_url, redis_url, secrets_of

SECRET = "c4nary/p@ss#1?"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)


def encoded(secret: str) -> str:
    return quote(secret, safe="")


@pytest.mark.parametrize(
    "environ",
    [
        {"DATABASE_URL": f"postgresql://ops:{encoded(SECRET)}@db/x"},
        {"OPSCONSOLE_DATA__URL": f"postgresql://ops:{encoded(SECRET)}@db/x"},
        {"DATABASE_URL": f"postgresql://db/x?user=ops&password={encoded(SECRET)}"},
        {"REDIS_URL": f"redis://:{encoded(SECRET)}@cache/0"},
        {"REDIS_URL": f"redis://{encoded(SECRET)}@cache/0"},
        {"OPSCONSOLE_NOTIFY__MAIL__URL": f"mailtos://ops:{encoded(SECRET)}@mail.example.com"},
        {"OPSCONSOLE_NOTIFY__CHAT__URL": f"slack://T1JJ3T3L2/{encoded(SECRET)}/x"},
        {"OPSCONSOLE_ALERTS__DEAD_MAN_URL": f"https://hc.example.com/{encoded(SECRET)}"},
        {"SENTRY_DSN": f"https://{encoded(SECRET)}@sentry.example.com/42"},
        {"CRON_SECRET": SECRET},
        {"ANTHROPIC_API_KEY": f"{SECRET}\n"},
        {"ACME_TOKEN": SECRET},
        {"PGPASSWORD": SECRET},
    ],
    ids=str,
)
@pytest.mark.parametrize("form", [SECRET, encoded(SECRET)], ids=["plain", "encoded"])
def test_secrets_of_the_configuration_are_in_no_text(environ: dict[str, str], form: str, tmp_path: Path) -> None:
    configuration.load(folder=tmp_path, environ=environ, search=False)

    for shown in (safe(f"login with {form!r} failed"), printable(f"login\n{form}"), safe(ValueError(form), 10)):
        assert "c4nary" not in shown
        assert "***" in shown


@pytest.mark.parametrize("limit", [10, 20, 30])
def test_a_secret_is_not_cut_in_two(limit: int) -> None:
    redaction.remember([SECRET])

    for before in range(limit + 1):
        assert "c4n" not in safe("x" * before + SECRET, limit)


@pytest.mark.parametrize("short", ["", "a", "ops", "12345"])
def test_what_is_too_short_to_be_a_secret_is_shown(short: str) -> None:
    redaction.remember([short])

    assert safe(f"the user {short} of opsconsole 12345") == f"the user {short} of opsconsole 12345"


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        (database_url("postgresql://postgres:postgres@db/x"), []),
        (database_url("postgresql://ops:p%40ss@db/x"), ["p@ss"]),
        (database_url("postgresql://ops@db/x"), []),
        (redis_url("redis://token@cache"), ["token"]),
        (redis_url("redis://ops:pw%2F1@cache"), ["pw/1"]),
        (redis_url("rediss://cache?ssl_password=secret"), ["secret"]),
        (database_url("sqlite:////srv/a@b.db"), []),
    ],
)
def test_the_secrets_of_a_url(url: str, secrets: list[str]) -> None:
    assert [secret for secret in secrets_of(url) if secret] == secrets

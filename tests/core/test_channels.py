"""Channels, the dead man's switch and Sentry in the configuration, and what is secret in their URLs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.core import redaction
from opsconsole.core.configuration import load
from opsconsole.core.errors import BadSettings
from opsconsole.core.redaction import redacted
from opsconsole.core.settings import Channel, Secret, Settings
from opsconsole.core.urls import masked_address, secrets_of_address


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)


def read(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    file = tmp_path / "opsconsole.toml"
    file.write_text(text)
    file.chmod(0o600)
    return load(file, folder=tmp_path, environ=environ)


def test_channels_are_read_from_sections_and_variables(tmp_path: Path) -> None:
    text = """
        [notify.mail]
        url = "mailto://ops:pw@example.com"
        severity = "critical"
        jobs = ["attempts.cache_day"]

        [notify.chat]
        url = "replaced"
    """
    environ = {
        "OPSCONSOLE_NOTIFY__CHAT__URL": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "OPSCONSOLE_NOTIFY__CHAT__PACKS": "attempts, game",
    }

    found = read(tmp_path, text, **environ)

    assert found.channels == (
        Channel("chat", Secret(environ["OPSCONSOLE_NOTIFY__CHAT__URL"]), "warning", (), ("attempts", "game")),
        Channel("mail", Secret("mailto://ops:pw@example.com"), "critical", ("attempts.cache_day",)),
    )
    shown = found.effective()
    assert shown["notify.chat.url"] == "slack://***"
    assert shown["notify.mail.url"] == "mailto://***"
    assert redacted("posted to /A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ") == "posted to /***/***"


def test_reminders_and_the_dead_mans_switch(tmp_path: Path) -> None:
    default = read(tmp_path)
    text = '[alerts]\nreminder_hours = 0\ndead_man_url = "https://hc.example.com/5f3c-11ab"\ndead_man_seconds = 30\n'

    found = read(tmp_path, text)

    assert (default.alerts.reminder, default.alerts.dead_man_url) == (timedelta(hours=4), None)
    assert found.alerts.reminder is None
    assert found.alerts.dead_man_url == Secret("https://hc.example.com/5f3c-11ab")
    assert found.alerts.dead_man_seconds == 30
    assert found.effective()["alerts.dead_man_url"] == "https://***"
    assert redacted("GET /5f3c-11ab") == "GET /***"


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = """
        [alerts]
        reminder_hours = -1
        dead_man_url = "hc.example.com/canary7"

        [notify.mail]
        uri = "mailto://canary7@example.com"

        [notify.chat]
        url = "canary7"
        severity = "info"

        [notify]
        url = "slack://canary7"
    """
    with pytest.raises(BadSettings) as refused:
        read(tmp_path, text, SENTRY_DSN="https://sentry.example.com/canary7")

    lines = "\n".join(refused.value.problems)
    assert "canary7" not in lines
    for part in (
        "alerts.reminder_hours is -1",
        "alerts.dead_man_url must be a URL that starts with https:// or http://",
        "notify.mail.uri is not a setting; [notify.mail] has url, severity, jobs, packs",
        "notify.mail.url is missing",
        "notify.chat.url cannot be read",
        "notify.chat.severity must be warning or critical, not 'info'",
        "notify.url must be a section; write [notify.url] with a url",
        "SENTRY_DSN must have a key, a host and the number of a project",
    ):
        assert part in lines, lines


def test_a_file_with_a_channel_that_others_may_read_is_warned_about(tmp_path: Path) -> None:
    found = read(tmp_path, '[notify.chat]\nurl = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"\n')
    (tmp_path / "opsconsole.toml").chmod(0o644)

    warned = load(tmp_path / "opsconsole.toml", folder=tmp_path, environ={})

    assert found.warnings == ()
    assert "chmod 600" in warned.warnings[0]


@pytest.mark.parametrize(
    ("url", "secrets", "words"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", ["A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"], []),
        ("tgram://123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc/12315544", ["AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"], []),
        (
            "mailto://ops:hunter2@example.com?to=asha@example.com",
            ["hunter2"],
            ["example.com", "asha@example.com", "ops"],
        ),
        ("json://cache01:8080/alerts/notify", [], ["cache01", "alerts", "notify", "8080"]),
        ("jsons://hooks.example.com/x?token=plain-words", ["plain-words"], ["hooks.example.com"]),
        (
            "ntfys://tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2@ntfy.example.com/jobs",
            ["tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"],
            ["jobs"],
        ),
        ("https://3e1f0c@sentry.example.com/42", ["3e1f0c"], ["sentry.example.com"]),
    ],
)
def test_tokens_are_secret_and_words_are_not(url: str, secrets: list[str], words: list[str]) -> None:
    found = secrets_of_address(url)

    assert url in found
    assert set(secrets) <= set(found)
    assert set(words).isdisjoint(found), "every text would lose these words"
    assert masked_address(url) == f"{url.partition(':')[0]}://***"

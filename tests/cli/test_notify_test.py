"""`notify-test` sends a message through every channel and prints what came of it."""

from __future__ import annotations

import pytest

from opsconsole.core.errors import Exit
from tests.cli.conftest import RunCli
from tests.receivers import http_receiver, mail_receiver
from tests.services import free_port


def test_every_channel_gets_a_message(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as web, mail_receiver() as mail:
        monkeypatch.setenv("OPSCONSOLE_NOTIFY__WEB__URL", web.channel_url)
        monkeypatch.setenv("OPSCONSOLE_NOTIFY__WEB__SEVERITY", "critical")
        monkeypatch.setenv("OPSCONSOLE_NOTIFY__POST__URL", mail.channel_url)
        result = cli("notify-test")
        as_json = cli("notify-test", "web", "--json")

    assert as_json.json == {"channels": [{"channel": "web", "sent": True, "error": None}]}
    assert result.code == Exit.DONE
    assert result.out.splitlines() == ["post  sent", "web   sent"]
    assert "test: notifications of opsconsole" in web.notes[0]["title"]
    assert "test: notifications of opsconsole" in mail.mails[0]["Subject"]


def test_a_channel_that_does_not_deliver_is_named_without_its_url(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as web:
        monkeypatch.setenv("OPSCONSOLE_NOTIFY__WEB__URL", web.channel_url)
        monkeypatch.setenv("OPSCONSOLE_NOTIFY__DOWN__URL", f"json://127.0.0.1:{free_port()}/canary7")
        both = cli("notify-test")
        one = cli("notify-test", "web")

    assert both.code == Exit.FAILED
    down, good = both.out.splitlines()
    assert down.startswith("down  not delivered: ")
    assert good == "web   sent"
    assert "canary7" not in both.out + both.err
    assert (one.code, one.out) == (Exit.DONE, "web  sent\n")
    assert len(web.requests) == 2


def test_without_a_channel_there_is_nothing_to_test(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    none = cli("notify-test")
    monkeypatch.setenv("OPSCONSOLE_NOTIFY__WEB__URL", "json://127.0.0.1:1")
    unknown = cli("notify-test", "mail")

    assert (none.code, unknown.code) == (Exit.USAGE, Exit.USAGE)
    assert "[notify.NAME]" in none.err
    assert "the channels are web" in unknown.err


def test_who_only_views_sends_nothing(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as web:
        monkeypatch.setenv("OPSCONSOLE_NOTIFY__WEB__URL", web.channel_url)
        result = cli("--read-only", "notify-test")

    assert result.code == Exit.NOT_ALLOWED
    assert web.requests == []


def test_a_filter_that_matches_nothing_is_refused(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSCONSOLE_NOTIFY__WEB__URL", "json://127.0.0.1:1")
    monkeypatch.setenv("OPSCONSOLE_NOTIFY__WEB__JOBS", "counting.cuont")

    listed, checked = cli("runs"), cli("check")

    assert (listed.code, checked.code) == (Exit.CONFIGURATION, Exit.CONFIGURATION)
    sentence = "notify.web.jobs: there is no job counting.cuont; did you mean counting.count?"
    assert sentence in listed.err
    assert sentence in checked.out

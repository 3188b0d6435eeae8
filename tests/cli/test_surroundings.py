"""Bad configurations and odd URLs, through the commands: one sentence, the right exit code, and no part of a secret."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from opsconsole.core import redaction
from opsconsole.core.errors import Exit
from opsconsole.core.text import printable
from tests.cli.conftest import Result, run_in_process
from tests.cli.surroundings import CANARY, CHANNELS, COMMANDS, configurations, urls

SAMPLE = 40
"""Of the many thousand combinations in a test that is not a soak test."""

PARTS = 12
"""Tests that share the cases of a kind: a test for each would cost more than what it tries."""
CONFIGURATIONS = list(configurations())
URLS = [
    *(("DATABASE_URL", url) for url in urls("postgresql")),
    *(("OPSCONSOLE_DATA__URL", url) for url in urls("postgres")),
    *(("OPSCONSOLE_STORE__URL", url) for url in urls("sqlite")),
    *(("REDIS_URL", url) for url in urls("redis")),
    *(("OPSCONSOLE_REDIS__URL", url) for url in urls("rediss")),
    *(("REDIS_URL", url) for url in urls("unix")),
]
Running = Callable[..., Result]


def test_there_are_enough_cases() -> None:
    assert len(CONFIGURATIONS) >= 150
    assert len(urls("redis")) >= 60


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Running:
    """Runs a command with a configuration file and variables, and looks at what it prints."""
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_pattern", None)

    def run(text: str, variables: dict[str, str], command: tuple[str, ...]) -> Result:
        file = tmp_path / "opsconsole.toml"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        file.chmod(0o600)
        with monkeypatch.context() as environ:
            for name, value in variables.items():
                environ.setenv(name, value)
            result = run_in_process(environ, capsys, "--config", str(file), *command)
        shown = result.out + result.err
        assert CANARY not in shown.replace(text, "")
        assert "Traceback" not in shown
        assert printable(shown) == shown
        for line in result.err.splitlines() if result.code == Exit.CONFIGURATION else ():
            assert line.startswith(("opsconsole: ", "note: ")), line
        return result

    return run


def with_packs(text: str) -> str:
    """The text with a pack of tests, unless it configures packs itself."""
    if "[jobs]" in text or text.startswith("jobs"):
        return text
    return f'{text}\n[jobs]\npacks = ["tests.packs.counting"]\n'


def sampled(everything: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return random.Random(13).sample(everything, SAMPLE)


LOADING_PACKS = [index for index, command in enumerate(COMMANDS) if command != ("notify-test",)]
"""The commands that find what is wrong with packs and jobs."""
BAD = list(itertools.product(range(len(CONFIGURATIONS)), LOADING_PACKS))
ODD = list(itertools.product(range(len(URLS)), range(len(COMMANDS))))


def refuses(running: Running, configuration: int, command: int) -> None:
    text, variables = CONFIGURATIONS[configuration]
    result = running(with_packs(text) if text not in ("", "\x00") else text, variables, COMMANDS[command])
    assert result.code == Exit.CONFIGURATION, (text, variables, result)


@pytest.mark.parametrize("part", range(PARTS))
def test_check_refuses_every_bad_configuration(running: Running, part: int) -> None:
    for configuration in range(part, len(CONFIGURATIONS), PARTS):
        refuses(running, configuration, COMMANDS.index(("check",)))


@pytest.mark.parametrize(("configuration", "command"), sampled(BAD))
def test_commands_refuse_bad_configurations(running: Running, configuration: int, command: int) -> None:
    refuses(running, configuration, command)


@pytest.mark.soak
@pytest.mark.parametrize("command", LOADING_PACKS, ids=lambda index: " ".join(COMMANDS[index]))
def test_every_command_refuses_every_bad_configuration(running: Running, command: int) -> None:
    for configuration in range(len(CONFIGURATIONS)):
        refuses(running, configuration, command)


def survives(running: Running, url: int, command: int) -> None:
    variable, text = URLS[url]
    result = running(with_packs(""), {variable: text}, COMMANDS[command])
    assert result.code in (Exit.DONE, Exit.FAILED, Exit.REFUSED, Exit.USAGE, Exit.CONFIGURATION), (text, result)


@pytest.mark.parametrize("part", range(PARTS))
def test_check_repeats_no_secret_of_an_odd_url(running: Running, part: int) -> None:
    for url in range(part, len(URLS), PARTS):
        survives(running, url, COMMANDS.index(("check",)))


@pytest.mark.parametrize("command", [("check",), ("notify-test",)], ids=" ".join)
@pytest.mark.parametrize("url", CHANNELS)
def test_no_command_repeats_a_part_of_the_url_of_a_channel(
    running: Running, url: str, command: tuple[str, ...]
) -> None:
    address = url.format(c=CANARY)
    for text, variables in (
        ("", {"OPSCONSOLE_NOTIFY__OPS__URL": address}),
        (f"[notify.ops]\nurl = '{address}'\n", {"SENTRY_DSN": f"https://{CANARY}@127.0.0.1:1/1"}),
    ):
        result = running(with_packs(text), variables, command)
        assert result.code in (Exit.FAILED, Exit.CONFIGURATION, Exit.DONE), (text, result)


@pytest.mark.parametrize(("url", "command"), sampled(ODD))
def test_commands_repeat_no_secret_of_an_odd_url(running: Running, url: int, command: int) -> None:
    if COMMANDS[command][0] != "headless":  # which waits for an unreachable store
        survives(running, url, command)


@pytest.mark.soak
@pytest.mark.parametrize("command", range(len(COMMANDS)), ids=map(" ".join, COMMANDS))
def test_no_command_repeats_a_secret_of_an_odd_url(running: Running, command: int) -> None:
    if COMMANDS[command][0] != "headless":
        for url in range(len(URLS)):
            survives(running, url, command)

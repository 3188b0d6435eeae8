"""Shell completion: by a real shell, from a store, and without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from opsconsole.cli import cli as opsconsole
from opsconsole.cli.completion import COMPLETE_VARIABLE
from tests.cli.conftest import RunCli
from tests.installation import Installation

Complete = Callable[..., list[str]]

BASH = """
eval "$(opsconsole completion bash)"
complete -p opsconsole >/dev/null || exit 9
COMP_WORDS=($WORDS "$LAST"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_opsconsole_completion opsconsole
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = """
opsconsole completion fish | source
complete --do-complete "$WORDS $LAST"
"""
ZSH = """
autoload -Uz compinit && compinit -D -u
eval "$(opsconsole completion zsh)"
print $_comps[opsconsole]
"""


def shell(name: str, script: str, place: Installation | None, words: str = "opsconsole", last: str = "") -> list[str]:
    """The lines that a shell prints."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    environ = os.environ | (place.environ if place else {}) | {"WORDS": words, "LAST": last}
    environ |= {"PATH": f"{sys.prefix}/bin:{os.environ['PATH']}", "HOME": os.environ["XDG_DATA_HOME"]}
    arguments = {"bash": ["--norc", "--noprofile"], "fish": ["--no-config"], "zsh": ["-f"]}[name]
    done = subprocess.run([name, *arguments, "-c", script], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def past(installation: Installation) -> Installation:
    """An installation in which a run has failed."""
    with installation.leading():
        assert installation.run("counting.count", "2026-01-19").id == 1
    return installation


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> Complete:
    """Returns what is offered after some words, as the scripts of all shells are."""

    def offered(place: Installation | None, words: str, last: str = "") -> list[str]:
        for name, value in (place.environ if place else {}).items():
            monkeypatch.setenv(name, value)
        completing = ShellComplete(opsconsole, {}, "opsconsole", COMPLETE_VARIABLE)
        return [item.value for item in completing.get_completions(words.split()[1:], last)]

    return offered


def test_bash_completes_jobs(past: Installation) -> None:
    assert shell("bash", BASH, past, "opsconsole run", "counting.count") == ["counting.count"]


@pytest.mark.soak
def test_fish_and_zsh_load_their_scripts(past: Installation) -> None:
    assert shell("fish", FISH, past, "opsconsole run", "counting.count") == ["counting.count"]
    assert shell("zsh", ZSH, past) == ["_opsconsole_completion"]


def test_numbers_names_and_states_come_from_the_store(past: Installation, complete: Complete) -> None:
    assert complete(past, "opsconsole show") == ["1"]
    assert complete(past, "opsconsole cancel") == []
    assert complete(past, "opsconsole pause", "a") == ["all"]
    assert "counting" in complete(past, "opsconsole resume", "c")
    assert complete(past, "opsconsole retry --state", "fa") == ["failed"]


def test_without_a_store_or_with_a_wrong_configuration_nothing_is_offered(
    tmp_path: Path, complete: Complete, capfd: pytest.CaptureFixture[str]
) -> None:
    assert complete(None, "opsconsole run") == []
    assert not (tmp_path / "share").exists(), "looking creates nothing"
    assert complete(None, f"opsconsole --config {tmp_path}/missing.toml show") == []
    assert "headless" in complete(None, "opsconsole", "he")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_command_prints_a_script_for_each_shell(name: str, cli: RunCli) -> None:
    result = cli("completion", name)

    assert result.code == 0
    assert "_OPSCONSOLE_COMPLETE" in result.out
    assert result.err == ""


def test_an_unknown_shell_is_refused(cli: RunCli) -> None:
    assert cli("completion", "tcsh").code == 2

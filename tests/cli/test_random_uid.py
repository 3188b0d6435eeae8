"""A process of a user that no passwd file has, as in a container that is started with a random uid."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_SECONDS, eventually

UID = 54321
OTHER_COMMANDS = (("check",), ("run", "game.life_regen", "--wait"))
CAPABILITY = "+dac_read_search"
"""The tests' interpreter may be in a folder that only root reads. It does not allow this user to write."""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can become another user, with setpriv"
)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the user owns, in one that it may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as outer:
        made = Path(outer) / "home"
        made.mkdir()
        Path(outer).chmod(0o711)
        os.chown(made, UID, UID)
        yield made


def start(folder: Path, log: Path, *words: str, **environ: str) -> subprocess.Popen[bytes]:
    """Starts `opsconsole WORDS` as the user."""
    user = ["--reuid", str(UID), "--regid", str(UID), "--clear-groups"]
    capability = ["--inh-caps", CAPABILITY, "--ambient-caps", CAPABILITY]
    environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "OPSCONSOLE_JOBS__PACKS": "jobs.game"} | environ
    with log.open("wb") as output:
        return subprocess.Popen(
            ["setpriv", *user, *capability, sys.executable, "-m", "opsconsole", *words],
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def test_check_run_and_headless_work_in_a_folder_of_its_own(home: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"

    check = start(home, log, "check", HOME=str(home)).wait(PATIENCE_SECONDS)
    checked = log.read_text()
    run = start(home, log, "run", "game.life_regen", "--wait", HOME=str(home)).wait(PATIENCE_SECONDS)
    ran = log.read_text()
    headless = start(home, log, "headless", HOME=str(home))
    try:
        eventually(lambda: "leading with token" in log.read_text(), "it leads")
        headless.send_signal(signal.SIGTERM)
        code = headless.wait(PATIENCE_SECONDS)
    finally:
        headless.kill()
        headless.wait()

    assert (check, run, code) == (0, 0, 143), (checked, ran, log.read_text())
    assert "run 1 game.life_regen" in ran
    assert "Traceback" not in checked + ran + log.read_text()


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "this user has no home folder; set XDG_DATA_HOME"),
        ({"HOME": "/nonexistent"}, "the data folder /nonexistent/.local/share/opsconsole cannot be"),
    ],
)
@pytest.mark.parametrize(
    "words", [("headless",), *(pytest.param(words, marks=pytest.mark.soak) for words in OTHER_COMMANDS)]
)
def test_without_a_folder_each_command_says_which_one_to_set(
    words: tuple[str, ...], environ: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"

    code = start(Path("/"), log, *words, **environ).wait(PATIENCE_SECONDS)

    lines = [line for line in log.read_text().splitlines() if "XDG_DATA_HOME" in line]
    assert (code, len(lines)) == (78, 1), log.read_text()
    assert sentence in lines[0]
    assert "Traceback" not in log.read_text()

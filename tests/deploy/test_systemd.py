"""The systemd units in `deploy`: systemd accepts them, and what they set fits the program."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.core.errors import Exit
from opsconsole.core.signals import WATCH_SECONDS

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = [DEPLOY / "opsconsole.service", DEPLOY / "opsconsole-worker.service"]
MOST_EXPOSURE = 20
"""Tenths: systemd counts from 0.0 (safe) to 10.0 (unsafe)."""


@pytest.fixture(params=UNITS, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    """Each unit."""
    found: Path = request.param
    return found


def test_the_settings_of_the_units_match_the_program(file: Path) -> None:
    text = file.read_text()

    def values(key: str) -> list[str]:
        return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)

    assert values("Type") == ["notify"]
    assert values("KillMode") == ["mixed"], "workers must not get the SIGTERM that is for their leader"
    assert int(values("TimeoutStopSec")[0]) > WATCH_SECONDS
    assert values("SuccessExitStatus") == ["143"]
    assert values("RestartPreventExitStatus") == [f"{Exit.USAGE:d} {Exit.NOT_ALLOWED:d} {Exit.CONFIGURATION:d}"]
    assert not values("ProtectProc")
    assert not values("ProcSubset")


def test_systemd_accepts_the_units(file: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / file.name
    unit.write_text(file.read_text().replace("/opt/opsconsole/bin/opsconsole", f"{sys.prefix}/bin/opsconsole"))

    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    security = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (verified.returncode, verified.stderr) == (0, "")
    assert security.returncode == 0, security.stdout

"""What the reference shows of HTTP is what `curl` is told."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Installing
from tests.http.client import served
from tests.http.conftest import SECRET
from tests.waiting import eventually

REFERENCE = Path(__file__).parents[2] / "docs/reference.md"
SHOWN = "http://127.0.0.1:8080"


def shown() -> list[tuple[str, Any]]:
    """Each command with the answer below it."""
    blocks = re.findall(r"^```sh\n(.*?)^```", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    pairs = re.findall(r"^\$ (curl .*)\n(.*)$", "".join(blocks), re.MULTILINE)
    return [(command, json.loads(answer)) for command, answer in pairs]


def test_every_answer_in_the_reference_is_the_one_that_comes(
    installing: Installing, tmp_path: Path, redis_url: str
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        environ={"CRON_SECRET": SECRET, "OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    examples = shown()
    assert len(examples) > 3

    with served(place) as wire, place.leading() as engine:
        eventually(lambda: engine.is_leading, "it leads")
        for command, answer in examples:
            assert SHOWN in command
            typed = command.replace(SHOWN, wire.address)
            environ = os.environ | {"CRON_SECRET": SECRET}
            told = subprocess.run(["sh", "-c", typed], env=environ, capture_output=True, check=True, timeout=30)
            heard = json.loads(told.stdout)
            if "run" in heard:
                assert heard["run"].pop("state") in ("queued", "running", "succeeded")
                del answer["run"]["state"]
            assert heard == answer, command

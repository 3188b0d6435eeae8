"""The HTTP examples in the reference, run with curl."""

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
from tests.installation import is_at_work
from tests.waiting import PATIENCE_SECONDS, eventually

REFERENCE = Path(__file__).parents[2] / "docs/reference.md"
DOCUMENTED_ADDRESS = "http://127.0.0.1:8080"


def documented_examples() -> list[tuple[str, Any]]:
    """Each command with the response below it."""
    blocks = re.findall(r"^```sh\n(.*?)^```", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    pairs = re.findall(r"^\$ (curl .*)\n(.*)$", "".join(blocks), re.MULTILINE)
    return [(command, json.loads(expected)) for command, expected in pairs]


def test_every_documented_response_is_the_actual_one(installing: Installing, tmp_path: Path, redis_url: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        environ={"CRON_SECRET": SECRET, "OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    examples = documented_examples()
    assert len(examples) > 3

    with served(place) as client, place.leading() as engine:
        eventually(lambda: is_at_work(engine), "it is leading")
        for command, expected in examples:
            assert DOCUMENTED_ADDRESS in command
            actual_command = command.replace(DOCUMENTED_ADDRESS, client.address)
            environ = os.environ | {"CRON_SECRET": SECRET}
            result = subprocess.run(
                ["sh", "-c", actual_command], env=environ, capture_output=True, check=True, timeout=PATIENCE_SECONDS
            )
            response = json.loads(result.stdout)
            if "run" in response:
                assert response["run"].pop("state") in ("queued", "running", "succeeded")
                del expected["run"]["state"]
            assert response == expected, command

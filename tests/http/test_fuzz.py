"""The API against its own description: requests made by schemathesis, valid and invalid ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.http import request_guard
from tests.conftest import Installing
from tests.http.client import HttpClient, served
from tests.http.conftest import SECRET
from tests.installation import Installation, is_at_work
from tests.packs import counting
from tests.waiting import eventually

SHORT_EXAMPLES = 4
"""Of each route and way of making requests: some hundreds of requests."""
SEED = 1
"""Of the requests in `make test` and in CI, which are the same each time; a soak makes others."""
SOAK_SECONDS = 300
CI_SECONDS = 60
STREAM = "/api/events"
"""Does not end."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
)


def fuzzed(client: HttpClient, folder: Path, *options: str) -> str:
    """The report of schemathesis. Each request comes from the bearer of the secret."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{client.address}/openapi.json"),
        *("--header", f"Authorization: Bearer {SECRET}"),
        *("--checks", ",".join(CHECKS)),
        *("--exclude-path", STREAM),
        *("--exclude-deprecated", "--no-color", "--suppress-health-check", "all"),
        *options,
    ]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False)
    report = done.stdout + done.stderr
    assert done.returncode == 0, report[-8000:]
    return report


@pytest.fixture
def fuzzable(installing: Installing, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setattr(request_guard, "MAX_WRONG_SECRETS", 1_000_000)  # each route is also tried with wrong ones
    return installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.counting,jobs.attempts,jobs.exams,jobs.practice",
        environ={"CRON_SECRET": SECRET, "OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )


def test_the_api_matches_its_description(fuzzable: Installation, tmp_path: Path) -> None:
    with served(fuzzable) as client, fuzzable.leading() as engine:
        eventually(lambda: is_at_work(engine), "it is leading")
        size = ("--max-examples", str(SHORT_EXAMPLES), "--seed", str(SEED))
        report = fuzzed(client, tmp_path, *size, "--phases", "examples,fuzzing")

    counted = re.search(r"(\d+) generated", report)
    assert counted is not None, report
    assert int(counted[1]) > 100


@pytest.mark.soak
def test_the_api_matches_its_description_for_minutes(fuzzable: Installation, tmp_path: Path) -> None:
    if os.environ.get("CI"):
        limits = ["--max-time", str(CI_SECONDS), "--seed", str(SEED)]
    else:
        limits = ["--max-time", str(SOAK_SECONDS)]
    counting.put(fuzzable.data, {"asha": "fine", "ben": "fails"})
    with served(fuzzable) as client, fuzzable.leading() as engine:
        eventually(lambda: is_at_work(engine), "it is leading")
        client.request("POST", "/api/cron/run/counting.count")
        report = fuzzed(client, tmp_path, *limits, "--max-examples", "1000")

    assert "generated" in report

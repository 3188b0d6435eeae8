"""A headless process under a storm of bad clients: it answers, keeps its memory, and its jobs start on time."""

from __future__ import annotations

import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Installing
from tests.http.bad_clients import attack
from tests.http.conftest import Starting
from tests.waiting import eventually

log = logging.getLogger(__name__)

PACKS = "tests.packs.routes,tests.packs.diary"
ATTACKERS = 4
GROWTH_MB = 128
"""What a process may take during a storm: unread responses of 16 MiB, those that wait behind them, and what the
allocator holds back.
"""
LATE_SECONDS = 2.0


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.soak)])
def test_a_storm_of_bad_clients(
    installing: Installing, tmp_path: Path, redis_url: str, headless: Starting, seconds: int
) -> None:
    place = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs=PACKS,
    )
    process = headless(place, "--http", "127.0.0.1:0")
    client = process.client()
    eventually(lambda: client.get("/readyz").status == 200, "it is ready")
    before = memory_mb(process.process.pid)
    began, deadline = time.time(), time.monotonic() + seconds
    latencies, highest = [], before

    with ThreadPoolExecutor(ATTACKERS) as attackers:
        storm = [attackers.submit(attack, client.connect, seconds, seed) for seed in range(ATTACKERS)]
        while time.monotonic() < deadline:
            requested_at = time.monotonic()
            assert client.get("/readyz").status == 200
            latencies.append(time.monotonic() - requested_at)
            highest = max(highest, memory_mb(process.process.pid))
            time.sleep(0.05)
        opened = sum(each.result() for each in storm)

    after = memory_mb(process.process.pid)
    late = [
        (run.started_at - run.as_of).total_seconds()
        for run in place.service.queries.runs(limit=20, job="diary.minute")
        if run.started_at is not None and run.as_of.timestamp() > began
    ]
    latencies.sort()
    log.info(
        "%s s, %s stalled connections, as many with random bytes; memory %.0f, at most %.0f, then %.0f MB; "
        "/readyz %s times, median %.1f ms, longest %.0f ms; started late by %s s",
        seconds,
        opened,
        before,
        highest,
        after,
        len(latencies),
        latencies[len(latencies) // 2] * 1000,
        latencies[-1] * 1000,
        late,
    )
    assert highest - before < GROWTH_MB
    assert not re.search("Traceback|[Ee]xception", process.log.read_text())
    if seconds >= 60:
        assert late
        assert max(late) < LATE_SECONDS


def memory_mb(pid: int) -> float:
    """The resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024

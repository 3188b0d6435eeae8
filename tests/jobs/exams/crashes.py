"""`python -m tests.jobs.exams.crashes`: repeatedly kills the process that generates exams, at random times.

It checks that no exam was generated twice and no part was paid for twice.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import insert, select

from jobs.common import users
from jobs.exams.inventory import request_missing
from jobs.exams.tables import Outcome, RequestState, exam_calls, exam_chunks, exam_requests, pre_generated_exams
from opsconsole.authoring.run import OPEN
from opsconsole.core.clock import now
from opsconsole.core.database import Connection
from opsconsole.core.errors import OpsconsoleError
from opsconsole.embedded.redis import EmbeddedRedis
from tests.installation import Installation
from tests.jobs.exams.claude import KEY
from tests.jobs.exams.fixtures import PARTS, is_whole
from tests.services import PrivatePostgres
from tests.waiting import PATIENCE_SECONDS

SETTINGS = {
    "OPSCONSOLE_EXAMS__REQUESTS_PER_RUN": "100000",
    "OPSCONSOLE_EXAMS__REQUESTS_PER_MINUTE": "1000000",
    "OPSCONSOLE_EXAMS__TOKENS_PER_MINUTE": "1000000000",
    "OPSCONSOLE_EXAMS__DAILY_BUDGET": "100000",
    "OPSCONSOLE_ENGINE__WORKERS": "1",
    "ANTHROPIC_API_KEY": KEY,
    "NO_PROXY": "127.0.0.1",
}
FINISH_SECONDS = 900.0
"""For completing all requests after the last kill."""


@dataclass
class Campaign:
    """An installation where one process after another generates exams, and the log of the API server."""

    place: Installation
    log: Path
    environ: dict[str, str]
    rng: Random
    kills: int = 0

    def requests(self) -> list[dict[str, Any]]:
        """All requests that the server received."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def start(self) -> subprocess.Popen[bytes]:
        """Starts a process that leads and continues the work of the previous one."""
        if not [run for run in self.place.service.queries.runs(limit=10) if run.state in OPEN]:
            with suppress(OpsconsoleError):  # a run is already requested
                self.place.service.commands.trigger("exams.work_queue")
        with self.log.with_name("output").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "opsconsole", "headless"], env=self.environ, stdout=output, stderr=output
            )

    def run_and_kill(self, after_calls: int) -> bool:
        """Kills a process after a number of calls. Returns False when all requests are done before that."""
        goal = len(self.requests()) + after_calls
        process = self.start()
        end = time.monotonic() + PATIENCE_SECONDS
        try:
            while len(self.requests()) < goal:
                assert process.poll() is None, self._output()
                assert time.monotonic() < end, self._output()
                if not self._waiting():
                    return False
                time.sleep(0.01)
            time.sleep(self.rng.uniform(0, 0.15))
            victim = self._victim(process.pid)
            os.kill(victim, signal.SIGKILL)
            self.kills += 1
            if victim != process.pid:
                time.sleep(self.rng.uniform(0.5, 3))
            return True
        finally:
            process.kill()
            process.wait()

    def _victim(self, leader: int) -> int:
        """The leading process or, one time in four, the worker."""
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        workers = [int(pid) for pid in children if b"worker.process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return workers[0] if workers and self.rng.random() < 0.25 else leader

    def finish(self) -> None:
        """Completes the remaining requests without kills, reopening those that failed after three lost calls."""
        with self.place.data.writing() as db:
            request_missing(db, lambda column: column.is_not(None), now(), "test")
        process = self.start()
        try:
            end = time.monotonic() + FINISH_SECONDS
            while self._waiting():
                assert time.monotonic() < end, self._output()
                time.sleep(0.2)
        finally:
            process.terminate()
            process.wait()

    def _waiting(self) -> bool:
        with self.place.data.reading() as db:
            unfinished = exam_requests.c.state != RequestState.DONE.value
            return db.execute(select(exam_requests.c.id).where(unfinished).limit(1)).first() is not None

    def _output(self) -> str:
        return self.log.with_name("output").read_text()[-4000:]

    def check(self, user_count: int) -> str:
        """Fails when something was generated or paid for twice. Returns a summary."""
        with self.place.data.reading() as db:
            exams = [dict(row) for row in db.execute(select(pre_generated_exams)).mappings()]
            calls = [dict(row) for row in db.execute(select(exam_calls)).mappings()]
            assert db.execute(select(exam_chunks)).first() is None
        assert Counter(exam["user_id"] for exam in exams) == {f"u{n:03}": 2 for n in range(user_count)}
        assert len({(exam["user_id"], exam["exam_type"]) for exam in exams}) == 2 * user_count
        assert all(is_whole(exam) for exam in exams)
        requests = self.requests()
        parts = sum(PARTS[exam["exam_type"]] for exam in exams)
        wasted = len(requests) - parts
        assert 0 <= wasted <= self.kills, f"{wasted} calls were wasted"
        kept = Counter((c["exam_key"], c["seq"]) for c in calls if c["outcome"] == Outcome.ACCEPTED)
        assert len(kept) == parts
        assert set(kept.values()) == {1}
        # Every call that the server received is recorded, with its tokens unless the process died before storing them.
        theirs = Counter((a["exam"], a["part"], a["input_tokens"], a["output_tokens"]) for a in requests)
        ours = Counter(
            (c["exam_key"], c["seq"], c["input_tokens"], c["output_tokens"]) for c in calls if c["ended_at"] is not None
        )
        lost = Counter((c["exam_key"], c["seq"]) for c in calls if c["ended_at"] is None)
        assert ours <= theirs
        unknown = Counter[tuple[str, int]]()
        for (exam, part, _, _), n in (theirs - ours).items():
            unknown[exam, part] += n
        assert unknown <= lost
        assert lost.total() <= self.kills
        tries = max(Counter((a["exam"], a["part"]) for a in requests).values())
        return (
            f"{self.kills} kills: {len(exams)} exams of {parts} parts, each once and complete; {len(requests)} calls, "
            f"{wasted} of them wasted, {lost.total()} lost; a part was requested {tries} times at most"
        )


@contextmanager
def campaign(folder: Path, database_url: str, redis_url: str, *, user_count: int, seed: int) -> Iterator[Campaign]:
    """An installation with users whose exams are requested."""
    log = folder / "requests.jsonl"
    command = [sys.executable, "-m", "tests.jobs.exams.claude", "--log", str(log), "--seconds", "0.02", "0.12"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().decode().strip()
        place = Installation(
            folder / "place", database_url=database_url, redis_url=redis_url, packs="jobs.exams", environ=SETTINGS
        )
        environ = os.environ | place.environ | {"ANTHROPIC_BASE_URL": url, "XDG_DATA_HOME": str(folder / "share")}
        with place.data.writing() as db:
            _add_users_and_requests(db, user_count)
        try:
            yield Campaign(place, log, environ, Random(seed))
        finally:
            place.close()
    finally:
        server.terminate()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


def _add_users_and_requests(db: Connection, user_count: int) -> None:
    rows = [{"id": f"u{n:03}", "name": f"User {n}", "active": True, "created_at": now()} for n in range(user_count)]
    db.execute(insert(users), rows)
    request_missing(db, lambda column: column.is_not(None), now(), "generate")


def main() -> None:
    """Runs the campaign and prints a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    args = parser.parse_args()
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="opsconsole-kills-") as name:
        folder = Path(name)
        redis = EmbeddedRedis(folder / "redis")
        redis.ensure()
        postgres = PrivatePostgres().start() if args.postgresql else None
        url = postgres.new_database() if postgres else f"sqlite:///{folder / 'ops.db'}"
        try:
            with campaign(folder, url, redis.url, user_count=args.users, seed=args.seed) as running:
                while running.kills < args.kills and running.run_and_kill(running.rng.randint(1, 20)):
                    sys.stdout.write(f"\r{running.kills} kills, {len(running.requests())} calls ")
                    sys.stdout.flush()
                running.finish()
                sys.stdout.write("\n" + running.check(args.users) + "\n")
        finally:
            redis.stop()
            if postgres:
                postgres.stop()


if __name__ == "__main__":
    main()

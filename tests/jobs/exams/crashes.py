"""`python -m tests.jobs.exams.kills`: kills the process that makes exams, again and again at any moment.

It checks whether an exam was made twice or a part was paid for twice.
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

SETTINGS = {
    "OPSCONSOLE_EXAMS__REQUESTS_PER_RUN": "100000",
    "OPSCONSOLE_EXAMS__REQUESTS_PER_MINUTE": "1000000",
    "OPSCONSOLE_EXAMS__TOKENS_PER_MINUTE": "1000000000",
    "OPSCONSOLE_EXAMS__DAILY_BUDGET": "100000",
    "OPSCONSOLE_ENGINE__WORKERS": "1",
    "ANTHROPIC_API_KEY": KEY,
    "NO_PROXY": "127.0.0.1",
}
LATEST_CALL_SECONDS = 150.0
FINISH_SECONDS = 900.0


@dataclass
class Campaign:
    """A place where exams are made by one process after the other, while a server writes down what it is asked."""

    place: Installation
    log: Path
    environ: dict[str, str]
    dice: Random
    kills: int = 0

    def asked(self) -> list[dict[str, Any]]:
        """Everything that the server was asked."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def start(self) -> subprocess.Popen[bytes]:
        """A process that leads, takes up what the one before left, and makes exams."""
        if not [run for run in self.place.service.queries.runs(limit=10) if run.state in OPEN]:
            with suppress(OpsconsoleError):  # one that is asked for already
                self.place.service.commands.trigger("exams.work_queue")
        with self.log.with_name("said").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "opsconsole", "headless"], env=self.environ, stdout=said, stderr=said
            )

    def run_and_kill(self, after_calls: int) -> bool:
        """Kills a process after so many calls, in the middle of whatever it is at; False when all was done before."""
        goal = len(self.asked()) + after_calls
        process = self.start()
        end = time.monotonic() + LATEST_CALL_SECONDS
        try:
            while len(self.asked()) < goal:
                assert process.poll() is None, self._said()
                assert time.monotonic() < end, self._said()
                if not self._waiting():
                    return False
                time.sleep(0.01)
            time.sleep(self.dice.uniform(0, 0.15))
            victim = self._victim(process.pid)
            os.kill(victim, signal.SIGKILL)
            self.kills += 1
            if victim != process.pid:
                time.sleep(self.dice.uniform(0.5, 3))
            return True
        finally:
            process.kill()
            process.wait()

    def _victim(self, leader: int) -> int:
        """The process that leads, or, one time in four, the worker that makes the exams."""
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        workers = [int(pid) for pid in children if b"executors.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return workers[0] if workers and self.dice.random() < 0.25 else leader

    def finish(self) -> None:
        """Lets the rest be made without a kill; what failed because it was lost three times is taken up again."""
        with self.place.data.writing() as db:
            request_missing(db, lambda column: column.is_not(None), now(), "test")
        process = self.start()
        try:
            end = time.monotonic() + FINISH_SECONDS
            while self._waiting():
                assert time.monotonic() < end, self._said()
                time.sleep(0.2)
        finally:
            process.terminate()
            process.wait()

    def _waiting(self) -> bool:
        with self.place.data.reading() as db:
            unfinished = exam_requests.c.state != RequestState.DONE.value
            return db.execute(select(exam_requests.c.id).where(unfinished).limit(1)).first() is not None

    def _said(self) -> str:
        return self.log.with_name("said").read_text()[-4000:]

    def check(self, people: int) -> str:
        """Fails when something was made or paid for twice. The sum of it in a sentence."""
        with self.place.data.reading() as db:
            exams = [dict(row) for row in db.execute(select(pre_generated_exams)).mappings()]
            calls = [dict(row) for row in db.execute(select(exam_calls)).mappings()]
            assert db.execute(select(exam_chunks)).first() is None
        assert Counter(exam["user_id"] for exam in exams) == {f"u{n:03}": 2 for n in range(people)}
        assert len({(exam["user_id"], exam["exam_type"]) for exam in exams}) == 2 * people
        assert all(is_whole(exam) for exam in exams)
        asked = self.asked()
        parts = sum(PARTS[exam["exam_type"]] for exam in exams)
        vain = len(asked) - parts
        assert 0 <= vain <= self.kills, f"{vain} calls were paid for in vain"
        kept = Counter((c["exam_key"], c["seq"]) for c in calls if c["outcome"] == Outcome.ACCEPTED)
        assert len(kept) == parts
        assert set(kept.values()) == {1}
        # Every call that the server saw is in the books, with its tokens unless the process died before it had them.
        theirs = Counter((a["exam"], a["part"], a["input_tokens"], a["output_tokens"]) for a in asked)
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
        tries = max(Counter((a["exam"], a["part"]) for a in asked).values())
        return (
            f"{self.kills} kills: {len(exams)} exams of {parts} parts, each once and whole; {len(asked)} calls, "
            f"{vain} of them paid for in vain, {lost.total()} lost; a part was asked for {tries} times at most"
        )


@contextmanager
def campaign(folder: Path, database_url: str, redis_url: str, *, people: int, seed: int) -> Iterator[Campaign]:
    """The place with so many users, whose exams are requested."""
    log = folder / "asked.jsonl"
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
            _move_in(db, people)
        try:
            yield Campaign(place, log, environ, Random(seed))
        finally:
            place.close()
    finally:
        server.terminate()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


def _move_in(db: Connection, people: int) -> None:
    rows = [{"id": f"u{n:03}", "name": f"User {n}", "active": True, "created_at": now()} for n in range(people)]
    db.execute(insert(users), rows)
    request_missing(db, lambda column: column.is_not(None), now(), "generate")


def main() -> None:
    """Runs the campaign and says what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    asked = parser.parse_args()
    os.environ.update(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="opsconsole-kills-") as name:
        folder = Path(name)
        redis = EmbeddedRedis(folder / "redis")
        redis.ensure()
        postgres = PrivatePostgres().start() if asked.postgresql else None
        url = postgres.new_database() if postgres else f"sqlite:///{folder / 'ops.db'}"
        try:
            with campaign(folder, url, redis.url, people=asked.people, seed=asked.seed) as it:
                while it.kills < asked.kills and it.run_and_kill(it.dice.randint(1, 20)):
                    sys.stdout.write(f"\r{it.kills} kills, {len(it.asked())} calls ")
                    sys.stdout.flush()
                it.finish()
                sys.stdout.write("\n" + it.check(asked.people) + "\n")
        finally:
            redis.stop()
            if postgres:
                postgres.stop()


if __name__ == "__main__":
    main()

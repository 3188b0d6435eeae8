"""The requests that other programs send, as one script against one process on real data: responses, keys and tags."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
from sqlalchemy import select, update

from jobs.attempts.tables import subjects
from jobs.common import users
from opsconsole.authoring.run import Run, RunState
from opsconsole.embedded import sample
from opsconsole.store import logs
from tests.conftest import Installing
from tests.faults.fork_server import ForkServer
from tests.http.client import HttpClient, HttpResponse
from tests.installation import Installation
from tests.jobs.exams.claude import KEY, Script, claude_server
from tests.soak import postgresql_in_soak
from tests.waiting import PATIENCE_SECONDS, eventually

SECRET = "correct-horse-battery-staple"
PACKS = ("attempts", "exams", "game", "practice", "reporting")
SAMPLED = ("attempts", "game", "practice", "reporting")
USERS = 5
ZONE = ZoneInfo("Asia/Kolkata")

CONFIG = """
[attempts]
log_users = true

[exams]
requests_per_minute = 10000
tokens_per_minute = 1000000000

[jobs."exams.generate"]
tag = "[Cron]"

[jobs."exams.work_queue"]
tag = "[Pre-Gen]"

[jobs."attempts.cache_day"]
tag = "[BGJob]"

[jobs."reporting.daily_report"]
tag = "[DailyReportGenerator]"
"""

ALIASES = {
    "cacheAttemptDay": "attempts.cache_day",
    "createSuggestion": "attempts.suggest",
    "updatePerformance": "attempts.update_performance",
    "updateMastery": "attempts.update_mastery",
    "generate-exams": "exams.generate",
    "LifeRegen": "game.life_regen",
    "StreakUpdate": "game.streak_update",
    "SessionCleanup": "game.session_cleanup",
    "LeaderboardRecalc": "game.leaderboard_recalc",
}

ATTEMPT = (
    *("id", "questionId", "type", "answer", "mistake", "timing", "reactionTime", "status", "hintsUsed", "solvedAt"),
    *("subject", "topic", "subtopic", "difficulty", "category"),
)
"""The keys of a cached attempt, in order."""

KEYS = {
    "attempts.day": r"date:user:\d{4}-\d\d-\d\d:u\d{5}",
    "practice.performance": r"user:performance:u\d{5}",
    "practice.config": r"session:config:[a-z]+:\d+",
    "practice.questions": r"questions:subject:[\w-]+:[\w%@-]+",
    "practice.questions_by_difficulty": r"subject:questions:[\w-]+:[\w%@-]+:[\d.]+",
    "practice.current_topics": r"current:topics:u\d{5}:[\w-]+",
    "practice.weak_concepts": r"weak:concepts:u\d{5}:[\w-]+",
    "practice.revision_topics": r"revision:topics:u\d{5}:[\w-]+",
    "practice.session": r"practice:session:u\d{5}:\w+",
    "game.leaderboard": r"leaderboard:(global|weekly|monthly)",
    "game.leaderboard_names": r"leaderboard:(global|weekly|monthly):names",
    "game.leaderboard_stamp": r"leaderboard:(global|weekly|monthly):stamp",
}
"""The keys of each family, as other programs read them."""
TTLS = {
    "attempts.day": 7200,
    "practice.performance": 1800,
    "practice.config": 7200,
    "practice.questions": 3600,
    "practice.questions_by_difficulty": 3600,
    "practice.current_topics": 1800,
    "practice.weak_concepts": 3600,
    "practice.revision_topics": 3600,
    "practice.session": 86400,
    "game.leaderboard": -1,
    "game.leaderboard_names": -1,
    "game.leaderboard_stamp": -1,
}


@dataclass(frozen=True)
class Site:
    """An installation that a process serves, and the log of that process."""

    place: Installation
    client: HttpClient
    log: Path

    def curl(self, line: str) -> HttpResponse:
        """Sends what curl would send for these arguments."""
        method, body, path = "", None, ""
        arguments = iter(shlex.split(line))
        for argument in arguments:
            if argument == "-X":
                method = next(arguments)
            elif argument == "-d":
                body = next(arguments).encode()
            else:
                path = argument
        return self.client.request(method or ("GET" if body is None else "POST"), path, body)

    def get(self, line: str) -> Any:
        """The document of a successful response."""
        response = self.curl(line)
        assert response.status == 200, response.body
        return response.json

    def run(self, line: str, job: str) -> Run:
        """Starts a run by the request, checks the response, and waits for the end of the run."""
        response = self.curl(line)
        assert response.status == 202, response.body
        started = response.json
        assert set(started) == {"success", "run"}
        assert set(started["run"]) == {"id", "job", "window", "state"}
        assert (started["success"], started["run"]["job"]) == (True, job)
        assert started["run"]["state"] in ("queued", "running", "succeeded", "partial")
        ended = self.place.service.commands.wait_for_run(started["run"]["id"], PATIENCE_SECONDS)
        assert ended is not None
        assert ended.state in (RunState.SUCCEEDED, RunState.PARTIAL), ended
        return ended

    def lines_of(self, run: Run) -> list[str]:
        """A run's log."""
        with self.place.store.reading() as db:
            return [each.line for each in logs.after(db, run.id, 0, limit=2000)]

    def process_log(self) -> list[dict[str, Any]]:
        """The process's log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def serving(place: Installation, fork_server: ForkServer, folder: Path, **environ: str) -> Iterator[Site]:
    """Runs `opsconsole headless --http` on an installation whose schedules are paused."""
    log = folder / "headless.log"
    config = ["--config", str(place.settings.source)]
    own = os.environ | place.environ | {"XDG_DATA_HOME": str(folder / "data"), "CRON_SECRET": SECRET} | environ
    # Every run is one that the test starts, at any time of day.
    paused = fork_server.run([*config, "pause", "all", "--until-resumed"], own, folder=folder)
    assert paused.returncode == 0, paused.stderr
    process = fork_server.start([*config, "headless", "--http", "127.0.0.1:0"], own, output=log)
    try:
        found = None
        while found is None:
            eventually(lambda: "listening on" in log.read_text() or process.poll() is not None, "it is listening")
            assert process.poll() is None, log.read_text()
            found = re.search(r'http: listening on ([^"]+)"', log.read_text())
        site = Site(place, HttpClient(found[1], SECRET), log)
        eventually(lambda: site.curl("/readyz").status == 200, "it is ready")
        yield site
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def site(
    installing: Installing, database_url: str, redis_url: str, fork_server: ForkServer, tmp_path: Path
) -> Iterator[Site]:
    """A process with sample data, and a Claude server at the far end."""
    packs = ",".join(f"jobs.{name}" for name in PACKS)
    place = installing(database_url=database_url, redis_url=redis_url, packs=packs, config=CONFIG)
    sampled = [pack for pack in place.catalog.packs if pack.name in SAMPLED]
    sample.fill(place.data, sampled, USERS, datetime.now(UTC))
    with place.data.writing() as db:
        db.execute(update(users).values(active=True))
        # Their session configs are without and with a difficulty.
        db.execute(update(users).where(users.c.id == "u00001").values(stream="science", grade="8"))
        db.execute(update(users).where(users.c.id == "u00002").values(stream="science", grade="11"))
    with (
        claude_server(Script(size=300)) as claude,
        serving(
            place,
            fork_server,
            tmp_path,
            ANTHROPIC_API_KEY=KEY,
            ANTHROPIC_BASE_URL=claude.url,
            NO_PROXY="127.0.0.1",
        ) as served,
    ):
        yield served


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def shapes(document: Any) -> Any:
    """A document with the types of its values."""
    if isinstance(document, Mapping):
        return {name: shapes(value) for name, value in document.items()}
    return "number" if is_number(document) else type(document).__name__


@postgresql_in_soak
def test_the_requests_of_other_programs_get_the_responses_they_expect(site: Site, redis_url: str) -> None:
    # Not yesterday: for some hours that is the newest day of the sample, which has an attempt without a question.
    day = (datetime.now(ZONE) - timedelta(days=2)).date().isoformat()
    with site.place.data.reading() as db:
        (subject, *_) = db.execute(select(subjects.c.id).order_by(subjects.c.id)).scalars()
    with redis.Redis.from_url(redis_url, decode_responses=True) as server:
        _health(site)
        _attempts(site, server, day)
        _exams(site)
        _jobs_by_alias(site)
        _report(site)
        _practice(site, subject)
        _keys(site, server)
        _cache(site, server)
    _refusals(site)
    _tags(site)


def _health(site: Site) -> None:
    health = site.get("/api/health/redis")
    assert shapes(health) == {
        "status": "str",
        "redis": {
            "connected": "bool",
            "ping": "str",
            "stats": {"totalKeys": "number", "memoryUsage": "str", "hitRate": "number"},
        },
    }
    assert (health["status"], health["redis"]["connected"], health["redis"]["ping"]) == ("healthy", True, "PONG")
    assert re.fullmatch(r"\d+\.\dMB", health["redis"]["stats"]["memoryUsage"])
    assert 0 <= health["redis"]["stats"]["hitRate"] <= 1


def _attempts(site: Site, server: redis.Redis, day: str) -> None:
    run = site.run(f"""-X POST /api/cron/run/cacheAttemptDay -d '{{"date": "{day}"}}'""", "attempts.cache_day")
    assert run.window.label == day
    keys: list[str] = list(server.scan_iter(f"date:user:{day}:*"))
    hints: set[bool | None] = set()
    assert len(keys) == run.metrics["keys"] > 0
    for key in keys:
        user = key.rpartition(":")[2]
        cached = site.get(f"/cache/attempt-day/{user}/{day}")
        assert cached == json.loads(server.get(key) or "")
        for attempt in cached:
            assert tuple(attempt) == ATTEMPT
            assert is_number(attempt["difficulty"])
            hints.add(attempt["hintsUsed"])
            assert is_number(attempt["timing"]) or attempt["timing"] is None
            assert attempt["status"] in ("correct", "incorrect", "unsolved")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", attempt["solvedAt"])
            assert shapes(attempt["subject"]) == shapes(attempt["topic"]) == {"id": "str", "name": "str"}
            assert all(shapes(subtopic) == {"id": "str", "name": "str"} for subtopic in attempt["subtopic"])
            assert all(isinstance(category, str) for category in attempt["category"])
        assert f"[BGJob] cached {len(cached)} attempt{'s' * (len(cached) != 1)} for {user}" in site.lines_of(run)
    assert True in hints or False in hints
    assert all(used is None or isinstance(used, bool) for used in hints)
    assert site.curl(f"/cache/attempt-day/nobody/{day}").status == 404
    assert all(line.startswith("[BGJob] ") for line in site.lines_of(run))


def _exams(site: Site) -> None:
    body = """{"userId": "u00001", "examType": "diagnostic"}"""
    requested = site.curl(f"-X POST /api/pre-generate-exam -d '{body}'")
    assert requested.status == 202
    assert shapes(requested.json) == {"success": "bool", "state": "str", "requestId": "str"}
    again = site.curl(f"-X POST /api/pre-generate-exam -d '{body}'")
    assert again.json == requested.json, "two requests make one"

    for line in ("/api/cron/generate-exams", "-X POST /api/cron/generate-exams"):
        run = site.run(line, "exams.generate")
        assert all(text.startswith("[Cron] ") for text in site.lines_of(run))
    exams = 2 * USERS

    run = site.run("-X POST /api/cron/run/exams.work_queue", "exams.work_queue")
    assert all(text.startswith("[Pre-Gen] ") for text in site.lines_of(run))
    ready = site.get(f"-X POST /api/pre-generate-exam -d '{body}'")
    assert shapes(ready) == {"success": "bool", "state": "str", "examId": "str"}

    for exam, questions in (("diagnostic", 71), ("practice", 225)):
        fetched = site.get(f"/api/get-pre-generated-exam?userId=u00001&examType={exam}")
        assert set(fetched) == {"success", "exam"}
        assert set(fetched["exam"]) == {"id", "examType", "questions", "createdAt", "expiresAt"}
        assert (fetched["success"], fetched["exam"]["examType"]) == (True, exam)
        assert len(fetched["exam"]["questions"]) == questions
        assert len({question["stem"] for question in fetched["exam"]["questions"]}) == questions
        assert all(len(set(question["options"])) == 4 for question in fetched["exam"]["questions"])
        lifetime = _time(fetched["exam"]["expiresAt"]) - _time(fetched["exam"]["createdAt"])
        assert abs(lifetime - timedelta(days=7)) < timedelta(seconds=1)
    gone = site.curl("/api/get-pre-generated-exam?userId=u00001&examType=diagnostic")
    assert (gone.status, gone.code) == (404, "no_exam")

    analytics = site.get("/api/pre-gen-analytics")
    stats = analytics["stats"]
    assert analytics["success"] is True
    assert abs(_time(stats.pop("timestamp")) - datetime.now(UTC)) < timedelta(hours=1)
    assert stats == {
        "totalGenerated": exams,
        "totalUsed": 2,
        "totalUnused": exams - 2,
        "totalExpired": 0,
        "averageExamsPerUser": 2,
        "diagnosticCount": USERS,
        "practiceCount": USERS,
        "usedPercentage": 20,
        "expiringWithin24h": 0,
        "userStats": {"usersWithPreGen": USERS, "usersWithoutPreGen": 0, "avgPreGenPerUser": 2},
    }


def _time(text: str) -> datetime:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    return datetime.fromisoformat(text)


def _jobs_by_alias(site: Site) -> None:
    for alias, job in ALIASES.items():
        site.run(f"-X POST /api/cron/run/{alias}", job)


def _report(site: Site) -> None:
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    run = site.run(
        f"""-X POST /api/cron/run/reporting.daily_report -d '{{"date": "{day}"}}'""", "reporting.daily_report"
    )
    assert all(line.startswith("[DailyReportGenerator] ") for line in site.lines_of(run))


def _practice(site: Site, subject: str) -> None:
    for user in ("u00001", "u00002"):
        created = site.curl(f"""-X POST /api/practice/session -d '{{"userId": "{user}", "subjectId": "{subject}"}}'""")
        assert created.status == 201, created.body
        session = created.json["session"]
        assert set(session) == {"id", "userId", "subjectId", "questions", "createdAt"}
        assert site.get(f"/api/practice/session/{user}/{session['id']}")["session"] == session


def _keys(site: Site, server: redis.Redis) -> None:
    found = {key for key in server.scan_iter() if key != "events"}
    assert {family.name for family in site.place.catalog.families} == set(KEYS)
    for family, form in KEYS.items():
        own = {key for key in found if re.fullmatch(form, key)}
        assert own, f"{family} has no key like {form}"
        for key in own:
            ttl = server.ttl(key)
            assert ttl == TTLS[family] == -1 or 0 < ttl <= TTLS[family], key
        found -= own
    assert not found, "all keys belong to a family"


def _cache(site: Site, server: redis.Redis) -> None:
    stats = site.get("/api/cache/stats")
    assert stats["success"] is True
    assert set(stats["stats"]) >= {"connected", "version", "memoryUsage", "totalKeys", "hitRate", "families"}
    by_family = {row["family"]: row for row in stats["stats"]["families"]}
    assert set(by_family) == set(KEYS)
    assert all(row["keys"] > 0 for row in by_family.values())

    of_user = [key for key in server.scan_iter() if "u00001" in key]
    cleared = site.get("""-X POST /api/cache/clear -d '{"userId": "u00001"}'""")
    assert shapes(cleared) == {"success": "bool", "cleared": "number", "families": shapes(cleared["families"])}
    assert cleared["cleared"] == sum(cleared["families"].values()) == len(of_user)
    assert not [key for key in server.scan_iter() if "u00001" in key]

    of_user = [key for key in server.scan_iter() if re.search(r":u00002\b", key) and not key.startswith("practice:")]
    changed = site.get("""-X POST /api/cache/invalidate -d '{"userId": "u00002", "source": "questions"}'""")
    assert shapes(changed) == shapes(cleared | {"families": changed["families"]})
    assert changed["cleared"] == sum(changed["families"].values()) > 0
    assert 0 <= len(of_user) - changed["cleared"] <= 1, "mastery is not computed from questions"
    assert site.get("""-X POST /api/cache/invalidate -d '{"source": "session_configs"}'""")["cleared"] > 0
    assert site.get("""-X POST /api/cache/clear -d '{"userId": "u00001"}'""")["cleared"] == 0


def _refusals(site: Site) -> None:
    assert site.curl("-X POST /api/cache/clear -d '{}'").status == 400
    assert site.curl("-X POST /api/cron/run/no_such_job").status == 404
    assert site.curl("/api/get-pre-generated-exam?userId=u00001&examType=oral").status == 400
    for secret in (None, "wrong"):
        assert HttpClient(site.client.address, secret).get("/api/pre-gen-analytics").status == 401


def _tags(site: Site) -> None:
    about_runs = [line for line in site.process_log() if "run" in line]
    tags = {line["job"]: line["tag"] for line in about_runs}
    assert tags == {job: f"[{job}]" for job in tags} | {
        "exams.generate": "[Cron]",
        "exams.work_queue": "[Pre-Gen]",
        "attempts.cache_day": "[BGJob]",
        "reporting.daily_report": "[DailyReportGenerator]",
    }
    assert {*ALIASES.values(), "exams.work_queue", "reporting.daily_report"} == set(tags)
    assert all(line["message"].startswith(f"{line['tag']} run {line['run']} of {line['job']}") for line in about_runs)

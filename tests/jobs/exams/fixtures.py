"""Fixtures for the tests of the exams pack."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Table, insert, select

from jobs.common import metadata, users
from jobs.exams import pack
from jobs.exams.options import Options
from jobs.exams.tables import exam_calls, exam_chunks, exam_requests, pre_generated_exams
from opsconsole.authoring import outbox
from opsconsole.authoring.batch import Batch, BatchResult
from opsconsole.authoring.context import ExtensionContext, Resources
from opsconsole.authoring.extensions import Panel, PanelContent, Reply, Request
from opsconsole.authoring.scope import Scope
from opsconsole.calendar.windows import MOMENT
from opsconsole.worker.planning import population
from opsconsole.worker.work import work
from tests.jobs.exams.claude import Fault, Logged, Script
from tests.jobs.route_calls import call

JOBS = {job.name.removeprefix("exams."): job for job in pack.jobs}
TABLES = (users, pre_generated_exams, exam_requests, exam_chunks, exam_calls)
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
ZONE = ZoneInfo("UTC")
SIZES = {"diagnostic": 71, "practice": 225}
PARTS = {"diagnostic": 3, "practice": 9}

COUNTS = {
    "diagnostic": (7, 9, 8, 9, 11, 11, 5, 11),
    "practice": (22, 29, 25, 27, 36, 34, 16, 36),
}
"""Questions of each domain, computed by hand: the floors of 71 and 225 times the shares, and one more where the
remainder is largest."""
DOMAINS = (
    "biological bases",
    "cognitive-affective bases",
    "social and cultural bases",
    "growth and lifespan development",
    "assessment and diagnosis",
    "treatment and intervention",
    "research methods and statistics",
    "ethical and legal issues",
)


class ExamsFixture:
    """A data database with users and exams, and runs of the pack's jobs. `now` is the workers' wall clock."""

    def __init__(self, database_url: str, **options: Any) -> None:
        self.now = NOON
        self.runs = 0
        self.options: Mapping[str, Any] = msgspec.structs.asdict(Options(**options))
        self.tools = Resources(database_url, "unix:///nowhere/redis.sock", now=lambda: self.now)
        self.data = self.tools.data
        metadata.create_all(self.data.engine, tables=list(TABLES))
        outbox.metadata.create_all(self.data.engine)

    def set(self, **options: Any) -> None:
        """Changes settings."""
        self.options = {**self.options, **options}

    def close(self) -> None:
        self.tools.close()

    # --- rows ---------------------------------------------------------------------------------------------------

    def users(self, *names: str, active: bool = True) -> None:
        self.add(users, *({"id": n, "name": n.title(), "active": active, "created_at": NOON} for n in names))

    def exam(self, user: str, exam: str = "diagnostic", **values: Any) -> str:
        """Adds an exam of one short question; returns its id."""
        number = values.pop("id", f"{user}-{exam}-{len(self.rows(pre_generated_exams))}")
        defaults = {
            "id": number,
            "user_id": user,
            "exam_type": exam,
            "questions": [{"id": "q001", "stem": "?"}],
            "model": "sample",
            "input_tokens": 10,
            "output_tokens": 100,
            "cost_micros": 1020,
            "created_at": self.now,
            "expires_at": self.now + timedelta(days=7),
            "used": False,
            "used_at": None,
        }
        self.add(pre_generated_exams, defaults | values)
        return str(number)

    def request(self, user: str, exam: str = "diagnostic", **values: Any) -> str:
        """Adds a request; returns its id."""
        defaults = {
            "id": f"r-{user}-{exam}",
            "user_id": user,
            "exam_type": exam,
            "state": "waiting",
            "attempts": 1,
            "next_attempt_at": self.now,
            "last_error": None,
            "requested_by": "generate",
            "created_at": self.now,
            "updated_at": self.now,
        }
        self.add(exam_requests, defaults | values)
        return str((defaults | values)["id"])

    def add(self, table: Table, *rows: dict[str, Any]) -> None:
        with self.data.writing() as db:
            for row in rows:
                db.execute(insert(table).values(**row))

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """All rows of a table, ordered by its key."""
        with self.data.reading() as db:
            return [dict(row) for row in db.execute(select(table).order_by(*table.primary_key)).mappings()]

    def states(self) -> dict[str, str]:
        """Each request's state."""
        return {row["id"]: row["state"] for row in self.rows(exam_requests)}

    def outcomes(self) -> list[tuple[int, str, str | None]]:
        """The part, outcome and cause of each call."""
        return [(row["seq"], row["outcome"], row["cause"]) for row in self.rows(exam_calls)]

    def exams(self) -> list[dict[str, Any]]:
        return self.rows(pre_generated_exams)

    # --- runs and interfaces ------------------------------------------------------------------------------------

    def planned(self, job: str, as_of: datetime | None = None) -> list[str]:
        """The items of a run."""
        at = as_of or self.now
        found = population(JOBS[job], Scope(MOMENT.at(at, ZONE), at, {}, self.options))
        if isinstance(found, tuple):
            return list(found)
        with self.data.reading() as db:
            return [str(key) for key in db.execute(found).scalars()]

    def run(self, job: str, items: list[str] | None = None, *, number: int | None = None) -> BatchResult:
        """One run in one batch, over its population or the given items."""
        self.runs += 1
        keys = self.planned(job) if items is None else items
        number = self.runs if number is None else number
        batch = Batch(number, 1, 1, JOBS[job].name, MOMENT.at(self.now, ZONE), self.now, keys, {}, 60.0)
        return work(batch, JOBS[job], self.tools, self.options)

    def work_off(self) -> BatchResult:
        """One run of exams.work_queue."""
        return self.run("work_queue")

    @property
    def serving(self) -> ExtensionContext:
        return ExtensionContext(self.tools, self.options, ())

    def ask(self, method: str, path: str, *, body: Any = None, **query: str) -> Reply:
        """Calls the handler of a route."""
        (route,) = [route for route in pack.routes if (route.method, route.path) == (method, path)]
        return call(route, self.serving, Request(query=query, body=body))

    def panel(self, title: str) -> PanelContent:
        """The content of a panel."""
        (panel,) = [panel for panel in pack.panels if panel.title == title]
        assert isinstance(panel, Panel)
        return panel.read(self.serving)


def faults(script: Script, *named: Fault | None) -> None:
    """Scripts the faults of the next requests, in order."""
    script.faults.extend(named)


def max_tries_of_a_part(log: list[Logged]) -> int:
    """The most requests for one part of one exam."""
    return max(Counter((request.exam, request.part) for request in log).values())


def is_whole(exam: Mapping[str, Any]) -> bool:
    """Checks a complete exam independently of the pack's code. Fails with the first difference."""
    questions = exam["questions"]
    kind = exam["exam_type"]
    assert len(questions) == SIZES[kind]
    assert [q["id"] for q in questions] == [f"q{n:03}" for n in range(1, SIZES[kind] + 1)]
    by_domain = Counter(q["domain"] for q in questions)
    assert tuple(by_domain[domain] for domain in DOMAINS) == COUNTS[kind], by_domain
    stems = {re.sub(r"\s+", " ", q["stem"].strip().lower()) for q in questions}
    assert len(stems) == len(questions)
    for q in questions:
        assert set(q) == {"id", "stem", "options", "answer", "explanation", "domain", "difficulty"}
        assert len(q["options"]) == len({option.strip().lower() for option in q["options"]}) == 4
        assert q["answer"] in range(4)
        assert q["difficulty"] in {"easy", "medium", "hard"}
        for text in (q["stem"], q["explanation"], *q["options"]):
            assert text.strip()
            assert re.sub("[\n\u00ad\u200d\ufe0f]", "", text).isprintable()
            assert not re.search(r"</|<!|<\w+\s*/?>|<\w[^<>]*=", text)
    return True

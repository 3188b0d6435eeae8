"""Practice sessions: the same with and without the cache, following the session config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import text

from jobs.practice import pack
from jobs.practice.families import (
    ANY,
    BY_DIFFICULTY,
    BY_SUBJECT,
    CURRENT,
    FAMILIES,
    PERFORMANCE,
    REVISION,
    WEAK,
    key_part,
)
from jobs.practice.generator import SessionConfig
from jobs.practice.panels import practice_content
from jobs.practice.queries import Performance, TopicStats
from jobs.practice.sessions import NotFound, find_session, new_session, questions, read_learner
from jobs.practice.tables import practice_sessions
from opsconsole.authoring.context import Resources
from opsconsole.cache.families import clashes
from opsconsole.core.errors import Unavailable
from opsconsole.extensions import ExtensionContext, Reply, Request
from tests.jobs.attempts_fixtures import plan_of, rows_of, statements
from tests.jobs.practice_fixtures import (
    DAY,
    MATHS,
    NOW,
    QUESTIONS_PER_TOPIC,
    PracticeFixture,
    extension_context,
    tools_at_noon,
)
from tests.jobs.route_calls import call
from tests.soak import postgresql_in_soak

pytestmark = postgresql_in_soak

NOWHERE = "unix:///nowhere/redis.sock"
SECOND = timedelta(seconds=1)


@pytest.fixture
def tools(database_url: str, redis_url: str) -> Iterator[Resources]:
    with tools_at_noon(database_url, redis_url) as made:
        yield made


@pytest.fixture
def fixture(tools: Resources) -> PracticeFixture:
    return PracticeFixture(tools.data)


@pytest.fixture
def serving(tools: Resources) -> ExtensionContext:
    return extension_context(tools)


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def without_cache(database_url: str, tools: Resources) -> Iterator[ExtensionContext]:
    """The extension context while Redis is unreachable."""
    with tools_at_noon(tools.data.engine.url.render_as_string(hide_password=False), NOWHERE) as made:
        yield extension_context(made)


def keys(server: redis.Redis) -> set[str]:
    return {key.decode() for key in server.scan_iter()}


def ask(
    serving: ExtensionContext,
    method: str,
    path: str,
    body: Any = None,
    *,
    query: Mapping[str, str] | None = None,
    **parts: str,
) -> Reply:
    """Calls the handler of a route."""
    (route,) = [route for route in pack.routes if (route.method, route.path) == (method, path)]
    return call(route, serving, Request(path=parts, query=query or {}, body=body))


# --- the declaration ----------------------------------------------------------------------------------------------


def test_every_family_is_declared_once_with_its_key_and_ttl() -> None:
    assert {(family.pattern, family.ttl_seconds) for family in FAMILIES} == {
        ("user:performance:{user}", 1800),
        ("session:config:{stream}:{grade}", 7200),
        ("questions:subject:{subject}:{category}", 3600),
        ("subject:questions:{subject}:{category}:{difficulty}", 3600),
        ("current:topics:{user}:{subject}", 1800),
        ("weak:concepts:{user}:{subject}", 3600),
        ("revision:topics:{user}:{subject}", 3600),
        ("practice:session:{user}:{session}", 86400),
    }
    assert list(clashes(FAMILIES)) == []
    assert all(set(family.of) == {"user", "subject"} & set(family.parts) for family in FAMILIES)


@pytest.mark.parametrize("category", ["board exam", "a:b", "*", "@any", "हिन्दी", "%41"])
def test_a_category_can_be_any_text(category: str) -> None:
    key = BY_SUBJECT.key(subject="math", category=key_part(category))

    assert BY_SUBJECT.parse(key) == {"subject": "math", "category": key_part(category)}
    assert key_part(category) != ANY


# --- look-ups -----------------------------------------------------------------------------------------------------


def test_current_topics_are_those_of_the_last_seven_days(fixture: PracticeFixture, serving: ExtensionContext) -> None:
    fixture.enrol("asha", "ben")
    fixture.solve("asha", "geo-01", 7 * DAY)
    fixture.solve("asha", "alg-01", SECOND, status="unsolved")
    fixture.solve("asha", "tri-01", 7 * DAY + SECOND)
    fixture.solve("asha", "ink-01", DAY)
    fixture.solve("ben", "cal-01", DAY)

    assert read_learner(serving, "asha", "math")[1].current == ["alg", "geo"]
    assert read_learner(serving, "asha", "art")[1].current == ["ink"]


def test_weak_concepts_have_mastery_under_a_half(fixture: PracticeFixture, serving: ExtensionContext) -> None:
    fixture.enrol("asha", "ben")
    for topic, mastery in (("alg", 0.1), ("cal", 0.4999), ("geo", 0.5), ("ink", 0.2)):
        fixture.set_mastery("asha", topic, mastery)
    fixture.set_mastery("ben", "tri", 0.1)

    assert read_learner(serving, "asha", "math")[1].weak == ["alg", "cal"]


def test_revision_topics_were_mastered_and_not_attempted_for_14_days(
    fixture: PracticeFixture, serving: ExtensionContext
) -> None:
    fixture.enrol("asha", "ben")
    for topic in MATHS:
        fixture.set_mastery("asha", topic, 0.7)
    fixture.set_mastery("asha", "ink", 0.9)
    fixture.solve("asha", "alg-01", 14 * DAY, status="incorrect")
    fixture.solve("asha", "cal-01", 14 * DAY + SECOND)
    fixture.solve("ben", "geo-01", DAY)

    assert read_learner(serving, "asha", "math")[1].revision == ["cal", "geo", "tri"]


def test_topics_with_lower_mastery_are_not_for_revision(fixture: PracticeFixture, serving: ExtensionContext) -> None:
    fixture.enrol("asha")
    fixture.set_mastery("asha", "alg", 0.6999)

    assert read_learner(serving, "asha", "math")[1].revision == []


def test_performance_covers_the_28_local_days_before_today(fixture: PracticeFixture, serving: ExtensionContext) -> None:
    fixture.enrol("asha", stream="science", grade="10")
    midnight = timedelta(hours=12)  # NOW is noon in Kolkata
    fixture.solve("asha", "alg-01", midnight, status="correct")
    fixture.solve("asha", "alg-02", midnight + SECOND, status="incorrect", timing=20.0)
    fixture.solve("asha", "alg-03", midnight + 28 * DAY, status="unsolved", timing=None)
    fixture.solve("asha", "alg-03", midnight + 28 * DAY + SECOND)
    fixture.solve("asha", "geo-01", DAY, status="correct", timing=None)
    fixture.solve("asha", "deleted-question", DAY)

    performance, _ = read_learner(serving, "asha", "math")

    assert performance == Performance("science", "10", {"alg": TopicStats(2, 0, 20.0), "geo": TopicStats(1, 1, None)})


def test_unknown_and_inactive_users_have_no_performance(
    fixture: PracticeFixture, serving: ExtensionContext, server: redis.Redis
) -> None:
    fixture.enrol("inactive", active=False)

    assert read_learner(serving, "unknown", "math")[0] is None
    assert read_learner(serving, "inactive", "math")[0] is None
    assert server.get("user:performance:unknown") == b"null"


# --- a session ----------------------------------------------------------------------------------------------------


def learner(
    fixture: PracticeFixture, name: str = "asha", *, stream: str | None = None, grade: str | None = None
) -> None:
    """A user with a current, a weak and a revision topic in mathematics."""
    fixture.enrol(name, stream=stream, grade=grade)
    fixture.solve(name, "alg-00", DAY)
    fixture.set_mastery(name, "geo", 0.2)
    fixture.set_mastery(name, "tri", 0.9)


def topics_of(session: list[str]) -> dict[str, int]:
    found = [question.partition("-")[0] for question in session]
    return {topic: found.count(topic) for topic in sorted(set(found))}


def test_a_session_has_half_current_questions_and_is_stored(
    fixture: PracticeFixture, serving: ExtensionContext, tools: Resources
) -> None:
    learner(fixture)

    made = new_session(serving, "asha", "math", "s1")

    assert topics_of(made.questions) == {"alg": 10, "geo": 6, "tri": 4}
    assert "alg-00" not in made.questions
    assert rows_of(tools, practice_sessions) == [
        {"id": "s1", "user_id": "asha", "subject_id": "math", "questions": made.questions, "created_at": NOW}
    ]


def test_the_session_config_sets_size_and_filters(
    fixture: PracticeFixture, serving: ExtensionContext, server: redis.Redis
) -> None:
    fixture.configure(
        "science", "10", {"questions": 8, "current": 1, "weak": 1, "revision": 0, "category": "board exam"}
    )
    fixture.configure("arts", "9", {"questions": 4, "difficulty": 3})
    learner(fixture, "asha", stream="science", grade="10")
    learner(fixture, "ben", stream="arts", grade="9")
    learner(fixture, "chen", stream="arts", grade="12")

    of_asha, of_ben, of_chen = (new_session(serving, name, "math", name).questions for name in ("asha", "ben", "chen"))

    assert topics_of(of_asha) == {"alg": 4, "geo": 4}
    assert all(int(question[-2:]) % 3 == 0 for question in of_asha)
    assert len(of_ben) == 4
    assert all(int(question[-2:]) % 2 == 1 for question in of_ben)
    assert len(of_chen) == 20
    assert {key for key in keys(server) if "questions" in key} == {
        "questions:subject:math:board%20exam",
        "questions:subject:math:@any",
        BY_DIFFICULTY.key(subject="math", category="@any", difficulty="3"),
    }


def test_a_missing_config_and_a_subject_without_questions_are_noticed_within_a_minute(
    fixture: PracticeFixture, serving: ExtensionContext, server: redis.Redis
) -> None:
    learner(fixture, "asha", stream="science", grade="10")
    learner(fixture, "ben", stream="arts", grade="9")
    fixture.configure("arts", "9", {"questions": 4})

    for user in ("asha", "ben"):
        new_session(serving, user, "math", user)
    for subject in ("music", "math"):
        assert bool(questions(serving, subject, SessionConfig())) is (subject == "math")

    assert 0 < server.ttl("session:config:science:10") <= 60
    assert server.ttl("session:config:arts:9") > 7000
    assert 0 < server.ttl("questions:subject:music:@any") <= 60
    assert server.ttl("questions:subject:math:@any") > 3000


@pytest.mark.parametrize(
    "config", ["not an object", {"questions": -5}, {"questions": "many"}, [1], {"current": "half"}]
)
def test_an_invalid_config_is_ignored(fixture: PracticeFixture, serving: ExtensionContext, config: Any) -> None:
    fixture.configure("science", "10", config)
    learner(fixture, stream="science", grade="10")

    assert len(new_session(serving, "asha", "math", "s1").questions) == 20
    assert dict(practice_content(serving).facts)["session configs"] == "1, 1 of them invalid"


def test_a_config_that_is_not_json_is_ignored(
    fixture: PracticeFixture, serving: ExtensionContext, tools: Resources
) -> None:
    with tools.data.writing() as db:
        db.execute(text("INSERT INTO session_configs (stream, grade, config) VALUES ('science', '10', '{\"que')"))
    learner(fixture, stream="science", grade="10")

    assert len(new_session(serving, "asha", "math", "s1").questions) == 20


def test_recently_solved_questions_are_not_repeated(fixture: PracticeFixture, serving: ExtensionContext) -> None:
    fixture.enrol("asha")
    read_learner(serving, "asha", "math")
    for topic in MATHS:
        for n in range(QUESTIONS_PER_TOPIC - 5):
            fixture.solve("asha", f"{topic}-{n:02}", timedelta(0) if n % 2 else 7 * DAY)

    made = new_session(serving, "asha", "math", "s1").questions

    assert sorted(made) == [
        f"{topic}-{n:02}" for topic in MATHS for n in range(QUESTIONS_PER_TOPIC - 5, QUESTIONS_PER_TOPIC)
    ]


def test_questions_solved_incorrectly_or_long_ago_may_be_repeated(
    fixture: PracticeFixture, serving: ExtensionContext
) -> None:
    fixture.enrol("asha")
    for n in range(5):
        fixture.solve(
            "asha", f"ink-{n:02}", 7 * DAY + SECOND if n % 2 else DAY, status="correct" if n % 2 else "incorrect"
        )

    assert len(new_session(serving, "asha", "art", "s1").questions) == 5


def test_a_session_can_be_repeated_by_its_id(
    fixture: PracticeFixture, serving: ExtensionContext, without_cache: ExtensionContext
) -> None:
    learner(fixture)
    new = new_session(serving, "asha", "math", "s1")
    with without_cache.writing() as db:
        db.execute(practice_sessions.delete())

    assert new_session(without_cache, "asha", "math", "s1") == new
    with without_cache.writing() as db:
        db.execute(practice_sessions.delete())
    assert new_session(serving, "asha", "math", "s2").questions != new.questions


def test_unknown_users_and_empty_subjects_have_no_session(
    fixture: PracticeFixture, serving: ExtensionContext, tools: Resources
) -> None:
    fixture.enrol("asha")
    fixture.enrol("inactive", active=False)

    for user, subject, field in (("inactive", "math", "userId"), ("x", "math", "userId"), ("asha", "law", "subjectId")):
        with pytest.raises(NotFound) as missing:
            new_session(serving, user, subject, "s1")
        assert missing.value.field == field
    assert rows_of(tools, practice_sessions) == []


# --- with and without the cache -----------------------------------------------------------------------------------


def test_the_second_session_reads_only_solved_questions_from_the_database(
    fixture: PracticeFixture, serving: ExtensionContext, tools: Resources
) -> None:
    learner(fixture)
    with statements(tools) as first:
        new_session(serving, "asha", "math", "s1")
    with statements(tools) as second:
        new_session(serving, "asha", "math", "s2")

    def selects(executed: list[tuple[str, Any]]) -> int:
        return sum(statement.startswith("SELECT") and "FROM" in statement for statement, _ in executed)

    assert selects(first) == 7
    assert selects(second) == 1


def break_values(server: redis.Redis) -> None:
    """Replaces every cached value by garbage."""
    for key in server.scan_iter():
        server.set(key, b'{"old": "schema"')


@pytest.mark.parametrize("breaks", [break_values, redis.Redis.flushall, lambda server: None])
def test_results_are_the_same_in_any_state_of_the_cache(
    fixture: PracticeFixture,
    serving: ExtensionContext,
    without_cache: ExtensionContext,
    server: redis.Redis,
    breaks: Callable[[redis.Redis], object],
) -> None:
    learner(fixture)
    read_learner(serving, "asha", "math")

    breaks(server)

    assert read_learner(serving, "asha", "math") == read_learner(without_cache, "asha", "math")
    made = new_session(serving, "asha", "math", "s1")
    with serving.writing() as db:
        db.execute(practice_sessions.delete())
    assert new_session(without_cache, "asha", "math", "s1") == made
    failed = without_cache.cache.reader.reads()
    assert {family.name for family in (PERFORMANCE, CURRENT, WEAK, REVISION)} <= failed.keys()
    assert all(read.failed and not read.hits for read in failed.values())


def test_ten_concurrent_misses_query_the_database_once(
    fixture: PracticeFixture, serving: ExtensionContext, tools: Resources
) -> None:
    learner(fixture)
    with statements(tools) as executed, ThreadPoolExecutor(10) as threads:
        found = list(threads.map(lambda _: read_learner(serving, "asha", "math"), range(10)))

    assert all(each == found[0] for each in found)
    assert sum("topic_mastery" in statement and "<" in statement for statement, _ in executed) <= 2


def test_changed_mastery_invalidates_the_topics(
    fixture: PracticeFixture, serving: ExtensionContext, tools: Resources
) -> None:
    learner(fixture)
    read_learner(serving, "asha", "math")
    read_learner(serving, "asha", "art")
    fixture.set_mastery("asha", "cal", 0.1)
    before = read_learner(serving, "asha", "math")[1].weak

    of_topics = tools.cache.forget(pack.families, "topic_mastery", user=["asha"], subject=["math"])
    of_user = tools.cache.forget(pack.families, "user_performance", user=["asha"])

    assert (before, read_learner(serving, "asha", "math")[1].weak) == (["geo"], ["cal", "geo"])
    assert (of_topics, of_user) == (3, 1)


def test_the_queries_use_their_indexes(fixture: PracticeFixture, serving: ExtensionContext, tools: Resources) -> None:
    learner(fixture)
    with statements(tools) as executed:
        new_session(serving, "asha", "math", "s1")
        find_session(serving, "asha", "other")

    plans = [plan_of(tools, *call) for call in executed if "attempts" in call[0] and call[0].startswith("SELECT")]
    assert len(plans) == 4
    assert all("ix_attempts_user_id_solved_at" in plan for plan in plans), plans


# --- over HTTP ----------------------------------------------------------------------------------------------------


def test_a_session_is_created_and_read_over_http(
    fixture: PracticeFixture, serving: ExtensionContext, without_cache: ExtensionContext, server: redis.Redis
) -> None:
    learner(fixture)

    created = ask(serving, "POST", "/api/practice/session", {"userId": "asha", "subjectId": "math"})
    session = created.body["session"]
    path = "/api/practice/session/{user}/{session}"
    found = ask(serving, "GET", path, user="asha", session=session["id"])

    assert (created.status, created.body["success"]) == (201, True)
    assert list(session) == ["id", "userId", "subjectId", "questions", "createdAt"]
    assert (session["userId"], session["createdAt"], len(session["questions"])) == ("asha", "2026-03-09T06:30:00Z", 20)
    assert server.exists(f"practice:session:asha:{session['id']}") == 1
    assert found.body == ask(without_cache, "GET", path, user="asha", session=session["id"]).body
    assert found.body["session"] == session
    assert ask(serving, "GET", path, user="ben", session=session["id"]).status == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (None, 400, "userId"),
        ([], 400, "userId"),
        ({"userId": "asha"}, 400, "subjectId"),
        ({"userId": 7, "subjectId": "math"}, 400, "userId"),
        ({"userId": "asha", "subjectId": ""}, 400, "subjectId"),
        ({"userId": "unknown", "subjectId": "math"}, 404, "userId"),
        ({"userId": "asha", "subjectId": "law"}, 404, "subjectId"),
    ],
)
def test_an_invalid_request_names_the_field(
    fixture: PracticeFixture, serving: ExtensionContext, body: Any, status: int, field: str
) -> None:
    fixture.enrol("asha")

    reply = ask(serving, "POST", "/api/practice/session", body)

    assert (reply.status, reply.body["success"], reply.body["error"]["field"]) == (status, False, field)


def test_redis_health_reports_both_states(
    serving: ExtensionContext, without_cache: ExtensionContext, server: redis.Redis
) -> None:
    server.set("a", "b")

    healthy, unhealthy = (ask(each, "GET", "/api/health/redis") for each in (serving, without_cache))

    assert (healthy.status, healthy.body["status"], healthy.body["redis"]["connected"]) == (200, "healthy", True)
    stats = healthy.body["redis"]["stats"]
    assert (list(stats), stats["totalKeys"]) == (["totalKeys", "memoryUsage", "hitRate"], 1)
    assert stats["memoryUsage"].endswith("MB")
    assert 0 <= stats["hitRate"] <= 1
    assert healthy.body["redis"]["ping"] == "PONG"
    assert (unhealthy.status, unhealthy.body["status"], unhealthy.body["redis"]["connected"]) == (
        503,
        "unhealthy",
        False,
    )


def test_cache_statistics_include_each_family(
    fixture: PracticeFixture, serving: ExtensionContext, without_cache: ExtensionContext
) -> None:
    learner(fixture)
    for _ in range(2):
        read_learner(serving, "asha", "math")

    stats = ask(serving, "GET", "/api/cache/stats").body["stats"]

    assert "days" not in stats
    for wrong in ("0", "91", "-1", "many", "1.5", "²", "9" * 5000):
        refused = ask(serving, "GET", "/api/cache/stats", query={"days": wrong})
        assert (refused.status, refused.body["error"]["field"]) == (400, "days")
    assert ask(serving, "GET", "/api/cache/stats", query={"days": "7"}).body["stats"]["days"] == []
    (weak,) = [family for family in stats["families"] if family["family"] == "practice.weak_concepts"]
    assert (weak["keys"], weak["ttlSeconds"], weak["hitRate"]) == (1, 3600, 0.5)
    assert weak["memory"] > 0
    assert 3590 <= weak["ttl"]["shortest"] <= weak["ttl"]["longest"] <= 3600
    assert len(stats["families"]) == len(FAMILIES)
    assert (stats["totalKeys"], stats["scan"]) == (4, {"keys": 4, "of": 4, "complete": True, "others": 0})
    with pytest.raises(Unavailable):
        ask(without_cache, "GET", "/api/cache/stats")


# --- on the screen ------------------------------------------------------------------------------------------------


def test_the_panel_shows_each_family_with_and_without_redis(
    fixture: PracticeFixture, serving: ExtensionContext, without_cache: ExtensionContext
) -> None:
    learner(fixture)
    new_session(serving, "asha", "math", "s1")

    shown, without_redis = practice_content(serving), practice_content(without_cache)

    assert dict(shown.facts)["sessions in the last 24 hours"] == "1 for 1 user"
    rows = {row[0]: row[1:] for row in shown.rows}
    assert rows["practice.session"][:3] == ("practice:session:{user}:{session}", "1 d", "1")
    assert {len(row) for row in shown.rows + without_redis.rows} == {len(shown.columns)}
    assert "Redis is unreachable" in without_redis.message
    assert without_redis.facts[0] == shown.facts[0]

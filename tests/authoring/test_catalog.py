"""Loading jobs: clashes and invalid schedules are refused at startup, all at once."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec
import pytest

from opsconsole import DAY, Job, Limits, Overlap, Pack, Retry, all_of, hours
from opsconsole.authoring.catalog import Catalog, load
from opsconsole.cache import Family
from opsconsole.core.errors import BadSettings, UnknownJob
from opsconsole.core.settings import JobOverride
from tests.packs import counting
from tests.schedules import cron_of

Packing = Callable[..., str]

AnyRetry: Any = Retry
AnyLimits: Any = Limits
CLOSE = Job("books.close", counting.names, counting.do_nothing, cron="0 22 * * *", tz="Asia/Kolkata", covers=DAY)
SEND = Job("books.send", counting.names, counting.do_nothing, cron="0 23 * * *", aliases=("post",))


class Ink(msgspec.Struct):
    """The section [books]."""

    ink: str = "black"
    pages: int = 12
    paper: Literal["plain", "lined"] = "plain"
    price: Decimal | None = None


@pytest.fixture
def packing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packing:
    """Makes a module with a pack of jobs, and returns its name."""
    made = 0

    def pack(*jobs: Job) -> str:
        nonlocal made
        made += 1
        module = ModuleType(f"books_{made}")
        module.pack = Pack("books", jobs=jobs, settings=Ink)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module.__name__

    return pack


def catalog(*packs: str, **overrides: JobOverride) -> Catalog:
    return load(packs, {f"books.{name}": override for name, override in overrides.items()}, {"books": {"ink": "blue"}})


def problems(*packs: str, **overrides: JobOverride) -> list[str]:
    with pytest.raises(BadSettings) as refused:
        catalog(*packs, **overrides)
    return refused.value.problems


def test_jobs_are_ordered_and_found_by_name_and_alias(packing: Packing) -> None:
    found = catalog(packing(SEND, CLOSE))

    assert [job.name for job in found] == ["books.close", "books.send"]
    assert found.find("books.send") == found.find("post") == SEND
    assert "books.close" in found
    assert found.options(SEND) == {"ink": "blue", "pages": 12, "paper": "plain", "price": None}
    assert cron_of(found.find(CLOSE.name)).tz == "Asia/Kolkata"


def test_unknown_and_invalid_settings_of_a_pack_are_refused(packing: Packing) -> None:
    with pytest.raises(BadSettings) as refused:
        load((packing(SEND),), {}, {"books": {"inc": "blue", "pages": "many", "paper": "pink", "price": "low"}})

    assert refused.value.problems == [
        "books.inc is not a setting; [books] has ink, pages, paper, price",
        "books.pages must be a whole number, not 'many'",
        "books.paper must be plain or lined, not 'pink'",
        "books.price must be a number, not 'low'",
    ]


def test_a_misspelled_job_suggests_similar_names(packing: Packing) -> None:
    found = catalog(packing(SEND, CLOSE))

    with pytest.raises(UnknownJob, match=r"unknown job 'books\.clsoe'; did you mean books\.close or books\.send\?"):
        found.find("books.clsoe")
    with pytest.raises(UnknownJob, match=r"the jobs are books\.close, books\.send"):
        found.find("xyzzy")


def test_the_configuration_overrides_a_job(packing: Packing) -> None:
    override = JobOverride(cron="30 6 * * *", tz="Europe/Berlin", batch=7, batch_timeout=1.5, timeout=60, workers=2)

    job = catalog(packing(CLOSE), close=override).find("books.close")

    assert job == replace(
        CLOSE,
        cron="30 6 * * *",
        tz="Europe/Berlin",
        batch=7,
        batch_timeout=timedelta(seconds=1.5),
        timeout=timedelta(minutes=1),
        workers=2,
    )
    assert job.spec != CLOSE.spec


def test_settings_that_do_not_change_scheduled_times_keep_the_fingerprint() -> None:
    assert replace(CLOSE, batch=3, workers=2, tag="[Books]").spec == CLOSE.spec
    assert len({job.spec for job in (CLOSE, replace(CLOSE, cron="@daily"), replace(CLOSE, tz="UTC"))}) == 3


def test_all_problems_are_reported_at_once(packing: Packing) -> None:
    found = problems(
        packing(CLOSE, replace(SEND, aliases=("books.close",))),
        packing(CLOSE, replace(SEND, name="send", aliases=())),
        packing(replace(SEND, name="books.yearly", aliases=(), cron="0 0 30 2 *")),
        "tests.packs.lost",
        "tests.services",
        close=JobOverride(batch=0, timeout=-1),
        clsoe=JobOverride(batch=5),
    )

    lines = "\n".join(found)
    for part in (
        "jobs.packs: tests.packs.lost cannot be imported: No module named 'tests.packs.lost'",
        "jobs.packs: tests.services does not define `pack`",
        "books.send: the name books.close is taken by books.close",
        "books.close: the name books.close is taken by ",
        "send: a job's name must be its pack's name, a dot, and its own name",
        "books.yearly: schedule '0 0 30 2 *' is invalid",
        "books.close: batch must be 1 or more, not 0",
        "books.close: timeout must be more than 0",
        '[jobs."books.clsoe"]: there is no such job',
    ):
        assert part in lines, lines


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (JobOverride(cron="* * * *"), "schedule '* * * *' is invalid"),
        (JobOverride(cron="61 * * * *"), "schedule '61 * * * *' is invalid"),
        (JobOverride(tz="Mars/Olympus"), "unknown timezone 'Mars/Olympus'"),
        (JobOverride(tz="+05:30"), "Asia/Kolkata"),
        (JobOverride(workers=0), "workers must be 1 or more, not 0"),
        (JobOverride(parallel=0), "parallel must be 1 or more, not 0"),
        (JobOverride(batch_timeout=0), "batch_timeout must be more than 0"),
    ],
)
def test_an_invalid_schedule_or_limit_is_refused(packing: Packing, override: JobOverride, message: str) -> None:
    (line,) = problems(packing(CLOSE), close=override)

    assert line.startswith("books.close: ")
    assert message in line


def test_an_impossible_order_is_refused(packing: Packing) -> None:
    one, two, three = (replace(CLOSE, name=f"books.{name}") for name in ("one", "two", "three"))

    found = problems(
        packing(
            replace(one, after=("books.two",)),
            replace(two, after=("books.three",)),
            replace(three, after=("books.one",)),
            replace(CLOSE, after=("books.close",)),
            replace(SEND, name="books.mail", after=("books.clsoe",)),
            replace(CLOSE, name="books.late", after=("post",)),
        )
    )

    assert "books.close: it cannot run after itself" in found
    assert "books.mail: it runs after books.clsoe, but there is no such job; did you mean books.close?" in found
    assert "books.late: it runs after post, an alias; use books.mail" in found
    assert any("it would wait for itself, as books." in line and line.count(" after ") == 3 for line in found)
    assert len(found) == 4


def test_a_possible_order_is_accepted(packing: Packing) -> None:
    assert catalog(packing(CLOSE, replace(SEND, after=("books.close",)))).find("post").after == ("books.close",)


def test_limits_and_order_may_be_overridden(packing: Packing) -> None:
    override = JobOverride(
        overlap="queue_all", jitter=90.0, priority=3, after_wait=90.0, max_age=3600.0, longest=60.0, critical_below=0.5
    )

    found = catalog(packing(CLOSE), close=override).find("books.close")

    assert (found.priority, found.after_wait) == (3, timedelta(seconds=90))
    assert (found.overlap, found.jitter) == (Overlap.QUEUE_ALL, timedelta(seconds=90))
    assert found.limits == Limits(max_age=timedelta(hours=1), longest=timedelta(minutes=1), critical_below=0.5)
    assert found.spec == replace(CLOSE, overlap=Overlap.QUEUE_ALL).spec


def test_every_limit_may_be_overridden_and_false_turns_a_rule_off(packing: Packing) -> None:
    override = JobOverride(
        start_within=300.0, warn_below=0.8, failing_windows=5, pause_after=4, low_work=0.25, slow_run=3
    )
    found = catalog(packing(CLOSE), close=override).find("books.close").limits
    assert found == replace(
        CLOSE.limits,
        start_within=timedelta(minutes=5),
        warn_below=0.8,
        failing_windows=5,
        pause_after=4,
        low_work=0.25,
        slow_run=3,
    )

    pausing = replace(CLOSE, limits=Limits(pause_after=3))
    off = JobOverride(pause_after=False, low_work=False, slow_run=False)
    limits = catalog(packing(pausing), close=off).find("books.close").limits
    assert (limits.pause_after, limits.low_work, limits.slow_run) == (None, None, None)


def test_limits_that_turn_nothing_on_are_refused(packing: Packing) -> None:
    override = JobOverride(start_within=0.0, failing_windows=0, pause_after=True, low_work=2, slow_run=1.0)

    assert problems(packing(CLOSE), close=override) == [
        "books.close: start_within must be more than 0",
        "books.close: failing_windows must be 1 or more, not 0",
        "books.close: pause_after must be a whole number, not True",
        "books.close: low_work must be between 0 and 1, not 2",
        "books.close: slow_run must be more than 1, not 1",
    ]


def test_invalid_limits_are_refused(packing: Packing) -> None:
    override = JobOverride(after_wait=-1.0, max_age=0.0, critical_below=90.0)

    assert problems(packing(CLOSE), close=override) == [
        "books.close: after_wait must be 0 or more",
        "books.close: max_age must be more than 0",
        "books.close: critical_below must be between 0 and 1, not 90",
    ]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("population", None, "population must be a function, not None"),
        ("apply", "close", "apply must be a function, not 'close'"),
        ("prepare", {}, "prepare must be a function, not {}"),
        ("newest_only", 1, "newest_only must be True or False, not 1"),
        ("cron", 5, "cron must be a schedule, not 5"),
        ("tz", None, "tz must be a timezone, not None"),
        ("covers", "day", "covers must be a window such as DAY, not 'day'"),
        ("batch", 2.5, "batch must be a whole number, not 2.5"),
        ("batch", True, "batch must be a whole number, not True"),
        pytest.param("batch", 10**5000, "batch must be 10,000 or less, not <int>", id="batch of 5,000 digits"),
        ("workers", "4", "workers must be a whole number, not '4'"),
        ("parallel", math.nan, "parallel must be a whole number, not nan"),
        ("priority", 2**63, "priority must be 2,147,483,647 or less, not 9223372036854775808"),
        ("timeout", 3600.0, "timeout must be a timedelta such as minutes(5), not 3600.0"),
        ("timeout", timedelta.max, "timeout must be at most 10 years"),
        ("batch_timeout", timedelta(seconds=-1), "batch_timeout must be more than 0"),
        ("after_wait", timedelta(seconds=-1), "after_wait must be 0 or more"),
        ("after_wait", None, "after_wait must be a timedelta such as minutes(5), not None"),
        ("results_ttl", 60, "results_ttl must be a timedelta such as minutes(5), not 60"),
        ("retry", 5, "retry must be a Retry, not 5"),
        ("retry", AnyRetry(times=2.5), "retry.times must be a whole number, not 2.5"),
        ("retry", AnyRetry(first=0.5), "retry.first must be a timedelta such as minutes(5), not 0.5"),
        ("retry", AnyRetry(longest=timedelta.max), "retry.longest must be at most 10 years"),
        ("retry", AnyRetry(jitter=math.inf), "retry.jitter must be a number up to 9,007,199,254,740,992, not inf"),
        ("retry", AnyRetry(jitter=2.0), "retry.jitter must be between 0 and 1, not 2"),
        ("limits", None, "limits must be a Limits, not None"),
        ("limits", AnyLimits(max_age=5), "max_age must be a timedelta such as minutes(5), not 5"),
        ("limits", AnyLimits(critical_below=math.nan), "critical_below must be a number up to"),
        ("limits", AnyLimits(critical_below=True), "critical_below must be an int or a float, not bool"),
        ("catch_up", 1, "catch_up must be LATEST, NONE or all_of(...), not 1"),
        ("catch_up", all_of(newest=-1), "catch_up.newest must be 0 or more, not -1"),
        ("jitter", timedelta(days=2), "jitter must be at most a day"),
        ("jitter", timedelta(seconds=-1), "jitter must be 0 or more"),
        ("overlap", "skip", "overlap must be SKIP, QUEUE, QUEUE_ALL or REPLACE, not 'skip'"),
        ("exclusive", "a\nb", "exclusive must have 1 to 100 printable characters, not 'a\\nb'"),
        ("after", "books.send", "after must be a tuple of names, not 'books.send'"),
        ("after", (5,), "after must be a string, not 5"),
        ("aliases", ["a"], "aliases must be a tuple of names, not ['a']"),
        ("aliases", ("\ud800",), "aliases must have 1 to 100 printable characters, not '\\ud800'"),
        ("tag", "x" * 101, "tag must have 1 to 40 printable characters"),
        ("tag", "\x1b[2J", "tag must have 1 to 40 printable characters, not '\\x1b[2J'"),
        ("description", "two\nlines", "description must have 1 to 500 printable characters, not 'two\\nlines'"),
        ("description", None, "description must be a string, not None"),
        ("name", "books.a\x00", "books: the name of a job must have 1 to 100 printable characters"),
        ("name", 5, "books: the name of a job must be a string, not 5"),
    ],
)
def test_a_field_of_another_type_or_size_is_refused(packing: Packing, field: str, value: Any, message: str) -> None:
    (line,) = problems(packing(replace(CLOSE, **{field: value})))

    assert message in line
    assert line.startswith("books.close: " if field != "name" else "books: ")


@pytest.mark.parametrize("jobs", [None, [CLOSE], (CLOSE, "books.send"), (lambda: CLOSE,)])
def test_jobs_that_are_no_jobs_are_refused(jobs: Any, packing: Packing, monkeypatch: pytest.MonkeyPatch) -> None:
    name = packing(CLOSE)
    monkeypatch.setattr(sys.modules[name], "pack", Pack("books", jobs=jobs))

    with pytest.raises(BadSettings, match="books: jobs must be a tuple of jobs, not "):
        load((name,), {}, {})


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize("field", ["timeout", "batch_timeout", "after_wait", "max_age", "longest"])
def test_an_override_that_is_no_duration_is_refused(packing: Packing, field: str, seconds: float) -> None:
    override: Any = {field: seconds}

    (line,) = problems(packing(CLOSE), close=JobOverride(**override))

    assert line.startswith(f"books.close: {field} must be a number of seconds up to 10 years, not ")


@pytest.mark.parametrize("tag", ["[Cron]", "[Pre-Gen]", "[BGJob]", "[DailyReportGenerator]", "résumé:", "x" * 40])
def test_the_tag_of_a_job_may_be_overridden(packing: Packing, tag: str) -> None:
    assert catalog(packing(CLOSE)).find("books.close").log_tag == "[books.close]"
    assert catalog(packing(CLOSE), close=JobOverride(tag=tag)).find("books.close").log_tag == tag


@pytest.mark.parametrize("tag", ["", "x" * 41, "two\nlines", "\x1b[31m", "\u202eback", "soft\u00adhyphen"])
def test_a_tag_that_would_spoil_the_log_is_refused(packing: Packing, tag: str) -> None:
    (problem,) = problems(packing(CLOSE), close=JobOverride(tag=tag))

    assert problem.startswith("books.close: tag must have 1 to 40 printable characters, not ")
    assert problem.isprintable()
    assert problems(packing(replace(CLOSE, tag=tag))) == [problem]


def test_the_limits_of_compression_are_those_of_the_configuration(
    packing: Packing, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = packing(SEND)
    day, shelf = (
        Family("books.day", "books:{date}", hours(1), compress_over=9),
        Family("books.shelf", "shelf:{s}", None),
    )
    monkeypatch.setattr(sys.modules[name], "pack", Pack("books", jobs=(SEND,), families=(day, shelf)))

    def limits(over: int | dict[str, int] | None) -> list[int | None]:
        return [family.compress_over for family in load((name,), {}, {}, over).families]

    assert limits(None) == [9, None]
    assert limits(2000) == [2000, 2000]
    assert limits({"books.shelf": 0}) == [9, 0]
    for wrong, problem in (
        ({"books.shelv": 5}, "cache.compress_over: there is no cache family books.shelv; did you mean books.shelf?"),
        ({"books.shelf": -1}, "cache.compress_over must be a number of bytes, 0 or more, not -1"),
        (-5, "cache.compress_over must be a number of bytes, 0 or more, not -5"),
    ):
        with pytest.raises(BadSettings) as refused:
            limits(wrong)
        assert refused.value.problems == [problem]


def test_a_family_that_an_unknown_job_fills_is_refused(packing: Packing, monkeypatch: pytest.MonkeyPatch) -> None:
    name = packing(SEND)
    families = (
        Family("books.day", "books:{date}", ttl=hours(1), filled_by=(SEND.name,)),
        Family("books.shelf", "shelf:{shelf}", ttl=hours(1), filled_by=("books.sent", "other.pack")),
    )
    monkeypatch.setattr(sys.modules[name], "pack", Pack("books", jobs=(SEND,), families=families))

    with pytest.raises(BadSettings) as refused:
        load((name,), {}, {})

    assert refused.value.problems == ["family books.shelf: there is no job books.sent"]


def test_families_that_would_share_a_key_are_refused(packing: Packing, monkeypatch: pytest.MonkeyPatch) -> None:
    name = packing(SEND)
    families = (
        Family("books.day", "books:{date}:{user}", ttl=hours(1)),
        Family("books.shelf", "books:{shelf}:top", ttl=hours(1)),
    )
    monkeypatch.setattr(sys.modules[name], "pack", Pack("books", jobs=(SEND,), families=families))

    with pytest.raises(BadSettings) as refused:
        load((name,), {}, {})

    assert refused.value.problems == [
        "a key could belong to both books.day (books:{date}:{user}) and books.shelf (books:{shelf}:top)"
    ]

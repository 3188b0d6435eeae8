"""Checks of packs: if one fails, the others are read; a finding lasts as long as it is true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole import Unavailable
from opsconsole.authoring.context import Resources
from opsconsole.extensions import Check, Condition, Severity
from opsconsole.leader import pack_checks
from opsconsole.leader.pack_checks import PackChecks
from opsconsole.rules.findings import Finding, FindingKind
from tests.conftest import Installing
from tests.installation import Installation
from tests.packs import checks

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
PACK = checks.pack.name


class Reading:
    """The checks of the pack, read on request by a clock that the test sets."""

    def __init__(self, place: Installation, of: tuple[Check, ...]) -> None:
        self.now = NOON
        (pack,) = place.catalog.packs
        place.catalog.packs = (replace(pack, checks=of),)
        urls = place.settings.data_url.reveal(), place.environ["REDIS_URL"]
        self.checks = PackChecks(
            place.catalog, lambda: Resources(*urls, now=lambda: self.now), lambda _days: (), now=lambda: self.now
        )

    def read(self, later: timedelta = timedelta(0)) -> dict[str, Finding]:
        self.now += later
        self.checks.read()
        found = self.checks.findings()
        assert {finding.kind for finding in found} <= {FindingKind.CHECK}
        return {finding.subject.removeprefix(f"{PACK}."): finding for finding in found}


Reader = Callable[..., Reading]


@pytest.fixture
def reader(installing: Installing, database_url: str, redis_url: str) -> Iterator[Reader]:
    """Makes a Reading of these checks."""
    checks.FOUND.clear()
    checks.RAISED.clear()
    checks.HANGING.clear()
    place = installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.checks")
    made: list[Reading] = []

    def read(*of: Check) -> Reading:
        made.append(Reading(place, of))
        return made[-1]

    yield read
    checks.HANGING.set()
    for reading in made:
        reading.checks.close()


def test_a_condition_is_found_while_it_lasts(reader: Reader) -> None:
    reading = reader(*checks.GOOD)
    assert set(reading.checks.unknown_kinds()) == {FindingKind.CHECK}
    calm = reading.read()
    assert not list(reading.checks.unknown_kinds())

    checks.FOUND["shelf"] = [Condition(Severity.WARNING, "it leans"), Condition(Severity.CRITICAL, "it falls")]
    first = reading.read(timedelta(minutes=1))["shelf"]
    later = reading.read(timedelta(minutes=1))["shelf"]
    checks.FOUND.clear()

    assert calm == {}
    assert (first.severity, first.reason, first.since) == (
        Severity.CRITICAL,
        "it leans; it falls",
        reading.now - timedelta(minutes=1),
    )
    assert later == first
    assert reading.read() == {}


def test_a_check_may_wait_until_a_condition_has_lasted(reader: Reader) -> None:
    shelf, _rows = checks.GOOD
    reading = reader(replace(shelf, after=timedelta(minutes=15)))
    checks.FOUND["shelf"] = [Condition(Severity.WARNING, "it leans")]
    early = reading.read(), reading.read(timedelta(minutes=14))
    lasting = reading.read(timedelta(minutes=1))
    checks.FOUND.clear()
    over = reading.read()
    checks.FOUND["shelf"] = [Condition(Severity.WARNING, "it leans")]

    assert (early, over) == (({}, {}), {})
    assert lasting["shelf"].since == NOON
    assert reading.read() == {}, "it has to last again"


def test_a_check_that_cannot_be_read_is_no_better_than_before(reader: Reader) -> None:
    reading = reader(*checks.GOOD)
    checks.FOUND["shelf"] = [Condition(Severity.CRITICAL, "it falls", since=NOON - timedelta(hours=1))]
    before = reading.read()["shelf"]

    checks.RAISED["shelf"] = ValueError("no ink")
    raised = reading.read(timedelta(minutes=1))["shelf"]
    checks.RAISED["shelf"] = Unavailable("data", "gone")
    unreachable = reading.read(timedelta(minutes=1))["shelf"]

    assert before.since == NOON - timedelta(hours=1)
    assert raised == replace(before, reason="it cannot be read: the pack raised ValueError: no ink")
    assert unreachable == raised, "the data database has a finding of its own"


def test_a_check_whose_database_was_never_reachable_is_unknown(reader: Reader) -> None:
    reading = reader(*checks.GOOD)
    checks.RAISED["shelf"] = Unavailable("data", "gone")

    assert reading.read() == {}
    assert set(reading.checks.unknown_kinds()) == {FindingKind.CHECK}


def test_hostile_checks_are_findings_of_their_own(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_checks, "ANSWER_SECONDS", 0.5)
    checks.FOUND["shelf"] = [Condition(Severity.WARNING, "it leans")]
    reading = reader(*checks.HOSTILE, *checks.GOOD)

    found = {name: finding.reason for name, finding in reading.read().items()}

    wrong = "it cannot be read: it must return Condition(severity, message), and `since` must have a timezone"
    escaped = found.pop("escapes")
    assert escaped.startswith("\\x1b[2J")
    assert len(escaped) <= pack_checks.MAX_MESSAGE
    assert found.pop("endless").startswith("0; 1; 2; ")
    assert found == {
        "hangs": "it cannot be read: no result after 0.5 s",
        "exits": "it cannot be read: the pack raised SystemExit: 3",
        "nothing": "it cannot be read: the pack raised TypeError: 'NoneType' object is not iterable",
        "words": wrong,
        "number": wrong,
        "naive": wrong,
        "unprintable": "it cannot be read: the pack raised SystemExit: 3",
        "unavailable": "it cannot be read: the Claude API is unreachable: 529 overloaded",
        "shelf": "it leans",
    }
    checks.HANGING.set()
    monkeypatch.setattr(pack_checks, "ANSWER_SECONDS", 60.0)
    assert "hangs" not in reading.read()

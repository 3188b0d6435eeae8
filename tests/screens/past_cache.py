"""What a FakeService knows of the cache and of the audit trail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from opsconsole.cache.figures import CacheDay, FamilyUsage, UsageSurvey
from opsconsole.cache.history import RedisPoint
from opsconsole.cache.keys import KeysFound, KeyValue
from opsconsole.cache.reads import Reads
from opsconsole.rules.audit import AuditEntry, AuditProblem, Seal, Verification
from opsconsole.service.cache import Clearing
from tests.screens import samples

COUNTED = UsageSurvey(
    {
        "attempts.day": FamilyUsage(38_200, 41 << 20, (12, 3_400, 7_199)),
        "practice.level": FamilyUsage(2_998, 1 << 20, (60, 1_800, 3_599)),
        "game.board": FamilyUsage(6, 700_000, None, without_ttl=6),
    },
    others=12,
    scanned=41_216,
    of=41_216,
    done=True,
)
SURVEYS = (
    UsageSurvey({"attempts.day": FamilyUsage(37_000, 40 << 20, (12, 3_400, 7_199))}, 10, 20_000, 41_216, done=False),
    COUNTED,
)

DAYS = tuple(
    CacheDay((samples.NOW - timedelta(days=n)).date(), family, hits, misses, 0, keys, size)
    for n in range(14)
    for family, hits, misses, keys, size in (
        ("attempts.day", 9_000 - n * 10, 300 + n * 40, 38_000, 41 << 20),
        ("practice.level", 400, 40, 3_000, 1 << 20),
    )
)

CLEARINGS = (
    Clearing(310, samples.ago(hours=3), "ben", "user u0417", {"attempts.day": 7}, Reads(9_000, 120), Reads(3_100, 90)),
    Clearing(
        288, samples.ago(days=2), "asha", "family attempts.day", {"attempts.day": 38_000}, Reads(8_000, 90), Reads()
    ),
)

DAY_KEY, OTHER_KEY = "date:user:2026-01-19:asha", "date:user:2026-01-18:asha"
FOUND = (
    KeysFound((DAY_KEY,), 20_000, more=False, done=False),
    KeysFound((DAY_KEY, OTHER_KEY), 41_216, more=False, done=True),
)
VALUES = {
    DAY_KEY: KeyValue(
        DAY_KEY, "string", 3_400, 1_312, 1_204, None, ("{", '  "attempts": []', "}"), cut=False, compressed=True
    ),
}

HOSTILE = "[@click=app.quit]x[/]\x1b]52;c;aGk=\x07"


def entry(number: int, verb: str, target: str, outcome: str = "done", who: str = "asha") -> AuditEntry:
    """A row of the audit trail."""
    return AuditEntry(
        number,
        samples.ago(minutes=1000 - number),
        number // 2,
        who,
        "10.0.0.7",
        verb,
        target,
        outcome,
        {"date": "2026-01-19"},
        {"run": 4000 + number},
    )


ENTRIES = (
    entry(990, "trigger", "attempts.cache_day"),
    entry(989, "trigger", "attempts.cache_day", "requested"),
    entry(980, "clear", "user u0417", who="ben"),
    entry(979, "clear", "user u0417", "requested", who="ben"),
    entry(700, "retry", "run 4770", "refused", who="chen"),
    *(entry(600 - n, "trigger", "game.life_regen", who="schedule") for n in range(400)),
)
HASH = "ab12" * 16
VERIFIED = (Verification(500, Seal(500, HASH)), Verification(990, Seal(990, HASH)))
BROKEN = (Verification(811, Seal(811, HASH), AuditProblem.ROW_CHANGED, 812),)

HISTORY = tuple(
    RedisPoint(
        samples.ago(seconds=10 * (60 - n)),
        memory=(50 << 20) + n * 80_000,
        ops_per_second=200 + n % 7 * 10,
        ping_ms=0.3 + (n == 40) * 4,
        hits=900 - n % 5 * 60,
        misses=20 + n % 5 * 10,
        evicted=0,
    )
    for n in range(60)
)
SNAPSHOT = replace(samples.BUSY, redis=replace(samples.BUSY.redis, history=HISTORY))

"""The cache families of practice: keys, TTLs, and the tables they are derived from."""

from __future__ import annotations

from urllib.parse import quote

from opsconsole import hours, minutes
from opsconsole.cache import Family

USER = ("user",)
SUBJECT = ("subject",)
USER_AND_SUBJECT = ("user", "subject")
WARMED = ("practice.warm_cache",)

PERFORMANCE = Family(
    "practice.performance",
    "user:performance:{user}",
    ttl=minutes(30),
    of=USER,
    computed_from=("users", "questions", "attempts", "user_performance"),
    filled_by=WARMED,
)
CONFIG = Family(
    "practice.config",
    "session:config:{stream}:{grade}",
    ttl=hours(2),
    computed_from=("session_configs",),
)
BY_SUBJECT = Family(
    "practice.questions",
    "questions:subject:{subject}:{category}",
    ttl=hours(1),
    of=SUBJECT,
    computed_from=("questions",),
)
BY_DIFFICULTY = Family(
    "practice.questions_by_difficulty",
    "subject:questions:{subject}:{category}:{difficulty}",
    ttl=hours(1),
    of=SUBJECT,
    computed_from=("questions",),
)
CURRENT = Family(
    "practice.current_topics",
    "current:topics:{user}:{subject}",
    ttl=minutes(30),
    of=USER_AND_SUBJECT,
    computed_from=("questions", "attempts", "topic_mastery"),
    filled_by=WARMED,
)
WEAK = Family(
    "practice.weak_concepts",
    "weak:concepts:{user}:{subject}",
    ttl=hours(1),
    of=USER_AND_SUBJECT,
    computed_from=("topics", "topic_mastery"),
    filled_by=WARMED,
)
REVISION = Family(
    "practice.revision_topics",
    "revision:topics:{user}:{subject}",
    ttl=hours(1),
    of=USER_AND_SUBJECT,
    computed_from=("questions", "attempts", "topic_mastery"),
    filled_by=WARMED,
)
SESSION = Family(
    "practice.session",
    "practice:session:{user}:{session}",
    ttl=hours(24),
    of=USER,
    computed_from=("practice_sessions",),
)

FAMILIES = (PERFORMANCE, CONFIG, BY_SUBJECT, BY_DIFFICULTY, CURRENT, WEAK, REVISION, SESSION)

ANY = "@any"
"""Replaces a missing category in a key; `key_part` never returns this for a text."""


def key_part(value: str | float | None) -> str:
    """Quotes a category or difficulty for use in a key: free text may contain blanks and colons."""
    return ANY if value is None else quote(str(value), safe="")

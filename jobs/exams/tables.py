"""The tables of exams: stored exams, their parts in progress, the request queue, and every API call."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    event,
    literal_column,
)
from sqlalchemy.schema import ExecutableDDLElement

from jobs.common import metadata
from opsconsole.sql import Json, UtcTime, key_type, partial_index


class ExamType(StrEnum):
    """The kinds of exams; each active user gets one of each."""

    DIAGNOSTIC = "diagnostic"
    PRACTICE = "practice"


class RequestState(StrEnum):
    """The state of a request. All but DONE are unfinished; a user has at most one unfinished request of a type."""

    WAITING = "waiting"
    SUBMITTED = "submitted"
    """Part of a message batch that is not collected yet."""
    FAILED = "failed"
    DONE = "done"


OPEN = (RequestState.WAITING, RequestState.SUBMITTED)

pre_generated_exams = Table(
    "pre_generated_exams",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("user_id", key_type(), nullable=False),
    Column("exam_type", String, nullable=False),
    Column("model", String, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used", Boolean, nullable=False),
    Column("used_at", UtcTime, nullable=True),
    # The last column: SQLite reads all of a long text to reach the columns behind it.
    Column("questions", Json, nullable=False),
)
_unused = pre_generated_exams.c.used.is_(False)
partial_index(
    "idx_pre_gen_exams_user_type_unused",
    pre_generated_exams.c.user_id,
    pre_generated_exams.c.exam_type,
    pre_generated_exams.c.used,
    where=_unused,
)
Index("idx_pre_gen_exams_expires", pre_generated_exams.c.expires_at)
Index("idx_pre_gen_exams_used_created", pre_generated_exams.c.used, pre_generated_exams.c.created_at)


def _on_postgresql(statement: str) -> ExecutableDDLElement:
    return DDL(statement).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call] # it has no annotations


# The table's owner, the role of the jobs, sees all rows. Readers set their user: SET LOCAL app.user_id = '...'.
_POLICY = "CREATE POLICY own_exams ON pre_generated_exams USING (user_id = current_setting('app.user_id', true))"
for _statement in ("ALTER TABLE pre_generated_exams ENABLE ROW LEVEL SECURITY", _POLICY):
    event.listen(pre_generated_exams, "after_create", _on_postgresql(_statement))

exam_requests = Table(
    "exam_requests",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("user_id", key_type(), nullable=False),
    Column("exam_type", String, nullable=False),
    Column("state", String, nullable=False),
    # Starts at 1 and grows each time a failed request is retried.
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcTime, nullable=False),
    Column("last_error", Text, nullable=True),
    Column("requested_by", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index(None, "state", "next_attempt_at"),
)
# A literal: the condition names a partial index in INSERT ... ON CONFLICT, where no parameter is allowed.
UNFINISHED = exam_requests.c.state != literal_column(f"'{RequestState.DONE.value}'")
partial_index(
    "uq_exam_requests_unfinished",
    exam_requests.c.user_id,
    exam_requests.c.exam_type,
    unique=True,
    where=UNFINISHED,
)

exam_chunks = Table(
    "exam_chunks",
    metadata,
    Column("exam_key", key_type(), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("questions", Json, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)


class Outcome(StrEnum):
    """The outcome of a call. The values are stored; the table is never altered."""

    PENDING = "asked"
    """In progress, or its process ended; it may have been billed."""
    RECEIVED = "answered"
    """A completion that is not checked yet."""
    ACCEPTED = "kept"
    REJECTED = "unfit"
    """A completion that failed validation."""
    UNAVAILABLE = "away"
    """No completion; another try may succeed."""
    REFUSED = "refused"
    """No completion; another try cannot succeed."""


exam_calls = Table(
    "exam_calls",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("exam_key", key_type(), nullable=False),
    Column("seq", Integer, nullable=False),
    # The request's `attempts` at that time: tries of a chunk are counted per attempt.
    Column("attempt", Integer, nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("batch", String, nullable=True),
    Column("batched", Boolean, nullable=False),
    Column("model", String, nullable=False),
    Column("prompt", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("cause", String, nullable=True),
    Column("asked_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),
    # No call is made before this time: Retry-After, or the backoff after a failure.
    Column("hold_until", UtcTime, nullable=True),
    Column("reserved_tokens", Integer, nullable=False),
    Column("reserved_micros", BigInteger, nullable=False),
    # NULL while the cost of the call is unknown.
    Column("input_tokens", Integer, nullable=True),
    Column("output_tokens", Integer, nullable=True),
    Column("cache_write_tokens", Integer, nullable=True),
    Column("cache_read_tokens", Integer, nullable=True),
    Column("cost_micros", BigInteger, nullable=True),
    Index(None, "exam_key", "seq"),
    Index(None, "asked_at"),
    Index(None, "run"),
    Index(None, "batch"),
)

"""Records every API call with its outcome and cost. All limits and budgets are computed from these records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from jobs.exams import prompt
from jobs.exams.api_client import CallFailed, Completion, Usage
from jobs.exams.options import Options, Price, dollars, micros
from jobs.exams.tables import Outcome, exam_calls
from opsconsole import Unavailable, minutes

FAILURES_UNTIL_DOWN = 3
"""Consecutive failed calls after which the service counts as unavailable."""
MAX_TRIES = 3
"""Calls for one part of an exam per attempt of its request."""
MINUTE = minutes(1)
MAX_CLOCK_SKEW = timedelta(seconds=10)
"""How far the clocks of two workers may differ."""
_LOCK = 0x6F7073_6578  # "opsex": one advisory lock for all workers that check limits

c = exam_calls.c
_TOKENS = func.coalesce(c.input_tokens + c.cache_write_tokens + c.output_tokens, c.reserved_tokens)
_FREE = dict.fromkeys(("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens", "cost_micros"), 0)


@dataclass(frozen=True, slots=True)
class Call:
    """A call about to be made. `tokens` is the estimate of input and output; `attempt` is that of the request."""

    exam_key: str
    seq: int
    attempt: int
    run: int
    tokens: tuple[int, int]
    batched: bool = False


def lock(db: Connection) -> None:
    """Keeps other workers from checking limits until the transaction ends."""
    if db.dialect.name == "postgresql":  # an SQLite database has one writer anyway
        db.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def require_available(db: Connection, run: int) -> None:
    """Raises Unavailable when the last calls of this run show that the service is down or refuses our key.

    Another run always makes one call first.
    """
    ended = c.outcome != Outcome.PENDING.value
    last = db.execute(
        select(c.run, c.outcome, c.cause)
        .where(ended, c.batched.is_(False))
        .order_by(c.id.desc())
        .limit(FAILURES_UNTIL_DOWN)
    ).all()
    if not last or last[0].run != run:
        return
    refused = last[0].outcome == Outcome.REFUSED
    down = len(last) == FAILURES_UNTIL_DOWN and all(call.outcome == Outcome.UNAVAILABLE for call in last)
    if refused or down:
        raise Unavailable("claude", last[0].cause or "")


def previous_tries(db: Connection, exam_key: str, seq: int, attempt: int) -> tuple[int, str]:
    """The number of calls for a part in this attempt, and the cause of the last failure.

    Calls lost with their process count; refused ones do not.
    """
    calls = db.execute(
        select(c.outcome, c.cause)
        .where(c.exam_key == exam_key, c.seq == seq, c.attempt == attempt, c.outcome != Outcome.REFUSED.value)
        .order_by(c.id)
    ).all()
    return len(calls), (calls[-1].cause or "the process ended during the call") if calls else ""


def seconds_to_wait(db: Connection, options: Options, tokens: tuple[int, int], now: datetime) -> float:
    """Seconds until the rate limits allow a call of that many tokens; 0 when it may be made now."""
    # What a clock wrote that was ahead does not count: nothing would be called until that time comes.
    until = now + MAX_CLOCK_SKEW
    recent = c.asked_at.between(now - minutes(10), until)  # longer than any hold
    wait_until = db.execute(select(func.max(c.hold_until)).where(recent)).scalar() or now
    last_minute = db.execute(
        select(c.asked_at, _TOKENS.label("tokens"))
        .where(c.asked_at > now - MINUTE, c.asked_at <= until, c.batched.is_(False))
        .order_by(c.asked_at, c.id)
    ).all()
    total = sum(call.tokens for call in last_minute) + sum(tokens)
    for active, call in zip(range(len(last_minute), 0, -1), last_minute, strict=True):
        # A call larger than the limit is made once no other call counts; otherwise it would never be made.
        if active < options.requests_per_minute and total <= options.tokens_per_minute:
            break
        total -= call.tokens
        wait_until = max(wait_until, call.asked_at + MINUTE)
    return max(0.0, (wait_until - now).total_seconds())


def exhausted_budget(db: Connection, options: Options, needed: int, now: datetime, run: int) -> str | None:
    """Names the budget that `needed` millionths of a dollar would exceed; None when there is enough."""
    daily = micros(options.daily_budget)
    if spent(db, since=start_of_day(now)) + needed > daily:
        return f"the daily budget of {dollars(daily)} does not allow another exam"
    if options.run_budget is not None:
        per_run = micros(options.run_budget)
        if spent(db, run=run) + needed > per_run:
            return f"the run budget of {dollars(per_run)} does not allow another exam"
    return None


def spent(db: Connection, *, since: datetime | None = None, run: int | None = None) -> int:
    """The cost of calls in millionths of a dollar, with the estimate for calls of unknown cost."""
    total = select(func.coalesce(func.sum(func.coalesce(c.cost_micros, c.reserved_micros)), 0))
    if since is not None:
        total = total.where(c.asked_at >= since)
    if run is not None:
        total = total.where(c.run == run)
    return int(db.execute(total).scalar_one())


def start_of_day(now: datetime) -> datetime:
    """The start of the UTC day that the daily budget covers."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def record_call(db: Connection, call: Call, options: Options, price: Price, now: datetime) -> int:
    """Records a call before it is made; returns its id."""
    input_tokens, output_tokens = call.tokens
    row = {
        "exam_key": call.exam_key,
        "seq": call.seq,
        "attempt": call.attempt,
        "run": call.run,
        "batched": call.batched,
        "model": options.model,
        "prompt": prompt.VERSION,
        "outcome": Outcome.PENDING.value,
        "asked_at": now,
        "reserved_tokens": input_tokens + output_tokens,
        "reserved_micros": cost(Usage(input_tokens, output_tokens), price, batched=call.batched),
    }
    return int(db.execute(insert(exam_calls).values(row).returning(c.id)).scalar_one())


def record_completion(
    db: Connection, call: int, completion: Completion, price: Price, now: datetime, *, batched: bool = False
) -> None:
    """Records the cost of a completion, before its content is checked."""
    used = completion.usage
    _update(
        db,
        call,
        outcome=Outcome.RECEIVED.value,
        model=completion.model,
        ended_at=now,
        input_tokens=used.input,
        output_tokens=used.output,
        cache_write_tokens=used.cache_write,
        cache_read_tokens=used.cache_read,
        cost_micros=cost(used, price, batched=batched),
    )


def record_failure(
    db: Connection, call: int, error: CallFailed, now: datetime, *, hold: timedelta | None = None
) -> None:
    """Records a failed call. No call is made for the duration of `hold`; a cost that may be billed stays estimated."""
    outcome = Outcome.UNAVAILABLE if error.retryable else Outcome.REFUSED
    costs: Mapping[str, Any] = {} if error.may_be_billed else _FREE
    until = now + hold if hold is not None else None
    _update(db, call, outcome=outcome.value, cause=error.cause, ended_at=now, hold_until=until, **costs)


def record_outcome(db: Connection, call: int, outcome: Outcome, cause: str | None = None) -> None:
    """Records whether the content of a completion was accepted."""
    _update(db, call, outcome=outcome.value, cause=cause)


def _update(db: Connection, call: int, **values: Any) -> None:
    db.execute(update(exam_calls).where(c.id == call).values(**values))


def cost(used: Usage, price: Price, *, batched: bool = False) -> int:
    """The cost in millionths of a dollar, rounded up. Prices are in dollars per million tokens."""
    exact = (
        used.input * price.input
        + used.output * price.output
        + used.cache_write * price.cache_write
        + used.cache_read * price.cache_read
    )
    return math.ceil(exact * price.batch if batched else exact)

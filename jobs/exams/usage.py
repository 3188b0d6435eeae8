"""Keeps the books of every call: when it was made, what came of it, what it cost. All limits are counted from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from jobs.exams import prompt
from jobs.exams.options import Options, Price, dollars, micros
from jobs.exams.service import Answer, NoAnswer, Usage
from jobs.exams.tables import Outcome, exam_calls
from opsconsole import Unavailable, minutes

DOWN = 3
"""After so many calls in a row without an answer the service counts as down."""
TRIES = 3
"""So often a part of an exam is asked for each time its request is taken up."""
MINUTE = minutes(1)
_LOCK = 0x6F7073_6578  # "opsex": one lock for all who are about to ask

c = exam_calls.c
_READ = func.coalesce(c.input_tokens + c.cache_write_tokens + c.output_tokens, c.reserved_tokens)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is about to be made: for which part of which exam, in whose run, and what is reckoned with."""

    exam_key: str
    seq: int
    attempt: int
    run: int
    tokens: tuple[int, int]
    batched: bool = False


def alone(db: Connection) -> None:
    """Until the end of the transaction nobody else decides whether to ask."""
    if db.dialect.name == "postgresql":  # an SQLite database has one writer anyway
        db.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def require_service(db: Connection, run: int) -> None:
    """Raises Unavailable when this run has found that the service is down, or that it refuses us. Another run tries it
    once, whatever came of the one before.
    """
    answered = c.outcome.not_in((Outcome.ASKED.value,))
    last = db.execute(
        select(c.run, c.outcome, c.cause).where(answered, c.batched.is_(False)).order_by(c.id.desc()).limit(DOWN)
    ).all()
    if not last or last[0].run != run:
        return
    refused = last[0].outcome == Outcome.REFUSED
    down = len(last) == DOWN and all(call.outcome == Outcome.AWAY for call in last)
    if refused or down:
        raise Unavailable("claude", last[0].cause or "")


def tries(db: Connection, exam_key: str, seq: int, attempt: int) -> tuple[int, str]:
    """How often the part was asked for in this attempt, and what came of it the last time. A call that was lost
    counts; one that the service refused to look at does not.
    """
    calls = db.execute(
        select(c.outcome, c.cause)
        .where(c.exam_key == exam_key, c.seq == seq, c.attempt == attempt, c.outcome != Outcome.REFUSED.value)
        .order_by(c.id)
    ).all()
    return len(calls), (calls[-1].cause or "the call was lost with its process") if calls else ""


def wait(db: Connection, options: Options, tokens: tuple[int, int], now: datetime) -> float:
    """For how many seconds nobody may ask for so many tokens more; 0 when now is right."""
    recent = c.asked_at > now - minutes(10)  # no hold is as long as that
    held = db.execute(select(func.max(c.hold_until)).where(recent)).scalar()
    wait_until = held or now
    lately = db.execute(
        select(c.asked_at, _READ.label("tokens"))
        .where(c.asked_at > now - MINUTE, c.batched.is_(False))
        .order_by(c.asked_at, c.id)
    ).all()
    total = sum(call.tokens for call in lately) + sum(tokens)
    for left, call in zip(range(len(lately), 0, -1), lately, strict=True):
        # A call larger than the limit is made when it is alone: it would never be made else.
        if left < options.requests_a_minute and total <= options.tokens_a_minute:
            break
        total -= call.tokens
        wait_until = max(wait_until, call.asked_at + MINUTE)
    return max(0.0, (wait_until - now).total_seconds())


def over_budget(db: Connection, options: Options, need: int, now: datetime, run: int) -> str | None:
    """Which budget has no room for so many millionths of a dollar more, in a sentence; None when all have."""
    day = micros(options.budget_a_day)
    if spent(db, since=midnight(now)) + need > day:
        return f"the day's budget of {dollars(day)} has no room for another exam"
    if options.budget_a_run is not None:
        own = micros(options.budget_a_run)
        if spent(db, run=run) + need > own:
            return f"the run's budget of {dollars(own)} has no room for another exam"
    return None


def spent(db: Connection, *, since: datetime | None = None, run: int | None = None) -> int:
    """What calls cost, in millionths of a dollar; with what is reckoned for those whose cost nobody knows."""
    total = select(func.coalesce(func.sum(func.coalesce(c.cost_micros, c.reserved_micros)), 0))
    if since is not None:
        total = total.where(c.asked_at >= since)
    if run is not None:
        total = total.where(c.run == run)
    return int(db.execute(total).scalar_one())


def midnight(now: datetime) -> datetime:
    """When the day began that budgets are about."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def begin(db: Connection, call: Call, options: Options, price: Price, now: datetime) -> int:
    """Writes that the call is being made; its number."""
    reads, writes = call.tokens
    row = {
        "exam_key": call.exam_key,
        "seq": call.seq,
        "attempt": call.attempt,
        "run": call.run,
        "batched": call.batched,
        "model": options.model,
        "prompt": prompt.VERSION,
        "outcome": Outcome.ASKED.value,
        "asked_at": now,
        "reserved_tokens": reads + writes,
        "reserved_micros": cost(Usage(input=reads, output=writes), price, batched=call.batched),
    }
    return int(db.execute(insert(exam_calls).values(row).returning(c.id)).scalar_one())


def answered(db: Connection, call: int, answer: Answer, price: Price, now: datetime, *, batched: bool = False) -> None:
    """Writes what an answer cost, before anybody looks at what it says."""
    used = answer.usage
    _end(
        db,
        call,
        outcome=Outcome.ANSWERED.value,
        model=answer.model,
        ended_at=now,
        input_tokens=used.input,
        output_tokens=used.output,
        cache_write_tokens=used.cache_write,
        cache_read_tokens=used.cache_read,
        cost_micros=cost(used, price, batched=batched),
    )


def unanswered(db: Connection, call: int, none: NoAnswer, now: datetime, *, hold: timedelta | None = None) -> None:
    """Writes why there is no answer, and until when nobody asks again. What may have been paid for keeps its
    reckoning.
    """
    outcome = Outcome.AWAY if none.again else Outcome.REFUSED
    known: Mapping[str, Any] = {} if none.paid else _NOTHING
    until = now + hold if hold is not None else None
    _end(db, call, outcome=outcome.value, cause=none.cause, ended_at=now, hold_until=until, **known)


_NOTHING = dict.fromkeys(("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens", "cost_micros"), 0)


def judged(db: Connection, call: int, outcome: Outcome, cause: str | None = None) -> None:
    """Writes whether an answer was kept."""
    _end(db, call, outcome=outcome.value, cause=cause)


def _end(db: Connection, call: int, **said: Any) -> None:
    db.execute(update(exam_calls).where(c.id == call).values(**said))


def cost(used: Usage, price: Price, *, batched: bool = False) -> int:
    """What tokens cost, in millionths of a dollar, a part of one counting as one: dollars for a million tokens are
    millionths of a dollar for one.
    """
    exact = (
        used.input * price.input
        + used.output * price.output
        + used.cache_write * price.cache_write
        + used.cache_read * price.cache_read
    )
    return math.ceil(exact * price.batch if batched else exact)

"""An account of everything in a store and its data, checked row by row against the invariants.

It is independent of the planner and the runner: another parser reads the schedules, and the invariants are computed
from plain rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from cronsim import CronSim
from sqlalchemy import Table, select

from opsconsole.core.database import Connection, Database
from opsconsole.store import Store, audit, tables as schema
from tests.faults import write_monitor
from tests.packs import chaos

Row = Any
MINUTE = timedelta(minutes=1)
WITH_A_RUN = ("due", "ran", "late")
ENDED = ("succeeded", "partial", "failed", "timed_out", "cancelled", "abandoned")
CLOSED = ("done", "failed", "replaced", "not_reached")
SHOWN = 40
TRANSITIONS = {
    None: {"queued"},
    "queued": {"running", "cancelled", "failed"},
    "running": {"interrupted", "running", *ENDED},
    "interrupted": {"running", "cancelled", "failed"},
}
"""What may follow each state of a run; nothing follows those that are not here."""


@dataclass
class Account:
    """Counts, and violations of the invariants."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def check(self, holds: bool, sentence: str) -> None:
        """Counts a check, and records the sentence when it fails."""
        self.counts["checks"] += 1
        if not holds:
            self.violations.append(sentence)

    def add(self, other: Account) -> None:
        """Adds another account to this one."""
        self.counts.update(other.counts)
        self.violations += other.violations

    def lines(self) -> Iterator[str]:
        """The account in lines, the first violations last."""
        for name, n in sorted(self.counts.items()):
            yield f"  {name:<44} {n:>9,}"
        yield f"  {'violations':<44} {len(self.violations):>9,}"
        yield from (f"  ! {violation}" for violation in self.violations[:SHOWN])


def audited(store: Store, data: Database, cache: redis.Redis, *, planned_past: datetime) -> Account:
    """Checks everything. Nothing may be running; every schedule must be planned past `planned_past`."""
    account = Account()
    with store.reading() as db, data.reading() as data_db:
        contents = _Contents(db, data_db)
        _instants(account, contents, planned_past)
        _occurrences_and_runs(account, contents)
        _runs(account, contents)
        _batches(account, contents)
        _order(account, contents)
        _effects(account, contents)
        _marks(account, contents, cache)
        _commands(account, contents, db)
        _leaders(account, db)
    return account


class _Contents:
    """All rows, in memory."""

    def __init__(self, db: Connection, data: Connection) -> None:
        self.jobs = _rows(db, schema.jobs)
        self.pauses = _rows(db, schema.pauses)
        self.commands = _rows(db, schema.commands)
        self.occurrences = _rows(db, schema.occurrences)
        self.runs = {row.id: row for row in _rows(db, schema.runs)}
        self.states = write_monitor.states(db)
        self.log: dict[int, list[str]] = _grouped((row.run_id, row.line) for row in _rows(db, schema.log))
        self.batches: dict[int, list[Row]] = _grouped((row.run_id, row) for row in _rows(db, schema.batches))
        self.effects = {(row.job, row.window, row.item): row.n for row in _rows(data, chaos.effects)}
        self.applications = _rows(data, chaos.applications)
        self.purses = _rows(data, chaos.purses)

    def of_occurrence(self) -> dict[int, list[Row]]:
        return _grouped((run.occurrence_id, run) for run in self.runs.values() if run.occurrence_id is not None)


def _rows(db: Connection, table: Table) -> list[Row]:
    return list(db.execute(select(table).order_by(*table.primary_key.columns)))


def _grouped(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


# --- scheduled times ----------------------------------------------------------------------------------------------


def _instants(account: Account, contents: _Contents, planned_past: datetime) -> None:
    """Every scheduled time between a job's registration and its cursor is in one row, and no row has another."""
    of_job = _grouped((row.job, row) for row in contents.occurrences)
    for job in contents.jobs:
        expected = list(_fires(job.cron, job.registered_at, job.planned_until))
        found: Counter[datetime] = Counter()
        for row in of_job.pop(job.job, []):
            within = [row.due_at]
            if row.last_due_at != row.due_at:
                within = list(_fires(job.cron, row.due_at - MINUTE / 60, row.last_due_at))
            found.update(within)
            account.counts[f"instants {row.state}{f' ({row.reason})' if row.reason else ''}"] += row.instants
            label = f"{job.job} {row.due_at:%H:%M} to {row.last_due_at:%H:%M}"
            account.check(
                len(within) == row.instants, f"{label} records {row.instants} scheduled times and covers {len(within)}"
            )
        account.counts["instants"] += len(expected)
        for instant in expected:
            n = found.pop(instant, 0)
            how = "lost" if n == 0 else f"accounted for {n} times"
            account.check(n == 1, f"{job.job} {instant:%H:%M} is {how}")
        account.check(not found, f"{job.job} has rows for other times: {sorted(found)}")
        next_one = next(_fires(job.cron, job.planned_until, planned_past), None)
        account.check(next_one is None, f"{job.job} is not planned past {job.planned_until:%H:%M}")
    account.check(not of_job, f"there are occurrences of unregistered jobs: {sorted(of_job)}")


def _fires(cron: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The instants later than `after` and not later than `until`, of a schedule in UTC."""
    for instant in CronSim(cron, after.astimezone(UTC)):
        if instant > until:
            return
        if instant > after:
            yield instant


def _occurrences_and_runs(account: Account, contents: _Contents) -> None:
    """A scheduled time has a run exactly if its state requires one, and otherwise a reason that is right."""
    of_occurrence = contents.of_occurrence()
    for row in contents.occurrences:
        label = f"{row.job} {row.due_at:%H:%M} ({row.state})"
        its_runs = of_occurrence.get(row.id, [])
        account.check(len(its_runs) == (row.state in WITH_A_RUN), f"{label} has {len(its_runs)} runs")
        account.check((row.reason is None) == (row.state in WITH_A_RUN), f"{label} has the reason {row.reason}")
        account.check(row.state != "due", f"{label} still waits")
        for run in its_runs:
            account.check(
                run.as_of == row.due_at and run.job == row.job, f"{label} has run {run.id} of another instant"
            )
        if row.started_at is not None:
            late = row.started_at - row.due_at > MINUTE
            account.check(late == (row.state == "late"), f"{label} started at {row.started_at:%H:%M:%S}")
        if row.reason in ("overlap", "capacity"):
            _blocked(account, contents, row, label)
        if row.reason == "paused":
            covered = any(_pauses(pause, row.job, row.due_at, row.last_due_at) for pause in contents.pauses)
            account.check(covered or row.instants > 1, f"{label} was skipped without a pause")


def _blocked(account: Account, contents: _Contents, row: Row, label: str) -> None:
    run = contents.runs.get(row.blocked_by)
    account.check(run is not None, f"{label} was blocked by run {row.blocked_by}, which does not exist")
    if run is not None:
        open_then = run.created_at <= row.recorded_at and (run.ended_at is None or run.ended_at >= row.due_at)
        account.check(open_then and run.job == row.job, f"{label} was blocked by run {run.id}, which was not open")


def _pauses(pause: Row, job: str, first: datetime, last: datetime) -> bool:
    concerns = pause.target in ("all", job, job.partition(".")[0])
    return bool(concerns and pause.since <= first and (pause.until is None or last < pause.until))


# --- runs ---------------------------------------------------------------------------------------------------------


def _runs(account: Account, contents: _Contents) -> None:
    """Each run ended once, its times and its counts fit together, and its states followed each other as they may."""
    turns = _grouped((turn.run, turn) for turn in contents.states)
    for run in contents.runs.values():
        label = f"run {run.id} of {run.job} {run.window_label} ({run.state})"
        account.counts["runs"] += 1
        account.counts[f"runs {run.state}"] += 1
        account.counts[f"runs by {run.trigger}"] += 1
        account.counts["runs taken up again"] += run.attempt > 1
        account.check(run.state in ENDED, f"{label} has not ended")
        account.check(run.ended_at is not None, f"{label} has no end")
        if run.started_at is not None and run.ended_at is not None:
            account.check(run.created_at <= run.started_at <= run.ended_at, f"{label} ended before it began")
        sums = run.ok + run.failed + run.skipped + run.not_reached
        account.check(run.planned == sums, f"{label} planned {run.planned} and accounts for {sums}")
        if run.state == "succeeded":
            account.check(run.planning_done and run.planned == run.ok + run.skipped, f"{label} did not do all")
        if run.state == "partial":
            account.check(run.failed > 0 and run.ok + run.skipped > 0, f"{label} is not partial")
        _transitions(account, label, run, turns.get(run.id, []))


def _transitions(account: Account, label: str, run: Row, turns: list[write_monitor.Transition]) -> None:
    states = [turn.state for turn in turns]
    ends = [state for state in states if state in ENDED]
    account.check(len(ends) == 1, f"{label} ended {len(ends)} times: {', '.join(states)}")
    account.check(states[-1:] == [run.state], f"{label} is recorded last as {states[-1:]}")
    before: str | None = None
    for turn in turns:
        fits = turn.before == before and turn.state in TRANSITIONS.get(before, set())
        account.check(fits, f"{label} went from {before} to {turn.state}")
        before = turn.state
    in_order = [turn.token or 0 for turn in turns]
    account.check(in_order == sorted(in_order), f"{label} was changed with an older token: {in_order}")


def _batches(account: Account, contents: _Contents) -> None:
    """No batch is left open, each key is in one place, and batches add up to their run."""
    for run in contents.runs.values():
        label = f"run {run.id} of {run.job} {run.window_label} ({run.state})"
        mine = contents.batches.get(run.id, [])
        account.counts["batches"] += len(mine)
        left = [row.seq for row in mine if row.state not in CLOSED]
        account.check(not left, f"{label} left batches open: {left}")
        first = [key for row in mine if _is_first(row) for key in row.keys]
        account.check(len(first) == len(set(first)), f"{label} planned a key twice: {sorted(first)}")
        account.check(len(first) == run.planned, f"{label} planned {run.planned} and has {len(first)} keys in batches")
        kept = [row for row in mine if row.state != "replaced"]
        for what in ("ok", "failed", "skipped"):
            total = sum(getattr(row, what) for row in kept)
            account.check(
                total == getattr(run, what), f"{label} has {total} {what} in its batches, {getattr(run, what)}"
            )
        not_reached = sum(row.items for row in kept if row.state == "not_reached")
        account.check(
            not_reached == run.not_reached, f"{label} did not reach {not_reached}, recorded {run.not_reached}"
        )
        once = Counter(key for row in kept for key in row.keys)
        same = set(once) == set(first) and set(once.values()) <= {1}
        account.check(same, f"{label} has its keys not exactly once: {dict(once)}")


def _is_first(row: Row) -> bool:
    return bool(row.attempt == 1 and row.deaths == 0 and row.not_before is None)


# --- who stood in whose way ---------------------------------------------------------------------------------------


def _order(account: Account, contents: _Contents) -> None:
    """Runs of one job (and window), and of one group that excludes each other, did not overlap; who waits, waited."""
    begun = [run for run in contents.runs.values() if run.started_at is not None and run.ended_at is not None]
    exclusive = {job.name: job.exclusive for job in chaos.JOBS}
    groups = _grouped((run.job, run) for run in begun)
    for run in begun:
        if exclusive.get(run.job):
            groups[f"group {exclusive[run.job]}"].append(run)
    for name, members in groups.items():
        last: Row = None
        for run in sorted(members, key=lambda run: (run.started_at, run.id)):
            apart = last is None or last.ended_at <= run.started_at
            account.check(apart, f"{name}: run {run.id} began before run {last and last.id} had ended")
            last = run if last is None or run.ended_at > last.ended_at else last
    firsts = _grouped((run.window_end, run) for run in begun if run.job == "chaos.latest")
    for run in begun:
        if run.job == "chaos.second":
            for first in firsts.get(run.window_end, []):
                if first.created_at <= run.started_at < first.ended_at:
                    logged = any(f"starting without {first.job}" in line for line in contents.log.get(run.id, []))
                    account.check(logged, f"run {run.id} did not wait for run {first.id}, which it comes after")


# --- effects ------------------------------------------------------------------------------------------------------


def _effects(account: Account, contents: _Contents) -> None:
    """Every item that a run records as done has one effect, no other item has one, and each was made once."""
    account.counts["effects"] += len(contents.effects)
    account.counts["applications"] += len(contents.applications)
    made = Counter(dict.fromkeys(contents.effects, 0))
    for row in contents.applications:
        account.counts["applications that changed nothing"] += not row.changed
        key = row.job, row.window, row.item
        if row.job != "chaos.purses":
            account.check(key in contents.effects, f"{key} was applied and has no effect: lost")
        made[key] += row.changed
    for key, n in made.items():
        account.check(n == (key in contents.effects), f"{key} was made {n} times: doubled or lost")
    planned_keys: set[tuple[str, str, str]] = set()
    for run in contents.runs.values():
        for row in contents.batches.get(run.id, []):
            planned_keys |= {(run.job, run.window_label, key) for key in row.keys}
        if run.job != "chaos.purses":
            _done(account, contents, run)
        else:
            _given(account, contents, run, made)
    for key, n in contents.effects.items():
        account.check(key in planned_keys, f"{key} is an effect that no run planned")
        if key[0] != "chaos.purses":
            account.check(n == chaos.score_of(key[2]), f"{key} is {n} and should be {chaos.score_of(key[2])}")
    _coins(account, contents)


def _done(account: Account, contents: _Contents, run: Row) -> None:
    label = f"run {run.id} of {run.job} {run.window_label} ({run.state})"
    for row in contents.batches.get(run.id, []):
        if row.state == "done":
            for key in set(row.keys) - set(row.failed_keys or ()):
                there = (run.job, run.window_label, key) in contents.effects
                account.check(there, f"{label} records {key} as done, without an effect: lost")
    if run.state == "succeeded" and run.parent_id is None:
        keys = {key for row in contents.batches.get(run.id, []) for key in row.keys}
        account.check(keys == set(chaos.NAMES), f"{label} is only about {sorted(keys)}")


def _given(account: Account, contents: _Contents, run: Row, made: Counter[tuple[str, str, str]]) -> None:
    """Every planned purse was given a coin, by this run or meanwhile by another."""
    for row in contents.batches.get(run.id, []):
        if row.state == "done":
            tried = [key for key in row.keys if (run.job, run.window_label, key) in made]
            account.check(tried == row.keys, f"run {run.id} of {run.job} records {row.keys} and tried {tried}: lost")


def _coins(account: Account, contents: _Contents) -> None:
    """A purse has as many coins as it was given, and they are numbered in the order of their windows."""
    for purse in contents.purses:
        given = sorted(
            (window, n)
            for (job, window, item), n in contents.effects.items()
            if (job, item) == ("chaos.purses", purse.id)
        )
        numbers = [n for _, n in given]
        account.check(purse.coins == len(given), f"{purse.id} has {purse.coins} coins and was given {len(given)}")
        account.check(numbers == list(range(1, len(given) + 1)), f"the coins of {purse.id} are numbered {numbers}")


def _marks(account: Account, contents: _Contents, cache: redis.Redis) -> None:
    """What is in Redis follows from what is in SQL, and all of it is there for what succeeded."""
    found = {key.decode(): int(cache.get(key) or -1) for key in cache.scan_iter("chaos:mark:*", count=5000)}
    account.counts["marks in Redis"] += len(found)
    expected: dict[str, int] = {}
    for run in contents.runs.values():
        if run.job == "chaos.marks":
            for item in chaos.NAMES:
                n = contents.effects.get((run.job, run.window_label, item))
                key = chaos.MARKS.key(at=chaos.mark_of(run.as_of), item=item)
                if n is not None:
                    expected[key] = n
                if run.state == "succeeded":
                    account.check(key in found, f"run {run.id} of {run.job} succeeded and {key} is missing")
    for key, n in found.items():
        account.check(expected.get(key) == n, f"{key} is {n} in Redis and {expected.get(key)} in SQL")


# --- commands and leaders -----------------------------------------------------------------------------------------


def _commands(account: Account, contents: _Contents, db: Connection) -> None:
    """Each command was executed once, made the runs in its outcome, and has two rows in the intact audit chain."""
    rows = _grouped((row.command_id, row) for row in _rows(db, schema.audit))
    made: Mapping[int, list[Row]] = _grouped((run.command_id, run) for run in contents.runs.values() if run.command_id)
    for command in contents.commands:
        label = f"command {command.id} ({command.verb} {command.target})"
        account.counts[f"commands {command.state}"] += 1
        account.check(command.state in ("done", "refused"), f"{label} was not carried out")
        outcomes = [row.outcome for row in rows.get(command.id, [])]
        account.check(outcomes == ["requested", command.state], f"{label} has these rows in the trail: {outcomes}")
        outcome = command.outcome or {}
        named = sorted(
            [
                *outcome.get("runs", []),
                *([outcome["run"]] if command.verb in ("trigger", "retry") and "run" in outcome else []),
            ]
        )
        there = sorted(run.id for run in made.get(command.id, []))
        account.check(named == there, f"{label} names the runs {named} and made {there}")
    checked = audit.verify(db)
    account.counts["audit rows"] += checked.rows
    account.check(checked.broken is None, f"the trail does not hold at row {checked.broken}: {checked.problem}")


def _leaders(account: Account, db: Connection) -> None:
    """Tokens grow by one, and only who contents the lease wrote."""
    taken = write_monitor.tokens(db)
    account.counts["takeovers"] += len(taken)
    numbers = [each.token for each in taken]
    account.check(numbers == list(range(1, len(taken) + 1)), f"the tokens are {numbers}")
    for wrong in write_monitor.wrong_writes(db):
        account.violations.append(wrong)

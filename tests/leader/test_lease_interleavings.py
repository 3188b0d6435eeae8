"""Two processes and one lease: all interleavings of their steps, enumerated.

A step is one transaction on the real lease, or the passing of time. Interleavings that reach the same state are merged:
each state is expanded once, by executing every possible step on a real store, and the interleavings are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, delete, insert, select, update

from opsconsole.core.errors import Fenced
from opsconsole.rules.leadership import Identity, Lease
from opsconsole.store import Store, lease as leases, migrate
from opsconsole.store.tables import lease

SHALLOW, DEEP = 6, 8
AT = datetime(2025, 1, 19, 12, 0, tzinfo=UTC)
NAMES = ("anna", "ben")
IDENTITIES = tuple(Identity(name, "here", 41 + n, "1", "machine/boot/pid:[1]", name) for n, name in enumerate(NAMES))

effects = Table(
    "effects",
    MetaData(),
    Column("token", Integer, nullable=False),
    Column("process", Integer, nullable=False),
)


@dataclass(frozen=True)
class Process:
    """What a process remembers. It never forgets its token: in the worst case, a process that was paused continues as
    if it still led.
    """

    has_read: bool = False
    last_read: Lease | None = None
    lapsed: bool = False
    token: int | None = None

    @property
    def may_take(self) -> bool:
        return self.has_read and (self.last_read is None or self.last_read.holder is None or self.lapsed)


@dataclass(frozen=True)
class State:
    """The lease in the store, both processes, and the process that got each token: `given[n - 1]` got token n."""

    row: Lease | None = None
    both: tuple[Process, Process] = (Process(), Process())
    given: tuple[int, ...] = ()

    def after(self, who: int, process: Process, row: Lease | None, given: tuple[int, ...] | None = None) -> State:
        both = (process, self.both[1]) if who == 0 else (self.both[0], process)
        return State(row, both, self.given if given is None else given)


class Bench:
    """A store that can be set to any state, and the steps on it. Each step returns the next state, or None if it is
    not possible, and asserts what must hold after it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.accepted = self.refused = 0
        self._written: Lease | None = None

    def put(self, row: Lease | None) -> None:
        """Writes the lease of a state."""
        if row == self._written:
            return
        with self.store.writing() as db:
            if row is None or self._written is None:
                db.execute(delete(lease))
            if row is not None:
                me = row.holder or IDENTITIES[0]
                owner = row.holder and me.owner
                values: dict[str, object] = {**asdict(row), **asdict(me), "owner": owner, "problems": None}
                del values["holder"]
                db.execute(update(lease).values(values) if self._written else insert(lease).values(id=1, **values))
        self._written = row

    def current_row(self) -> Lease | None:
        """Reads the lease from the store."""
        with self.store.reading() as db:
            self._written = leases.read(db)
        return self._written

    def read(self, state: State, who: int) -> State | None:
        last_read = self.current_row()
        before = state.both[who]
        is_unchanged = before.lapsed and before.last_read == last_read  # no beat since
        return state.after(who, replace(before, has_read=True, last_read=last_read, lapsed=is_unchanged), last_read)

    def lapse(self, state: State, who: int) -> State | None:
        """The lease that the process read last expires, unless it has been renewed since."""
        before = state.both[who]
        if before.lapsed or before.last_read is None or before.last_read.holder is None:
            return None
        return state.after(who, replace(before, lapsed=True), state.row)

    def take(self, state: State, who: int) -> State | None:
        before = state.both[who]
        if not before.may_take:
            return None
        with self.store.writing() as db:
            token = leases.take(db, before.last_read, IDENTITIES[who], AT)
        row = self.current_row()
        unchanged = before.last_read == state.row
        assert (token is not None) == unchanged, "only a process that read the current lease gets it"
        if token is None:
            assert row == state.row, "a process that was too late changes nothing"
            return state.after(who, before, row)
        assert token == len(state.given) + 1, "each token is given once, the next higher one each time"
        assert row == Lease(token, 0, IDENTITIES[who], AT, AT)
        return state.after(who, replace(before, token=token), row, (*state.given, who))

    def renew(self, state: State, who: int) -> State | None:
        before = state.both[who]
        if before.token is None:
            return None
        with self.store.writing() as db:
            mine = leases.renew(db, before.token, IDENTITIES[who].owner, AT)
        row = self.current_row()
        assert state.row is not None
        assert mine == self._holds(state, who)
        assert row == (replace(state.row, beat=state.row.beat + 1) if mine else state.row), (
            "the lease of another process is unchanged"
        )
        return state.after(who, before, row)

    def release(self, state: State, who: int) -> State | None:
        before = state.both[who]
        if before.token is None:
            return None
        with self.store.writing() as db:
            leases.release(db, before.token, IDENTITIES[who].owner)
        row = self.current_row()
        assert state.row is not None
        if self._holds(state, who):
            assert row == replace(state.row, beat=state.row.beat + 1, holder=None)
        else:
            assert row == state.row, "the lease of another process is unchanged"
        return state.after(who, before, row)

    def write(self, state: State, who: int) -> State | None:
        token = state.both[who].token
        if token is None:
            return None
        try:
            with self.store.fenced(token) as db:
                db.execute(insert(effects).values(token=token, process=who))
            accepted = True
        except Fenced:
            accepted = False
        with self.store.writing() as db:
            written = db.execute(delete(effects).returning(effects.c.token, effects.c.process)).all()
        overtaken = state.given[-1] != who or len(state.given) != token
        assert accepted != overtaken, "a leader may write until another process leads"
        assert [tuple(row) for row in written] == ([(token, who)] if accepted else [])
        assert not accepted or state.given[token - 1] == who, "a token belongs to one process"
        self.accepted += accepted
        self.refused += not accepted
        assert self.current_row() == state.row
        return state.after(who, state.both[who], state.row)

    def _holds(self, state: State, who: int) -> bool:
        row, token = state.row, state.both[who].token
        return row is not None and row.token == token and row.holder == IDENTITIES[who]

    @property
    def steps(self) -> tuple[Callable[[State, int], State | None], ...]:
        return (self.read, self.lapse, self.take, self.renew, self.release, self.write)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    migrate.upgrade(store)
    effects.metadata.create_all(store.engine)
    yield Bench(store)
    store.close()


HELD = Lease(1, 0, IDENTITIES[0], AT, AT)
LED = State(HELD, (Process(has_read=True, token=1), Process(has_read=True, last_read=HELD)), (0,))


@pytest.mark.parametrize(
    ("start", "depth", "fewest"),
    [
        pytest.param(State(), SHALLOW, 3_000, id="no leader yet"),
        pytest.param(LED, SHALLOW - 1, 3_000, id="one process leads"),
        pytest.param(State(), DEEP, 300_000, id="no leader yet, in depth", marks=pytest.mark.soak),
        pytest.param(LED, DEEP, 2_000_000, id="one process leads, in depth", marks=pytest.mark.soak),
    ],
)
def test_in_any_order_of_steps_only_the_leader_writes(
    bench: Bench, capsys: pytest.CaptureFixture[str], start: State, depth: int, fewest: int
) -> None:
    states: Counter[State] = Counter({start: 1})
    state_count, step_count, interleavings = 1, 0, 0

    for _ in range(depth):
        following: Counter[State] = Counter()
        for state, ways in states.items():
            for who in range(2):
                for step in bench.steps:
                    bench.put(state.row)
                    found = step(state, who)
                    if found is None:
                        continue
                    step_count += 1
                    assert found.row is None or state.row is None or found.row.token >= state.row.token
                    following[found] += ways
        states = following
        state_count += len(states)
        interleavings += states.total()

    summary = (
        f"{interleavings:,} interleavings of up to {depth} steps over {state_count:,} states, "
        f"{step_count:,} steps executed, "
        f"{bench.accepted:,} writes accepted and {bench.refused:,} refused"
    )
    with capsys.disabled():
        print(f"\n{summary}")  # noqa: T201 - the coverage is part of the result
    assert interleavings >= fewest, summary
    assert min(bench.accepted, bench.refused) > 0, summary


def test_a_lease_taken_and_released_meanwhile_cannot_be_taken_as_read(bench: Bench) -> None:
    anna, ben = IDENTITIES
    with bench.store.writing() as db:
        assert leases.take(db, None, anna, AT) == 1
        leases.release(db, 1, anna.owner)
    free = bench.current_row()
    with bench.store.writing() as db:
        assert leases.take(db, free, ben, AT) == 2
        leases.release(db, 2, ben.owner)

    with bench.store.writing() as db:
        assert leases.take(db, free, anna, AT) is None

    with bench.store.reading() as db:
        assert db.execute(select(lease.c.token)).scalar() == 2


def test_a_process_does_not_hold_a_lease_it_held_before_another(bench: Bench) -> None:
    anna, ben = IDENTITIES
    with bench.store.writing() as db:
        assert leases.take(db, None, anna, AT) == 1
        assert leases.take(db, leases.read(db), ben, AT) == 2
        assert leases.take(db, leases.read(db), anna, AT) == 3
    now = bench.current_row()

    with bench.store.writing() as db:
        assert not leases.renew(db, 1, anna.owner, AT)
        leases.release(db, 1, anna.owner)

    assert bench.current_row() == now
    with pytest.raises(Fenced), bench.store.fenced(1):
        raise AssertionError("this must not be reached")

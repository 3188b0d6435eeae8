"""Plans one run: which keys it has, read by a worker or from the store, a page at a time."""

from __future__ import annotations

from enum import Enum, auto

from opsconsole.authoring.batch import Lost
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import Run, Selection
from opsconsole.core.database import Connection
from opsconsole.store import batches, runs
from opsconsole.worker.messages import Planning, PlanningResult

PAGE_KEYS = 5000
"""How many keys are planned in one transaction, so that planning a large run delays nothing else."""
MAX_ITEMS = 10_000_000
"""A run with more items fails: a population without an end would fill the store."""
MAX_DEATHS = 3
"""A run whose planning ends its worker this often fails."""
RETRY_SECONDS = 60.0
"""How long planning is retried while a dependency is unreachable."""
RETRY_WAIT_SECONDS = 2.0


class Stage(Enum):
    """What comes next. A planning that was interrupted first recalls the keys that are already planned."""

    RECALL = auto()
    WORKER = auto()
    STORE = auto()
    DONE = auto()


class RunPlanner:
    """Where the planning of a run stands.

    Its keys come from a worker that reads the population; those of a retry from the store, page by page with `step`.
    `problem` is why the run cannot be planned. `in_flight` means that a worker has its planning.
    """

    def __init__(self, run: Run, job: Job, *, interrupted: bool) -> None:
        self._run, self._job = run, job
        self._stage = Stage.RECALL if interrupted or run.parent is not None else Stage.WORKER
        if run.planning_done:
            self._stage = Stage.DONE
        self._prepares = job.prepare is not None and not run.facts
        self._from_parent = False
        self._size = max(1, PAGE_KEYS // job.batch) * job.batch
        self._known: set[str] = set()
        self._rest: list[str] = []
        self._planned = self._after = self._deaths = 0
        self._failed_at: float | None = None
        self._not_before = 0.0
        self.in_flight = False
        self.problem: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether all keys are planned."""
        return self._stage is Stage.DONE

    @property
    def needs_store(self) -> bool:
        """Whether the next keys are in the store."""
        return self._stage in (Stage.RECALL, Stage.STORE) and self.problem is None

    def next_planning(self, now: float) -> Planning | None:
        """What a worker is to read now, if anything. `now` is of the steady clock."""
        if self._stage is not Stage.WORKER or self.in_flight or self.problem or now < self._not_before:
            return None
        self.in_flight = True
        run = self._run
        return Planning(
            run=run.id,
            job=self._job.name,
            window=run.window,
            as_of=run.as_of,
            prepare=self._prepares,
            selection=None if self._from_parent else run.selection,
            timeout_seconds=self._job.batch_timeout.total_seconds(),
            params=dict(run.params),
        )

    def step(self, db: Connection) -> list[str]:
        """Reads a page from the store, and returns keys to plan in batches. Raises UnknownRun for a deleted parent."""
        if self._stage is Stage.RECALL:
            page = batches.planned_keys(db, self._run.id, after=self._after)
            if page is not None:
                self._known.update(page.keys)
                self._after = page.last
                return []
            parent = self._run.parent
            self._from_parent = parent is not None and runs.get(db, parent).planning_done
            self._after = 0
            self._stage = Stage.STORE if self._from_parent and not self._prepares else Stage.WORKER
            return []
        assert self._run.parent is not None  # noqa: S101 - only its keys are in the store
        read = batches.undone_keys if self._run.selection is Selection.FAILED else batches.planned_keys
        page = read(db, self._run.parent, after=self._after)
        if page is None:
            return self._finish()
        self._after = page.last
        return self._add(page.keys)

    def take(self, result: PlanningResult, now: float) -> list[str]:
        """Takes an answer of a worker, and returns keys to plan in batches."""
        self.in_flight = not result.is_last
        if result.facts is not None:
            self._prepares = False
        if result.lost is not None:
            self._deaths += 1
            self._retry()
            if result.lost is not Lost.WORKER_DIED or self._deaths >= MAX_DEATHS:
                tries = f" in {self._deaths} tries" if self._deaths > 1 else ""
                self.problem = f"its items could not be read{tries}: {result.reason}"
        elif result.broken is not None:
            self._failed_at = self._failed_at or now
            self._not_before = now + RETRY_WAIT_SECONDS
            self._retry()
            if now - self._failed_at > RETRY_SECONDS:
                self.problem = f"its population could not be read: {result.reason}"
        elif result.reason is not None:
            self.problem = result.reason
        else:
            self._failed_at = None
            keys = self._add(result.keys)
            if not result.done:
                return keys
            if self._from_parent:
                self._stage = Stage.STORE
                return keys
            return keys + self._finish()
        return []

    def _retry(self) -> None:
        """Starts again, without the keys that are planned by now."""
        self._stage, self._after = Stage.RECALL, 0
        self._known.clear()
        self._rest, self._planned = [], 0

    def _add(self, keys: list[str]) -> list[str]:
        """The keys that are not planned yet, in whole batches; the rest waits for the next page."""
        self._planned += len(keys)
        if self._planned > MAX_ITEMS:
            self.problem = f"its population has more than {MAX_ITEMS:,} items; make it smaller"
            return []
        self._rest += [key for key in keys if key not in self._known] if self._known else keys
        whole = len(self._rest) // self._size * self._size
        ready, self._rest = self._rest[:whole], self._rest[whole:]
        return ready

    def _finish(self) -> list[str]:
        rest, self._rest = self._rest, []
        self._known.clear()
        self._stage = Stage.DONE
        return rest

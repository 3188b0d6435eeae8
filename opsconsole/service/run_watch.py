"""Finds what has changed about runs since the last call, for metrics and live events. Reads only what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from opsconsole.authoring.run import OPEN, Counts, Run
from opsconsole.core.database import Connection
from opsconsole.store import run_changes

NOTHING = Counts()


@dataclass(frozen=True, slots=True)
class RunChange:
    """A run that is new or has changed, with the items, and the failures by kind, that were added since the last call.
    `has_ended` is true once, in the call that finds its end.
    """

    run: Run
    counts: Counts
    kinds: Mapping[str, int]
    has_ended: bool


class RunWatch:
    """Returns what has changed about runs since the previous call. The first call returns the open runs, without items.
    Runs are read without their facts.
    """

    def __init__(self) -> None:
        self._newest: int | None = None
        self._open: dict[int, Run] = {}

    def changes(self, db: Connection) -> list[RunChange]:
        """The changes since the last call. After an exception, the next call returns them."""
        newest, is_open = run_changes.newest_number(db), dict(self._open)
        if self._newest is None or newest < self._newest:  # another store, or an older copy of it
            is_open = {run.id: run for run in run_changes.open_runs(db)}
            found = [RunChange(run, NOTHING, {}, has_ended=False) for run in is_open.values()]
        else:
            changed = [run for run in run_changes.among(db, is_open.keys()) if run != is_open[run.id]]
            found = [_change(is_open.pop(run.id), run) for run in changed]
            created = list(run_changes.created_after(db, self._newest))
            found += [_change(None, run) for run in created]
            is_open |= {change.run.id: change.run for change in found if not change.has_ended}
            newest = created[-1].id if created else self._newest
        self._newest, self._open = newest, is_open
        return found

    @property
    def open(self) -> tuple[Run, ...]:
        """The runs that had not ended at the last call, oldest first."""
        return tuple(self._open[number] for number in sorted(self._open))


def _change(before: Run | None, run: Run) -> RunChange:
    earlier, kinds = (before.counts, before.kinds) if before is not None else (NOTHING, {})
    more = {name: getattr(run.counts, name) - getattr(earlier, name) for name in _COUNTS}
    new_kinds = {kind: n - kinds.get(kind, 0) for kind, n in run.kinds.items()}
    return RunChange(run, Counts(**more), new_kinds, has_ended=run.state not in OPEN)


_COUNTS = tuple(field.name for field in fields(Counts))

"""The totals of a run, added up from the results of its batches."""

from __future__ import annotations

from opsconsole.authoring.batch import BatchResult
from opsconsole.authoring.run import RunState
from opsconsole.leader.run_totals import RunTotals
from opsconsole.store.run_writes import RunWrites
from tests.rules.ended_runs import JOB, NOW, day, ended


def test_the_hit_rate_covers_all_batches() -> None:
    totals = RunTotals(ended(7, day(1), state=RunState.RUNNING), JOB, RunWrites(7))

    for seq, metrics in enumerate(
        ({"cache_hits": 3, "cache_misses": 1, "other": 5}, {"cache_hits": 4, "cache_misses": 1}, {"empty_hits": 0}), 1
    ):
        totals.add_result(seq, BatchResult(7, seq, 1, ok=4, metrics=dict(metrics)), NOW)

    assert totals.metrics == {
        "cache_hits": 7,
        "cache_misses": 2,
        "cache_hit_rate": 0.7778,
        "other": 5,
        "empty_hits": 0,
    }

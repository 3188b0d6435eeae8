"""What panels are drawn from, apart from the time: while it stays the same, only times and durations change."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from opsconsole.service.snapshot import Leader
from screens.panels.view import View, stale

Facts = tuple[object, ...]


def of(view: View, *others: Hashable) -> Facts:
    """The parts of a View that are drawn, without the cursor, and without what changes all the time: the figures of
    Redis, and the heartbeats of the processes that the top line counts.
    """
    snapshot = view.snapshot
    return (
        others,
        (view.read_only, view.in_utc, view.step, view.keys),
        (_lasting(snapshot.leader), snapshot.environment, snapshot.preparation, snapshot.engine_problem),
        (
            snapshot.store_outage,
            snapshot.store_lock,
            snapshot.data_outage,
            snapshot.unknown,
            snapshot.unread,
            bool(stale(view)),
        ),
        (snapshot.redis.outage, snapshot.redis.unknown, snapshot.redis.lost),
        (snapshot.jobs, snapshot.live, snapshot.recent, snapshot.histories, snapshot.past_days, snapshot.findings),
        (snapshot.pauses, snapshot.silences, snapshot.alerts),
    )


def _lasting(leader: Leader | None) -> Leader | None:
    """The leader without the age of its lease, which is shown only when that is late."""
    return leader if leader is None or leader.is_late else replace(leader, age_seconds=0.0)

"""Fail points: where tests can kill or stop this process, or make it fail. Without FAILPOINT in the environment they do
nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from enum import StrEnum

from opsconsole.core.settings import failpoint


class Point(StrEnum):
    """Boundaries between two durable steps."""

    LEASE_TAKEN = "lease_taken"
    PLAN_WRITTEN = "plan_written"  # inside the plan's transaction
    PLAN_COMMITTED = "plan_committed"
    COMMAND_REQUESTED = "command_requested"
    COMMAND_WRITTEN = "command_written"  # handled, inside its transaction
    COMMAND_SETTLED = "command_settled"
    RUN_STARTED = "run_started"
    PAGE_PLANNED = "page_planned"
    BATCH_SENT = "batch_sent"
    EFFECT_WRITTEN = "effect_written"  # inside the job's transaction, in the worker
    EFFECT_COMMITTED = "effect_committed"
    RESULT_READY = "result_ready"  # in the worker, before it responds
    RESULT_RECEIVED = "result_received"
    RESULT_WRITTEN = "result_written"  # inside its transaction
    RESULT_RECORDED = "result_recorded"
    END_WRITTEN = "end_written"  # inside the transaction of the terminal state
    RUN_ENDED = "run_ended"
    RUNS_INTERRUPTED = "runs_interrupted"
    LEASE_RELEASED = "lease_released"
    BACKFILL_WRITTEN = "backfill_written"  # its next windows, inside the transaction
    BACKFILL_ADVANCED = "backfill_advanced"
    EVENTS_PUBLISHED = "events_published"  # in the stream, not marked yet
    ALERTS_WRITTEN = "alerts_written"  # with their notifications, inside the transaction
    ALERTS_COMMITTED = "alerts_committed"
    NOTIFICATION_CLAIMED = "notification_claimed"  # not sent yet
    NOTIFICATION_SENT = "notification_sent"  # not marked yet


_SETTING = failpoint()
"""`point:n:action`: at the n-th pass of a point, `kill`, `stop` (SIGSTOP), `hang` (for 10 minutes), `raise` an
exception, or `exit` as foreign code may: by raising SystemExit. `n+` is the n-th pass and every later one.
"""
_passes = 0


class Injected(Exception):
    """The exception of a fail point."""


def reach(point: str) -> None:
    """Performs the action that the environment requests for this point: a Point, or the name of repeated work."""
    if _SETTING:
        _pass(point)


def _pass(point: str) -> None:
    global _passes
    name, number, action = _SETTING.split(":")
    if point != name:
        return
    _passes += 1
    first = int(number.removesuffix("+"))
    if _passes < first or (_passes > first and not number.endswith("+")):
        return
    sys.stderr.write(f"failpoint {_SETTING} in {os.getpid()}\n")
    sys.stderr.flush()
    if action == "raise":
        raise Injected(f"at {point}")
    if action == "exit":
        raise SystemExit(f"at {point}")
    if action == "hang":
        time.sleep(600)
    # To this thread: another thread could take a signal to the process, and this one would continue until then.
    signal.pthread_kill(threading.get_ident(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)

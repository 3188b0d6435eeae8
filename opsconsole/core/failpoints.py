"""Places where a test may let this process die or stand still; without FAILPOINT in the environment they do nothing."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from enum import StrEnum

from opsconsole.core.settings import failpoint


class Point(StrEnum):
    """The boundaries between one durable step and the next."""

    LEASE_TAKEN = "lease_taken"
    PLAN_WRITTEN = "plan_written"  # inside the plan's transaction
    PLAN_COMMITTED = "plan_committed"
    COMMAND_REQUESTED = "command_requested"
    COMMAND_WRITTEN = "command_written"  # carried out, inside its transaction
    COMMAND_SETTLED = "command_settled"
    RUN_BEGUN = "run_begun"
    PAGE_PLANNED = "page_planned"
    BATCH_HANDED_OUT = "batch_handed_out"
    EFFECT_WRITTEN = "effect_written"  # inside the job's transaction, in the worker
    EFFECT_COMMITTED = "effect_committed"
    RESULT_MADE = "result_made"  # in the worker, before it answers
    RESULT_RECEIVED = "result_received"
    RESULT_WRITTEN = "result_written"  # inside the record's transaction
    RESULT_RECORDED = "result_recorded"
    END_WRITTEN = "end_written"  # inside the transaction of the terminal state
    RUN_ENDED = "run_ended"
    RUNS_INTERRUPTED = "runs_interrupted"
    LEASE_RELEASED = "lease_released"
    BACKFILL_WRITTEN = "backfill_written"  # its next windows, inside the transaction
    BACKFILL_MOVED = "backfill_moved"
    EVENTS_PUBLISHED = "events_published"  # in the stream, and not marked


_SET = failpoint()
"""`point:n:deed`: at the n-th passing of a point, `kill`, `stop` (SIGSTOP), or `hang` (until somebody ends it)."""
_passed = 0


def reach(point: Point) -> None:
    """Passes `point`; does the deed when the environment asks for it here."""
    if _SET:
        _at(point)


def _at(point: Point) -> None:
    global _passed
    wanted, number, deed = _SET.split(":")
    if point != wanted:
        return
    _passed += 1
    if _passed != int(number):
        return
    sys.stderr.write(f"failpoint {_SET} in {os.getpid()}\n")
    sys.stderr.flush()
    if deed == "hang":
        time.sleep(600)
    # To this thread: sent to the process, another might take it, and this one would go on until that has its turn.
    signal.pthread_kill(threading.get_ident(), signal.SIGKILL if deed == "kill" else signal.SIGSTOP)

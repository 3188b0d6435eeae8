"""How states are shown: a character, a word and a style each; and the same in ASCII."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import RunState
from opsconsole.rules.backfill import StepState, WindowState
from opsconsole.rules.backfill_status import Backfill, BackfillState
from opsconsole.service.run_details import BatchCell
from opsconsole.service.snapshot import Severity

MARKED = "marked"
"""The suffix of a style's name where something is marked."""


class Symbol(NamedTuple):
    """How a state is shown. The character is one cell wide; states differ in it, not only in colour."""

    char: str
    word: str
    style: str


RUN = {
    RunState.QUEUED: Symbol("◷", "queued", "quiet"),
    RunState.RUNNING: Symbol("▶", "running", "live"),
    RunState.INTERRUPTED: Symbol("‖", "interrupted", "warn"),
    RunState.SUCCEEDED: Symbol("✓", "succeeded", "ok"),
    RunState.PARTIAL: Symbol("◐", "partial", "warn"),
    RunState.FAILED: Symbol("✗", "failed", "bad"),
    RunState.TIMED_OUT: Symbol("T", "timed out", "bad"),
    RunState.CANCELLED: Symbol("C", "cancelled", "warn"),
    RunState.ABANDONED: Symbol("A", "abandoned", "bad"),
}

OK = Symbol("✓", "ok", "ok")
UNKNOWN = Symbol("?", "unknown", "quiet")
MANUAL = Symbol("·", "manual", "quiet")
NEVER = Symbol("○", "no run", "quiet")
PAUSED = Symbol("◫", "paused", "warn")
STARTING = Symbol("◷", "starting", "quiet")

BATCH = {
    BatchState.PENDING: Symbol("·", "waiting", "quiet"),
    BatchState.RUNNING: Symbol("▶", "running", "live"),
    BatchState.DONE: Symbol("✓", "done", "ok"),
    BatchState.FAILED: Symbol("✗", "failed", "bad"),
    BatchState.REPLACED: Symbol("+", "split", "quiet"),
    BatchState.NOT_REACHED: Symbol("-", "not reached", "warn"),
}
BATCH_PARTIAL = Symbol("◐", "with failures", "warn")

WINDOW = {
    WindowState.FRESH: Symbol("·", "fresh", "ok"),
    WindowState.STALE: Symbol("S", "stale", "warn"),
    WindowState.MISSING: Symbol("m", "missing", ""),
    WindowState.PARTIAL: Symbol("p", "partial", "warn"),
    WindowState.FAILED: Symbol("F", "failed", "bad"),
    WindowState.RUNNING: Symbol("▶", "running", "live"),
    WindowState.NOT_DUE: Symbol("-", "not due", "quiet"),
    WindowState.NO_DATA: Symbol(" ", "no data", "quiet"),
}

BACKFILL = {
    BackfillState.PLANNED: Symbol("◷", "planned", "quiet"),
    BackfillState.RUNNING: Symbol("▶", "running", "live"),
    BackfillState.PAUSED: PAUSED,
    BackfillState.CANCELLED: Symbol("C", "cancelled", "warn"),
    BackfillState.DONE: Symbol("✓", "done", "ok"),
}
BACKFILL_PARTIAL = Symbol("◐", "partial", "warn")
BACKFILL_FAILED = Symbol("✗", "failed", "bad")

STEP = {
    StepState.FAILED: Symbol("✗", "failed", "bad"),
    StepState.PARTIAL: Symbol("◐", "partial", "warn"),
    StepState.RUNNING: Symbol("▶", "running", "live"),
    StepState.CANCELLED: Symbol("C", "cancelled", "warn"),
    StepState.PENDING: Symbol("◷", "waiting", "quiet"),
    StepState.DONE: Symbol("✓", "done", "ok"),
    StepState.SKIPPED: Symbol("-", "skipped", "quiet"),
}
"""The windows of a backfill, in the order in which they need attention."""

SEVERITY = {
    Severity.WARNING: Symbol("!", "warning", "warn"),
    Severity.CRITICAL: Symbol("✗", "critical", "bad"),
}
RESOLVED = Symbol("✓", "resolved", "ok")


def of_batch(cell: BatchCell) -> Symbol:
    """The symbol of a batch; one in which only some items failed is partial."""
    if cell.state in (BatchState.DONE, BatchState.FAILED) and 0 < cell.failed < cell.items:
        return BATCH_PARTIAL
    if cell.state is BatchState.DONE and cell.failed:
        return BATCH[BatchState.FAILED]
    return BATCH[cell.state]


def of_backfill(backfill: Backfill) -> Symbol:
    """The symbol of a backfill; one in which only some windows failed is partial."""
    failed = backfill.counts.get(StepState.FAILED, 0)
    if backfill.state is BackfillState.DONE and (failed or backfill.counts.get(StepState.PARTIAL)):
        return BACKFILL_FAILED if failed == backfill.to_run else BACKFILL_PARTIAL
    return BACKFILL[backfill.state]


_ASCII = str.maketrans(
    {
        "✓": "+",
        "◐": "p",
        "✗": "X",
        "▶": "r",
        "◷": "q",
        "‖": "i",
        "○": "o",
        "◫": "z",
        "·": ".",
        "…": "~",
        "-": "-",
        "─": "-",
        "█": "#",
        "▌": "|",
        "░": ".",
        "▕": "[",
        "▏": "]",
        "▸": ">",
        "↑": "^",
        "↓": "v",
        "←": "<",
        "→": ">",
        "▁": "_",
        "▂": ".",
        "▃": ":",
        "▄": "-",
        "▅": "=",
        "▆": "+",
        "▇": "*",
    }
)


def to_ascii(text: str) -> str:
    """The text in ASCII, as wide as before."""
    if text.isascii():
        return text
    translated = text.translate(_ASCII)
    return translated if translated.isascii() else "".join(c if c.isascii() else "?" * cell_len(c) for c in translated)

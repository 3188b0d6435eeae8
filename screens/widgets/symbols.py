"""How states look: a symbol, a word and a style each, and what all of it becomes on a terminal with plain letters."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import RunState
from opsconsole.rules.backfill import StepState, WindowState
from opsconsole.rules.backfill_status import Backfill, BackfillState
from opsconsole.service.snapshot import BatchCell, Severity

MARKED = "marked"
"""What the name of a style ends with where something is marked."""


class Symbol(NamedTuple):
    """How a state is shown; the symbol is one cell wide and differs in shape, not only in colour."""

    symbol: str
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

NEVER = Symbol("○", "no run", "quiet")
PAUSED = Symbol("◫", "paused", "warn")

BATCH = {
    BatchState.PENDING: Symbol("·", "waiting", "quiet"),
    BatchState.RUNNING: Symbol("▶", "running", "live"),
    BatchState.DONE: Symbol("✓", "done", "ok"),
    BatchState.FAILED: Symbol("✗", "failed", "bad"),
    BatchState.REPLACED: Symbol("+", "cut in smaller ones", "quiet"),
    BatchState.NOT_REACHED: Symbol("-", "not reached", "warn"),
}
BATCH_PART = Symbol("◐", "with failures", "warn")

WINDOW = {
    WindowState.FRESH: Symbol("·", "fresh", "ok"),
    WindowState.STALE: Symbol("S", "stale", "warn"),
    WindowState.MISSING: Symbol("m", "missing", ""),
    WindowState.PARTIAL: Symbol("p", "partial", "warn"),
    WindowState.FAILED: Symbol("F", "failed", "bad"),
    WindowState.RUNNING: Symbol("▶", "running", "live"),
    WindowState.NOT_DUE: Symbol("-", "not due", "quiet"),
}

BACKFILL = {
    BackfillState.PLANNED: Symbol("◷", "planned", "quiet"),
    BackfillState.RUNNING: Symbol("▶", "running", "live"),
    BackfillState.PAUSED: PAUSED,
    BackfillState.CANCELLED: Symbol("C", "cancelled", "warn"),
    BackfillState.DONE: Symbol("✓", "done", "ok"),
}
BACKFILL_PART = Symbol("◐", "partial", "warn")
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
"""How a window of a backfill looks; what needs a look comes first."""

SEVERITY = {
    Severity.WARNING: Symbol("◐", "warning", "warn"),
    Severity.CRITICAL: Symbol("✗", "critical", "bad"),
}


def of_batch(cell: BatchCell) -> Symbol:
    """How a batch looks: one that is done but for some of its items is neither done nor failed."""
    if cell.state in (BatchState.DONE, BatchState.FAILED) and 0 < cell.failed < cell.items:
        return BATCH_PART
    if cell.state is BatchState.DONE and cell.failed:
        return BATCH[BatchState.FAILED]
    return BATCH[cell.state]


def of_backfill(about: Backfill) -> Symbol:
    """How a backfill looks: one that is done but for some of its windows is neither done nor failed."""
    bad = about.counts.get(StepState.FAILED, 0)
    if about.state is BackfillState.DONE and (bad or about.counts.get(StepState.PARTIAL)):
        return BACKFILL_FAILED if bad == about.to_run else BACKFILL_PART
    return BACKFILL[about.state]


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


def plain_letters(text: str) -> str:
    """The text in ASCII, as wide as before."""
    if text.isascii():
        return text
    told = text.translate(_ASCII)
    return told if told.isascii() else "".join(c if c.isascii() else "?" * cell_len(c) for c in told)

"""How states look: a symbol, a word and a style each, and what all of it becomes on a terminal with plain letters."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.run import RunState
from opsconsole.rules.backfill import StepState, WindowState
from opsconsole.service.snapshot import BatchCell, Severity
from opsconsole.store.backfills import Backfill, BackfillState

MARKED = "marked"
"""What the name of a style ends with where something is marked."""


class Look(NamedTuple):
    """How a state is shown; the symbol is one cell wide and differs in shape, not only in colour."""

    symbol: str
    word: str
    style: str


RUN = {
    RunState.QUEUED: Look("◷", "queued", "quiet"),
    RunState.RUNNING: Look("▶", "running", "live"),
    RunState.INTERRUPTED: Look("‖", "interrupted", "warn"),
    RunState.SUCCEEDED: Look("✓", "succeeded", "ok"),
    RunState.PARTIAL: Look("◐", "partial", "warn"),
    RunState.FAILED: Look("✗", "failed", "bad"),
    RunState.TIMED_OUT: Look("T", "timed out", "bad"),
    RunState.CANCELLED: Look("C", "cancelled", "warn"),
    RunState.ABANDONED: Look("A", "abandoned", "bad"),
}

NEVER = Look("○", "no run", "quiet")
PAUSED = Look("◫", "paused", "warn")

BATCH = {
    BatchState.PENDING: Look("·", "waiting", "quiet"),
    BatchState.RUNNING: Look("▶", "running", "live"),
    BatchState.DONE: Look("✓", "done", "ok"),
    BatchState.FAILED: Look("✗", "failed", "bad"),
    BatchState.REPLACED: Look("+", "cut in smaller ones", "quiet"),
    BatchState.NOT_REACHED: Look("-", "not reached", "warn"),
}
BATCH_PART = Look("◐", "with failures", "warn")

WINDOW = {
    WindowState.FRESH: Look("·", "fresh", "ok"),
    WindowState.STALE: Look("S", "stale", "warn"),
    WindowState.MISSING: Look("m", "missing", ""),
    WindowState.PARTIAL: Look("p", "partial", "warn"),
    WindowState.FAILED: Look("F", "failed", "bad"),
    WindowState.RUNNING: Look("▶", "running", "live"),
    WindowState.NOT_DUE: Look("-", "not due", "quiet"),
}

BACKFILL = {
    BackfillState.PLANNED: Look("◷", "planned", "quiet"),
    BackfillState.RUNNING: Look("▶", "running", "live"),
    BackfillState.PAUSED: PAUSED,
    BackfillState.CANCELLED: Look("C", "cancelled", "warn"),
    BackfillState.DONE: Look("✓", "done", "ok"),
}
BACKFILL_PART = Look("◐", "partial", "warn")
BACKFILL_FAILED = Look("✗", "failed", "bad")

STEP = {
    StepState.FAILED: Look("✗", "failed", "bad"),
    StepState.PARTIAL: Look("◐", "partial", "warn"),
    StepState.RUNNING: Look("▶", "running", "live"),
    StepState.CANCELLED: Look("C", "cancelled", "warn"),
    StepState.PENDING: Look("◷", "waiting", "quiet"),
    StepState.DONE: Look("✓", "done", "ok"),
    StepState.SKIPPED: Look("-", "skipped", "quiet"),
}
"""How a window of a backfill looks; what needs a look comes first."""

SEVERITY = {
    Severity.WARNING: Look("◐", "warning", "warn"),
    Severity.CRITICAL: Look("✗", "critical", "bad"),
}


def of_batch(cell: BatchCell) -> Look:
    """How a batch looks: one that is done but for some of its items is neither done nor failed."""
    if cell.state in (BatchState.DONE, BatchState.FAILED) and 0 < cell.failed < cell.items:
        return BATCH_PART
    if cell.state is BatchState.DONE and cell.failed:
        return BATCH[BatchState.FAILED]
    return BATCH[cell.state]


def of_backfill(about: Backfill) -> Look:
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

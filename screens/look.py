"""How states look: a symbol, a word and a style each, and what all of it becomes on a terminal with plain letters."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len

from opsconsole.desk.values import BatchCell, Severity
from opsconsole.model import BatchState, RunState


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

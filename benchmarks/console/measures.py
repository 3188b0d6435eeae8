"""What is measured, each on an open terminal or a place."""

from __future__ import annotations

import math
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.console.place import ROWS, Place
from benchmarks.console.tty import Tty
from benchmarks.figures import Figure
from opsconsole.core import clock
from screens.panels.health import READING

PANELS = ("Jobs", "Running", "Redis")
DOWN, TAB, ESCAPE = "j", "\t", "\x1b"
PANELS_AT_MOST = 8
PAGES = {
    "2": r"Jobs \[all",
    "4": r"▸ attempts",
    "6": r"Alerts  \[all",
    "7": r"as of \d",
    "8": r"verified",
    "t": r"Items +\d",
}
"""The keys of pages, and of a dialog, with what each shows when it has been read."""
DASHBOARD, DIALOG = "─ Jobs ──", "Trigger a job"
LOADED = 500
"""After this many openings everything is loaded, and all caches are full."""
SETTLED_SECONDS, IDLE_SECONDS = 6.0, 12.0
RETENTION_SECONDS = 130.0
"""How long after the start the leader has removed old records for the first time: until then it loads code."""
STALL_SECONDS = 65.0
IDLE_PROCESSOR, IDLE_BYTES = "idle: processor", "idle: bytes a second"


@dataclass
class Start:
    """Milliseconds from exec, and the bytes of one start. Of many jobs, the list comes before their histories."""

    first_frame: float
    jobs: float
    all_panels: float
    bytes: int


@dataclass
class Idle:
    """A console that nobody touches: processor time as a share, and bytes a second."""

    cpu: float
    bytes: float


@dataclass
class Keys:
    """Milliseconds from a key to the cursor on another row, and the bytes that one move takes."""

    taken: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)

    @property
    def p50(self) -> float:
        return statistics.median(self.taken) if self.taken else math.inf

    @property
    def p95(self) -> float:
        """What 95 of 100 stay below."""
        return sorted(self.taken)[int(0.95 * (len(self.taken) - 1))] if self.taken else math.inf


def start(tty: Tty, job: str) -> Start:
    """From exec to the names of the panels, to a job, and to Redis and the problems of all jobs."""
    frame = tty.until(lambda text: all(name in text for name in PANELS))
    jobs = tty.until(lambda text: job in text)
    panels = tty.until(lambda text: job in text and "redis ok" in text and READING not in text)
    first_frame, first_jobs, all_panels = (1000 * (at - tty.began) for at in (frame, jobs, panels))
    return Start(first_frame, first_jobs, all_panels, tty.received)


def of_starts(place: str, starts: Sequence[Start], *, goals: bool = False, many: bool = False) -> Iterator[Figure]:
    """The medians of starts; with the `goals` of the console, and that for `many` jobs."""
    frame, jobs, panels, size = (
        statistics.median(getattr(each, part) for each in starts)
        for part in ("first_frame", "jobs", "all_panels", "bytes")
    )
    yield Figure(place, "start to the first frame", frame, "ms", 400 if goals else None)
    yield Figure(place, "start to the list of jobs", jobs, "ms", 800 if many else None)
    yield Figure(place, "start to all panels", panels, "ms", 800 if goals else None)
    yield Figure(place, "bytes of a start", size / 1000, "kB", 40 if goals else None)


def of_moves(place: str, keys: Keys, *, goals: bool = False) -> Iterator[Figure]:
    """How long keys take, and the bytes of one; with the `goals` of the console."""
    yield Figure(place, "key to painted, p50", keys.p50, "ms", 10 if goals else None)
    yield Figure(place, "key to painted, p95", keys.p95, "ms", 25 if goals else None)
    yield Figure(place, "bytes of one move", statistics.median(keys.bytes), "B", 1500 if goals else None)


def idle(tty: Tty) -> Idle:
    """After it has settled."""
    tty.settle(SETTLED_SECONDS)
    before, began = tty.cpu_seconds(), time.perf_counter()
    sent = tty.settle(IDLE_SECONDS)
    seconds = time.perf_counter() - began
    return Idle((tty.cpu_seconds() - before) / seconds, sent / seconds)


def moves(tty: Tty, number: int, *, mark: str = "▸") -> Keys:
    """Moves the cursor over the table of jobs: down again and again; at the end of the rows, up. Its row has the
    `mark`.
    """
    found, key = Keys(), DOWN
    for _ in range(PANELS_AT_MOST):
        if (_row(tty.text, mark) or ROWS) < ROWS // 2:
            break
        tty.type(TAB)
        tty.settle(0.3)
    for _ in range(number):
        row = _row(tty.text, mark)
        pressed, before = tty.type(key), tty.received
        try:
            painted = tty.until(lambda text, row=row: _row(text, mark) not in (row, None), 1.0)  # type: ignore[misc]
        except TimeoutError:  # it stands on the last row, or the first
            key = "k" if key == DOWN else DOWN
            continue
        found.taken.append(1000 * (painted - pressed))
        found.bytes.append(tty.received - before)
        tty.settle(0.03)
    return found


def memory(tty: Tty, openings: int) -> list[float]:
    """Opens pages and dialogs in turn and goes back: the megabytes after each. Prints those after each 100."""
    sizes: list[float] = []
    for number in range(openings):
        key, content = list(PAGES.items())[number % len(PAGES)]
        tty.type(key)
        tty.until(lambda text, content=content: re.search(content, text) is not None)  # type: ignore[misc]
        tty.type(ESCAPE)
        tty.until(lambda text: DASHBOARD in text and DIALOG not in text)
        sizes.append(tty.memory())
        if len(sizes) % 100 == 0:
            print(f"  {len(sizes):,} openings: {sizes[-1]:.1f} MB", file=sys.stderr, flush=True)
    return sizes


def left(sizes: Sequence[float]) -> float:
    """The kilobytes that each opening leaves, from the megabytes after each: the slope of the line through them, which
    does not depend on when garbage was last collected.
    """
    return 1000 * statistics.linear_regression(range(len(sizes)), sizes).slope


def stalled(place: Place) -> list[float]:
    """How late scheduled runs start, in seconds, while the terminal reads nothing."""
    since = clock.now()
    with place.console() as tty:
        tty.until(lambda text: "leading since" in text)
        tty.stalled = True
        time.sleep(STALL_SECONDS)
        found = place.delays(since)
        tty.stalled = False
    return found


def observer(place: Place) -> float:
    """Milliseconds from exec until a console beside a headless leader shows that it observes."""
    headless = Tty(place.command("headless"), place.env, place.folder, (80, 24))
    try:
        _wait(lambda: place.is_led())
        with place.console() as tty:
            return 1000 * (tty.until(lambda text: "observing" in text) - tty.began)
    finally:
        headless.process.terminate()
        headless.process.wait()


def _row(text: str, mark: str) -> int | None:
    """The line with the cursor's mark."""
    return next((y for y, line in enumerate(text.splitlines()) if mark in line), None)


def _wait(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.05)

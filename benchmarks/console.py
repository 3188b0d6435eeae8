"""`python -m benchmarks.console`: key latency of a console during runs, and schedule delays with an unread terminal."""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opsconsole.authoring.catalog import load as load_catalog
from opsconsole.authoring.run import Trigger
from opsconsole.core import clock, configuration, trust
from opsconsole.core.database import Database
from opsconsole.embedded import sample
from opsconsole.rules.actions import Verb
from opsconsole.store import Store, commands, data_tables as datatables, runs
from tests.terminal import Terminal

JOB = "attempts.cache_day"
EVERY_MINUTE = f'[jobs."{JOB}"]\ncron = "* * * * *"\n'
ESCAPE, BACKSPACE = "\x1b", "\x7f"


class Place:
    """An installation with sample users, and the environment of its processes."""

    def __init__(self, folder: Path, users: int) -> None:
        self.folder = folder
        (folder / "opsconsole.toml").write_text(EVERY_MINUTE)
        self.env = {**os.environ, "XDG_DATA_HOME": str(folder), "PYTHONPATH": str(Path(__file__).parent.parent)}
        self.settings = found = configuration.load(folder=folder / "opsconsole", environ={}, search=False)
        trust.make_private(found.folder)
        catalog = load_catalog(found.packs, {}, {})
        data = Database(found.data_url.reveal())
        datatables.create_missing(data, catalog.packs)
        sample.fill(data, catalog.packs, users, clock.now())
        data.close()

    def console(self) -> Terminal:
        """Opens a console and waits until it leads."""
        terminal = Terminal([sys.executable, "-m", "opsconsole"], env=self.env, cwd=self.folder, columns=120, rows=40)
        terminal.wait_for("leading since")
        terminal.wait_for("redis ok")
        return terminal

    @contextmanager
    def runs_without_end(self) -> Iterator[None]:
        """Keeps starting runs during the block."""
        store, done = Store(self.settings.store_url.reveal()), threading.Event()

        def ask() -> None:
            while not done.wait(0.1):
                with store.writing() as db:
                    if runs.open_run(db, JOB) is None and not commands.requested(db):
                        commands.request(db, Verb.TRIGGER, JOB, {}, self.settings.actor, clock.now())

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield
        finally:
            done.set()
            asking.join()
            store.close()


def typing(place: Place, keys: int) -> dict[str, float]:
    """Milliseconds from a key press to the updated screen, idle and during runs: p50 and p95."""
    terminal = place.console()
    try:
        terminal.type("t")
        terminal.wait_until(lambda: re.search(r"Items\s+[\d,]+", terminal.text) is not None)
        idle = _latencies(terminal, keys)
        with place.runs_without_end():
            terminal.wait_until(lambda: "▶" in terminal.text)
            busy = _latencies(terminal, keys)
    finally:
        terminal.close()
    return {
        "idle p50": statistics.median(idle),
        "idle p95": _p95(idle),
        "running p50": statistics.median(busy),
        "running p95": _p95(busy),
    }


def unread(place: Place, seconds: float) -> list[float]:
    """The delays of scheduled runs, in seconds, while the terminal is not read."""
    terminal = place.console()
    since = clock.now()
    try:
        time.sleep(seconds)
        store = Store(place.settings.store_url.reveal())
        with store.reading() as db:
            found = [run for run in runs.newest(db, limit=20, job=JOB) if run.trigger is Trigger.SCHEDULE]
        store.close()
    finally:
        terminal.close()
    return [(run.started_at - run.as_of).total_seconds() for run in found if run.started_at and run.as_of > since]


def _latencies(terminal: Terminal, keys: int) -> list[float]:
    taken = []
    date = ""
    for i in range(keys):
        erase = len(date) == 4
        date = "" if erase else date + str(i % 10)
        began = time.perf_counter()
        terminal.type(BACKSPACE * 4 if erase else date[-1])
        field = f"[{date}{'_' * (10 - len(date))}]"
        terminal.wait_until(lambda field=field: field in terminal.text, 10)  # type: ignore[misc]
        if not erase:
            taken.append((time.perf_counter() - began) * 1000)
        terminal.read(0.05)
    return taken


def _p95(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.95)]


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--unread", type=float, default=80.0, help="seconds without reading (default: 80)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        place = Place(Path(folder), args.users)
        load, processors = os.getloadavg()[0], os.cpu_count()
        print(f"console of 120x40, {args.users:,} users, {processors} processors, load {load:.1f}")
        for what, ms in typing(place, args.keys).items():
            print(f"key to screen, {what:<12} {ms:6.1f} ms")
        late = unread(place, args.unread)
        delays = ", ".join(f"{seconds:.3f} s" for seconds in late)
        print(f"unread for {args.unread:g} s: {len(late)} scheduled runs, delayed by {delays}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Measures how long a shell waits for a completion: `python -m benchmarks.completion`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import templates
from tests.services import NoPostgres, PrivatePostgres

TIMES = 10
GOAL_SECONDS = 0.4
WORDS = {"a command": "opsconsole re", "a job": "opsconsole run att", "a run": "opsconsole show "}


def measure(words: str, **environ: str) -> tuple[float, float]:
    """The median of the wall-clock time and of the processor time, in seconds."""
    given = os.environ | environ | {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = [str(Path(sys.executable).parent / "opsconsole")]
    wall, processor = [], []
    for _ in range(TIMES):
        started, before = time.monotonic(), os.times()
        subprocess.run(
            command, env=given | {"_OPSCONSOLE_COMPLETE": "bash_complete"}, stdout=subprocess.DEVNULL, check=True
        )
        after = os.times()
        wall.append(time.monotonic() - started)
        used = after.children_user + after.children_system - before.children_user - before.children_system
        processor.append(used)
    return statistics.median(wall), statistics.median(processor)


def main() -> None:
    """Prints a line for each kind of word and database."""
    with tempfile.TemporaryDirectory() as folder:
        home = {"XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        urls = {"SQLite": templates.copy_sqlite(Path(folder) / "ops.db")}
        try:
            server = PrivatePostgres().start()
        except NoPostgres as missing:
            print(missing, file=sys.stderr)
        else:
            urls["PostgreSQL"] = server.new_database().replace("+psycopg", "")
            templates.fill(urls["PostgreSQL"])
        print(f"goal: {GOAL_SECONDS:g} s")
        for name, url in urls.items():
            for what, words in WORDS.items():
                wall, processor = measure(words, DATABASE_URL=url, **home)
                print(f"{name:<11} {what:<10} {wall:.3f} s, {processor:.3f} s of processor time")


if __name__ == "__main__":
    main()

"""A worker process: reads batches as JSON lines, executes them, and writes results as JSON lines."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from typing import Any

import msgspec

from opsconsole.authoring.batch import Batch
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.settings import JobOverride

PR_SET_PDEATHSIG = 1
NICENESS = 5


class Wiring(msgspec.Struct):
    """The first line a worker reads: its connections and packs."""

    parent: int
    path: list[str]
    data_url: str
    redis_url: str
    packs: list[str]
    overrides: dict[str, JobOverride]
    options: dict[str, dict[str, Any]]


class Hello(msgspec.Struct, omit_defaults=True):
    """The first line a worker writes; `problem` is set when it cannot work."""

    problem: str | None = None


def main() -> None:
    """Executes batches until the input ends."""
    # The leader decides when a worker stops, not Ctrl-C or a closed terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # The output of a job must not mix with the results.
    source, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # The console and the scheduler have priority over jobs.
    os.nice(NICENESS)
    wiring = msgspec.json.decode(source.readline(), type=Wiring)
    _die_with(wiring.parent)
    sys.path[:] = wiring.path

    import opsconsole.cache.client  # noqa: F401 - takes half a second, before the first batch
    from opsconsole.authoring.catalog import load
    from opsconsole.authoring.context import Resources
    from opsconsole.core.errors import OpsconsoleError
    from opsconsole.worker.work import work

    try:
        catalog = load(tuple(wiring.packs), wiring.overrides, wiring.options)
        tools = Resources(wiring.data_url, wiring.redis_url, families=catalog.families)
    except OpsconsoleError as error:
        results.write(msgspec.json.encode(Hello(error.sentence)) + b"\n")
        return
    # A batch makes many rows and no cycles: the default rate of collections costs a tenth of a worker's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    results.write(msgspec.json.encode(Hello()) + b"\n")
    decoder = msgspec.json.Decoder(Batch)
    for line in source:
        batch = decoder.decode(line)
        job = catalog.find(batch.job)
        result = msgspec.json.encode(work(batch, job, tools, catalog.options(job))) + b"\n"
        reach(Point.RESULT_READY)
        results.write(result)


def _die_with(parent: int) -> None:
    """Ends this process when `parent` ends, even during a batch. Only Linux can; elsewhere it ends after the batch."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    main()

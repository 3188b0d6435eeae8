"""A worker process: reads work as JSON lines, executes it, and writes the results as JSON lines."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from opsconsole.authoring.batch import Batch, BatchResult
from opsconsole.core.failpoints import Point, reach
from opsconsole.core.humanize import count
from opsconsole.core.redaction import remember, secrets_in
from opsconsole.core.secret_files import with_files
from opsconsole.core.settings import environment
from opsconsole.core.urls import secrets_of
from opsconsole.worker.descendants import adopt_orphans, die_with, end_children
from opsconsole.worker.isolation import Isolation
from opsconsole.worker.lease_deadline import LeaseDeadline
from opsconsole.worker.messages import Counted, Counting, Ended, Hello, Planning, Result, Wiring, Work
from opsconsole.worker.process_state import ProcessState

if TYPE_CHECKING:
    from opsconsole.authoring.catalog import Catalog
    from opsconsole.authoring.context import Resources

NICENESS = 5
MOST_EXPENDABLE = "800"
"""Of 1,000: when the machine runs out of memory, Linux ends a worker before the leader or a database."""


def main() -> None:
    """Executes work until the input ends."""
    gc.disable()  # what is loaded stays, and searching it for garbage takes a tenth of the start
    # The leader decides when a worker stops, not Ctrl-C or a closed terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # The console and the scheduler have priority over jobs.
    os.nice(NICENESS)
    wiring = msgspec.json.decode(source.readline(), type=Wiring)
    die_with(wiring.parent)
    adopt_orphans()
    os.set_inheritable(wiring.answers, False)
    _limit_memory(wiring.memory_mb)
    sys.path[:] = wiring.path
    remember([*secrets_in(with_files(environment(), [])), *secrets_of(wiring.data_url), *secrets_of(wiring.redis_url)])

    import opsconsole.cache.client  # takes half a second, before the first batch
    import opsconsole.worker.planning  # noqa: F401
    from opsconsole.authoring.catalog import load
    from opsconsole.authoring.context import Resources
    from opsconsole.core.errors import OpsconsoleError

    check_lease = _nothing if wiring.lease is None else LeaseDeadline(wiring.lease).end_if_over
    try:
        catalog = load(tuple(wiring.packs), wiring.overrides, wiring.options, wiring.compress_over)
        tools = Resources(wiring.data_url, wiring.redis_url, families=catalog.families, check_lease=check_lease)
    except OpsconsoleError as error:
        _send(wiring.answers, Hello(error.sentence))
        return
    # A batch makes many rows and no cycles: the default rate of collections costs a tenth of a worker's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    _send(wiring.answers, Hello())
    state = ProcessState()
    decoder: msgspec.json.Decoder[Work | Counting] = msgspec.json.Decoder(Work | Counting)

    def execute(line: bytes) -> bool:
        for answer in _execute(decoder.decode(line), catalog, tools):
            if isinstance(answer, BatchResult):
                reach(Point.RESULT_READY)
            _send(wiring.answers, answer)
        return state.is_unchanged() and not tools.data.has_open_connections

    Isolation(
        source.fileno(),
        execute,
        report_end=lambda ended: _send(wiring.answers, ended),
        close_answers=lambda: os.close(wiring.answers),
        check_lease=check_lease,
    ).serve()


def _execute(work: Work | Counting, catalog: Catalog, tools: Resources) -> Iterator[Result | Counted]:
    from opsconsole.worker.planning import counted, plan
    from opsconsole.worker.work import work as execute

    job = catalog.find(work.job)
    options = catalog.options(job, work.params)
    match work:
        case Batch():
            result = execute(work, job, tools, options)
            result.log += _end_leftovers()
            yield result
        case Planning():
            for answer in plan(work, job, tools, options):
                if answer.is_last:
                    answer.log += _end_leftovers()
                yield answer
        case Counting():
            yield counted(work, job, tools, options)


def _end_leftovers() -> list[str]:
    """Ends the processes that the job has left, and returns a line about them for the run's log."""
    ended = end_children()
    return [f"ended {count(ended, 'process', 'processes')} that the job had started and left running"] if ended else []


def _send(answers: int, answer: Hello | Result | Counted | Ended) -> None:
    unsent = memoryview(msgspec.json.encode(answer) + b"\n")
    while unsent:
        unsent = unsent[os.write(answers, unsent) :]


def _nothing() -> None:
    """What keeps a worker within its lease when it has none."""


def _limit_memory(megabytes: int) -> None:
    with suppress(OSError):  # only on Linux
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(descriptor, MOST_EXPENDABLE.encode())
        os.close(descriptor)
    if megabytes:
        limit = megabytes << 20
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    main()

"""Jobs that change what the next job in their process would find."""

from __future__ import annotations

import builtins
import decimal
import gc
import json
import locale
import logging
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from typing import Any

import msgspec
import sqlalchemy

from opsconsole.authoring import context
from opsconsole.authoring.run import RunState
from opsconsole.core import clock
from opsconsole.worker import work
from tests.faults.hostile.cases import Cases

FAILED, SUCCEEDED = RunState.FAILED, RunState.SUCCEEDED

cases = Cases()


@cases.apply(SUCCEEDED)
def changes_its_folder(ctx: Any, items: Any) -> None:
    """Changes into a folder and removes it."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)  # noqa: PTH106 - of the folder that this process is in


@cases.apply(SUCCEEDED)
def changes_its_umask(ctx: Any, items: Any) -> None:
    """Makes its new files readable and writable for everybody."""
    os.umask(0)


@cases.apply(SUCCEEDED, quick=True)
def changes_its_environment(ctx: Any, items: Any) -> None:
    """Removes every environment variable."""
    os.environ.clear()


@cases.apply(SUCCEEDED)
def changes_its_time_zone(ctx: Any, items: Any) -> None:
    """Changes the time zone of its process."""
    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()


@cases.apply(SUCCEEDED)
def changes_its_locale(ctx: Any, items: Any) -> None:
    """Changes the locale of its process."""
    locale.setlocale(locale.LC_ALL, "C")
    locale.setlocale(locale.LC_NUMERIC, "C")


@cases.apply(SUCCEEDED)
def changes_its_signals(ctx: Any, items: Any) -> None:
    """Replaces every signal handler by one that raises."""

    def interrupt(number: int, frame: object) -> None:
        raise RuntimeError(f"signal {number}")

    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, interrupt)


@cases.apply(SUCCEEDED)
def changes_its_path(ctx: Any, items: Any) -> None:
    """Empties the path that modules are imported from."""
    sys.path.clear()
    sys.meta_path.clear()


@cases.apply(SUCCEEDED)
def forgets_its_modules(ctx: Any, items: Any) -> None:
    """Removes every module that was imported."""
    sys.modules.clear()


@cases.apply(SUCCEEDED)
def changes_the_collector(ctx: Any, items: Any) -> None:
    """Turns off garbage collection."""
    gc.disable()
    gc.set_threshold(1, 1, 1)


@cases.apply(SUCCEEDED)
def changes_the_log(ctx: Any, items: Any) -> None:
    """Turns off logging, and adds a handler that raises."""
    logging.disable(logging.CRITICAL)
    logging.getLogger().handlers[:] = [_Raising()]


@cases.apply(SUCCEEDED)
def closes_its_output(ctx: Any, items: Any) -> None:
    """Closes its standard output and errors."""
    sys.stdout.close()
    sys.stderr.close()


@cases.apply(SUCCEEDED)
def changes_the_limits_of_python(ctx: Any, items: Any) -> None:
    """Allows twenty nested calls more, and switches threads once in an hour."""
    depth = 0
    frame: Any = sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + 20)
    sys.setswitchinterval(3_600)
    sys.set_int_max_str_digits(640)


@cases.apply(SUCCEEDED)
def changes_defaults(ctx: Any, items: Any) -> None:
    """Sets odd defaults: a timeout for sockets, the precision of decimals, a seed, errors for warnings."""
    socket.setdefaulttimeout(0.000_001)
    decimal.setcontext(decimal.Context(prec=1))
    decimal.DefaultContext.prec = 1
    random.seed(1)
    warnings.simplefilter("error")


@cases.apply(SUCCEEDED)
def traces_every_call(ctx: Any, items: Any) -> None:
    """Sets functions that are called at every call in any thread, and raise."""

    def trace(*_: object) -> None:
        raise RuntimeError("traced")

    threading.setprofile(trace)
    threading.settrace(trace)
    sys.setprofile(lambda *_: None)


@cases.apply(FAILED, "worker_died")
def replaces_builtins(ctx: Any, items: Any) -> None:
    """Replaces functions of Python."""
    vars(builtins).update(len=lambda _: 0, sorted=lambda *_: [], open=None)


@cases.apply(FAILED, "worker_died", quick=True)
def replaces_json(ctx: Any, items: Any) -> None:
    """Replaces the functions that read and write JSON."""
    vars(json).update(dumps=lambda *_, **__: "", loads=lambda *_, **__: None)
    vars(msgspec.json).update(encode=lambda _: b"odd", decode=lambda *_, **__: None)


@cases.apply(SUCCEEDED)
def replaces_the_clock(ctx: Any, items: Any) -> None:
    """Replaces the clocks."""
    vars(time).update(time=lambda: 0.0, monotonic=lambda: 0.0, perf_counter=lambda: 0.0, sleep=lambda _: None)
    vars(clock).update(now=lambda: None, steady=lambda: 0.0)


@cases.apply(SUCCEEDED)
def replaces_the_context(ctx: Any, items: Any) -> None:
    """Replaces the classes that jobs receive, and the function that executes batches."""
    vars(context).update(Context=object, Items=list)
    vars(work).update(Context=object, Items=list, work=None)


@cases.apply(SUCCEEDED)
def replaces_the_database(ctx: Any, items: Any) -> None:
    """Replaces SQLAlchemy's functions and methods."""
    vars(sqlalchemy).update(select=None, insert=None)
    type.__setattr__(sqlalchemy.Connection, "execute", None)


@cases.apply(FAILED, "attribute_error")
def empties_its_context(ctx: Any, items: Any) -> None:
    """Removes everything from its context and its items."""
    ctx.__dict__.clear()
    items.__dict__.clear()


@cases.apply(SUCCEEDED)
def hooks_into_the_end(ctx: Any, items: Any) -> None:
    """Registers functions for the end of its process that hang or raise."""
    import atexit

    atexit.register(time.sleep, 86_400)
    vars(sys).update(excepthook=None)
    vars(threading).update(excepthook=None)


class _Raising(logging.Handler):
    """A handler that raises."""

    def handle(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("no log")

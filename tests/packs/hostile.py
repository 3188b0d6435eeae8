"""A pack for tests: jobs that do to their process what no job should. Each job processes two items of its own; the
names of the jobs say what they do, and where: while the items are read, prepared, found stale, or processed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Select, String, func, literal, select, text, type_coerce

from opsconsole import DAY, Context, Items, Job, Pack, Scope

NEVER = "30 0 29 2 *"
ITEMS = ("anna", "ben")
LIMIT = timedelta(seconds=0.5)
"""The time limit of jobs that hang."""


def _exits() -> None:
    os._exit(7)


def _leaves() -> None:
    sys.exit("enough")


def _is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kills_its_group() -> None:
    os.killpg(0, signal.SIGKILL)


def _crashes() -> None:
    ctypes.string_at(0)


def _loops() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def _stops() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _interrupts() -> None:
    raise KeyboardInterrupt


def _closes() -> None:
    os.closerange(3, 256)
    time.sleep(60)


def _answers() -> None:
    """Writes what is no answer to every pipe."""
    for descriptor in _pipes():
        os.write(descriptor, b'{"type":"BatchResult","run":1,"seq":77,"attempt":1}\nnot even JSON \xff\n')
    time.sleep(60)


def _floods() -> None:
    """Writes without an end to every pipe."""
    for descriptor in _pipes():
        while True:
            os.write(descriptor, b"x" * 65_536)


def _devours() -> None:
    bytearray(64 << 30)


def _pipes() -> list[int]:
    """The pipes that this process can write to."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            is_pipe = link.readlink().name.startswith("pipe:")
        except OSError:
            continue
        if is_pipe and fcntl.fcntl(int(link.name), fcntl.F_GETFL) & os.O_ACCMODE:
            found.append(int(link.name))
    return found


ACTS: dict[str, Callable[[], None]] = {
    "exits": _exits,
    "leaves": _leaves,
    "is_killed": _is_killed,
    "kills_its_group": _kills_its_group,
    "crashes": _crashes,
    "loops": _loops,
    "stops": _stops,
    "interrupts": _interrupts,
    "closes": _closes,
    "answers": _answers,
    "floods": _floods,
    "devours": _devours,
}
HANGS = ("loops", "stops")


def names(scope: Scope) -> tuple[str, ...]:
    """A harmless population."""
    return ITEMS


def nothing(ctx: Context, items: Items) -> None:
    """A harmless effect."""


def _population(act: Callable[[], None]) -> Callable[[Scope], tuple[str, ...]]:
    def population(scope: Scope) -> tuple[str, ...]:
        act()
        return ITEMS

    return population


def _preparation(act: Callable[[], None]) -> Callable[[Context], Mapping[str, Any]]:
    def prepare(ctx: Context) -> Mapping[str, Any]:
        act()
        return {}

    return prepare


def _effect(act: Callable[[], None]) -> Callable[[Context, Items], None]:
    def apply(ctx: Context, items: Items) -> None:
        if "ben" in items:
            act()

    return apply


# --- populations that are none ------------------------------------------------------------------------------------


def _a_list(scope: Scope) -> Any:
    return list(ITEMS)


def _none(scope: Scope) -> Any:
    return None


def _a_generator(scope: Scope) -> Any:
    yield from ITEMS


def _a_number(scope: Scope) -> Any:
    return 7


def _the_class(scope: Scope) -> Any:
    return Select


def _a_surrogate(scope: Scope) -> Any:
    return ("anna", "\ud800")


def _bytes(scope: Scope) -> Any:
    return (b"anna",)


def _no_column(scope: Scope) -> Any:
    return select()


def _wrong_sql(scope: Scope) -> Any:
    return select(func.no_such_function("anna"))


def _raw_text(scope: Scope) -> Any:
    return text("SELECT 'anna'")


class _Unreadable(String):
    """A column type that cannot convert its values."""

    def result_processor(self, dialect: object, coltype: object) -> Any:
        def process(value: object) -> str:
            raise ZeroDivisionError("never read")

        return process


def _unreadable(scope: Scope) -> Any:
    return select(type_coerce(literal("anna"), _Unreadable))


def _huge_key(scope: Scope) -> Any:
    return ("x" * (20 << 20),)


WRONG: dict[str, tuple[Callable[[Scope], Any], str]] = {
    "list": (_a_list, "must be a SELECT or a tuple of strings, not list"),
    "none": (_none, "must be a SELECT or a tuple of strings, not NoneType"),
    "generator": (_a_generator, "must be a SELECT or a tuple of strings, not generator"),
    "number": (_a_number, "must be a SELECT or a tuple of strings, not int"),
    "class": (_the_class, "must be a SELECT or a tuple of strings, not type"),
    "surrogate": (_a_surrogate, "must yield keys that can be stored: "),
    "bytes": (_bytes, "must yield strings, not bytes"),
    "no_column": (_no_column, "must select one column, not 0"),
    "wrong_sql": (_wrong_sql, "could not be read: no such function: no_such_function"),
    "raw_text": (_raw_text, "must be a SELECT or a tuple of strings, not TextClause"),
    "unreadable": (_unreadable, "could not be read: ZeroDivisionError: never read"),
}
"""Populations that cannot be used, and the error of the run."""


# --- processes that a job leaves behind ---------------------------------------------------------------------------


def _leaves_children(ctx: Context, items: Items) -> None:
    for _ in range(3):
        subprocess.Popen(["sleep", "600"])


def _leaves_a_daemon(ctx: Context, items: Items) -> None:
    """Leaves a process that has detached itself, with an empty environment and closed pipes."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 256)
            subprocess.run(["sleep", "601"], env={}, check=False)
        os._exit(0)


def _leaves_a_daemon_and_dies(ctx: Context, items: Items) -> None:
    subprocess.Popen(["setsid", "sleep", "602"])
    subprocess.Popen(["sleep", "602"])
    if "ben" in items:
        os.kill(os.getpid(), signal.SIGKILL)


def _returns_twice(ctx: Context, items: Items) -> None:
    """Returns in a copy of its process as well."""
    os.fork()


def _disturbs(ctx: Context, items: Items) -> None:
    """Changes what the next job in this process uses, too."""
    sys.stdout.close()
    sys.stderr.close()
    os.chdir("/")
    os.umask(0)
    os.environ["TZ"] = "Mars/Olympus"
    os.environ.pop("PATH")
    sys.path.clear()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def _reports(ctx: Context, items: Items) -> None:
    """Logs the state of its process."""
    print("this is not closed", flush=True)  # noqa: T201 - it must not raise
    mode = os.umask(0o077)
    os.umask(mode)
    signals = signal.getsignal(signal.SIGTERM), signal.getitimer(signal.ITIMER_REAL)
    ctx.log(f"state: {Path.cwd()} {mode} {os.environ.get('TZ')} {'PATH' in os.environ} {len(sys.path)} {signals}")


def _talks(ctx: Context, items: Items) -> None:
    """Prints a megabyte."""
    print("x" * (1 << 20), flush=True)  # noqa: T201 - it goes to the log of the workers


def _job(name: str, population: Any = names, apply: Any = nothing, **options: Any) -> Job:
    return Job(f"hostile.{name}", population, apply, cron=NEVER, covers=DAY, **options)


def _limit(act: str) -> dict[str, Any]:
    return {"batch_timeout": LIMIT} if act in HANGS else {}


pack = Pack(
    "hostile",
    jobs=(
        _job("harmless"),
        *(_job(f"population_{name}", _population(act), **_limit(name)) for name, act in ACTS.items()),
        *(_job(f"prepare_{name}", prepare=_preparation(act), **_limit(name)) for name, act in ACTS.items()),
        *(_job(f"stale_{name}", stale=_population(act), **_limit(name)) for name, act in ACTS.items()),
        *(_job(f"apply_{name}", apply=_effect(act), **_limit(name)) for name, act in ACTS.items()),
        *(_job(f"wrong_{name}", population) for name, (population, _) in WRONG.items()),
        _job("huge_key", _huge_key),
        _job("leaves_children", apply=_leaves_children),
        _job("leaves_a_daemon", apply=_leaves_a_daemon),
        _job("leaves_a_daemon_and_dies", apply=_leaves_a_daemon_and_dies),
        _job("returns_twice", apply=_returns_twice),
        _job("disturbs", apply=_disturbs),
        _job("reports", apply=_reports),
        _job("talks", apply=_talks),
    ),
    metadata=MetaData(),
)

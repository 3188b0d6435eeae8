"""Jobs that end, stop, starve or multiply their process."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from typing import Any

from opsconsole.authoring.run import RunState
from tests.faults.hostile import damage
from tests.faults.hostile.cases import ENDLESS_RUN_SECONDS, Cases, three_items

FAILED, PARTIAL, SUCCEEDED, TIMED_OUT = RunState.FAILED, RunState.PARTIAL, RunState.SUCCEEDED, RunState.TIMED_OUT
DIED, TIMEOUT, TOO_LONG = "worker_died", "batch_timeout", "it took longer than"
LARGE_BATCH = 10_000
"""A batch with this many keys does not fit into a pipe."""
SLEEP = ("sleep", "86400")

cases = Cases()


def many_items(scope: Any) -> Any:
    """A population of one large batch."""
    return tuple(f"a-rather-long-key-{n}" for n in range(LARGE_BATCH))


# --- processes that end -------------------------------------------------------------------------------------------


@cases.apply(FAILED, DIED, quick=True)
def os_exit(ctx: Any, items: Any) -> None:
    """Calls os._exit(0)."""
    os._exit(0)


@cases.apply(FAILED, DIED)
def segfault(ctx: Any, items: Any) -> None:
    """Reads from address 0."""
    ctypes.string_at(0)


@cases.apply(PARTIAL, DIED, population=three_items)
def kills_itself(ctx: Any, items: Any) -> None:
    """Kills its process at one of three items."""
    if "two" in items:
        os.kill(os.getpid(), signal.SIGKILL)


@cases.apply(FAILED, DIED)
def kills_its_group(ctx: Any, items: Any) -> None:
    """Kills its process group."""
    os.killpg(0, signal.SIGKILL)


@cases.apply(FAILED, DIED)
def hangs_up_its_group(ctx: Any, items: Any) -> None:
    """Sends SIGHUP and SIGTERM to its process group, then sleeps."""
    os.killpg(0, signal.SIGHUP)
    os.killpg(0, signal.SIGTERM)
    time.sleep(86_400)


@cases.apply(FAILED, "system_exit")
def sys_exit(ctx: Any, items: Any) -> None:
    """Calls sys.exit()."""
    sys.exit(0)


@cases.apply(FAILED, DIED, "memory_error", TIMEOUT)
def overflows_the_stack(ctx: Any, items: Any) -> None:
    """Removes Python's limit for recursion and calls itself without end."""
    sys.setrecursionlimit(1 << 30)
    overflows_the_stack(ctx, items)


@cases.apply(FAILED, "memory_error")
def ten_gigabytes(ctx: Any, items: Any) -> None:
    """Allocates ten gigabytes."""
    ctx.memory["much"] = damage.ten_gigabytes()


@cases.apply(SUCCEEDED)
def dies_afterwards(ctx: Any, items: Any) -> None:
    """Returns, and ends its process a quarter of a second later."""
    threading.Timer(0.25, os._exit, [1]).start()


@cases.apply(SUCCEEDED)
def sets_an_alarm(ctx: Any, items: Any) -> None:
    """Returns, and lets the kernel end its process a quarter of a second later."""
    signal.setitimer(signal.ITIMER_REAL, 0.25)


# --- processes that do not answer ---------------------------------------------------------------------------------


@cases.apply(FAILED, TIMEOUT)
def sleeps(ctx: Any, items: Any) -> None:
    """Sleeps for a day."""
    time.sleep(86_400)


@cases.apply(TIMED_OUT, TOO_LONG, seconds=ENDLESS_RUN_SECONDS, batch_seconds=60.0)
def loops(ctx: Any, items: Any) -> None:
    """Loops without end, in a batch that may take longer than its run."""
    while True:
        pass


@cases.apply(FAILED, TIMEOUT, batch_seconds=0.5)
def ignores_sigterm(ctx: Any, items: Any) -> None:
    """Ignores every signal that can be ignored, and sleeps for a day."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(86_400)


@cases.apply(FAILED, TIMEOUT)
def catastrophic_expression(ctx: Any, items: Any) -> None:
    """Matches a regular expression for years without releasing the interpreter's lock."""
    re.match(r"(a+)+$", "a" * 64 + "b")


@cases.apply(TIMED_OUT, TOO_LONG, population=many_items, batch=LARGE_BATCH, seconds=ENDLESS_RUN_SECONDS)
def stops_itself(ctx: Any, items: Any) -> None:
    """Stops its process with SIGSTOP, in batches that do not fit into a pipe."""
    os.kill(os.getpid(), signal.SIGSTOP)


@cases.apply(SUCCEEDED)
def stops_afterwards(ctx: Any, items: Any) -> None:
    """Returns, and stops its process with SIGSTOP a quarter of a second later."""
    threading.Timer(0.25, os.kill, [os.getpid(), signal.SIGSTOP]).start()


@cases.apply(FAILED, TIMEOUT, "worker_died")  # another odd job may kill the worker first
def imports_what_hangs(ctx: Any, items: Any) -> None:
    """Imports a module that hangs while it is imported."""
    import_module("tests.faults.hostile.hanging_import")


@cases.apply(SUCCEEDED)
def endless_thread(ctx: Any, items: Any) -> None:
    """Starts a thread that never ends."""
    damage.start_endless_thread()


@cases.apply(SUCCEEDED)
def busy_thread(ctx: Any, items: Any) -> None:
    """Starts a thread that uses a processor without end."""
    threading.Thread(target=loops, args=(None, None), daemon=True).start()


# --- processes that multiply --------------------------------------------------------------------------------------


@cases.apply(SUCCEEDED, quick=True)
def leaves_children(ctx: Any, items: Any) -> None:
    """Starts three programs that sleep for a day, and returns."""
    for _ in range(3):
        damage.keep(subprocess.Popen(SLEEP))


@cases.apply(FAILED, DIED)
def leaves_children_and_dies(ctx: Any, items: Any) -> None:
    """Starts a program that sleeps for a day, and kills its own process."""
    subprocess.Popen(SLEEP)
    os.kill(os.getpid(), signal.SIGKILL)


@cases.apply(SUCCEEDED)
def daemonises(ctx: Any, items: Any) -> None:
    """Starts a process in a session of its own, whose parent has ended."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp(SLEEP[0], SLEEP)
        os._exit(0)
    os.waitpid(child, 0)


@cases.apply(SUCCEEDED, quick=True)
def forks_and_returns(ctx: Any, items: Any) -> None:
    """Forks its process, and both return."""
    os.fork()


@cases.apply(SUCCEEDED)
def forks_many(ctx: Any, items: Any) -> None:
    """Forks fifty processes that keep its files open."""
    for _ in range(50):
        if os.fork() == 0:
            time.sleep(86_400)


@cases.apply(FAILED, "memory_error", "blocking_io_error", DIED, TIMEOUT)
def fork_bomb(ctx: Any, items: Any) -> None:
    """Forks until it is refused, or for three hundred processes, and runs out of memory."""
    for _ in range(300):
        if os.fork() == 0:
            time.sleep(86_400)
    raise MemoryError


# --- files and output ---------------------------------------------------------------------------------------------


@cases.apply(SUCCEEDED)
def prints_much(ctx: Any, items: Any) -> None:
    """Prints an eighth of a gigabyte."""
    damage.print_much()


@cases.apply(SUCCEEDED)
def prints_without_end_of_line(ctx: Any, items: Any) -> None:
    """Writes ten megabytes without a newline to both outputs."""
    for file in (1, 2):
        with os.fdopen(os.dup(file), "wb") as output:
            output.write(b"\xff" * 10_000_000)


@cases.apply(FAILED, DIED, "os_error")
def closes_all(ctx: Any, items: Any) -> None:
    """Closes every file descriptor."""
    os.closerange(0, 1 << 16)


@cases.apply(FAILED, DIED, quick=True)
def writes_garbage(ctx: Any, items: Any) -> None:
    """Writes garbage to every pipe."""
    damage.write_garbage()


@cases.apply(FAILED, DIED, TIMEOUT)
def writes_gigabytes_of_garbage(ctx: Any, items: Any) -> None:
    """Writes gigabytes without a newline to every pipe that it finds."""
    block = b"x" * (1 << 20)
    for file in damage.pipes():
        try:
            for _ in range(4 << 10):
                os.write(file, block)
        except OSError:
            continue


@cases.apply(FAILED, "os_error", DIED)
def opens_all_files(ctx: Any, items: Any) -> None:
    """Opens files until it is refused, and keeps them open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    while True:
        damage.keep(os.open("/dev/null", os.O_RDONLY))


@cases.apply(SUCCEEDED)
def lowers_its_limits(ctx: Any, items: Any) -> None:
    """Forbids its process to write files, open any, or use more than a second of processor time."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))

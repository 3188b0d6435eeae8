from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ALLOCATE_IN_THREADS = """
import ctypes, sys, threading
from opsconsole.core.allocator import use_one_arena
use_one_arena()
ready, done = threading.Barrier(13), threading.Event()

def keep():
    kept = bytearray(50_000)  # too large for Python's own allocator
    ready.wait()
    done.wait()

threads = [threading.Thread(target=keep) for _ in range(12)]
for thread in threads:
    thread.start()
ready.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
done.set()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have one heap")
def test_threads_share_one_arena() -> None:
    printed = subprocess.run([sys.executable, "-c", ALLOCATE_IN_THREADS], check=True, capture_output=True, text=True)
    assert printed.stdout.count("<heap ") == 1

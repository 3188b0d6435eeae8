"""How the C library hands out memory to the threads of a process."""

from __future__ import annotations

import sys

_ARENA_MAX = -8
"""glibc's M_ARENA_MAX."""


def use_one_arena() -> None:
    """Makes all threads allocate from one arena. Call it before threads start, in a process that lives long.

    glibc gives threads arenas of their own, up to eight per processor. What is freed in one is of no use to the threads
    of another: in a console that starts a thread for each call to the service, 35 MB of free memory lay in sixteen of
    them. Other C libraries have one heap.
    """
    import ctypes  # 3 ms, which commands save

    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_ARENA_MAX, 1)

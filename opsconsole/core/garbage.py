"""When Python searches its memory for garbage: hardly while a process loads its modules, seldom while it lives, and
not when it ends.

Loading makes a hundred thousand objects that stay. Searching them took a fifth of the time of a short command.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Mapping
from typing import Any

_LOADING = 1_000_000
"""More objects than are loaded, with the runs of a thousand jobs. A process that makes as many without a call of
`end_loading` searches them once.
"""
_LIVING = (10_000, 5, 2)
"""Instead of 700, 10, 10: the runs of a thousand jobs are as many objects, which stay. Reading them took half as
long again. All objects are searched about as often as usual, which frees a closed page of the console.
"""


def spare_start_and_end() -> None:
    """Call it before anything else is loaded."""
    gc.set_threshold(_LOADING)
    gc.callbacks.append(_after_first_search)
    atexit.register(gc.freeze)  # the interpreter would search everything once more


def end_loading() -> None:
    """Call it in a process that lives on, when it has loaded what it needs: that is not searched again."""
    if _after_first_search in gc.callbacks:
        gc.callbacks.remove(_after_first_search)
        gc.freeze()
        gc.set_threshold(*_LIVING)


def _after_first_search(phase: str, _found: Mapping[str, Any]) -> None:
    if phase == "stop":
        end_loading()

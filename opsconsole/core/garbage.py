"""When Python searches its memory for garbage: hardly while a process loads its modules, and not when it ends.

Loading makes a hundred thousand objects that stay. Searching them took a fifth of the time of a short command.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Mapping
from typing import Any

_USUAL = gc.get_threshold()
_LOADING = 200_000
"""More objects than are loaded: a process that lives long enough searches once for garbage, and then as usual."""


def spare_start_and_end() -> None:
    """Call it before anything else is loaded."""
    gc.set_threshold(_LOADING, *_USUAL[1:])
    gc.callbacks.append(_after_first_search)
    atexit.register(gc.freeze)  # the interpreter would search everything once more


def _after_first_search(phase: str, _found: Mapping[str, Any]) -> None:
    """What was loaded is not searched again."""
    if phase == "stop":
        gc.callbacks.remove(_after_first_search)
        gc.freeze()
        gc.set_threshold(*_USUAL)

from __future__ import annotations

import subprocess
import sys

LOAD_AND_LIVE_ON = """
import gc
from opsconsole.core import garbage
usual, searches = gc.get_threshold()[0], []
gc.callbacks.append(lambda phase, _: searches.append(phase))
garbage.spare_start_and_end()
loaded = [[n] for n in range(150_000)]
assert not searches, "what is loaded stays"
lived = [[n] for n in range(60_000)]
assert searches and usual < gc.get_threshold()[0] < 50_000
assert gc.get_freeze_count() > 150_000, "it is searched once"
"""


def test_memory_is_searched_for_garbage_once_a_process_has_loaded_its_modules() -> None:
    subprocess.run([sys.executable, "-c", LOAD_AND_LIVE_ON], check=True)

from __future__ import annotations

import subprocess
import sys

import pytest

START = """
import gc
from opsconsole.core import garbage
usual, searches = gc.get_threshold()[0], []
gc.callbacks.append(lambda phase, _: searches.append(phase))
garbage.spare_start_and_end()
"""
END_LOADING = """
loaded = [[n] for n in range(500_000)]
garbage.end_loading()
assert not searches and gc.get_freeze_count() > 500_000, "what is loaded is not searched"
lived = [[n] for n in range(60_000)]
assert searches and usual < gc.get_threshold()[0] < 50_000
"""
LOAD_FOR_EVER = """
loaded = [[n] for n in range(1_200_000)]
assert searches and gc.get_freeze_count() > 900_000, "it is searched once"
assert usual < gc.get_threshold()[0] < 50_000
"""


@pytest.mark.parametrize("process", [END_LOADING, LOAD_FOR_EVER])
def test_memory_is_hardly_searched_for_garbage_until_a_process_has_loaded_its_modules(process: str) -> None:
    subprocess.run([sys.executable, "-c", START + process], check=True)

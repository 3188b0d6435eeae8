"""The mutants of `make chaos` fit the source as it is: running them takes minutes, checking them does not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.faults.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_every_mutant_changes_the_source_and_names_tests(mutant: Mutant, tmp_path: Path) -> None:
    for file, _, _ in mutant.changes:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)

    mutant.apply(tmp_path)

    assert all((ROOT / file).read_text() != (tmp_path / file).read_text() for file, _, _ in mutant.changes)
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert re.search(rf"def {name or 'test_'}", (ROOT / file).read_text()), test

"""Removes one guard at a time, in a copy of the source, and checks that the tests notice.

`python -m tests.faults mutants` prints each mutant and the test that noticed it; a mutant that no test notices means
that no test covers its guard.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("opsconsole", "jobs", "screens", "tests", "styles.tcss", "pyproject.toml")
TEST_SECONDS = 300
RUN_SECONDS = 900.0


class DoesNotFit(Exception):
    """A mutant matches no place of the source, or several: it has to be rewritten."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A guard to remove: what to replace in which files, each exactly once, and the tests that must notice."""

    name: str
    description: str
    changes: tuple[tuple[str, str, str], ...]
    tests: tuple[str, ...]

    def apply(self, tree: Path) -> None:
        """Changes the source in `tree`. Raises DoesNotFit."""
        for file, pattern, replacement in self.changes:
            path = tree / file
            changed, n = re.subn(pattern, replacement, path.read_text(), flags=re.DOTALL | re.MULTILINE)
            if n != 1:
                raise DoesNotFit(f"{self.name} fits in {n} places of {file}")
            path.write_text(changed)


_ADVANCE = r"^ {12}registrations\.advance\(db, ends\)\n"
_FENCED = "        with self._store.fenced(self._token) as db:\n"
_MOVED = "            registrations.advance(db, ends)\n"

MUTANTS = (
    Mutant(
        "token",
        "a write is fenced by any token",
        (("opsconsole/store/__init__.py", r"_current_token\(db\) != token:", "_current_token(db) is None:"),),
        ("tests/leader/test_lease.py",),
    ),
    Mutant(
        "token, against the campaign",
        "the same, and only what real processes do shows it",
        (("opsconsole/store/__init__.py", r"_current_token\(db\) != token:", "_current_token(db) is None:"),),
        ("tests/faults/test_campaign.py",),
    ),
    Mutant(
        "renewal",
        "a renewal names the row and not its owner",
        (("opsconsole/store/lease.py", r"(def renew\(.*?mine = ).*?$", r"\1lease.c.id == 1"),),
        ("tests/leader/test_lease.py",),
    ),
    Mutant(
        "unique",
        "the store takes two rows for an instant",
        (
            ("opsconsole/store/tables/scheduling.py", r' *UniqueConstraint\("job", "due_at"\),\n', ""),
            (
                "opsconsole/store/migrations/versions/0001_initial.py",
                r' *sa\.UniqueConstraint\("job", "due_at", [^\n]*\),\n',
                "",
            ),
        ),
        ("tests/faults/test_guards.py",),
    ),
    Mutant(
        "immediate",
        "SQLite's lock is taken with the first write, not with the transaction",
        (("opsconsole/core/database.py", r'session\.execute\("BEGIN IMMEDIATE"\)', 'session.execute("BEGIN")'),),
        ("tests/faults/test_guards.py",),
    ),
    Mutant(
        "cursor after",
        "a cursor moves in a transaction after that of its plan",
        (
            ("opsconsole/leader/scheduler.py", _ADVANCE, ""),
            (
                "opsconsole/leader/scheduler.py",
                r"^( *reach\(Point\.PLAN_WRITTEN\)\n)",
                rf"\1{_FENCED}{_MOVED}",
            ),
        ),
        ("tests/faults/test_guards.py",),
    ),
    Mutant(
        "cursor before",
        "a cursor moves in a transaction before that of its plan",
        (
            ("opsconsole/leader/scheduler.py", _ADVANCE, ""),
            (
                "opsconsole/leader/scheduler.py",
                r"^( {8}with ExitStack\(\) as after, self\._store\.fenced\(self\._token\) as db:\n)",
                rf"{_FENCED}{_MOVED}\1",
            ),
        ),
        ("tests/faults/test_guards.py",),
    ),
    Mutant(
        "poison",
        "a key that ends its workers is retried forever",
        (("opsconsole/leader/live_run.py", r"^MAX_DEATHS = 3$", "MAX_DEATHS = 1_000_000"),),
        ("tests/worker/test_processes.py::test_items_that_hang_or_end_their_worker_fail_alone",),
    ),
    Mutant(
        "recoveries",
        "a run that ends its leader is resumed forever",
        (("opsconsole/leader/starts.py", r"^MAX_RECOVERIES = 3$", "MAX_RECOVERIES = 1_000_000"),),
        ("tests/faults/test_processes.py::test_a_run_that_is_cut_off_without_getting_on_is_given_up",),
    ),
)


def hunt(names: Sequence[str] = ()) -> Iterator[tuple[bool, str]]:
    """Tries the mutants of these names, all by default: whether each was noticed, and the line about it. The first
    is the control: without a mutant every test must pass.
    """
    selected = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    tests = tuple(dict.fromkeys(test for mutant in selected for test in mutant.tests))
    control = Mutant("none", "the source as it is", (), tests)
    failed, seconds = _tried(control)
    yield failed is None, f"mutant {'none':<28} {failed or 'all tests pass':<70} {seconds:6.1f} s"
    for mutant in selected:
        try:
            failed, seconds = _tried(mutant)
        except DoesNotFit as error:
            yield False, f"mutant {mutant.name:<28} {error}"
            continue
        output = f"noticed by {failed}" if failed else f"NOT NOTICED: {mutant.description}"
        yield failed is not None, f"mutant {mutant.name:<28} {output:<70} {seconds:6.1f} s"


def _tried(mutant: Mutant) -> tuple[str | None, float]:
    """What noticed the mutant, mostly the first test that fails; None when all pass. And how long that took."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="opsconsole-mutant-", ignore_cleanup_errors=True) as name:
        tree = Path(name)
        for part in COPIED:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, tree / part)
        mutant.apply(tree)
        return _noticed_by(tree, mutant.tests), time.monotonic() - began


def _noticed_by(tree: Path, tests: Sequence[str]) -> str | None:
    environ = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    _require_the_copy(tree, environ)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=no", f"--timeout={TEST_SECONDS}"]
    command += ["-p", "no:cacheprovider", "-p", "no:randomly", "--no-header", *tests]
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return "a test that did not end"
    if process.returncode == 0:
        return None
    if process.returncode < 0:
        return f"the end of all tests, by signal {-process.returncode}"
    found = re.search(r"^(?:FAILED|ERROR) \S*?([^/\s]+::\S+)", output, re.MULTILINE)
    if found is None or process.returncode != 1:
        raise RuntimeError(f"the tests could not be run: {output[-2000:]}")
    return found[1]


def _require_the_copy(tree: Path, environ: dict[str, str]) -> None:
    """The tests must import the copy, not an installed package."""
    command = [sys.executable, "-c", "import opsconsole; print(opsconsole.__file__)"]
    output = subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, check=True).stdout
    if not Path(output.strip()).is_relative_to(tree):
        raise RuntimeError(f"{output.strip()} would be tested, and not the copy in {tree}")

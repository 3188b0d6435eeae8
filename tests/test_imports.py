"""Who imports whom: rooms stand one above the other, and no arrow goes up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TABLE = """
floor    rooms, each of which imports only rooms that stand before it
-------  ----------------------------------------------------------------------------
0        errors clock text times windows faces model
1        cron seasons trigger settings failpoints database outbox cache catalog backfill store context work staleness
2        planner queueing scheduler leader breaker executors backfilling pages tally liverun runner relay orders chores
2        engine health lint why
3        service embedded
4        http cli screens
packs    jobs
"""
FLOORS = [line.split()[1:] for line in TABLE.strip().splitlines()[2:]]
ROOMS = [room for floor in FLOORS for room in floor]

QUERIES = {
    "store": "what the console remembers",
    "outbox": "the events that jobs emit",
    "context": "the condition that a column is one of the keys, and how many there are",
    "embedded": "looks at sample data before it adds to it",
    "jobs": "packs read their own tables",
}
"""Who may build a SELECT, and of what."""


READS = {"jobs.practice": ("jobs.attempts.tables",)}
"""Whose tables a pack reads besides its own."""


@dataclass(frozen=True)
class Import:
    """An import that happens when the program runs: who imports what, and whether only when a function is called."""

    file: Path
    line: int
    module: str
    name: str
    late: bool

    @property
    def room(self) -> str:
        return room_of(".".join(self.file.with_suffix("").parts))

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.room}) imports {self.module}.{self.name}"


def room_of(module: str) -> str:
    """The room of a module: `opsconsole.store.runs` is in `store`, `jobs.attempts` in `jobs`."""
    top, _, rest = module.partition(".")
    return rest.partition(".")[0] if top == "opsconsole" else top


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def imports(*folders: str) -> list[Import]:
    return [found for path, tree in sources(*folders) for found in imports_of(path, tree, late=False)]


def imports_of(path: Path, node: ast.AST, *, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(path, child.lineno, alias.name, "", late)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{path}:{child.lineno} imports relatively"
            for alias in child.names:
                yield Import(path, child.lineno, child.module or "", alias.name, late)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports_of(path, child, late=late or inside)


ALL = imports("opsconsole", "screens", "jobs")
OURS = ("opsconsole", "screens", "jobs")


def package_of(found: Import) -> str:
    return found.module.partition(".")[0]


def test_a_room_imports_only_rooms_that_stand_before_it() -> None:
    wrong = []
    for found in ALL:
        if package_of(found) not in OURS or found.room in ("", "__init__", "__main__"):
            continue
        target = room_of(f"{found.module}.{found.name}" if found.module == "opsconsole" else found.module)
        if target == "__version__" or found.room == "jobs":
            continue
        assert found.room in ROOMS, f"{found.file} is in no room of the table:\n{TABLE}"
        assert target in ROOMS, f"{found}, which is in no room of the table:\n{TABLE}"
        if ROOMS.index(target) > ROOMS.index(found.room) and not (found.late and target == "screens"):
            wrong.append(str(found))
    assert not wrong, "\n".join([*wrong, TABLE])


def test_every_room_of_the_table_is_there() -> None:
    there = {room_of(".".join(path.with_suffix("").parts)) for path, _ in sources(*OURS)}

    assert there - {"__init__", "__main__"} == set(ROOMS), TABLE


def test_the_engine_does_not_know_its_packs() -> None:
    assert [str(found) for found in ALL if found.room != "jobs" and package_of(found) == "jobs"] == []


def test_only_the_command_line_opens_the_screens_and_only_when_asked() -> None:
    openers = [found for found in ALL if found.room != "screens" and package_of(found) == "screens"]

    assert openers != []
    assert {(found.room, found.late) for found in openers} == {("cli", True)}, [str(found) for found in openers]


def test_packs_know_the_vocabulary_the_common_tables_and_themselves() -> None:
    for found in (found for found in ALL if found.room == "jobs" and package_of(found) in OURS):
        own = ".".join(found.file.parent.parts)
        shared = (ROOT / "jobs" / f"{found.module.removeprefix('jobs.')}.py").is_file()
        is_own = own != "jobs" and (found.module == own or found.module.startswith(f"{own}."))
        reads = found.module in READS.get(own, ())
        assert found.module == "opsconsole" or shared or is_own or reads, str(found)


def test_the_vocabulary_is_complete_and_no_more() -> None:
    import opsconsole

    assert {name for name in opsconsole.__all__ if getattr(opsconsole, name, None) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'Jobs'"):
        getattr(opsconsole, "Jobs")  # noqa: B009 - the attribute is not there on purpose


def test_textual_is_only_in_the_screens_and_they_do_without_databases() -> None:
    assert {found.room for found in ALL if package_of(found) == "textual"} == {"screens"}
    below = ("sqlalchemy", "redis", "psycopg", "alembic", "apscheduler", "croniter")
    assert [str(found) for found in ALL if found.room == "screens" and package_of(found) in below] == []


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("croniter", {"cron"}),
        ("apscheduler", {"trigger", "scheduler"}),
        ("click", {"cli"}),
        ("alembic", {"store"}),
        ("starlette", {"http"}),
        ("uvicorn", {"http"}),
    ],
)
def test_a_library_has_one_place(library: str, rooms: set[str]) -> None:
    assert {found.room for found in ALL if package_of(found) == library} == rooms


def test_selects_are_built_where_tables_are_known() -> None:
    builders = {found.room for found in ALL if found.module == "sqlalchemy" and found.name == "select"}

    assert builders == set(QUERIES)


def attributes(*names: str) -> set[str]:
    """The files in which one of these dotted names is used."""
    found = set()
    for path, tree in sources(*OURS):
        dotted = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        imported = {f"{each.module}.{each.name}" for each in ALL if each.file == path}
        if not (dotted | imported).isdisjoint(names):
            found.add(str(path))
    return found


def test_the_environment_is_read_in_one_place() -> None:
    assert attributes("os.environ", "os.getenv", "os.environb") == {"opsconsole/core/settings.py"}


def test_the_wall_clock_is_read_in_one_place() -> None:
    assert attributes("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time") == {
        "opsconsole/core/clock.py"
    }


HEAVY = (
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "redis",
    "textual",
    "alembic",
    "apscheduler",
    "psycopg",
    "rich.progress",
    "jobs",
    "screens",
)

ASK = """
import sys
from opsconsole.cli import cli, main
sys.stdout = open("/dev/null", "w")
for command in {commands}:
    sys.argv = ["opsconsole", *command]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, (command, ended.code)
print([name for name in {heavy} if name in sys.modules], file=sys.__stdout__)
"""


def loaded(script: str, folder: Path) -> str:
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    return ran.stdout.strip()


def test_help_and_the_next_instants_cost_no_library(tmp_path: Path) -> None:
    commands = '[["--help"], ["next", "0 0 * * *"], *([name, "--help"] for name in cli.commands)]'

    assert loaded(ASK.format(commands=commands, heavy=HEAVY), tmp_path) == "[]"


def test_a_process_without_a_screen_never_loads_one(tmp_path: Path) -> None:
    script = """
import sys
import opsconsole.service.service, opsconsole.leader.engine, opsconsole.cli.commands.headless, opsconsole.worker.process
print([name for name in ("textual", "rich", "screens") if name in sys.modules])
"""
    assert loaded(script, tmp_path) == "[]"

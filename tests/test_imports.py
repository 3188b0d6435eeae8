"""Which layer imports which: layers stand one above the other, no import points up, and there are no circles."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("opsconsole", "screens", "jobs")

LAYERS = """
layer      holds                                                        imports only itself and the layers above it
---------  --------------------------------------------------------------------------------------------------------
core       errors, clock, text, formatting for people, settings, databases, circuit breaker
calendar   cron expressions, clock changes, windows
cache      Redis: connection, families, reads and writes, clearing, statistics
authoring  what job authors write and receive, and the values that travel
rules      decisions as pure functions over values
worker     everything that calls job code: batches, plannings, counts; the executors
store      tables and queries of opsconsole's own database
leader     lease, schedule, runs, background tasks
service    the queries and commands behind every interface
embedded   the embedded Redis, sample data, the demo
http       the HTTP interface
cli        the command line
screens    the console
jobs       the packs: public names, their own modules, and shared tables only
"""
ORDER = [line.split()[0] for line in LAYERS.strip().splitlines()[2:]]

SCREEN_LAYERS = ["widgets", "panels", "dialogs", "pages"]
"""The layers inside `screens`: each imports only those before it. All may import the modules next to the folders."""

BUILDS_SELECT = {
    "authoring": "the condition that a column is one of the keys, their number, and the table of events",
    "store": "what opsconsole remembers, and the events that jobs emit",
    "embedded": "looks at sample data before it adds to it",
    "jobs": "packs read their own tables",
}
"""Which layers may build a SELECT, and of what."""

READS = {"jobs.practice": ("jobs.attempts.tables",)}
"""Whose tables a pack reads besides its own."""

HOMES = ("opsconsole", "opsconsole.cache", "opsconsole.sql", "opsconsole.extensions")
"""Where packs find the public names."""


@dataclass(frozen=True)
class Import:
    """One imported name: in which file and line, from which module, and when the import runs."""

    file: Path
    line: int
    module: str
    name: str
    in_function: bool
    typing_only: bool

    @property
    def importer(self) -> str:
        return module_of(self.file)

    @property
    def target(self) -> str:
        """The imported module of this project: the name itself if it is a module."""
        full = f"{self.module}.{self.name}"
        return full if full in modules() else self.module

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({layer_of(self.importer)}) imports {self.module}.{self.name}"


def module_of(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> str:
    """`opsconsole.store.runs` is in `store`, `jobs.attempts` in `jobs`; the package's own homes are in no layer."""
    top, _, rest = module.partition(".")
    if top != "opsconsole":
        return top
    return (
        rest.partition(".")[0] if module not in (*HOMES, "opsconsole.__main__") or module == "opsconsole.cache" else ""
    )


@cache
def modules() -> dict[str, ast.Module]:
    files = [path for top in OURS for path in sorted((ROOT / top).rglob("*.py"))]
    return {module_of(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in files}


@cache
def imports() -> list[Import]:
    found: list[Import] = []
    for module, tree in modules().items():
        path = Path(*module.split("."))
        file = path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")
        found += imports_of(file, tree, in_function=False, typing_only=False)
    return found


def imports_of(file: Path, node: ast.AST, *, in_function: bool, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        when = {"in_function": in_function, "typing_only": typing_only}
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            yield from imports_of(file, child, in_function=in_function, typing_only=True)
        elif isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(file, child.lineno, alias.name, "", **when)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{file}:{child.lineno} imports relatively"
            for alias in child.names:
                yield Import(file, child.lineno, child.module or "", alias.name, **when)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports_of(file, child, in_function=in_function or inside, typing_only=typing_only)


def package_of(found: Import) -> str:
    return found.module.partition(".")[0]


def ours() -> list[Import]:
    return [found for found in imports() if package_of(found) in OURS]


def at_runtime() -> list[Import]:
    return [found for found in imports() if not found.typing_only]


def test_a_layer_imports_only_layers_above_it() -> None:
    wrong = []
    for found in ours():
        layer, target = layer_of(found.importer), layer_of(found.target)
        if not layer or not target or layer == "jobs" or (target == "screens" and layer == "cli" and found.in_function):
            continue
        assert layer in ORDER, f"{found.file} is in no layer:\n{LAYERS}"
        assert target in ORDER, f"{found} is in no layer:\n{LAYERS}"
        if ORDER.index(target) > ORDER.index(layer):
            wrong.append(str(found))
    assert not wrong, "\n".join([*wrong, LAYERS])


def test_every_layer_exists() -> None:
    assert {layer_of(module) for module in modules()} - {"", "opsconsole"} == set(ORDER), LAYERS


def test_every_module_can_be_imported() -> None:
    """Some are imported late, and some names for types only."""
    for module in modules():
        if "migrations" not in module and not module.endswith("__main__"):
            import_module(module)


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports in functions and imports for type checkers count: they hide a circle, they do not remove it."""
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for found in ours():
        if found.target != found.importer and found.target in graph:
            graph[found.importer].add(found.target)
    # The public modules only re-export names, which only packs import, and `screens` loads its app on demand.
    for home in (*HOMES, "screens"):
        graph[home] = set()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"{' -> '.join(error.args[1][::-1])}\n{LAYERS}")


def test_layers_of_the_screens_import_only_those_before_them() -> None:
    def place(module: str) -> int | None:
        top, _, rest = module.partition(".")
        folder = rest.partition(".")[0]
        return SCREEN_LAYERS.index(folder) if top == "screens" and folder in SCREEN_LAYERS else None

    wrong = []
    for found in ours():
        mine, target = place(found.importer), place(found.target)
        if mine is not None and ((target is not None and target > mine) or found.target == "screens.app"):
            wrong.append(str(found))
    assert not wrong, "\n".join(wrong)


def test_the_engine_does_not_know_its_packs() -> None:
    assert [
        str(found) for found in ours() if found.importer.startswith("opsconsole") and package_of(found) == "jobs"
    ] == []


def test_only_the_command_line_opens_the_screens_and_only_on_demand() -> None:
    openers = [found for found in ours() if layer_of(found.importer) != "screens" and package_of(found) == "screens"]

    assert openers != []
    assert {(layer_of(found.importer), found.in_function) for found in openers} == {("cli", True)}, openers


def test_packs_import_public_names_shared_tables_and_themselves() -> None:
    for found in (found for found in ours() if layer_of(found.importer) == "jobs"):
        own = ".".join(found.file.parent.parts)
        shared = (ROOT / "jobs" / f"{found.module.removeprefix('jobs.')}.py").is_file()
        is_own = own != "jobs" and (found.module == own or found.module.startswith(f"{own}."))
        reads = found.module in READS.get(own, ())
        assert found.module in HOMES or shared or is_own or reads, str(found)


@pytest.mark.parametrize("home", HOMES)
def test_a_home_hands_on_what_it_lists_and_no_more(home: str) -> None:
    module = __import__(home, fromlist=["__all__"])

    assert {name for name in module.__all__ if getattr(module, name, None) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'Jobs'"):
        getattr(module, "Jobs")  # noqa: B009 - the attribute does not exist on purpose


def test_a_job_author_learns_at_most_twenty_names() -> None:
    import opsconsole

    assert len(opsconsole.__all__) <= 20


def test_names_imported_from_the_package_are_public() -> None:
    import opsconsole

    imported = {found.name for found in imports() if found.module == "opsconsole" and found.target == "opsconsole"}
    assert imported - {*opsconsole.__all__, "__version__"} == set()


def test_textual_is_only_in_the_screens_and_they_know_no_database() -> None:
    assert {layer_of(found.importer) for found in imports() if package_of(found) == "textual"} == {"screens"}
    below = ("sqlalchemy", "redis", "psycopg", "alembic", "apscheduler", "croniter")
    mine = [found for found in imports() if layer_of(found.importer) == "screens"]
    assert [str(found) for found in mine if package_of(found) in below] == []


@pytest.mark.parametrize(
    ("library", "layers"),
    [
        ("croniter", {"calendar"}),
        ("apscheduler", {"leader"}),
        ("click", {"cli"}),
        ("alembic", {"store"}),
        ("starlette", {"http"}),
        ("uvicorn", {"http"}),
    ],
)
def test_a_library_has_one_place(library: str, layers: set[str]) -> None:
    assert {layer_of(found.importer) for found in imports() if package_of(found) == library} == layers


def test_selects_are_built_where_tables_are_known() -> None:
    builders = {
        layer_of(found.importer) for found in imports() if found.module == "sqlalchemy" and found.name == "select"
    }

    assert builders == set(BUILDS_SELECT)


def uses(*names: str) -> set[str]:
    """The files that use one of these dotted names."""
    return {module for module, dotted in dotted_names().items() if not dotted.isdisjoint(names)}


@cache
def dotted_names() -> dict[str, set[str]]:
    found = {
        module: {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for module, tree in modules().items()
    }
    for each in imports():
        found[each.importer].add(f"{each.module}.{each.name}")
    return found


def test_the_environment_is_read_in_one_place() -> None:
    assert uses("os.environ", "os.getenv", "os.environb") == {"opsconsole.core.settings"}


def test_the_wall_clock_is_read_in_one_place() -> None:
    assert uses("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time") == {
        "opsconsole.core.clock"
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
    "apprise",
    "requests",
    "sentry_sdk",
    "jobs",
    "screens",
)

NOT_TO_READ = ("apscheduler", "alembic", "redis", "textual", "sqlalchemy.dialects.postgresql")
"""What no command loads that only reads an SQLite file."""

RUN_COMMANDS = """
import sys
import click
from opsconsole.cli import cli, main

def paths(command, path=()):
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from paths(command.get_command(context, name), (*path, name))

sys.stdout = open("/dev/null", "w")
helps = [[*path, "--help"] for path in paths(cli)]
assert ["backfill", "plan", "--help"] in helps, helps
for arguments in {commands}:
    sys.argv = ["opsconsole", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, (arguments, ended.code)
print([name for name in {heavy} if name in sys.modules], file=sys.__stdout__)
"""


def loaded(script: str, folder: Path) -> str:
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    return ran.stdout.strip()


def test_only_the_executor_for_several_machines_imports_celery() -> None:
    package = "opsconsole.worker.celery"
    wrong = [
        each
        for each in imports()
        if (each.module.partition(".")[0] in ("celery", "kombu") and not each.importer.startswith(package))
        or (each.target.startswith(package) and not each.importer.startswith(package) and not each.in_function)
    ]

    assert not wrong, "\n".join(map(str, wrong))


def test_the_help_of_every_command_loads_no_heavy_library(tmp_path: Path) -> None:
    heavy = (
        *HEAVY,
        "croniter",
        "cron_descriptor",
        "opsconsole.service.service",
        "opsconsole.leader",
        "opsconsole.store",
    )

    assert loaded(RUN_COMMANDS.format(commands="helps", heavy=heavy), tmp_path) == "[]"


def test_the_next_scheduled_times_load_no_heavy_library(tmp_path: Path) -> None:
    commands = '[["next", "0 0 * * *"]]'

    assert loaded(RUN_COMMANDS.format(commands=commands, heavy=HEAVY), tmp_path) == "[]"


def test_commands_that_only_read_start_nothing_and_load_no_engine(tmp_path: Path) -> None:
    heavy = (*NOT_TO_READ, "opsconsole.leader.engine", "opsconsole.leader.runner")
    places = {"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    setting = f"import os, sys\nos.environ.update({places})\n"
    creating = "from opsconsole.cli import main\nsys.argv = ['opsconsole', 'migrate']\nmain()"
    subprocess.run([sys.executable, "-c", setting + creating], check=False, capture_output=True, cwd=tmp_path)
    commands = [["jobs"], ["runs"], ["alerts"], ["audit"], ["occurrences"], ["backfill", "list"]]

    assert loaded(setting + RUN_COMMANDS.format(commands=commands, heavy=heavy), tmp_path) == "[]"
    assert not list(tmp_path.rglob("redis.*"))

    commands = [["next", "attempts.cache_day"]]
    parts = (*NOT_TO_READ, "opsconsole.service.service", "opsconsole.worker", "opsconsole.store.runs")
    assert loaded(setting + RUN_COMMANDS.format(commands=commands, heavy=parts), tmp_path) == "[]"


def test_a_process_without_a_screen_never_loads_one(tmp_path: Path) -> None:
    script = """
import sys
import opsconsole.service.service, opsconsole.leader.engine, opsconsole.cli.commands.headless, opsconsole.worker.process
print([name for name in ("textual", "rich", "screens", "apprise", "sentry_sdk") if name in sys.modules])
"""
    assert loaded(script, tmp_path) == "[]"

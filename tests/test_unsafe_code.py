"""No module unpickles or evaluates data, builds SQL from values, or clears a whole Redis."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("opsconsole", "jobs", "screens")
UNPICKLING = {"pickle", "marshal", "shelve", "yaml", "dill", "cloudpickle", "jsonpickle"}
EVALUATING = {"eval", "exec", "compile", "__import__"}
SQL = {"text", "literal_column", "DDL", "execute", "exec_driver_sql"}
CLEARING = {"flushall", "flushdb"}
QUOTED = {"opsconsole/store/data_tables.py": "a name of a table, quoted by the dialect"}
"""Files that put names into SQL, and why that is safe."""


@cache
def modules() -> dict[str, ast.Module]:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Each call with its file and the name of what is called."""
    for path, module in modules().items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call):
                yield path, node, ast.unparse(node.func)


def test_nothing_is_unpickled_or_evaluated() -> None:
    imported = [
        f"{path}:{node.lineno} imports {name}"
        for path, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
        if name.partition(".")[0] in UNPICKLING
    ]
    evaluated = [f"{path}:{node.lineno} calls {name}" for path, node, name in calls() if name in EVALUATING]

    assert imported + evaluated == []


def test_sql_is_built_of_constants_and_parameters() -> None:
    built = [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for path, node, name in calls()
        if name.rpartition(".")[2] in SQL and node.args and not path.startswith("screens/") and path not in QUOTED
        if not _is_constant(node.args[0])
    ]

    assert built == []


def _is_constant(sql: ast.expr) -> bool:
    """Whether a text holds nothing but constants, PRAGMAs aside: they take no parameters, and numbers only."""
    if isinstance(sql, ast.BinOp):
        return not any(isinstance(node, ast.Constant) and isinstance(node.value, str) for node in ast.walk(sql))
    if not isinstance(sql, ast.JoinedStr):
        return True
    start = sql.values[0]
    if isinstance(start, ast.Constant) and str(start.value).startswith(("PRAGMA ", "CREATE TRIGGER ")):
        return True
    names = [ast.unparse(part.value) for part in sql.values if isinstance(part, ast.FormattedValue)]
    return all(name.removesuffix(".value").rpartition(".")[2].isupper() for name in names)


def test_no_redis_is_cleared_as_a_whole() -> None:
    found = [
        f"{path}:{node.lineno} {name}"
        for path, node, name in calls()
        if name.rpartition(".")[2] in CLEARING or name.endswith(("client.keys", "redis.keys"))
    ]

    assert found == []

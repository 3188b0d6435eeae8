"""Reads a section of the configuration."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from opsconsole.core.bounds import json_problem, shown

_EXPECTED = {
    "int | dict": "a whole number, or a section with one for each family",
    "int | bool": "a whole number, or false",
    "float | bool": "a number, or false",
    "tuple": "a list",
    "dict": "a section",
    "bool": "true or false",
    "datetime.datetime": "a time such as 2026-01-19T23:50:00Z",
    "datetime.date": "a date such as 2026-01-19",
    "int": "a whole number",
    "float": "a number",
    "Decimal": "a number",
}
"""What a setting must be, by a part of its type's name; the first one counts."""


def section(name: str, kind: type[msgspec.Struct], given: Any, problems: list[str]) -> Any:
    """A section of the configuration as `kind`; invalid settings are left out and added to `problems`."""
    if not isinstance(given, dict):
        problems.append(f"[{name}] must be a section with keys")
        return kind()
    types = get_type_hints(kind)
    valid: dict[str, Any] = {}
    for key, value in given.items():
        if key not in types:
            problems.append(f"{name}.{key} is not a setting; [{name}] has {', '.join(types)}")
            continue
        try:
            converted = msgspec.convert(value, types[key], strict=False)
        except msgspec.ValidationError:
            given_as = f"a {type(value).__name__}" if key.endswith("url") else shown(value)
            problems.append(f"{name}.{key} must be {expected(types[key])}, not {given_as}")
            continue
        problem = json_problem(value) or json_problem(converted)
        if problem is None:
            valid[key] = converted
        else:
            problems.append(f"{name}.{key} {problem}")
    return kind(**valid)


def expected(kind: Any) -> str:
    """The expected value of a setting in words: `a whole number`."""
    choices = next((each for each in (kind, *get_args(kind)) if get_origin(each) is Literal), None)
    if choices is not None:
        *first, last = get_args(choices)
        return f"{', '.join(first)} or {last}"
    return next((words for part, words in _EXPECTED.items() if part in str(kind)), "a string")

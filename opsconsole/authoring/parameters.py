"""Parameters of a job: what an operator may pass to a run. A job declares them as a msgspec Struct with defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from opsconsole.authoring.job import Job
from opsconsole.core.bounds import MAX_LINE, json_problem, name_problem, shown, text_problem
from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.core.sections import expected

MAX_FIELDS = 20
"""The parameters of a job: a dialog has a field for each."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as operators see it: what it must be, such as "a whole number from 1 to 100", its default as JSON,
    and its `choices` if it has a closed list of values.
    """

    name: str
    expected: str
    default: Any
    help: str = ""
    choices: tuple[str, ...] = ()


class BadParameter(OpsconsoleError):
    """A parameter that the job does not have, or a value that it cannot have. `name` is the parameter."""

    exit_code = Exit.USAGE

    def __init__(self, name: str, sentence: str) -> None:
        self.name = name
        super().__init__(sentence)


def definition_problem(kind: object) -> str | None:
    """What is wrong with the parameters that a job declares, or None."""
    if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
        return f"must be a msgspec Struct, not {shown(kind)}"
    try:
        fields = msgspec.structs.fields(kind)
    except (NameError, TypeError) as error:
        return f"has types that cannot be read: {error}"
    if len(fields) > MAX_FIELDS:
        return f"must have at most {MAX_FIELDS} fields, not {len(fields)}"
    for field in fields:
        if problem := name_problem(field.name):
            return f"{field.name} {problem}"
        if field.required:
            return f"must have a default for {field.name}: scheduled runs use it"
    try:
        defaults = msgspec.to_builtins(kind())
        msgspec.convert(defaults, kind, strict=False)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        return f"has a default that is not of its type: {error}"
    problem = json_problem(defaults)
    return f"has defaults that JSON cannot carry: {problem}" if problem else None


def declared(job: Job) -> tuple[Parameter, ...]:
    """The parameters of a job, in their order."""
    if job.params is None:
        return ()
    defaults = msgspec.to_builtins(job.params())
    return tuple(
        Parameter(
            field.name, _expected(field.type), defaults[field.encode_name], _help(field.type), _choices(field.type)
        )
        for field in msgspec.structs.fields(job.params)
    )


def checked(job: Job, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters as JSON, converted to their types: `{"limit": 10}` for `{"limit": "10"}`. Raises
    BadParameter.
    """
    if not given:
        return {}
    fields = {field.name: field for field in msgspec.structs.fields(job.params)} if job.params is not None else {}
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in fields:
            raise BadParameter(name, _unknown(job, name, list(fields)))
        try:
            found[name] = msgspec.to_builtins(msgspec.convert(value, fields[name].type, strict=False))
        except (TypeError, ValueError, msgspec.MsgspecError):
            must = f"the parameter {name} of {job.name} must be {_expected(fields[name].type)}"
            raise BadParameter(name, f"{must}, not {shown(value)}") from None
        plain = found[name]
        if problem := text_problem(plain, MAX_LINE) if isinstance(plain, str) else json_problem(plain):
            raise BadParameter(name, f"the parameter {name} of {job.name} {problem}")
    return found


def effective(job: Job, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all parameters of a job, with the defaults of those that are not given. Raises BadParameter."""
    if job.params is None and not given:
        return {}
    values = checked(job, given)
    assert job.params is not None  # noqa: S101 - otherwise a given one is unknown
    return msgspec.structs.asdict(msgspec.convert(values, job.params, strict=False))


def _unknown(job: Job, name: str, names: list[str]) -> str:
    if not names:
        return f"{job.name} has no parameters, so {shown(name)} cannot be set"
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(names)}"
    return f"{job.name} has no parameter {shown(name)}; {hint}"


def _plain(kind: Any) -> tuple[Any, list[msgspec.Meta]]:
    """A type without its annotations, and those."""
    if get_origin(kind) is not Annotated:
        return kind, []
    plain, *annotations = get_args(kind)
    return plain, [each for each in annotations if isinstance(each, msgspec.Meta)]


def _help(kind: Any) -> str:
    return next((meta.description for meta in _plain(kind)[1] if meta.description), "")


def _choices(kind: Any) -> tuple[str, ...]:
    plain, _ = _plain(kind)
    if get_origin(plain) is Literal:
        return tuple(map(str, get_args(plain)))
    if isinstance(plain, type) and issubclass(plain, Enum):
        return tuple(str(each.value) for each in plain)
    return ("true", "false") if plain is bool else ()


def _expected(kind: Any) -> str:
    """The expected values in words: their type and their bounds."""
    plain, metas = _plain(kind)
    choices = _choices(kind)
    words = f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else expected(plain)
    for meta in metas:
        low, high = (meta.ge, meta.gt), (meta.le, meta.lt)
        bounds = (
            [f"{low[0]:g} or more"] if low[0] is not None else [f"more than {low[1]:g}"] if low[1] is not None else []
        )
        bounds += [f"{high[0]:g} or less"] if high[0] is not None else []
        bounds += [f"less than {high[1]:g}"] if high[1] is not None else []
        bounds += [f"at least {meta.min_length} characters"] if meta.min_length else []
        bounds += [f"at most {meta.max_length} characters"] if meta.max_length else []
        bounds += [f"of the form {meta.pattern}"] if meta.pattern else []
        words += f" ({', '.join(bounds)})" if bounds else ""
    return words

"""Turns the parameters of a request into the struct that its operation declares, and names the field that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import msgspec
from msgspec import NODEFAULT, Struct

from opsconsole.authoring.extensions import Request
from opsconsole.core.bounds import MAX_INTEGER, is_storable
from opsconsole.core.text import safe
from opsconsole.core.times import BadTime, parse_duration, parse_future_time, parse_past_time
from opsconsole.http.responses import HttpError

R = TypeVar("R", bound=Struct)


def read_fields(kind: type[R], request: Request, *, in_body: bool) -> R:
    """The parameters in the path, and those in the body or in the query. Without a body, the query is read in its
    place. Unknown ones are ignored unless the struct forbids them. Raises HttpError.
    """
    given: dict[str, Any] = dict(request.query)
    is_text = True
    if in_body and request.body is not None:
        if request.query:
            raise HttpError(400, "bad_query", "give the fields in the query or in the body, not in both")
        if not isinstance(request.body, dict):
            needed = [name for name in field_types(kind) if name not in request.path and is_required(kind, name)]
            what = f" with {' and '.join(needed)}" if needed else ""
            raise HttpError(400, "bad_body", f"the body must be a JSON object{what}", next(iter(needed), None))
        given, is_text = request.body, False
    types = field_types(kind)
    unknown = [name for name in given if name not in types or name in request.path]
    if not forbids_unknown(kind):
        given = {name: value for name, value in given.items() if name not in unknown}
    elif unknown:
        names = ", ".join(each for each in types if each not in request.path)
        what = f"the fields are {names}" if names else "this route has no fields"
        raise HttpError(400, "unknown_field", what, safe(unknown[0], 100))
    valid = {name: _converted(name, types[name], given[name], is_text=is_text) for name in given}
    valid |= {name: _converted(name, types[name], value, is_text=True) for name, value in request.path.items()}
    for name in types:
        if name not in valid and is_required(kind, name):
            raise HttpError(400, "missing", f"{name} is required", name)
    return kind(
        **{field.name: valid[field.encode_name] for field in msgspec.structs.fields(kind) if field.encode_name in valid}
    )


def field_types(kind: type[Struct]) -> dict[str, Any]:
    """The types of a request's fields, by their names in JSON."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(kind)}


def forbids_unknown(kind: type[Struct]) -> bool:
    """Whether a request with other fields is wrong."""
    return kind.__struct_config__.forbid_unknown_fields


def is_required(kind: type[Struct], name: str) -> bool:
    """Whether a field has no default."""
    (field,) = (each for each in msgspec.structs.fields(kind) if each.encode_name == name)
    return field.default is NODEFAULT and field.default_factory is NODEFAULT


def _converted(name: str, kind: Any, value: Any, *, is_text: bool) -> Any:
    if is_text and is_list(kind):
        value = value.split(",")
    try:
        found = msgspec.convert(value, kind, strict=not is_text)
    except msgspec.ValidationError:
        raise _wrong(name, kind, is_text=is_text) from None
    if found is None and is_text:
        raise _wrong(name, kind, is_text=is_text)  # a parameter is left out, never `null`
    if any(not is_storable(each) for each in _texts(found)):
        raise HttpError(400, "bad_text", f"{name} must be valid Unicode without NUL characters", name)
    return found


def _wrong(name: str, kind: Any, *, is_text: bool) -> HttpError:
    in_words = expected(kind)
    if is_text and is_list(kind):
        in_words = f"{_words(schema_of(_not_null(kind))['items'])}; separate several by commas"
    return HttpError(400, "bad_field", f"{name} must be {in_words}", name)


def is_list(kind: Any) -> bool:
    """Whether a field takes several values."""
    return get_origin(_bare(_not_null(kind))) in (tuple, list)


def _not_null(kind: Any) -> Any:
    """The type of the values of a field that may be null."""
    members = [each for each in get_args(kind) if each is not NoneType] if _is_union(kind) else [kind]
    return members[0] if len(members) == 1 else kind


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _bare(kind: Any) -> Any:
    return kind.__origin__ if hasattr(kind, "__metadata__") else kind


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, tuple) else []


def expected(kind: Any) -> str:
    """The expected value of a field in words: `a whole number from 1 to 1,000`."""
    return _words(schema_of(kind))


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a field, with its parts in place."""
    (found,), components = msgspec.json.schema_components([kind])
    schema: dict[str, Any] = _resolved(found, components)
    return schema


def _resolved(schema: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolved(each, components) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(components[schema["$ref"].rpartition("/")[2]], components)
    return {name: _resolved(value, components) for name, value in schema.items()}


def _words(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(str(each) for each in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_words(each) for each in schema["anyOf"] if each.get("type") != "null")
    match schema.get("type"):
        case "integer" if schema.get("maximum", 0) >= MAX_INTEGER:
            return f"a whole number from {schema['minimum']:,}"
        case "integer" if "maximum" in schema:
            return f"a whole number from {schema['minimum']:,} to {schema['maximum']:,}"
        case "integer":
            return "a whole number"
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "array":
            size = f" of {schema['minItems']} to {schema['maxItems']:,}" if "maxItems" in schema else ""
            return f"a list{size}, each {_words(schema['items'])}"
        case "string" if "maxLength" in schema:
            least = f"{schema['minLength']} to" if "minLength" in schema else "up to"
            return f"a string of {least} {schema['maxLength']:,} characters"
    return "a string"


def past_time(name: str, text: str | None, place: ZoneInfo, now: datetime) -> datetime | None:
    """The time in a field; None for None. Raises HttpError."""
    try:
        return None if text is None else parse_past_time(text, place, now)
    except BadTime as error:
        raise HttpError(400, "bad_time", error.sentence, name) from None


def until(length: str | None, end: str | None, place: ZoneInfo, now: datetime) -> datetime | None:
    """The end of something that lasts for the duration in the field `for`, or until the time in the field `until`; None
    without both. Raises HttpError.
    """
    if length is not None and end is not None:
        raise HttpError(400, "bad_body", "give for or until, not both", "until")
    try:
        if length is not None:
            return now + parse_duration(length)
        found = None if end is None else parse_future_time(end, place, now)
    except BadTime as error:
        raise HttpError(400, "bad_time", error.sentence, "for" if length is not None else "until") from None
    if found is not None and found <= now:
        raise HttpError(400, "bad_time", "until must be in the future", "until")
    return found


def check_order(since: datetime | None, end: datetime | None) -> None:
    """Raises HttpError when the field `since` is not before the field `until`."""
    if since is not None and end is not None and since >= end:
        raise HttpError(400, "bad_time", "since must be earlier than until", "since")

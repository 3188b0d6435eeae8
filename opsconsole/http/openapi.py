"""The OpenAPI 3.1 document, made from the declarations that route and check requests."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from opsconsole.authoring.extensions import ClearCache, Route, StartRun
from opsconsole.authoring.pack import Pack
from opsconsole.core.version import VERSION
from opsconsole.http.fields import field_types, forbids_unknown, is_list, is_required, schema_of
from opsconsole.http.operations import AnyOperation
from opsconsole.http.pack_routes import KeysClearedAnswer
from opsconsole.http.requests import MAX_KEY
from opsconsole.http.runs import RunQueuedAnswer, TriggerRequest

REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")

ERRORS = {
    "400": "A field is missing or wrong, and `field` names it; or the request is not valid",
    "401": "The token is missing or wrong",
    "403": "The token is a viewer's, or the request comes from a page of another site",
    "404": "The run, job or other object of the request does not exist",
    "405": "The path does not support this method",
    "408": "The body did not arrive in time",
    "409": "The current state does not allow the request",
    "413": "The body is too large",
    "429": "Too many wrong tokens from this address",
    "500": "The request failed; see the log of the process",
    "503": "No process leads, a service is unreachable, or too many requests are waiting",
    "504": "The request took too long; it may still be carried out",
}


class ErrorDetails(Struct, frozen=True, kw_only=True):
    """An error: its code, a message for people, and the field of the request that caused it."""

    code: str
    message: str
    field: str | msgspec.UnsetType = msgspec.UNSET


class ErrorAnswer(Struct, frozen=True, kw_only=True):
    """A request that failed."""

    success: bool
    error: ErrorDetails


def document(operations: Iterable[AnyOperation], packs: Iterable[Pack], plain: Mapping[str, Any]) -> dict[str, Any]:
    """The document of these operations and of the routes of these packs. `plain` are path items written by hand."""
    listed, pack_list = list(operations), list(packs)
    of_packs = [kind for pack in pack_list for route in pack.routes for kind in route.answers.values()]
    answers: dict[Any, None] = dict.fromkeys(
        [*(each.answer for each in listed), RunQueuedAnswer, KeysClearedAnswer, ErrorAnswer, *of_packs]
    )
    schemas, components = msgspec.json.schema_components(list(answers), ref_template=REF)
    references = dict(zip(answers, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {path: dict(item) for path, item in plain.items()}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references)
    for pack in pack_list:
        for route in pack.routes:
            path = _PARAMETER.sub(r"{\1}", route.path)
            paths.setdefault(path, {})[route.method.lower()] = _pack_operation(pack, route, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": "opsconsole", "version": VERSION},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {
                "Error": {
                    "description": "A request that failed",
                    "content": {"application/json": {"schema": references[ErrorAnswer]}},
                }
            },
            "parameters": {"IdempotencyKey": _KEY},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def errors() -> dict[str, Any]:
    """The responses to requests that fail."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    return {status: {"description": text, "content": error} for status, text in ERRORS.items()}


def _operation(operation: AnyOperation, references: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}_{_identifier(operation.path)}",
        "summary": operation.summary,
        "description": inspect.getdoc(operation.handler) or operation.summary,
        "tags": [operation.tag],
        **_given(operation.method, operation.path, operation.request),
    }
    if operation.verb is not None:
        found.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    return found | {"responses": errors() | {str(operation.status): _answered(operation.answer, references)}}


def _pack_operation(pack: Pack, route: Route, references: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{_identifier(route.path)}",
        "tags": [pack.name],
    }
    answers: dict[str, Any] = {str(status): _answered(kind, references) for status, kind in route.answers.items()}
    match route.handler:
        case StartRun(job=job):
            found["summary"] = f"Start a run of {job}"
            found |= _given(route.method, route.path, TriggerRequest, without=("job",))
            answers = {"202": _answered(RunQueuedAnswer, references)}
        case ClearCache(fields=fields):
            found["summary"] = "Clear cached keys"
            properties = {name: {"type": ["string", "null"], "minLength": 1} for name in fields}
            schema = {"type": "object", "properties": properties, "minProperties": 1}
            found["requestBody"] = _json_body(schema, required=True)
            answers = {"200": _answered(KeysClearedAnswer, references)}
        case handler:
            text = inspect.getdoc(handler) or ""
            found["summary"] = text.partition("\n")[0].rstrip(".:")
            found["description"] = text
            if route.fields is not None:
                found |= _given(route.method, route.path, route.fields)
            else:
                names = _PARAMETER.findall(route.path)
                found["parameters"] = [_parameter(name, str, "path", is_required=True) for name in names]
                found |= {"requestBody": _json_body({}, required=False)} if route.method != "GET" else {}
    any_answer = {"2XX": {"description": "See the description", "content": {"application/json": {"schema": {}}}}}
    if isinstance(route.handler, StartRun | ClearCache):
        found.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    found["responses"] = _with_errors(answers or any_answer)
    return found


def _with_errors(answers: Mapping[str, Any]) -> dict[str, Any]:
    """These answers, and the errors of every route; what a pack answers with the status of an error may be both."""
    found = {**errors(), **answers}
    for status in answers.keys() & ERRORS.keys():
        schemas = [each["content"]["application/json"]["schema"] for each in (answers[status], errors()[status])]
        content = {"application/json": {"schema": {"anyOf": schemas}}}
        found[status] = {"description": answers[status]["description"], "content": content}
    return found


def _given(method: str, path: str, kind: type[Struct], *, without: Sequence[str] = ()) -> dict[str, Any]:
    """The parameters and the body of a request with the fields of `kind`."""
    in_path, others = _split(path, kind)
    others = {name: each for name, each in others.items() if name not in without}
    parameters = [_parameter(name, each, "path", is_required=True) for name, each in in_path.items()]
    if method == "GET":
        parameters += [
            _parameter(name, each, "query", is_required=is_required(kind, name)) for name, each in others.items()
        ]
    found: dict[str, Any] = {"parameters": parameters} if parameters else {}
    return found | ({"requestBody": _body(kind, others)} if others and method != "GET" else {})


def _split(path: str, kind: type[Struct]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a request that are in its path, and the others."""
    names, types = _PARAMETER.findall(path), field_types(kind)
    return {name: types[name] for name in names}, {name: each for name, each in types.items() if name not in names}


def _parameter(name: str, kind: Any, place: str, *, is_required: bool) -> dict[str, Any]:
    schema = _without_null(schema_of(kind))
    found: dict[str, Any] = {"name": name, "in": place, "required": is_required, "schema": schema}
    if "description" in schema:
        found["description"] = schema.pop("description")
    return found | ({"style": "form", "explode": False} if is_list(kind) else {})


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out, never null."""
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return {**options[0]} if len(options) == 1 else schema


def _body(kind: type[Struct], types: Mapping[str, Any]) -> dict[str, Any]:
    required = [name for name in types if is_required(kind, name)]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: schema_of(each) for name, each in types.items()},
        "additionalProperties": not forbids_unknown(kind),
    }
    return _json_body(schema | ({"required": required} if required else {}), required=bool(required))


def _json_body(schema: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _answered(answer: Any, references: Mapping[Any, Any]) -> dict[str, Any]:
    text = " ".join((inspect.getdoc(answer) or "").split()) if isinstance(answer, type) else "The answer"
    return {"description": text, "content": {"application/json": {"schema": references[answer]}}}


def _identifier(path: str) -> str:
    return "_".join(re.findall(r"\w+", path))


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A request that is sent again with the same key is carried out once",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[ -~]+$"},
}


def _plain(summary: str, description: str, content: Any, *parameters: Any, **more: Any) -> dict[str, Any]:
    responses = {"200": {"description": description, "content": content}, **errors()}
    found = {"summary": summary, "tags": ["monitoring"], "parameters": list(parameters), "responses": responses}
    return {"get": found | more}


_OBJECT = {"application/json": {"schema": {"type": "object", "properties": {"success": {"const": True}}}}}
_VERBOSE = {"name": "verbose", "in": "query", "required": False, "schema": {"type": "string"}}

PLAIN: Mapping[str, Any] = {
    "/healthz": _plain("Whether the process is alive", "Its threads are getting on", _OBJECT, security=[]),
    "/readyz": _plain("Whether the process is ready", "It leads or follows a leader", _OBJECT, _VERBOSE),
    "/metrics": _plain("Metrics for Prometheus", "The text format", {"text/plain": {"schema": {"type": "string"}}}),
    "/api/events": _plain(
        "Follow what changes",
        "Server-sent events: state, run, alert and leader",
        {"text/event-stream": {"schema": {"type": "string"}}},
        {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}},
    ),
    "/openapi.json": _plain(
        "This document", "An OpenAPI document", {"application/json": {"schema": {"type": "object"}}}
    ),
}
"""The routes for monitoring, which are no operations."""

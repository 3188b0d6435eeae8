"""The routes of packs: checked when they are loaded, and called in threads of their own."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.routing import Route as StarletteRoute

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import SHORT_SECONDS, ExtensionContext, Resources
from opsconsole.authoring.extensions import Answer, ClearCache, Reply, Request, Route, StartRun
from opsconsole.authoring.pack import Pack
from opsconsole.cache.filters import ClearFilter
from opsconsole.core.database import Database
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.settings import Role
from opsconsole.http.fields import field_types, read_fields
from opsconsole.http.operations import Call, Sent
from opsconsole.http.responses import HttpError
from opsconsole.rules.actions import Verb
from opsconsole.service.service import Service

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class KeysClearedAnswer(Answer, frozen=True, kw_only=True):
    """How many cached keys were cleared, by family."""

    cleared: int
    families: dict[str, int]


def resources_for(service: Service, catalog: Catalog) -> Resources:
    """The databases and Redis, for the routes of a catalog's packs."""
    settings = service.settings
    assert settings.redis_url is not None  # noqa: S101 - the session sets a URL before it opens the service
    urls = settings.data_url.reveal(), settings.redis_url.reveal()
    views = settings.actor.role is Role.VIEWER
    return Resources(*urls, families=catalog.families, statement_seconds=SHORT_SECONDS, read_only=views)


def data_for_viewers(service: Service) -> Database:
    """The data database for requests of viewers: it refuses every write."""
    url = service.settings.data_url.reveal()
    return Database(url, primary_only=True, statement_seconds=SHORT_SECONDS, read_only=True)


def context_for(
    service: Service, catalog: Catalog, pack: Pack, resources: Resources, data: Database | None = None
) -> ExtensionContext:
    """The context that the handlers of a pack receive, with the data database of `resources` or another one."""
    return ExtensionContext(
        resources,
        catalog.options(pack),
        catalog.families,
        data=data,
        leader_notes=functools.partial(service.queries.leader_notes, pack.name),
        cache_days=service.cache.days,
    )


def clear_cache(call: Call, fields: Mapping[str, str], request: Request) -> Sent:
    """Requests that the keys selected by the body are cleared. `fields` maps fields of the body to parts of a key.
    Raises HttpError with the field that is missing or wrong.
    """
    return Sent(
        call.commands.clear_cache(_conditions(call.service, request.body, fields)),
        lambda outcome: KeysClearedAnswer(cleared=outcome.facts["cleared"], families=outcome.facts["families"]),
    )


def _conditions(service: Service, body: Any, fields: Mapping[str, str]) -> ClearFilter:
    names = list(fields)
    if not isinstance(body, dict):
        message = f"the body must be a JSON object with {' or '.join(names)}"
        raise HttpError(400, "bad_body", message, names[0])
    given = {name: body[name] for name in names if body.get(name) is not None}
    if not given:
        raise HttpError(400, "missing", f"{' or '.join(names)} is required", names[0])
    for name, value in given.items():
        if not isinstance(value, str) or not value:
            raise HttpError(400, "bad_field", f"{name} must be a non-empty string", name)
        try:
            service.commands.check_clear(ClearFilter(**{fields[name]: value}))
        except OpsconsoleError as error:
            raise HttpError(400, "bad_field", error.sentence, name) from error
    return ClearFilter(**{fields[name]: value for name, value in given.items()})


def arguments(route: Route, request: Request) -> Any:
    """What the handler of a route receives: the request, or its fields. Raises HttpError."""
    return request if route.fields is None else read_fields(route.fields, request, in_body=route.method != "GET")


def verb(route: Route) -> Verb | None:
    """The command that a route requests, if it is one."""
    match route.handler:
        case StartRun():
            return Verb.TRIGGER
        case ClearCache():
            return Verb.CLEAR
        case _:
            return None


def problems(pack: Pack, route: Route, taken: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """What is wrong with a route, also in relation to the methods by path that are taken; sentences."""
    name = f"pack {pack.name}: the route {route.method} {route.path}"
    if route.method not in METHODS:
        yield f"{name} must use one of the methods {', '.join(METHODS)}"
        return
    try:
        StarletteRoute(route.path, _nothing)
    except (AssertionError, ValueError):
        yield f"{name} has an invalid path; write it as /api/orders/{{order}}"
        return
    shape = _shape(route.path)
    if any(route.method in methods and _shape(path) == shape for path, methods in taken.items()):
        yield f"{name} is already in use"
    if route.fields is not None:
        for parameter in re.findall(r"{(\w+)", route.path):
            if parameter not in field_types(route.fields):
                yield f"{name} needs a field {parameter} in {route.fields.__name__}"


async def _nothing(_request: object) -> Reply:
    return Reply(None)


def _shape(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)

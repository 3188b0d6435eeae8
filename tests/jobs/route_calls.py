"""Calls the routes of packs as the server does, without HTTP."""

from __future__ import annotations

import json

from opsconsole.extensions import ExtensionContext, Reply, Request, Route
from opsconsole.http import pack_routes
from opsconsole.http.responses import HttpError, encode


def call(route: Route, ctx: ExtensionContext, request: Request) -> Reply:
    """The reply of a route's handler, its body as clients read it. Raises what the handler raises."""
    assert callable(route.handler)
    try:
        reply = encode(route.handler(ctx, pack_routes.arguments(route, request)))
    except HttpError as error:
        reply = encode(error.reply)
    return Reply(json.loads(reply.body), reply.status)

"""A pack for the tests of HTTP: routes that clash or are invalid."""

from __future__ import annotations

from opsconsole import Pack
from opsconsole.extensions import ExtensionContext, Reply, Request, Route


def _nothing(_ctx: ExtensionContext, _request: Request) -> Reply:
    return Reply({})


pack = Pack(
    "clashing",
    jobs=(),
    routes=(
        Route("GET", "/healthz", _nothing),
        Route("POST", "/api/cron/run/{name}", _nothing),
        Route("FETCH", "/things", _nothing),
        Route("GET", "things", _nothing),
        Route("GET", "/things/{a}/{a}", _nothing),
        Route("GET", "/things/{a}", _nothing),
        Route("GET", "/things/{b}", _nothing),
    ),
)

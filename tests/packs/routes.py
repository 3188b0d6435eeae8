"""A pack for the tests of HTTP: routes that succeed, refuse, fail and are slow."""

from __future__ import annotations

import gc
import time
from asyncio import CancelledError
from typing import Any

from sqlalchemy import func, select, text

from opsconsole import DAY, Job, Pack, Unavailable
from opsconsole.extensions import ExtensionContext, Reply, Request, Route
from tests.packs.counting import NEVER, everything, leave_marks, metadata, things


def _counted(ctx: ExtensionContext, request: Request) -> Reply:
    with ctx.reading() as db:
        found = db.execute(select(func.count()).where(things.c.mood == request.path["mood"])).scalar_one()
    return Reply({"success": True, "mood": request.path["mood"], "things": found, "query": request.query})


def _written(ctx: ExtensionContext, _request: Request) -> Reply:
    """Writes, although its route does not say so."""
    with ctx.writing() as db:
        db.execute(things.delete())
    return Reply({"success": True})


def _echoed(_ctx: ExtensionContext, request: Request) -> Reply:
    return Reply({"success": True, "body": request.body})


def _garbage(_ctx: ExtensionContext, _request: Request) -> Reply:
    return Reply({"objects": gc.get_threshold()[0]})


def _packed(_ctx: ExtensionContext, _request: Request) -> Reply:
    return Reply(b'{"packed":true}')


def _refused(_ctx: ExtensionContext, _request: Request) -> Reply:
    return Reply.error(409, "taken", "another user has it", "seat")


def _unavailable(_ctx: ExtensionContext, _request: Request) -> Reply:
    raise Unavailable("redis", "the connection was\x1b[2J cut")


def _failed(_ctx: ExtensionContext, request: Request) -> Reply:
    secret_of_the_code = request.path
    raise ValueError(f"hunter2 {secret_of_the_code}")


def _invalid_sql(ctx: ExtensionContext, _request: Request) -> Reply:
    with ctx.reading() as db:
        db.execute(text("SELECT hunter2 FROM nowhere"))
    return Reply({})


def _unserializable(_ctx: ExtensionContext, _request: Request) -> Reply:
    return Reply({"body": object()})


def _slow(_ctx: ExtensionContext, request: Request) -> Reply:
    time.sleep(float(request.path["seconds"]))
    return Reply({"success": True})


def _big(_ctx: ExtensionContext, request: Request) -> Reply:
    return Reply(b'"%s"' % (b"a" * int(request.path["bytes"])))


RAISED = {
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "stop": StopIteration("hunter2"),
    "timeout": TimeoutError("hunter2"),
    "cancelled": CancelledError("hunter2"),
}


def _raised(_ctx: ExtensionContext, request: Request) -> Reply:
    raise RAISED[request.path["what"]]


ODD: dict[str, Any] = {
    "none": None,
    "dict": {"success": True},
    "early": Reply({}, 103),
    "beyond": Reply({}, 999),
    "text": Reply({}, "200"),  # type: ignore[arg-type]
    "surrogate": Reply({"name": "\ud800"}),
}


def _odd(_ctx: ExtensionContext, request: Request) -> Any:
    return ODD[request.path["what"]]


def _empty(_ctx: ExtensionContext, _request: Request) -> Reply:
    return Reply({"success": True}, 204)


daily = Job(
    "requests.daily",
    everything,
    leave_marks("requests.daily"),
    cron=NEVER,
    covers=DAY,
    aliases=("daily-count",),
    batch=1,
)

pack = Pack(
    "requests",
    jobs=(daily,),
    metadata=metadata,
    routes=(
        Route("GET", "/things/{mood}", _counted),
        Route("POST", "/things/{mood}", _refused),
        Route("POST", "/echo", _echoed),
        Route("GET", "/written", _written),
        Route("GET", "/garbage", _garbage),
        Route("GET", "/packed", _packed),
        Route("GET", "/unavailable", _unavailable),
        Route("GET", "/failed", _failed),
        Route("GET", "/invalid_sql", _invalid_sql),
        Route("GET", "/unserializable", _unserializable),
        Route("GET", "/slow/{seconds}", _slow),
        Route("GET", "/big/{bytes}", _big),
        Route("GET", "/raised/{what}", _raised),
        Route("GET", "/odd/{what}", _odd),
        Route("GET", "/empty", _empty),
    ),
)

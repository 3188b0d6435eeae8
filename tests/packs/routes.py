"""A pack for the tests of HTTP: routes that answer, refuse, stumble and take their time."""

from __future__ import annotations

import time

from sqlalchemy import func, select, text

from opsconsole import DAY, Job, Pack, Unavailable
from opsconsole.extensions import ExtensionContext, Reply, Request, Route
from tests.packs.counting import NEVER, everything, leave_marks, metadata, things


def _counted(serving: ExtensionContext, asked: Request) -> Reply:
    with serving.reading() as db:
        found = db.execute(select(func.count()).where(things.c.mood == asked.path["mood"])).scalar_one()
    return Reply({"success": True, "mood": asked.path["mood"], "things": found, "query": asked.query})


def _echoed(_serving: ExtensionContext, asked: Request) -> Reply:
    return Reply({"success": True, "body": asked.body})


def _packed(_serving: ExtensionContext, _asked: Request) -> Reply:
    return Reply(b'{"packed":true}')


def _refused(_serving: ExtensionContext, _asked: Request) -> Reply:
    return Reply.error(409, "taken", "somebody else has it", "seat")


def _away(_serving: ExtensionContext, _asked: Request) -> Reply:
    raise Unavailable("redis", "the connection was\x1b[2J cut")


def _stumbled(_serving: ExtensionContext, asked: Request) -> Reply:
    secret_of_the_code = asked.path
    raise ValueError(f"hunter2 {secret_of_the_code}")


def _mistaken(serving: ExtensionContext, _asked: Request) -> Reply:
    with serving.reading() as db:
        db.execute(text("SELECT hunter2 FROM nowhere"))
    return Reply({})


def _unspeakable(_serving: ExtensionContext, _asked: Request) -> Reply:
    return Reply({"body": object()})


def _dawdled(_serving: ExtensionContext, asked: Request) -> Reply:
    time.sleep(float(asked.path["seconds"]))
    return Reply({"success": True})


daily = Job(
    "asking.daily", everything, leave_marks("asking.daily"), cron=NEVER, covers=DAY, aliases=("daily-count",), batch=1
)

pack = Pack(
    "asking",
    jobs=(daily,),
    metadata=metadata,
    routes=(
        Route("GET", "/things/{mood}", _counted),
        Route("POST", "/things/{mood}", _refused),
        Route("POST", "/echo", _echoed),
        Route("GET", "/packed", _packed),
        Route("GET", "/away", _away),
        Route("GET", "/stumbled", _stumbled),
        Route("GET", "/mistaken", _mistaken),
        Route("GET", "/unspeakable", _unspeakable),
        Route("GET", "/dawdled/{seconds}", _dawdled),
    ),
)

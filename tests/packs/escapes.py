"""A pack for tests whose every text is from data, with characters that control terminals and that nobody sees."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Select, select

from opsconsole import DAY, Context, Items, Job, Pack, Scope
from opsconsole.cache import Family
from opsconsole.extensions import ExtensionContext, Panel, PanelContent, Reply, Request, Route
from tests.packs.counting import NEVER, metadata, things

EVIL = "\x1b[2J\x9b31m\x07\r\x7f\u202egpj\u2066\u200b\u2060\ufeff\U000e0041\u00ad\u3164"
"""Clears the screen, colours, rings, returns, reverses, hides."""
BY_USER = Family("escapes.user", "escapes:{user}", timedelta(hours=1), of=("user",))


def _everything(_scope: Scope) -> Select[tuple[str]]:
    return select(things.c.id)


def _apply(ctx: Context, items: Items) -> None:
    for item in items:
        ctx.log(f"log {EVIL} {item}")
        ctx.count("seen")
        if item.startswith("skipped"):
            ctx.skip(item, f"skip {EVIL}")
        elif item.startswith("failed"):
            ctx.fail(item, f"failure {EVIL} of {item}")
        elif item.startswith("raised"):
            raise ValueError(f"raised {EVIL} by {item}")


def _panel(_context: ExtensionContext) -> PanelContent:
    return PanelContent(((f"fact{EVIL}", EVIL),), (f"column{EVIL}",), ((f"cell{EVIL}",),), message=f"message{EVIL}")


def _raising_panel(_context: ExtensionContext) -> PanelContent:
    raise ValueError(EVIL)


def _echo(_context: ExtensionContext, request: Request) -> Reply:
    return Reply({"success": True, EVIL: EVIL, "path": dict(request.path), "query": dict(request.query)})


def _error(_context: ExtensionContext, _request: Request) -> Reply:
    return Reply.error(409, "taken", f"somebody {EVIL} has it", "seat")


def _raw(_context: ExtensionContext, _request: Request) -> Reply:
    return Reply('"\u202e\x7f\u200b"'.encode())


pack = Pack(
    "escapes",
    jobs=(Job("escapes.print", _everything, _apply, cron=NEVER, covers=DAY),),
    metadata=metadata,
    families=(BY_USER,),
    panels=(Panel(f"Panel{EVIL}", _panel), Panel("Raises", _raising_panel)),
    routes=(
        Route("GET", "/echo/{word}", _echo),
        Route("GET", "/error", _error),
        Route("GET", "/raw", _raw),
    ),
    notes=lambda _options: (f"lacks {EVIL}",),
)

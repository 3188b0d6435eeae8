"""A pack for tests: its job has parameters, which decide about its items."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec

from opsconsole import DAY, Context, Items, Job, Pack, Scope

NEVER = "30 0 29 2 *"


class Settings(msgspec.Struct):
    """The section `[dials]`."""

    unit: str = "bar"


class Dials(msgspec.Struct):
    """What an operator may pass to a run."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=5, description="how many dials are read")] = 2
    mode: Literal["gentle", "strict"] = "gentle"
    since: date | None = None
    quiet: bool = False


def dials(scope: Scope) -> tuple[str, ...]:
    """As many dials as the parameter requests."""
    return tuple(f"dial{n}" for n in range(scope.options["limit"]))


def read(ctx: Context, items: Items) -> None:
    """Fails every dial in the strict mode."""
    for item in items:
        ctx.log(f"{item} {ctx.options['mode']} {ctx.options['since']} {ctx.options['unit']}")
        if ctx.options["mode"] == "strict":
            ctx.fail(item, "out of range")


pack = Pack(
    "dials",
    jobs=(Job("dials.read", dials, read, cron=NEVER, covers=DAY, params=Dials),),
    settings=Settings,
)

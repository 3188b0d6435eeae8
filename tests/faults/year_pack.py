"""A pack for the year of retention: a daily job over many items, of which some fail on one day of the week."""

from __future__ import annotations

from opsconsole import DAY_BEFORE, Context, Items, Job, Pack, Scope

ITEMS = tuple(f"item{n:04}" for n in range(1000))


def items(_scope: Scope) -> tuple[str, ...]:
    """The same every day."""
    return ITEMS


def fail_on_sundays(ctx: Context, keys: Items) -> None:
    """Fails one item in fifty."""
    if ctx.window.start.isoweekday() == 7:
        for key in keys:
            if key.endswith(("00", "50")):
                ctx.fail(key, "closed on Sundays")


report = Job("year.report", items, fail_on_sundays, cron="40 0 * * *", covers=DAY_BEFORE)

pack = Pack("year", jobs=(report,))

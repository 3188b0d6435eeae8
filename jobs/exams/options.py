"""The `[exams]` section of the configuration: model, rate limits, prices and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from opsconsole.extensions import secret

KEY = "ANTHROPIC_API_KEY"
MAX_ACTIVE_DAYS = 3650
NOT_CONFIGURED = f"exams are not configured: set {KEY} in the environment of the process that leads"


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dollars per million tokens. `batch` is the factor for message batches."""

    input: Decimal
    output: Decimal
    cache_write: Decimal
    cache_read: Decimal
    batch: Decimal = Decimal("0.5")


def _price(*dollars: str) -> Price:
    return Price(*map(Decimal, dollars))


# As of November 2026: https://platform.claude.com/docs/en/about-claude/pricing
PRICES = {
    "claude-opus-5-5": _price("4", "20", "5", "0.2"),
    "claude-opus-5": _price("5", "25", "6.25", "0.5"),
    "claude-sonnet-5-5": _price("2", "10", "2.5", "0.1"),
    "claude-sonnet-5": _price("2", "10", "2.5", "0.2"),
    "claude-haiku-5-5": _price("0.1", "0.5", "0.125", "0.01"),
}


class Options(msgspec.Struct, frozen=True):
    """How exams are generated.

    `mode`: `messages` requests one part of an exam at a time, `batch` all parts at once, at half the price and within
    a day. `effort` is the model's reasoning effort; leave it empty for models without that option. A run works on at
    most `requests_per_run` exams. The limits per minute apply to all workers together and count input and output
    tokens. Budgets are in dollars, per UTC day and per run (None: no limit). `prices` adds to the built-in prices or
    overrides them. With `active_within_days`, exams are made ahead only for users who joined or attempted a question in
    that many days; others get one when they ask.
    """

    model: str = "claude-sonnet-5-5"
    mode: Literal["messages", "batch"] = "messages"
    effort: str = "low"
    requests_per_run: int = 20
    requests_per_minute: int = 50
    tokens_per_minute: int = 400_000
    daily_budget: Decimal = Decimal(50)
    run_budget: Decimal | None = None
    prices: dict[str, Price] = {}
    active_within_days: int | None = None


def read_options(options: Mapping[str, Any]) -> Options:
    """The pack's options as a typed value."""
    return Options(**options)


def price_of(options: Options) -> Price | None:
    """The price of the model, None when unknown."""
    return options.prices.get(options.model) or PRICES.get(options.model)


def configuration_problem(options: Options) -> str | None:
    """What to set before exams can be generated; None when nothing is missing."""
    key = secret(KEY)
    if key is None:
        return NOT_CONFIGURED
    if not (key.isascii() and key.isprintable()) or " " in key:
        return f"exams are not configured: {KEY} has characters that no key has; copy the key again"
    if price_of(options) is None:
        return f'exams are not configured: set the price of {options.model} in [exams.prices."{options.model}"]'
    if options.active_within_days is not None and not 1 <= options.active_within_days <= MAX_ACTIVE_DAYS:
        return f"exams are not configured: active_within_days must be between 1 and {MAX_ACTIVE_DAYS:,}"
    return None


def micros(dollars: Decimal) -> int:
    """Dollars as millionths of a dollar."""
    return int(dollars * 1_000_000)


def dollars(amount: int) -> str:
    """Formats millionths of a dollar: `$1.25`."""
    return f"${amount / 1_000_000:,.2f}"

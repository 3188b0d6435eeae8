"""What the `[exams]` section of the configuration may say: the model, how fast it is asked, and what it may cost."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from opsconsole.extensions import is_set

KEY = "ANTHROPIC_API_KEY"
NOT_CONFIGURED = f"exams are not configured: set {KEY} in the environment of this process and of its workers"


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a million tokens cost, in dollars. `batch` is the share of it that is paid in a message batch."""

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
    """How exams are made.

    `mode`: `messages` asks for one part of an exam after the other, `batch` for all at once, at half the price and
    within a day. `effort` is how hard the model thinks; empty for models that cannot be told. A run makes so many
    exams, and the next one goes on. The limits a minute hold for all workers together; tokens are those read and
    written. Budgets are in dollars: of a day in UTC, and of a run (none when None). `prices` adds to the known models'
    prices, or replaces them.
    """

    model: str = "claude-sonnet-5-5"
    mode: Literal["messages", "batch"] = "messages"
    effort: str = "low"
    requests_a_run: int = 20
    requests_a_minute: int = 50
    tokens_a_minute: int = 400_000
    budget_a_day: Decimal = Decimal(50)
    budget_a_run: Decimal | None = None
    prices: dict[str, Price] = {}


def settings_of(options: Mapping[str, Any]) -> Options:
    """The settings as they were read, with their types."""
    return Options(**options)


def price_of(options: Options) -> Price | None:
    """What the model costs, None when nobody said."""
    return options.prices.get(options.model) or PRICES.get(options.model)


def what_is_missing(options: Options) -> str | None:
    """Why no exam can be made, in a sentence that says what to set; None when all is there."""
    if not is_set(KEY):
        return NOT_CONFIGURED
    if price_of(options) is None:
        return f'exams are not configured: say what {options.model} costs in [exams.prices."{options.model}"]'
    return None


def micros(dollars: Decimal) -> int:
    """Dollars as millionths of a dollar."""
    return int(dollars * 1_000_000)


def dollars(amount: int) -> str:
    """Millionths of a dollar as people read them: `$1.25`."""
    return f"${amount / 1_000_000:,.2f}"

"""Cron expressions in words; cron_descriptor's only user."""

from __future__ import annotations

from functools import lru_cache

from cron_descriptor import ExpressionDescriptor, FormatError, MissingFieldError, Options, WrongArgumentError
from cron_descriptor.ExpressionParser import ExpressionParser
from cron_descriptor.GetText import GetText


class _Descriptor(ExpressionDescriptor):  # type: ignore[misc]  # the library has no types
    """Reads the library's texts from their file once: for each expression again, it takes 0.3 s for 1,000 jobs."""

    def __init__(self, expression: str) -> None:
        self._options, self.get_text = _texts()
        self._expression = expression
        self._expression_parts = ExpressionParser(expression, self._options).parse()


@lru_cache(maxsize=1)
def _texts() -> tuple[Options, GetText]:
    options = Options()
    options.locale_code = "en_US"
    options.use_24hour_time_format = True
    return options, GetText(options.locale_code)


def describe(expression: str) -> str | None:
    """An expression in words, such as "At 23:50"; None if the library cannot describe it."""
    try:
        return str(_Descriptor(expression).get_description())
    except (FormatError, MissingFieldError, WrongArgumentError):
        return None

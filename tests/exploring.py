"""Property tests in two sizes: a few examples in `make test`, many in `make soak`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy


def explored(
    *drawn: SearchStrategy[object], few: int, many: int
) -> Callable[[Callable[..., None]], Callable[[int], None]]:
    """Like `given(*drawn)`, once with `few` examples and once, marked soak, with `many`."""

    def decorate(body: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.soak)])
        def test(examples: int) -> None:
            slow = [HealthCheck.too_slow, HealthCheck.filter_too_much]
            settings(deadline=None, max_examples=examples, suppress_health_check=slow)(given(*drawn)(body))()

        test.__name__, test.__doc__, test.__module__ = body.__name__, body.__doc__, body.__module__
        return test

    return decorate

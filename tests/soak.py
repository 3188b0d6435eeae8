"""Parametrization shared by tests whose PostgreSQL runs or full sizes belong to the soak tests."""

from __future__ import annotations

from typing import Any

import pytest

postgresql_in_soak = pytest.mark.postgresql_in_soak
"""For tests about behaviour that does not depend on the database: of a function, or as `pytestmark` of a module."""


def full(*values: Any) -> Any:
    """A set of parameters of full size, run by the soak tests only."""
    return pytest.param(*values, marks=pytest.mark.soak, id="full")


def small(*values: Any) -> Any:
    """A set of parameters of reduced size, run by `make test`."""
    return pytest.param(*values, id="small")


def others_in_soak(first: Any, *others: Any) -> list[Any]:
    """Parameters of one kind: `make test` tries the first one, the soak tests the others. Each is a value, or a tuple
    of values.
    """
    return [first, *(pytest.param(*_tuple(each), marks=pytest.mark.soak) for each in others)]


def _tuple(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)

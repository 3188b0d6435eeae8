"""Checks of packs are validated when packs are loaded."""

from __future__ import annotations

import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from opsconsole import Pack
from opsconsole.authoring import catalog
from opsconsole.core.errors import BadSettings
from opsconsole.extensions import Check


def _nothing(_context: object) -> tuple[()]:
    return ()


@pytest.mark.parametrize(
    ("checks", "problem"),
    [
        ([Check("shelf", _nothing)], "checks must be a tuple of checks, not of"),
        (("shelf",), "checks must be a tuple of checks, not of 'shelf'"),
        ((Check("", _nothing),), "the name of a check must have 1 to"),
        ((Check("shelf", _nothing), Check("shelf", _nothing)), "the name shelf of a check is taken"),
        ((Check("configuration", _nothing),), "the name configuration of a check is taken"),
        ((Check("shelf", _nothing, after=timedelta(-1)),), "after of the check shelf must be"),
    ],
)
def test_wrong_checks_are_refused(checks: Any, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("some_checks")
    module.pack = Pack("some", jobs=(), checks=checks)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_checks", module)

    with pytest.raises(BadSettings) as refused:
        catalog.load(("some_checks",), {}, {})

    (found,) = refused.value.problems
    assert found.startswith(f"some: {problem}")

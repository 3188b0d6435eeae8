"""Words and numbers as people read them."""

from __future__ import annotations

import pytest

from opsconsole.core.humanize import alternatives


@pytest.mark.parametrize(
    ("names", "sentence"),
    [((), ""), (("a",), "a"), (("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")],
)
def test_names_to_choose_from_are_joined_with_or(names: tuple[str, ...], sentence: str) -> None:
    assert alternatives(names) == sentence

"""The tables of the reference that are made from the code."""

from __future__ import annotations

from tests.reference import REFERENCE, TABLES, generated, names


def test_the_tables_of_the_reference_are_those_of_the_code() -> None:
    text = REFERENCE.read_text(encoding="utf-8")

    assert set(names(text)) == set(TABLES)
    assert generated(text) == text, "run `make reference`"

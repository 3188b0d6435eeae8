"""The tables of the reference that are made from the code."""

from __future__ import annotations

import re

from tests.reference import REFERENCE, TABLES, generated, names


def test_the_tables_of_the_reference_are_those_of_the_code() -> None:
    text = REFERENCE.read_text(encoding="utf-8")

    assert set(names(text)) == set(TABLES)
    assert generated(text) == text, "run `make reference`"


def test_no_table_describes_the_same_thing_twice() -> None:
    for table in REFERENCE.read_text(encoding="utf-8").split("\n\n"):
        first = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
        assert len(first) == len(set(first)), table


def test_every_setting_and_parameter_has_a_meaning() -> None:
    empty = [line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if re.fullmatch(r"\| `.*\|  \|", line)]

    assert [line for line in empty if "/api/" not in line] == []

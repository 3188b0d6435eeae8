"""Tables of the command line."""

from __future__ import annotations

from opsconsole.cli.output import fitting


def test_the_widest_columns_are_cut_until_a_row_fits() -> None:
    assert fitting([4, 30, 20], 80) == [4, 30, 20]
    assert fitting([30, 30, 20], 66) == [30, 16, 16]
    assert fitting([30, 30, 20], 40) == [20, 8, 8]
    assert fitting([30, 30, 20], 10) == [8, 8, 8]
    assert fitting([], 10) == []

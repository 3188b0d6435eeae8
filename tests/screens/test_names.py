"""Names in a narrow column."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from screens.widgets.names import middle, shortened


def test_a_name_is_cut_in_its_middle() -> None:
    assert middle("game.life_regen", 20) == "game.life_regen"
    assert middle("attempts.update_performance", 20) == "attempts.…erformance"
    assert middle("\x1b[31mred", 8) == "\\x1…mred"
    assert [middle("attempts", cells) for cells in range(4)] == ["", "…", "…s", "a…s"]


@pytest.mark.parametrize("cells", range(12))
def test_a_cut_name_fits(cells: int) -> None:
    for name in ("attempts.update_performance", "漢字漢字漢字漢字", "a漢b字c漢d字e漢f字g"):
        for shift in (-9, 0, 3, 40):
            assert cell_len(middle(name, cells, shift=shift)) <= cells


@pytest.mark.parametrize("cells", [10, 14, 20])
def test_two_names_never_look_alike(cells: int) -> None:
    names = [f"reporting.daily_{part}_of_all_the_users" for part in ("report", "refund", "rebate", "export")]
    names += [f"{name}_v2" for name in names] + ["game.life_regen"]
    shown = shortened(names, cells)
    assert len(set(shown.values())) == len(names)
    assert all(cell_len(each) <= cells for each in shown.values())
    assert set(shown) == set(names)


def test_names_of_which_only_a_number_in_the_middle_differs() -> None:
    names = [f"{'a' * 40}{number}{'b' * 40}" for number in range(30)]
    shown = shortened(names, 12)
    assert len(set(shown.values())) == 30
    assert all(cell_len(each) <= 12 for each in shown.values())

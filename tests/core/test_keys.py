"""`[console.keys]`: keys of the console that the configuration rebinds."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from opsconsole.core.configuration import load
from opsconsole.core.errors import BadSettings
from opsconsole.core.keys import DEFAULTS, read_keys
from opsconsole.core.settings import Settings


def configured(folder: Path, text: str) -> Settings:
    file = folder / "opsconsole.toml"
    file.write_text(text)
    return load(file, folder=folder, environ={})


def problems_of(**keys: object) -> list[str]:
    problems: list[str] = []
    read_keys({"keys": keys}, problems)
    return problems


def test_keys_are_rebound_by_their_ids(tmp_path: Path) -> None:
    settings = configured(tmp_path, '[console]\nenvironment = "x"\n[console.keys]\ntrigger = "T"\nup = "up, n"\n')

    assert settings.console.keys == {"trigger": "T", "up": "up,n"}
    assert settings.console.environment == "x"
    assert settings.effective()["console.keys.trigger"] == "T"


def test_keys_are_rebound_by_variables(tmp_path: Path) -> None:
    environ = {"OPSCONSOLE_CONSOLE__KEYS__JOBS": "f2", "OPSCONSOLE_CONSOLE__KEYS__UP": "up,n"}
    assert load(folder=tmp_path, environ=environ, search=False).console.keys == {"jobs": "f2", "up": "up,n"}


def test_what_is_wrong_is_reported_in_the_same_round_as_other_problems(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as error:
        configured(tmp_path, '[console.keys]\ntriger = "T"\nretry = "x"\n[engine]\nexecutor = "threads"\n')

    sentences = [problem.partition(": ")[2] for problem in error.value.problems]
    assert "console.keys.triger is not the id of a key; did you mean trigger?" in sentences
    assert (
        "console.keys.retry is x, which is also the key of cancel; choose another, or rebind cancel as well"
        in sentences
    )
    assert "engine.executor is 'threads'; use processes, inline or celery" in sentences
    assert error.value.exit_code == 78


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"nothing_like_it": "t"}, "is not the id of a key; docs/reference.md lists them"),
        ({"trigger": ""}, "must be a key such as t, f5 or ctrl+t, or several with commas, not ''"),
        ({"trigger": 5}, "must be a key such as t, f5 or ctrl+t, or several with commas, not 5"),
        ({"trigger": "tt"}, "is 'tt', which is not a key; use a character, a name such as up, or ctrl+ and a letter"),
        ({"trigger": "\x1b"}, "which is not a key"),
        ({"trigger": "t,,u"}, "is '', which is not a key"),
        ({"trigger": "ctrl+m"}, "is enter, which is also the key of open"),
        ({"trigger": "ctrl+c"}, "is ctrl+c, which is also the key of quit_anywhere"),
        ({"trigger": "n", "retry": "n"}, "is n, which is also the key of retry"),
    ],
)
def test_a_wrong_key_is_one_sentence(keys: dict[str, object], words: str) -> None:
    (problem,) = problems_of(**keys)
    assert problem.startswith(f"console.keys.{next(iter(keys))} ")
    assert words in problem


@pytest.mark.parametrize(
    "keys",
    [
        {"trigger": "b", "backfill": "t"},  # two that change places
        {"page_down": "space,n"},  # it shares the space with the key that marks a day, on other pages
        {"trigger": "T", "quit": "Q", "up": "f1,ctrl+up", "filter": "comma"},
        {"trigger": "t"},
    ],
)
def test_these_keys_do_not_clash(keys: dict[str, object]) -> None:
    assert problems_of(**keys) == []


def test_a_section_that_is_no_section_is_refused() -> None:
    problems: list[str] = []
    assert read_keys({"keys": "t"}, problems) == {}
    assert problems == ["[console.keys] must be a section with keys"]


def test_the_reference_lists_every_id_with_its_keys() -> None:
    reference = (Path(__file__).parent.parent.parent / "docs/reference.md").read_text(encoding="utf-8")
    for action, keys in DEFAULTS.items():
        assert f"| `{action}` | {' '.join(f'`{key}`' for key in keys)} |" in reference, action


def test_only_ids_of_different_pages_share_a_default_key() -> None:
    shared = {frozenset((a, b)) for a, b in combinations(DEFAULTS, 2) if set(DEFAULTS[a]) & set(DEFAULTS[b])}
    assert shared == {
        frozenset(pair)
        for pair in (
            ("open", "plan"),
            ("open", "confirm"),
            ("plan", "confirm"),
            ("mark", "page_down"),
            ("first", "worst"),
            ("page_up", "previous_year"),
            ("page_down", "next_year"),
            ("silence", "export_svg"),
            ("clear", "export_csv"),
            ("down", "export_json"),
        )
    }

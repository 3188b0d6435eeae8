"""Clearing cached keys: the count, the question, the command and the notices."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual import events

from opsconsole.cache.clearing import BadClearFilter, ClearProgress
from opsconsole.cache.families import BadKey
from opsconsole.cache.filters import ClearFilter
from opsconsole.core.errors import OpsconsoleError, Unavailable
from opsconsole.service.outcomes import CommandProgress
from screens import command_lines
from screens.dialogs.clear import ClearDialog
from screens.dialogs.dialog import Confirm
from screens.dialogs.text_dialog import TypeToConfirm
from screens.pages.dashboard import Dashboard
from screens.panels import clear
from screens.widgets.lines import Line, width
from tests.screens import fakes, samples
from tests.screens.console import Console, run_console
from tests.screens.test_hostile import ALL, HOSTILE, has_only_visible_characters

ASHA = ClearFilter(user="asha")


def text(lines: list[Line]) -> str:
    return "\n".join("".join(piece.text for piece in each).rstrip() for each in lines)


def arguments_of(service: fakes.FakeService, verb: str) -> list[tuple[object, ...]]:
    return [each[1:] for each in service.calls if each[0] == verb]


def cleared(
    sentence: str = "940 keys of 2 families are cleared", steps: ClearProgress | None = None
) -> fakes.FakeService:
    """A service that counts, and carries out what requested."""
    service = fakes.FakeService()
    service.result = fakes.Done("resume", sentence=sentence)
    if steps is not None:
        service.steps = (steps,)
    return service


async def counted(console: Console, words: str = "940 keys of 2 families") -> None:
    await console.until(lambda: words in console.text)


# --- texts, without a terminal -----------------------------------------------------------------------------------


def test_a_count_shows_families_samples_and_skipped_families() -> None:
    assert text(clear.count_lines(samples.COUNTED, ASHA, 66)) == (
        "940 keys of 2 families\n"
        "      910  attempts.day\n"
        "       30  practice.level\n"
        "such as  date:user:2026-01-19:asha\n"
        "         date:user:2026-01-18:asha\n"
        "         level:asha:maths\n"
        "kept, their keys have no such id: game.board"
    )


def test_an_unfinished_count_shows_its_progress() -> None:
    first, *_ = text(clear.count_lines(samples.HALFWAY, ASHA, 66)).splitlines()

    assert first == "counting: 12,000 of 41,204 keys scanned, 310 match"


@pytest.mark.parametrize(
    ("count", "last"),
    [
        (6, ["kept, their keys have no such id: family0, family1, family2,", "family3, family4, family5"]),
        (40, ["kept, their keys have no such id: family0 and 39 more families"]),
    ],
)
def test_skipped_families_are_listed_where_there_is_room(count: int, last: list[str]) -> None:
    alone = replace(samples.COUNTED, skipped_families=tuple(f"family{n}" for n in range(count)))

    assert text(clear.count_lines(alone, ASHA, 66)).splitlines()[6:] == last


def test_a_count_without_matches_is_described() -> None:
    nothing = replace(samples.COUNTED, found={"attempts.day": 0}, samples=(), skipped_families=())

    assert text(clear.count_lines(nothing, ClearFilter(user="dora", date="2026-01-19"), 66)) == (
        "nothing to clear: no cached key of user dora, date 2026-01-19"
    )


def test_many_families_are_summed_up() -> None:
    many = replace(samples.COUNTED, found={f"family{n}": n for n in range(1, 13)})

    lines = text(clear.count_lines(many, ASHA, 66)).splitlines()

    assert lines[0] == "78 keys of 12 families"
    assert lines[1:6] == [*(f"{n:>9}  family{n}" for n in (12, 11, 10, 9)), "       36  of 8 more families"]
    assert len(lines) <= clear.RESULT_LINES


def test_the_clear_question_shows_counts_environment_and_command_line() -> None:
    question = clear.question(ClearFilter(user="asha", family="attempts.day"), samples.COUNTED, "production")

    assert question.sentences[0] == "Clear 940 keys of 2 families in PRODUCTION?"
    assert question.sentences[1] == "All of user asha, family attempts.day."
    assert question.commands == (command_lines.clear(ClearFilter(user="asha", family="attempts.day")),)
    assert (question.buttons, question.buttons[question.chosen]) == (("Clear 940 keys", "Cancel"), "Cancel")


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_hostile_keys_and_names_are_shown_safely(hostile: str) -> None:
    swept = ClearProgress({hostile: 3, "other": 1}, 1, 2, (hostile, hostile), (hostile,), done=True)
    empty = replace(swept, found={})

    assert has_only_visible_characters(clear.count_lines(swept, ClearFilter(user=hostile), 66), 66)
    assert has_only_visible_characters(clear.count_lines(empty, ClearFilter(user=hostile), 66), 66)
    assert all(width(each) <= 66 for each in clear.count_lines(swept, ClearFilter(family=hostile), 66))


# --- the dialog ---------------------------------------------------------------------------------------------------


def test_the_keys_of_a_user_who_was_typed_are_counted_and_cleared() -> None:
    async def scenario(console: Console) -> None:
        await console.press("c")
        assert isinstance(console.app.screen, ClearDialog)
        assert "type a user, a subject, a family or a date" in console.text
        await console.press(*"asha")
        await counted(console)
        for words in ("staging", "▸User     > asha_", "910  attempts.day", "level:asha:maths", "game.board"):
            assert words in console.text
        assert "[ Clear 940 keys ]" in console.text
        await console.press("enter")
        await console.until(lambda: console.notice == "940 keys of 2 families are cleared")
        assert arguments_of(console.service, "clear") == [(ASHA, 940)]
        assert arguments_of(console.service, "count_keys") == [(ASHA,)], "counted once typing paused"
        assert isinstance(console.app.screen, Dashboard)

    run_console(scenario, service=cleared())


def test_cancel_is_the_default_and_nothing_is_cleared() -> None:
    async def scenario(console: Console) -> None:
        await console.press("c", "down", "down", "right")
        await counted(console)
        assert "[ Clear… ]" in console.text, "nobody typed whose keys they are"
        await console.press("enter")
        assert isinstance(console.app.screen, Confirm)
        assert "Clear 940 keys of 2 families in staging?" in console.text
        assert "[ Cancel ]" in console.text
        await console.press("enter")
        assert isinstance(console.app.screen, Dashboard)
        await console.press("c", "escape")
        assert isinstance(console.app.screen, Dashboard)
        assert arguments_of(console.service, "clear") == []

    run_console(scenario, service=cleared())


def test_keys_can_be_selected_by_subject_family_and_date() -> None:
    selected = ClearFilter(subject="maths", family="practice.level", date="2026-01-19")

    async def scenario(console: Console) -> None:
        await console.press("c", "down", *"mathss", "backspace", "down", "left", "left")
        assert "▸Family   game.board  ←→ 2 of 3" in console.text
        await console.press("right", "down", *"2026-01-1x9")
        assert "[2026-01-19]" in console.text
        await console.until(lambda: (selected,) in arguments_of(console.service, "count_keys"))
        await counted(console)
        await console.press("down", "up", "up", "up", "up", *"asha")
        await console.until(lambda: (replace(selected, user="asha"),) in arguments_of(console.service, "count_keys"))

    run_console(scenario, service=cleared())


def test_typing_finds_a_family() -> None:
    async def scenario(console: Console) -> None:
        await console.press("c", "down", "down", *"levx")
        assert "▸Family   practice.level  ←→ 3 of 3" in console.text
        await console.press(*["backspace"] * 4)
        assert "▸Family   any  ←→ of 3" in console.text

    run_console(scenario)


def test_letters_that_are_keys_elsewhere_are_typed() -> None:
    async def scenario(console: Console) -> None:
        await console.press("c", *"qhjkl17c")
        assert "▸User     > qhjkl17c_" in console.text
        assert not console.app._exit

    run_console(scenario)


def test_a_count_shows_progress_and_stops_when_the_filter_changes() -> None:
    service = cleared()
    service.counting.clear()

    async def scenario(console: Console) -> None:
        await console.press("c", *"asha")
        await counted(console, "counting: 12,000 of 41,204 keys scanned, 310 match")
        await console.press("enter")
        assert isinstance(console.app.screen, ClearDialog)
        assert "still counting; wait a moment" in console.text
        await console.press("2")
        assert "310 match" not in console.text
        service.counting.set()
        await counted(console)
        assert arguments_of(service, "count_keys") == [(ASHA,), (ClearFilter(user="asha2"),)]

    run_console(scenario, service=service)


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        (("*",), BadKey("*", "it contains a glob character"), "'*' cannot be part of a cache key"),
        ((*["down"] * 3, *"2026-13-45"), BadClearFilter("'2026-13-45' is not a date"), "'2026-13-45' is not a date"),
        ((*"asha",), Unavailable("redis", "no answer within 1 s"), "Redis is unreachable: no answer within 1 s"),
    ],
    ids=["glob", "date", "unreachable"],
)
def test_a_failed_count_is_shown_and_nothing_is_cleared(
    keys: tuple[str, ...], error: OpsconsoleError, words: str
) -> None:
    service = fakes.FakeService()
    service.unreachable = error

    async def scenario(console: Console) -> None:
        await console.press("c", *keys)
        await counted(console, words)
        await console.press("enter")
        assert isinstance(console.app.screen, ClearDialog)
        assert words in console.text
        assert arguments_of(service, "clear") == []

    run_console(scenario, service=service)


def test_nothing_is_counted_without_a_filter_or_with_a_partial_date() -> None:
    async def scenario(console: Console) -> None:
        await console.press("c", "enter")
        assert "type a user, a subject, a family or a date" in console.text
        await console.press(*["down"] * 3, *"2026-0", "enter")
        assert "type the whole date, or none" in console.text
        assert isinstance(console.app.screen, ClearDialog)
        assert arguments_of(console.service, "count_keys") == []

    run_console(scenario)


def test_without_matches_there_is_nothing_to_confirm() -> None:
    nothing = replace(samples.COUNTED, found={"attempts.day": 0}, samples=())

    async def scenario(console: Console) -> None:
        await console.press("c", *"dora")
        await counted(console, "nothing to clear: no cached key of user dora")
        await console.press("enter")
        assert isinstance(console.app.screen, ClearDialog)

    run_console(scenario, service=cleared(steps=nothing))


def test_without_families_there_is_no_dialog() -> None:
    service = fakes.FakeService()
    service.cache_families = ()

    async def scenario(console: Console) -> None:
        await console.press("c")
        assert isinstance(console.app.screen, Dashboard)
        assert console.notice == "no loaded pack declares a cache family"

    run_console(scenario, service=service)


# --- a name to type -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "swept", "word"),
    [("production", samples.COUNTED, "production"), ("staging", samples.MANY, "staging")],
    ids=["production", "many"],
)
def test_a_name_has_to_be_typed_in_production_and_for_many_keys(
    environment: str, swept: ClearProgress, word: str
) -> None:
    async def scenario(console: Console) -> None:
        await console.press("c", *"asha")
        await counted(console, "keys of 2 families")
        await console.press("enter")
        assert isinstance(console.app.screen, TypeToConfirm)
        assert f"Type {word} to clear them" in console.text
        await console.press("enter")
        assert isinstance(console.app.screen, Dashboard), "the cursor is on Cancel"
        await console.press("c", *"asha")
        await counted(console, "keys of 2 families")
        await console.press("enter", *word[:-1], "left", "enter")
        assert "the name does not match: nothing is cleared" in console.text
        assert arguments_of(console.service, "clear") == []
        await console.press(word[-1], "x", "backspace", "enter")
        await console.until(lambda: arguments_of(console.service, "clear") == [(ASHA, swept.total)])

    run_console(scenario, replace(samples.BUSY, environment=environment), cleared(steps=swept))


# --- what comes of it ---------------------------------------------------------------------------------------------


async def clear_asha(console: Console) -> None:
    await console.press("c", *"asha")
    await counted(console)
    await console.press("enter")


def test_progress_is_shown_while_keys_are_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.commands.POLL_SECONDS", 0.05)
    service = fakes.FakeService()
    service.result = None
    service.progress_steps = [
        CommandProgress("counting", 9_000, 41_204, 0),
        *[CommandProgress("clearing", 12_000, 41_204, 310)] * 40,
    ]

    async def scenario(console: Console) -> None:
        await clear_asha(console)
        so_far = "clearing of user asha: clearing, 12,000 of 41,204 keys scanned, 310 cleared"
        await console.until(lambda: console.notice == so_far)
        service.result = fakes.Done("resume", sentence="940 keys of 2 families are cleared")
        await console.until(lambda: console.notice == "940 keys of 2 families are cleared")

    run_console(scenario, service=service)


@pytest.mark.parametrize("grown", ["2,000 keys match now, not 940; count again"])
def test_a_refused_clear_is_shown(grown: str) -> None:
    service = fakes.FakeService()
    service.result = fakes.refused(grown, 4)

    async def scenario(console: Console) -> None:
        await clear_asha(console)
        await console.until(lambda: console.notice == f"refused: {grown}")

    run_console(scenario, service=service)


# --- hostile text -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ascii_only", [False, True], ids=["unicode", "ascii"])
def test_no_dialog_shows_invisible_characters(ascii_only: bool) -> None:
    swept = ClearProgress({ALL: 3, "other": 2000}, 41_204, 41_204, (ALL,), (ALL,), done=True)

    async def scenario(console: Console) -> None:
        await console.press("c")
        console.app.screen.post_message(events.Paste(ALL))
        await console.press("down", "down", "right", "enter")
        await counted(console, "2,003 keys")
        for key in ("enter", "x", "escape"):
            assert not {c for c in console.app.export_screenshot() if not c.isprintable()} - {"\n"}
            assert console.text.replace("\n", "").isprintable()
            assert not ascii_only or console.text.isascii()
            await console.press(key)

    run_console(scenario, replace(samples.BUSY, environment=ALL), cleared(steps=swept), ascii=ascii_only)

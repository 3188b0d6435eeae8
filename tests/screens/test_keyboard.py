"""The keyboard: whatever a terminal sends, the next key still counts."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Iterator

import pytest
from textual import events
from textual.message import Message
from textual.pilot import Pilot

from screens.app import ConsoleApp
from screens.keyboard import (
    END,
    ESCAPE_POLL_SECONDS,
    PASTE_CHARACTERS,
    PASTE_POLL_SECONDS,
    PASTE_SECONDS,
    START,
    End,
    Keyboard,
    read_keys,
)
from screens.textual_private import ESCAPE_SECONDS
from tests.screens.console import Console, run_console
from tests.waiting import PATIENCE_SECONDS, eventually, finished

SEQUENCES = {
    "not UTF-8": b"\xff",
    "half a character": b"\xe2\x82",
    "an overlong character": b"\xc0\x80",
    "a surrogate": b"\xed\xa0\x80",
    "Latin-1": "\u00e9".encode("latin-1"),
    "NUL": b"\x00",
    "an escape": b"\x1b",
    "half a sequence": b"\x1b[",
    "a sequence without an end": b"\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17",
    "a code point that does not exist": b"\x1b[99999999u",
    "a negative code point": b"\x1b[1114112;2u",
    "a modifier with a colon": b"\x1b[97;1:3u",
    "a key with a colon": b"\x1b[97:65;2u",
    "text with a code point that does not exist": b"\x1b[97;2;99999999u",
    "a size of nothing": b"\x1b[48;0;0;0;0t",
    "a huge size": b"\x1b[48;99999;99999;9;9t",
    "a mouse beside a size of nothing": b"\x1b[48;0;0;0;0t\x1b[<0;5;5M",
    "a mouse of no pixels": b"\x1b[48;24;80;0;0t\x1b[<0;5;5M",
    "half a mouse": b"\x1b[M",
    "a mouse far away": b"\x1b[<0;99999999999999999;1M",
    "a mode report": b"\x1b[?2026;9$y",
    "a device control string": b"\x1bP+q544e\x1b\\",
    "an unfinished command to the terminal": b"\x1b]0;title",
}


def keys(keyboard: Keyboard, data: bytes, at: float) -> list[str]:
    return [message.key for message in keyboard.feed(data, at) if isinstance(message, events.Key)]


def later(keyboard: Keyboard, at: float) -> None:
    """What becomes due when nothing is pressed for a while."""
    keyboard._parser._timeout_time = 0.0 if keyboard._parser._timeout_time is not None else None
    list(keyboard.tick(at))


@pytest.mark.parametrize("sent", SEQUENCES.values(), ids=SEQUENCES.keys())
def test_the_key_after_any_sequence_counts(sent: bytes) -> None:
    keyboard = Keyboard()

    list(keyboard.feed(sent, 0.0))
    later(keyboard, 0.1)

    assert keys(keyboard, b"q", 0.2)[-1:] == ["q"]


@pytest.mark.parametrize("seed", range(30))
def test_the_key_after_random_bytes_counts(seed: int) -> None:
    rng, keyboard = random.Random(seed), Keyboard()

    for _ in range(20):
        list(keyboard.feed(rng.randbytes(rng.randint(1, 200)), 0.0))
        starts = (b"\x1b[", b"\x1b[<", b"\x1b[48;", b"\x1b[200~", b"\x1b[M", b"\x1bO")
        list(keyboard.feed(rng.choice(starts) + bytes(rng.choices(b"0123456789;:<mMtu~R", k=12)), 0.0))
    later(keyboard, 2 * PASTE_SECONDS)
    later(keyboard, 2 * PASTE_SECONDS)

    assert keys(keyboard, b"q", 3 * PASTE_SECONDS)[-1:] == ["q"]


STARTS = (b"\x1b[", b"\x1b[<", b"\x1b[48;", b"\x1b[200~", b"\x1b[M", b"\x1bO", b"\x1bP", b"\x1b]", b"\x1b[?", b"")


def strange(rng: random.Random) -> bytes:
    """Random bytes, a control sequence that may be unfinished, or a paste that is."""
    sequence = rng.choice(STARTS) + bytes(rng.choices(b"0123456789;:<?mMtu~R$", k=rng.randint(0, 12)))
    return rng.choice((rng.randbytes(rng.randint(1, 60)), sequence, sequence + rng.randbytes(rng.randint(1, 20))))


def strings_before_q_is_lost(seed: int, count: int) -> int | None:
    """How many strings the keyboard reads before the q after one of them is no key; None if that never happens."""
    rng, keyboard, at = random.Random(seed), Keyboard(), 0.0
    for number in range(count):
        list(keyboard.feed(strange(rng), at))
        at += 2 * PASTE_SECONDS
        later(keyboard, at)
        if keys(keyboard, b"q", at)[-1:] != ["q"]:
            return number
    return None


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.soak)])
def test_q_is_read_after_each_of_many_random_strings(count: int) -> None:
    assert strings_before_q_is_lost(15, count) is None


async def quits_after(app: ConsoleApp, pilot: Pilot[None], data: bytes) -> bool:
    """Whether the console, having received these bytes, still quits: by q once fields and dialogs are left."""
    pressed: list[bool] = []

    async def quits() -> None:
        pressed.append(True)

    app.action_quit = quits  # type: ignore[method-assign]
    keyboard = Keyboard()
    for message in (*keyboard.feed(data, 0.0), *keyboard.tick(2 * PASTE_SECONDS)):
        app.post_message(message)
    await pilot.pause()
    pressed.clear()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not pressed and time.monotonic() < deadline:
        app.post_message(events.Key("escape", None))
        app.post_message(events.Key("q", "q"))
        await asyncio.sleep(0.02)
    return bool(pressed)


@pytest.mark.parametrize(
    ("seed", "count"), [(16, 25), *(pytest.param(seed, 2_500, marks=pytest.mark.soak) for seed in range(4))]
)
def test_the_console_quits_after_each_of_many_random_strings(seed: int, count: int) -> None:
    async def scenario(console: Console) -> None:
        rng = random.Random(seed)
        for number in range(count):
            data = strange(rng)
            has_quit = await quits_after(console.app, console.pilot, data)
            assert has_quit, f"string {number}: {data!r} with {console.app.screen_stack}"

    run_console(scenario)


def pastes(messages: Iterator[object]) -> list[str]:
    return [message.text for message in messages if isinstance(message, events.Paste)]


def test_a_paste_arrives_whole_however_it_is_cut() -> None:
    sent = f"{START}one two{END}q".encode()

    for cut in range(1, len(sent)):
        keyboard = Keyboard()
        found = [*keyboard.feed(sent[:cut], 0.0), *keyboard.feed(sent[cut:], 0.1)]

        assert pastes(iter(found)) == ["one two"]
        assert [message.key for message in found if isinstance(message, events.Key)] == ["q"]


def test_an_unfinished_paste_ends_when_nothing_more_arrives() -> None:
    keyboard = Keyboard()
    list(keyboard.feed(START.encode() + b"abc", 0.0))

    assert keys(keyboard, b"q", 0.5) == [], "it is text of the paste"

    assert pastes(keyboard.tick(PASTE_SECONDS)) == ["abcq"]
    assert keys(keyboard, b"q", 3.0) == ["q"]


def test_what_is_pasted_presses_no_key() -> None:
    keyboard = Keyboard()

    found = list(keyboard.feed(f"{START}a\x1bq\x1b[Bt{END}".encode() + b"x", 0.0))

    assert [message.key for message in found if isinstance(message, events.Key)] == ["x"]
    assert pastes(iter(found)) == ["aq[Bt"]


def test_a_paste_without_end_takes_no_more_memory_than_a_field_could() -> None:
    keyboard = Keyboard()
    list(keyboard.feed(START.encode(), 0.0))
    for _ in range(50):
        list(keyboard.feed(b"x" * 10_000, 0.0))
    found = list(keyboard.feed(END.encode() + b"q", 0.0))

    assert [len(text) for text in pastes(iter(found))] == [PASTE_CHARACTERS]
    assert [message.key for message in found if isinstance(message, events.Key)] == ["q"]


def test_an_escape_key_is_answered_within_30_ms_and_a_sequence_in_one_piece_is_none() -> None:
    keyboard = Keyboard()
    assert keyboard.poll_seconds is None

    assert keys(keyboard, b"\x1b", 0.0) == []
    assert keyboard.poll_seconds == ESCAPE_POLL_SECONDS
    assert ESCAPE_POLL_SECONDS + ESCAPE_SECONDS <= 0.03
    assert keyboard._parser._awaiting.timeout == ESCAPE_SECONDS
    later(keyboard, 0.1)

    assert keyboard.poll_seconds is None
    assert keys(keyboard, b"\x1b[A", 0.2) == ["up"]


def test_waiting_for_keys_ends_on_request_and_can_begin_again() -> None:
    reading, writing = os.pipe()
    end, found = End(), list[Message]()
    try:
        for key in "ab":
            waiting = threading.Thread(target=read_keys, args=(reading, end, found.append), name="read_keys")
            waiting.start()
            os.write(writing, key.encode())
            eventually(lambda key=key: key in [getattr(each, "key", "") for each in found], key)  # type: ignore[misc]
            end.set()
            finished(waiting)
            end.clear()
    finally:
        os.close(reading)
        os.close(writing)


def test_nothing_is_due_but_during_a_paste_or_after_an_escape() -> None:
    keyboard = Keyboard()
    list(keyboard.feed(START.encode() + b"half a paste", 0.0))
    assert keyboard.poll_seconds == PASTE_POLL_SECONDS

    list(keyboard.tick(PASTE_SECONDS))
    assert keyboard.poll_seconds is None

"""Reads the keyboard: after any bytes from a terminal, the next key still counts."""

from __future__ import annotations

import logging
import os
import selectors
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from threading import Event

from textual import events
from textual.message import Message

from screens.textual_private import KeyParser

log = logging.getLogger(__name__)

READ_BYTES = 4096
PASTE_POLL_SECONDS, ESCAPE_POLL_SECONDS = 0.1, 0.005
"""Between two looks for what has become due, during a paste and while an escape character waits."""
PASTE_SECONDS = 1.0
"""A paste of which nothing more arrives for this long has ended, although its end was not sent."""
KEY_CHARACTERS = 8
"""So few characters at a time are keys that somebody presses: they do not prolong a paste that was not finished."""
PASTE_CHARACTERS = 100_000
"""The rest of a longer paste is dropped: no field takes so much."""
MAX_COLUMNS, MAX_ROWS = 1000, 500
"""A larger size is an error of the terminal, and would take gigabytes to draw."""

ESCAPE, START, END = "\x1b", "\x1b[200~", "\x1b[201~"


class PasteLimiter:
    """Passes characters on, and limits pastes: in size, in time, and to text. Without it, an escape character in a
    paste would make keys of what follows, and an unfinished paste would swallow every key.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._room: int | None = None
        self._last = 0.0

    def feed(self, data: str, now: float) -> str:
        """The characters to parse."""
        if self._room is None or len(data) > KEY_CHARACTERS:
            self._last = now
        data, self._pending = self._pending + data, ""
        parts: list[str] = []
        while data:
            if self._room is None:
                before, start, data = data.partition(START)
                parts += [before, start]
                self._room = PASTE_CHARACTERS if start else None
                continue
            text, end, rest = data.partition(END)
            if not end:  # its end may have arrived in part
                text, self._pending = _split(text)
            parts.append(text.replace(ESCAPE, "")[: self._room])
            self._room = max(0, self._room - len(text))
            if end:
                parts.append(end)
                self._room = None
            data = rest
        return "".join(parts)

    @property
    def is_open(self) -> bool:
        """Whether a paste has begun and not ended."""
        return self._room is not None

    def tick(self, now: float) -> str:
        """The end of a paste that was not finished, once it is due."""
        if self._room is None or now - self._last < PASTE_SECONDS:
            return ""
        self._room, self._pending = None, ""
        return END


def _split(text: str) -> tuple[str, str]:
    """A text, and what may be the start of the end of a paste."""
    for length in range(min(len(END) - 1, len(text)), 0, -1):
        if END.startswith(text[-length:]):
            return text[:-length], text[-length:]
    return text, ""


class Keyboard:
    """The keys and other messages of a terminal, from the bytes that it sends."""

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")(errors="replace")
        self._pastes = PasteLimiter()
        self._parser = KeyParser()

    def feed(self, data: bytes, now: float) -> Iterator[Message]:
        """The messages of these bytes."""
        yield from self._parse(self._pastes.feed(self._decoder.decode(data), now))

    def tick(self, now: float) -> Iterator[Message]:
        """Messages that became due: of an escape key, or of a paste that was not finished."""
        yield from self._parse(self._pastes.tick(now))
        yield from self._guarded(self._parser.tick)

    @property
    def poll_seconds(self) -> float | None:
        """How long to wait for bytes before the next tick; None while nothing can become due."""
        if self._parser.is_waiting:
            return ESCAPE_POLL_SECONDS
        return PASTE_POLL_SECONDS if self._pastes.is_open else None

    def _parse(self, text: str) -> Iterator[Message]:
        # One at a time: a sequence that the parser cannot take must not take the keys behind it along.
        for character in text:
            yield from self._guarded(partial(self._parser.feed, character))

    def _guarded(self, parse: Callable[[], Iterable[Message]]) -> Iterator[Message]:
        try:
            yield from [message for message in parse() if is_sane(message)]
        except Exception:
            log.warning("the terminal sent a sequence that cannot be read", exc_info=True)
            self._parser = KeyParser()  # after an exception it reads nothing more


def is_sane(message: Message) -> bool:
    """Whether a message can be handled: not a size that nobody can draw."""
    if not isinstance(message, events.Resize):
        return True
    return 0 < message.size.width <= MAX_COLUMNS and 0 < message.size.height <= MAX_ROWS


class End(Event):
    """An event that also ends the wait of a selector: a thread that waits for keys is not woken without one."""

    def __init__(self) -> None:
        super().__init__()
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)

    def fileno(self) -> int:
        """Can be read while the event is set."""
        return self._reading

    def set(self) -> None:
        """Sets it."""
        super().set()
        with suppress(BlockingIOError):  # it was set often enough
            os.write(self._writing, b"!")

    def clear(self) -> None:
        """Resets it."""
        super().clear()
        with suppress(BlockingIOError):
            while os.read(self._reading, READ_BYTES):
                pass


def read_keys(file: int, ended: End, process: Callable[[Message], None]) -> None:
    """Reads until `ended`. Raises OSError when the terminal is closed."""
    keyboard = Keyboard()
    with selectors.DefaultSelector() as selector:
        for source in (file, ended):
            selector.register(source, selectors.EVENT_READ)
        while not ended.is_set():
            ready = [key.fd for key, _ in selector.select(keyboard.poll_seconds)]
            data = os.read(file, READ_BYTES) if file in ready else b""
            for messages in (keyboard.feed(data, time.monotonic()) if data else (), keyboard.tick(time.monotonic())):
                for message in messages:
                    process(message)

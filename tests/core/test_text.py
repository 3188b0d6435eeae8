"""Text from data cannot control a terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, strategies as st

from opsconsole.core.text import printable, printable_json, safe

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}

anything = st.text(st.characters(exclude_categories=()), max_size=200)
hostile = st.lists(
    st.sampled_from(["\x1b[2J", "\x9b31m", "\r", "\n", "\x00", "\u202e", "\u2066", "\u200b", "\ud800", "\ufeff", "a"])
).map("".join)


@given(st.one_of(anything, hostile))
def test_control_and_invisible_characters_are_escaped(text: str) -> None:
    for character in safe(text, 5000):
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in BIDI
        assert character not in "\u200b\u200e\u200f\ufeff"


@given(st.one_of(anything, hostile), st.integers(2, 100))
def test_the_result_is_never_longer_than_its_limit(text: str, limit: int) -> None:
    assert len(safe(text, limit)) <= limit


@given(st.one_of(anything, hostile), st.integers(2, 100))
def test_safe_text_is_unchanged(text: str, limit: int) -> None:
    once = safe(text, limit)

    assert safe(once, limit) == once


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=80))
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines", "two\\x0alines"),
        ("user\u202egpj.exe", "user\\u202egpj.exe"),
        ("\U000e0041", "\\U000e0041"),
        ("आशा 🦊", "आशा 🦊"),
        (42, "42"),
        ("x" * 600, "x" * 499 + "…"),
    ],
)
def test_unsafe_characters_are_escaped(text: object, shown: str) -> None:
    assert safe(text) == shown


@given(st.one_of(anything, hostile))
def test_printed_text_keeps_its_lines_and_cannot_control_the_terminal(text: str) -> None:
    shown = printable(text)

    assert shown.count("\n") == text.count("\n")
    assert safe(shown.replace("\n", "").replace("\t", ""), 10_000) == shown.replace("\n", "").replace("\t", "")


@given(st.recursive(st.one_of(st.text(max_size=20), hostile), lambda inner: st.lists(inner, max_size=4)))
def test_printed_json_has_the_same_value_and_only_visible_characters(value: object) -> None:
    document = json.dumps(value, ensure_ascii=False, indent=2)
    shown = printable_json(document)

    assert json.loads(shown) == value
    assert safe(shown.replace("\n", ""), 100_000) == shown.replace("\n", "")

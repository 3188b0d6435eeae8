"""Parameters of runs: what a job declares, and what operators may give."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest

from opsconsole.authoring import catalog
from opsconsole.authoring.parameters import (
    BadParameter,
    Parameter,
    checked,
    declared,
    definition_problem,
    effective,
)
from opsconsole.core.errors import BadSettings
from tests.packs import dials

(JOB,) = dials.pack.jobs


class NoDefault(msgspec.Struct):
    limit: int


class WrongDefault(msgspec.Struct):
    limit: int = "many"  # type: ignore[assignment]


class Clash(msgspec.Struct):
    unit: str = ""


def test_declared_parameters_describe_their_values() -> None:
    assert declared(JOB) == (
        Parameter("limit", "a whole number (1 or more, 5 or less)", 2, "how many dials are read"),
        Parameter("mode", "gentle or strict", "gentle", choices=("gentle", "strict")),
        Parameter("since", "a date such as 2026-01-19", None),
        Parameter("quiet", "true or false", False, choices=("true", "false")),
    )


def test_texts_become_values_of_their_types() -> None:
    given = checked(JOB, {"limit": "4", "since": "2026-01-19", "quiet": "true"})

    assert given == {"limit": 4, "since": "2026-01-19", "quiet": True}
    assert effective(JOB, given) == {"limit": 4, "mode": "gentle", "since": date(2026, 1, 19), "quiet": True}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"limit": "ten"},
            "the parameter limit of dials.read must be a whole number (1 or more, 5 or less), not 'ten'",
        ),
        ({"limit": 6}, "the parameter limit of dials.read must be a whole number (1 or more, 5 or less), not 6"),
        ({"mode": "\x1b[2J"}, "the parameter mode of dials.read must be gentle or strict, not '\\x1b[2J'"),
        (
            {"since": "yesterday"},
            "the parameter since of dials.read must be a date such as 2026-01-19, not 'yesterday'",
        ),
        ({"limt": 1}, "dials.read has no parameter 'limt'; did you mean limit?"),
        ({"colour": 1}, "dials.read has no parameter 'colour'; it has limit, mode, since, quiet"),
    ],
)
def test_a_bad_parameter_is_refused_in_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadParameter) as raised:
        checked(JOB, given)

    assert raised.value.sentence == sentence


def test_a_job_without_parameters_takes_none() -> None:
    plain = replace(JOB, params=None)

    assert effective(plain, {}) == {}
    with pytest.raises(BadParameter, match="has no parameters, so 'limit' cannot be set"):
        checked(plain, {"limit": 1})


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (dict, "must be a msgspec Struct"),
        (NoDefault, "must have a default for limit: scheduled runs use it"),
        (WrongDefault, "has a default that is not of its type"),
    ],
)
def test_parameters_without_usable_defaults_are_refused(kind: type, problem: str) -> None:
    assert problem in (definition_problem(kind) or "")


def test_a_parameter_must_not_hide_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dials, "pack", replace(dials.pack, jobs=(replace(JOB, params=Clash),)))

    with pytest.raises(BadSettings, match=r"the parameter unit has the name of a setting of \[dials\]"):
        catalog.load(("tests.packs.dials",), {}, {})

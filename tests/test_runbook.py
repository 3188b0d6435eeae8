"""The runbook has a section for each rule and for each check of the packs, and no other."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from opsconsole.cli import cli
from opsconsole.core.installed_packs import DEFAULT_PACKS
from opsconsole.rules.findings import FindingKind
from opsconsole.rules.runbook import PAGE, anchor, section

TEXT = (Path(__file__).parents[1] / PAGE).read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
CHECKS = [
    f"{pack.name}.{check.name}"
    for pack in (import_module(name).pack for name in DEFAULT_PACKS)
    for check in pack.checks
]


def test_each_rule_and_each_check_has_a_section_and_nothing_else() -> None:
    assert list(SECTIONS) == [*FindingKind, *CHECKS]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_tells_what_an_alert_means_what_to_look_at_and_what_to_do(name: str) -> None:
    starts = re.findall(r"^\*\*(.+?)\.\*\* \S", SECTIONS[name], re.MULTILINE)
    assert starts == ["Meaning", "Look at", "Do"]


def test_alerts_name_their_section() -> None:
    assert section(FindingKind.FAILED_RUN, "attempts.cache_day") == "docs/runbook.md#failed_run"
    for name in CHECKS:
        assert section(FindingKind.CHECK, name) == f"docs/runbook.md#{anchor(name)}"
    assert len({anchor(name) for name in SECTIONS}) == len(SECTIONS)


def test_the_commands_of_the_runbook_exist() -> None:
    written = re.findall(r"`opsconsole ([^`]+)`", TEXT)
    assert len(written) > 30
    for command in written:
        found: click.Command = cli
        words = command.split()
        while isinstance(found, click.Group) and words:
            inner = found.get_command(click.Context(found), words[0])
            if inner is None:
                break
            found = inner
            del words[0]
        assert found is not cli, command
        options = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, command

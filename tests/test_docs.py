"""The documented commands work, and the links and test names in the docs exist."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer

ROOT = Path(__file__).parent.parent
SUCCESS = (0, 3)
INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}


def _blocks(document: str, kind: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", ["README.md", "docs/reference.md", "docs/jobs.md", "docs/deployment.md"])
def test_every_documented_command_works(document: str, fork_server: ForkServer, tmp_path: Path) -> None:
    for name, kind in (("shop.py", "python"), ("opsconsole.toml", "toml")):
        for block in _blocks(document, kind):
            (tmp_path / name).write_text(block)
    typed = [line[2:] for block in _blocks(document, "console") for line in block.splitlines() if line.startswith("$ ")]
    assert typed, f"{document} shows no commands"
    for line in typed:
        program, *arguments = shlex.split(line)
        assert program == "opsconsole", line
        done = fork_server.run(arguments, os.environ | INLINE, folder=tmp_path)
        assert done.returncode in SUCCESS, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, line


def _anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_between_documents_has_a_target() -> None:
    for document in [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)#?([^)#:]*)\)", document.read_text(encoding="utf-8")):
            path = document.parent / target if target else document
            assert path.exists(), f"{document.name} links to {target}"
            assert not anchor or anchor in _anchors(path), f"{document.name} links to {target}#{anchor}"


def test_every_test_in_the_reliability_page_exists() -> None:
    references = re.findall(
        r"`((?:\w+/)+test_\w+\.py)(?:::(test_\w+))?`", (ROOT / "docs/reliability.md").read_text("utf-8")
    )
    assert len(references) > 60
    for file, test in references:
        path = ROOT / "tests" / file
        assert path.is_file(), file
        assert not test or f"def {test}(" in path.read_text("utf-8"), f"{file}::{test}"


def test_the_style_sheet_has_the_path_that_the_wheel_uses() -> None:
    import screens

    assert (Path(screens.__path__[0]).parent / "styles.tcss").is_file()

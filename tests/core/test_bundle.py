"""An installed distribution: what it puts beside other packages, and what hides its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
RUN = """
import sys
sys.path[:0] = {path!r}
sys.argv = ["opsconsole", *{arguments!r}]
from opsconsole.cli import main
main()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the contents of the wheel, as an installer unpacks it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(path: list[Path], *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command line with only these folders, the libraries and the standard library on the path."""
    places = [*map(str, path), sysconfig.get_path("purelib")]
    environ = {"HOME": str(folder), "PATH": ""}
    command = [sys.executable, "-S", "-P", "-c", RUN.format(path=places, arguments=arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environ)


def test_the_wheel_adds_only_its_own_package(installed: Path) -> None:
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"opsconsole"}
    assert (installed / "opsconsole" / "bundled" / "styles.tcss").is_file()


def test_an_installation_finds_its_packs(installed: Path, tmp_path: Path) -> None:
    listed = run([installed], "lint", folder=tmp_path)

    assert (listed.returncode, listed.stderr) == (0, "")


def test_a_package_of_the_same_name_is_named(installed: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / "jobs" / "__init__.py"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("")

    listed = run([installed, tmp_path / "theirs"], "lint", folder=tmp_path)

    assert listed.returncode == 78
    assert f"{theirs} hides the package of the same name that comes with opsconsole, rename one" in listed.stderr
    assert "Traceback" not in listed.stderr

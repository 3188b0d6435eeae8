"""Files that other users own or may change are not loaded, and data is private."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from opsconsole.core.errors import BadSettings
from opsconsole.core.trust import make_private, require_trusted

STRANGER = 65_534


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A configuration file, with a package and a module beside it that are packs."""
    folder = tmp_path / "ops"
    package = folder / "books" / "__pycache__"
    package.mkdir(parents=True)
    for file in (folder / "opsconsole.toml", folder / "books" / "__init__.py", folder / "single.py"):
        file.write_text("")
        file.chmod(0o644)
    for path in (folder, folder / "books", package):
        path.chmod(0o755)
    return folder / "opsconsole.toml"


PACKS = ("books:pack", "single", "jobs.attempts")


def test_files_that_only_this_user_may_change_are_trusted(source: Path) -> None:
    require_trusted(source, PACKS)


@pytest.mark.parametrize(
    "name", [".", "opsconsole.toml", "books", "books/__init__.py", "books/__pycache__", "single.py"]
)
def test_a_file_that_every_user_may_change_is_refused(source: Path, name: str) -> None:
    path = source.parent / name
    path.chmod(path.stat().st_mode | stat.S_IWOTH)

    with pytest.raises(BadSettings) as refused:
        require_trusted(source, PACKS)

    (problem,) = refused.value.problems
    assert problem.startswith(f"{path.resolve()} can be changed by every user: ")
    assert problem.endswith("change its owner or mode, or pass --trust")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", [".", "opsconsole.toml", "books/__init__.py"])
def test_a_file_of_another_user_is_refused(source: Path, name: str) -> None:
    os.chown(source.parent / name, STRANGER, -1)

    with pytest.raises(BadSettings, match="belongs to another user"):
        require_trusted(source, PACKS)


def test_a_file_that_another_group_may_change_is_refused(source: Path) -> None:
    if os.getuid() == 0:
        os.chown(source, -1, STRANGER)
    source.chmod(0o664)
    private_group = source.stat().st_gid in (os.getuid(), os.getgid())

    if private_group:
        require_trusted(source, PACKS)
    else:
        with pytest.raises(BadSettings, match="can be changed by its group"):
            require_trusted(source, PACKS)


def test_an_open_data_folder_and_its_files_are_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "store.db").write_text("")
    folder.chmod(0o777)
    (folder / "store.db").chmod(0o666)

    make_private(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "store.db").stat().st_mode) == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_link_that_another_user_planted_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "opsconsole.log"
    link.symlink_to(tmp_path / "elsewhere")
    os.lchown(link, STRANGER, STRANGER)

    with pytest.raises(BadSettings, match=r"opsconsole\.log is a link that another user made; remove it"):
        make_private(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadSettings, match=r"the data folder .* cannot be used: Not a directory; set XDG_DATA_HOME"):
        make_private(tmp_path / "file" / "data")

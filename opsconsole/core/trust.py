"""Whether files may be trusted: what other users can change would run, or be read, with this user's rights."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from opsconsole.core.errors import BadSettings


def require_trusted(source: Path, packs: Iterable[str]) -> None:
    """Checks the configuration file, its folder, and the packs in that folder.

    Raises BadSettings with one problem for each file that another user owns or may change.
    """
    folder = source.resolve().parent
    paths = [source.resolve(), folder, *(file for pack in packs for file in _files_of(pack, folder))]
    problems = [f"{path} {problem}" for path in dict.fromkeys(paths) if (problem := _problem(path))]
    if problems:
        hint = "its contents run with your rights; change its owner or mode, or pass --trust"
        raise BadSettings([f"{problem}: {hint}" for problem in problems])


def make_private(folder: Path) -> None:
    """Creates a folder for data that only this user can read, and makes an existing one and its files private.

    New files of this process are private, too. Raises BadSettings for a folder or a link of another user, and for one
    that cannot be created.
    """
    os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if problems := list(privacy_problems(folder)):
            raise BadSettings(problems)
        for file in (file for file, status in _open_files(folder) if not stat.S_ISLNK(status.st_mode)):
            file.chmod(stat.S_IMODE(file.stat().st_mode) & 0o700)
    except OSError as error:
        raise BadSettings([f"the data folder {folder} cannot be used: {error.strerror}; set XDG_DATA_HOME"]) from error


def privacy_problems(folder: Path) -> Iterator[str]:
    """Why an existing data folder cannot be made private, one sentence each. Raises OSError."""
    for file, status in _open_files(folder):
        if stat.S_ISLNK(status.st_mode):
            if not _is_mine(status):
                yield f"{file} is a link that another user made; remove it"
        elif os.getuid() not in (status.st_uid, 0):
            yield f"{file} belongs to another user and others may use it; set XDG_DATA_HOME to a folder of your own"


def _open_files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The links in a folder, and the folder itself and its files as far as others may use them."""
    for file in (folder, *sorted(folder.iterdir())):
        status = file.stat() if file == folder else file.lstat()
        is_open = status.st_mode & 0o077 and (stat.S_ISREG(status.st_mode) or file == folder)
        if stat.S_ISLNK(status.st_mode) or is_open:
            yield file, status


def is_readable_by_others(file: Path) -> bool:
    """Whether other users may read a file."""
    return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _files_of(pack: str, folder: Path) -> Iterator[Path]:
    """The files of a pack's top-level package or module, if it is in the folder."""
    name = pack.partition(":")[0].partition(".")[0]
    module, package = folder / f"{name}.py", folder / name
    if package.is_dir():
        yield package
        code = (".py", ".pyc", ".so")
        yield from (path for path in sorted(package.rglob("*")) if path.is_dir() or path.suffix in code)
    elif module.is_file():
        yield module


def _problem(path: Path) -> str | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not _is_mine(status):
        return "belongs to another user"
    if status.st_mode & stat.S_IWOTH:
        return "can be changed by every user"
    # A private group, with the number of its user, is how many systems set users up.
    if status.st_mode & stat.S_IWGRP and status.st_gid not in (status.st_uid, os.getgid()):
        return "can be changed by its group"
    return None


def _is_mine(status: os.stat_result) -> bool:
    return status.st_uid in (os.getuid(), 0)

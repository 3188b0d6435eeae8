"""Where the files of this user are: the configuration, the data and what the console remembers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from opsconsole.core.errors import BadSettings
from opsconsole.core.settings import environment

FILE = "opsconsole.toml"


def configuration_file(env: Mapping[str, str]) -> Path | None:
    """The file in the current folder, or that of this user; None when there is neither."""
    local = Path(FILE)
    per_user = [Path(env["XDG_CONFIG_HOME"])] if env.get("XDG_CONFIG_HOME") else [home / ".config" for home in _home()]
    files = (local, *(folder / "opsconsole" / FILE for folder in per_user))
    return next((path for path in files if path.is_file()), None)


def _home() -> Iterator[Path]:
    """The home of this user, if it has one: an account without an entry has none."""
    with suppress(RuntimeError):
        yield Path.home()


def data_home(env: Mapping[str, str] | None = None) -> Path:
    """The folder that contains the data folders of this user's installations. Raises BadSettings without a home."""
    given = (environment() if env is None else env).get("XDG_DATA_HOME", "").strip()
    home = Path(given) if given else next((home / ".local" / "share" for home in _home()), None)
    if home is None:
        raise BadSettings(["this user has no home folder; set XDG_DATA_HOME to a folder for the data"])
    return home / "opsconsole"


def state_home(env: Mapping[str, str] | None = None) -> Path | None:
    """The folder for what the console remembers for this user; None without a home."""
    given = (environment() if env is None else env).get("XDG_STATE_HOME", "").strip()
    home = Path(given) if given else next((home / ".local" / "state" for home in _home()), None)
    return home / "opsconsole" if home is not None else None

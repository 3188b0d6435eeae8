"""Secrets in every configured place, and a search for them in all that a test leaves behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.core.database import Database
from opsconsole.core.errors import OpsconsoleError
from tests.installation import Installation

CANARY = "c4nary"


CHANNEL = "OPSCONSOLE_NOTIFY__CHAT__"


def planted(receiver: str) -> dict[str, str]:
    """Environment variables with secrets; `receiver` is the address of a server that accepts messages. The URLs of
    databases have passwords of their own.
    """
    return {
        "CRON_SECRET": f"{CANARY}-of-http-clients",
        "ANTHROPIC_API_KEY": f"{CANARY}-of-claude",
        "OPSCONSOLE_HTTP__TOKENS__DEPLOY__VARIABLE": "DEPLOY_TOKEN",
        "DEPLOY_TOKEN": f"{CANARY}-of-deployments",
        f"{CHANNEL}URL": f"json://ops:{CANARY}-of-chat@{receiver}/{CANARY}-path",
        f"{CHANNEL}SEVERITY": "critical",
        "OPSCONSOLE_ALERTS__DEAD_MAN_URL": f"http://{receiver}/{CANARY}-of-the-dead-man",
    }


def passwords(environ: Mapping[str, str]) -> set[str]:
    """The passwords in the URLs among some variables."""
    found = {urlsplit(value).password for name, value in environ.items() if name.endswith("URL")}
    return {each for each in found if each}


def leaks(secrets: Iterable[str], folder: Path, shown: Mapping[str, bytes]) -> Iterator[str]:
    """Where one of the secrets is: a file in the folder, such as a log, a crash report or an SQLite database, or one of
    the named texts.
    """
    encoded = [each.encode() for each in secrets]
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    contents = {str(file.relative_to(folder)): file for file in files if file.suffix != ".toml"}
    for name, file in contents.items():
        if any(each in file.read_bytes() for each in encoded):
            yield name
    yield from (name for name, content in shown.items() if any(each in content for each in encoded))


def rows_with(secrets: Iterable[str], place: Installation) -> Iterator[str]:
    """The tables of an installation on PostgreSQL with a row that has one of the secrets; none if it is unreachable."""
    url = place.settings.store_url.reveal()
    if not url.startswith("postgresql"):
        return  # a file of the test's folder
    database = Database(url)
    try:
        with database.reading() as db:
            for table in inspect(db).get_table_names():
                for secret in secrets:
                    found = text(f'SELECT count(*) FROM "{table}" AS t WHERE strpos(t::text, :secret) > 0')  # noqa: S608
                    if db.execute(found, {"secret": secret}).scalar_one():
                        yield table
    except (OpsconsoleError, SQLAlchemyError):
        return  # the test has stopped the server
    finally:
        database.close()

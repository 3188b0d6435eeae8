"""The tokens of the HTTP API: each has a name, a role, and a secret in a file or an environment variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from opsconsole.core import secret_files
from opsconsole.core.bounds import MAX_NAME, name_problem
from opsconsole.core.sections import section
from opsconsole.core.settings import Role, Secret, Token
from opsconsole.core.trust import is_readable_by_others

LEAST_CHARACTERS = 16
DEFAULT_NAME = "http"
"""The name of $CRON_SECRET in the audit trail."""


class TokenSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[http.tokens.NAME]`: what its bearer may do, and the file or the environment variable that holds it."""

    role: Literal["viewer", "operator"] = "viewer"
    file: str = ""
    variable: str = ""


def read_tokens(given: object, env: Mapping[str, str], problems: list[str]) -> tuple[Token, ...]:
    """The tokens of `[http.tokens]`; what is wrong with them is added to `problems`."""
    if not isinstance(given, dict):
        problems.append("http.tokens must be a section with one section for each token")
        return ()
    found: list[Token] = []
    taken = {env.get("CRON_SECRET", ""): "CRON_SECRET"}
    for name, keys in given.items():
        token = _read(name, keys, env, problems)
        if token is None:
            continue
        twin = taken.setdefault(token.secret.reveal(), name)
        if twin != name:
            problems.append(f"http.tokens.{name} is the same as {twin}; each needs its own secret")
        found.append(token)
    return tuple(found)


def token_warnings(tokens: tuple[Token, ...]) -> Iterator[str]:
    """Warnings about tokens that work, but should be changed."""
    for token in tokens:
        file = Path(token.source)
        if file.is_absolute() and is_readable_by_others(file):
            yield f"http.tokens.{token.name}: other users may read {file}; run chmod 600 {file}"


def secret_problem(secret: str) -> str | None:
    """Why a text cannot be sent as a bearer token; None when it can."""
    if all("!" <= letter <= "~" for letter in secret):
        return None
    return "has characters that HTTP headers cannot contain; use printable ASCII without spaces"


def _read(name: str, keys: object, env: Mapping[str, str], problems: list[str]) -> Token | None:
    where = f"http.tokens.{name}"
    if (problem := name_problem(name, MAX_NAME)) or name == DEFAULT_NAME:
        problems.append(f"{where}: the name {problem or 'is that of CRON_SECRET; use another one'}")
        return None
    before = len(problems)
    options: TokenSection = section(where, TokenSection, keys, problems)
    if len(problems) > before:
        return None
    if bool(options.file) == bool(options.variable):
        problems.append(f"{where} needs either a file or a variable that holds the token")
        return None
    source = options.file or f"${options.variable}"
    secret = env.get(options.variable, "")
    if options.file:
        try:
            secret = secret_files.read(Path(options.file))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"{where}.file: {options.file} cannot be read: {reason}")
            return None
    if not secret:
        problems.append(f"{where}: {source} is not set")
    elif len(secret) < LEAST_CHARACTERS:
        problems.append(f"{where}: the token in {source} has fewer than {LEAST_CHARACTERS} characters")
    elif problem := secret_problem(secret):
        problems.append(f"{where}: the token in {source} {problem}")
    else:
        return Token(name, Role(options.role), Secret(secret), source)
    return None

"""Texts that would end a statement, a key pattern or a line of a log, in every field of every route."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_origin, get_type_hints
from urllib.parse import quote

import msgspec
import pytest

from opsconsole.http.api import OPERATIONS
from opsconsole.http.fields import schema_of
from opsconsole.http.operations import AnyOperation
from tests.conftest import Installing
from tests.http.client import HttpClient, served
from tests.installation import Installation
from tests.packs import counting
from tests.waiting import eventually

HOSTILE = (
    "'; DROP TABLE ops_runs; --",
    '" OR "1"="1',
    "%_\\",
    "*?[a]",
    "{{7*7}}${x}%s%n",
    "\x1b]0;x\x07\u202e",
    "1e309",
)
FINE: dict[str, Any] = {
    "from": "2026-01-01",
    "to": "2026-01-02",
    "jobs": ["counting.count"],
    "counted": 0,
    "runs": [1],
}


@pytest.fixture
def place(installing: Installing, tmp_path: Path, redis_url: str) -> Installation:
    made = installing(
        database_url=f"sqlite:///{tmp_path / 'ops.db'}",
        redis_url=redis_url,
        packs="tests.packs.counting,jobs.attempts",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "inline"},
    )
    counting.put(made.data, {"asha": "fine"})
    return made


def texts_of(operation: AnyOperation) -> list[str]:
    """The fields of a route that are texts or lists of texts."""
    hints = get_type_hints(operation.request, include_extras=True)
    names = {field.encode_name: hints[field.name] for field in msgspec.structs.fields(operation.request)}
    return [
        name
        for name, kind in names.items()
        if "string" in str(schema_of(kind)) and "'integer'" not in str(schema_of(kind))
    ]


def send(client: HttpClient, operation: AnyOperation, field: str, text: str) -> int:
    """The status of a request with a text in one field."""
    values = {"job": "counting.count", "run": 1, "backfill": 1, "alert": 1, "target": "counting", "cron": "0 4 * * *"}
    in_path = {name: quote(str(text if name == field else value), safe="") for name, value in values.items()}
    path = operation.path.format(**in_path)
    if operation.method == "GET":
        query = "" if f"{{{field}}}" in operation.path else f"{field}={quote(text)}"
        return client.get(f"{path}?{query}").status
    hints = get_type_hints(operation.request)
    body = {
        name: value for name, value in (values | FINE).items() if name in hints and f"{{{name}}}" not in operation.path
    }
    if f"{{{field}}}" not in operation.path:
        body[field] = [text] if get_origin(hints.get(field)) is tuple else text
    return client.request("POST", path, body).status


def test_no_text_in_any_field_is_more_than_a_text(place: Installation) -> None:
    with served(place) as client, place.leading() as engine:
        eventually(lambda: engine.is_leading, "it is leading")
        number = place.run("counting.count", "2026-01-19").id
        failed = [
            (operation.path, field, text, status)
            for n, operation in enumerate(OPERATIONS)
            for m, field in enumerate(texts_of(operation))
            for text in (HOSTILE if operation.method == "GET" else HOSTILE[(n + m) % len(HOSTILE) :][:1])
            if (status := send(client, operation, field, text)) >= 500
        ]
        listed = [run["id"] for run in client.get("/api/runs").json["runs"]]

    assert failed == []
    assert number in listed

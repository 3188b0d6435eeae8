"""What a command opens and creates."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from opsconsole.cli.session import open_service
from opsconsole.core import configuration
from opsconsole.core.database import Database


def test_tables_are_created_in_embedded_databases_only(tmp_path: Path, redis_url: str) -> None:
    external_url = f"sqlite:///{tmp_path / 'production.db'}"
    environ = {"REDIS_URL": redis_url, "OPSCONSOLE_DATA__URL": external_url}

    with open_service(configuration.load(folder=tmp_path / "own", environ=environ, search=False)) as service:
        assert service.queries.runs(limit=1) == []
    data = Database(external_url)
    assert inspect(data.engine).get_table_names() == []
    data.close()

    with open_service(
        configuration.load(folder=tmp_path / "other", environ={"REDIS_URL": redis_url}, search=False)
    ) as service:
        assert service.queries.preview("attempts.cache_day").items == 0

"""`tables`."""

from __future__ import annotations

from tests.cli.conftest import RunCli
from tests.cli.seeds import HOUR, NOON, ran
from tests.installation import Installation


def test_it_lists_the_tables_of_the_store_and_of_the_packs(cli: RunCli, installation: Installation) -> None:
    for n in range(3):
        ran(installation, "counting.count", NOON + n * HOUR, ok=["asha"])

    printed = cli("tables")
    assert printed.code == 0, printed.err
    lines = [line.split() for line in printed.out.splitlines()]
    document = {(row["database"], row["table"]): row for row in cli("tables", "--json").json}

    assert lines[0][:3] == ["DATABASE", "TABLE", "ROWS"]
    assert ["store", "ops_runs", "3"] in [line[:3] for line in lines]
    assert ["data", "events"] in [line[:2] for line in lines]
    runs = document["store", "ops_runs"]
    assert (runs["rows"], runs["dead_rows"]) == (3, None)
    assert runs["bytes"] > sum(index["bytes"] for index in runs["indexes"]) > 0
    assert {"name", "bytes", "scans", "unique"} == set(runs["indexes"][0])
    assert {table for database, table in document if database == "store"} >= {"ops_lease", "ops_batches"}

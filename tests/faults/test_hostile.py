"""Odd jobs beside ordinary ones: what a job does stays with its run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsconsole.embedded.redis import EmbeddedRedis
from tests.conftest import Installing
from tests.faults.fast_clock import starting_at
from tests.faults.fork_server import ForkServer
from tests.faults.hostile import listing
from tests.faults.hostile.campaign import Campaign
from tests.faults.hostile.extensions import PANELS
from tests.faults.hostile.pack import CASES
from tests.faults.short import SEED, databases, mostly_on_sqlite

MONDAY = datetime(2026, 3, 2, 8, 0, 30, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


@mostly_on_sqlite
def test_odd_jobs_end_with_their_cause_and_ordinary_ones_go_on(
    database: str,
    request: pytest.FixtureRequest,
    fork_server: ForkServer,
    own_redis: EmbeddedRedis,
    tmp_path: Path,
) -> None:
    quick = [case for case in CASES if case.quick]

    servers, clock = databases(request, database), starting_at(MONDAY, scale=12)
    report = Campaign(tmp_path, fork_server, own_redis.url, servers, quick, SEED, seconds=1.0, clock=clock).run()

    assert report.violations == [], "\n".join(report.lines())
    assert report.steady
    assert len(report.leaders) == 1


def test_odd_panels_show_why(installing: Installing, redis_url: str) -> None:
    place = installing(database_url=None, redis_url=redis_url, packs="tests.faults.hostile.pack")

    shown = [view for view in place.service.queries.panels() if view.pack == "hostile"]

    assert len(shown) == len(PANELS)
    for view in shown:
        texts = [view.content.message, *(text for row in view.content.rows for text in row)]
        assert all(text.isprintable() for text in texts)
        assert view.failed or view.content.rows


def test_the_pack_is_listed_with_what_happens_to_each_job() -> None:
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")

    assert "\n".join(listing.lines()) in text
    assert len(CASES) >= 60

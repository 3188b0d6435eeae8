"""`python -m benchmarks.screenshot FILE.svg`: renders the Dashboard of the demo during a run."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from opsconsole.cli.session import open_service
from opsconsole.core import configuration
from opsconsole.embedded.demo import opening_job, prepared
from opsconsole.service.service import Service
from screens import actions
from screens.app import ConsoleApp

USERS = 10_000
SIZE = (120, 32)
SEEN_FROM = 0.2


async def _draw(service: Service, file: Path) -> None:
    job = opening_job(service)
    app = ConsoleApp(service, start_run=job)
    async with app.run_test(size=SIZE) as pilot:
        seen = 0
        while not any(each.run.counts.tried > SEEN_FROM * USERS for each in app.snapshot.live):
            await pilot.pause(0.05)
            ended = max((run.id for run in app.snapshot.recent if run.ended_at), default=0)
            if ended > seen and job is not None and not app.snapshot.live:
                # The run ended between two checks.
                seen = ended
                actions.send_trigger(app, job, None)
        picture = app.export_screenshot(title="opsconsole demo")
        # Without @font-face rules, which would make viewers download fonts.
        file.write_text(re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL), encoding="utf-8")
        while app.snapshot.live:
            await pilot.pause(0.1)


def main() -> int:
    """Returns the exit code."""
    file = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="opsconsole-picture-") as folder:
        found = configuration.load_embedded(Path(folder), name="demo")
        with open_service(found) as service, prepared(service, USERS, report=print):
            asyncio.run(_draw(service, file))
    return 0


if __name__ == "__main__":
    sys.exit(main())

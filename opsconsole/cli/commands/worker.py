"""`worker`: executes batches for a leader on this or another machine."""

from __future__ import annotations

import logging
import sys
import time

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.log_setup import TextFormatter, log_to, log_to_stdout
from opsconsole.cli.options import Options, load_settings
from opsconsole.core.errors import BadSettings, NotAllowed
from opsconsole.core.garbage import end_loading
from opsconsole.core.service_manager import ServiceManager
from opsconsole.core.settings import Role, Settings, environment
from opsconsole.core.trust import make_private

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.5


@click.command("worker", cls=Command)
@click.option("--slots", type=click.IntRange(1, 1000), help="Number of batches at once. (default: `engine.workers`)")
@click.option("--log-text", is_flag=True, help="Log text instead of JSON.")
@click.pass_obj
def command(options: Options, slots: int | None, log_text: bool) -> None:
    """Execute batches for a leader on this or another machine.

    Needs `executor = "celery"` in the [engine] section, a broker, and the same packs and job settings as the
    leader. The log goes to standard output, one JSON object per line.

    On SIGTERM it takes no further batches, and those in flight get ten seconds. A second signal ends it at once.
    Unfinished batches go to another worker.

    \b
    Examples:
      opsconsole worker
      opsconsole worker --slots 4
    """
    if log_text:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(TextFormatter("%(asctime)s %(levelname)s %(message)s"))
        log_to(handler)
    else:
        log_to_stdout()
    settings = load_settings(options)
    require_celery(settings)
    if settings.actor.role is Role.VIEWER:
        raise NotAllowed("worker")
    make_private(settings.folder)

    from opsconsole.authoring import catalog  # loads SQLAlchemy and the packs
    from opsconsole.worker.celery.worker import CeleryWorker  # an optional extra

    jobs = catalog.load(settings.packs, settings.overrides, settings.options, settings.compress_over)
    count = slots or settings.engine.worker_count
    worker = CeleryWorker(settings, jobs, count)
    manager = ServiceManager.of(environment())
    try:
        worker.start()
        attached = f"attached with {count} slots for {len(list(jobs))} jobs"
        log.info("%s", attached)
        if manager is not None:
            manager.ready(attached)
        end_loading()
        while True:
            worker.check()
            if manager is not None:
                manager.alive()
            time.sleep(CHECK_SECONDS)
    finally:
        if manager is not None:
            manager.stopping()
        log.info("stopping: no further batch")
        worker.close()


def require_celery(settings: Settings) -> None:
    """Raises BadSettings unless this installation executes batches with Celery."""
    if settings.engine.executor != "celery":
        problem = f"engine.executor is {settings.engine.executor}, and the leader executes its jobs itself"
        raise BadSettings([f'{problem}; set it to "celery", here and for the leader'])

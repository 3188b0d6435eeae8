"""Compares the data database with what the packs need while a process that schedules is running already."""

from __future__ import annotations

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import SHORT_SECONDS
from opsconsole.core.database import Database
from opsconsole.core.database_errors import reason
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import log_failure
from opsconsole.store import data_tables

log = logging.getLogger(__name__)

MAX_SECONDS = 10.0
"""For reading the values of an SQLite file: `check` has no limit."""


def start_table_check(settings: Settings, catalog: Catalog) -> threading.Thread:
    """Logs each difference as a warning, once, from a thread of its own: nothing waits for it."""
    thread = threading.Thread(target=_check, args=(settings, catalog), name="table check", daemon=True)
    thread.start()
    return thread


def _check(settings: Settings, catalog: Catalog) -> None:
    data = Database(settings.data_url.reveal(), pool=1, statement_seconds=SHORT_SECONDS)
    try:
        for difference in data_tables.each_difference(data, catalog.packs, within=MAX_SECONDS):
            log.warning("data: %s", difference)
    except SQLAlchemyError as error:
        log.info("the tables of the packs were not compared to the end, run `opsconsole check`: %s", reason(error))
    except Exception as error:  # noqa: BLE001 - the top of a thread
        log_failure("comparing the tables of the packs", error)
    finally:
        data.close()

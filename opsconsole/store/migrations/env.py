"""Runs the migrations on the connection that `opsconsole.store.migrate` passes, in its transaction."""

from __future__ import annotations

from alembic import context

from opsconsole.store.migrate import VERSION_TABLE
from opsconsole.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()

"""Jobs without a schedule, and reasons as tokens with underscores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Jobs that only run when an operator starts them were registered with the rarest schedule that exists. With NULL here
# the next leader finds no missed 29 February to record for them.
MANUAL = "UPDATE ops_jobs SET cron = NULL WHERE cron = '0 0 29 2 *'"


def upgrade() -> None:
    with op.batch_alter_table("ops_jobs") as jobs:
        jobs.alter_column("cron", existing_type=sa.String(), nullable=True)
    op.execute(MANUAL)
    op.execute("UPDATE ops_occurrences SET reason = 'catch_up_limit' WHERE reason = 'catch-up limit'")

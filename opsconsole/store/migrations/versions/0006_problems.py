"""The problems of the leader, and what it has set aside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from opsconsole.core.column_types import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ops_lease", sa.Column("problems", sa.Text(), nullable=True))
    op.create_table(
        "ops_set_aside",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_ops_set_aside")),
    )

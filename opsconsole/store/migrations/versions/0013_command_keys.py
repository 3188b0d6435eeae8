"""Keys by which a repeated request of a client is recognised."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ops_commands", sa.Column("key", sa.String(), nullable=True))
    op.create_index("ix_ops_commands_requested_by_key", "ops_commands", ["requested_by", "key"], unique=True)

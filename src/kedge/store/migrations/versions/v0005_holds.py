"""What dossiers hold is read where they say it, by the collector alone: two of three records moved rows of it."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("holds")

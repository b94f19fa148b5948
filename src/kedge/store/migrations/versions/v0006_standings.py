"""How a unit stands says its health and its sync: an index over it serves both. Nobody asks which units are due."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("units_health", "units_sync", "units_due"):
        op.drop_index(name, "units")

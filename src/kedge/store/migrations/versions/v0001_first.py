"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_units()
    _create_work()
    _create_log()


def _create_units() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("effects_key", sa.LargeBinary, nullable=False),
        sa.Column("effects_nonce", sa.LargeBinary, nullable=False),
        sa.Column("vault_key_id", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_table(
        "units",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("root", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("standing", sa.Integer, nullable=False),
        sa.Column("sync", sa.Text, nullable=False),
        sa.Column("health", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("cluster", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("commit", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("verified", sa.Float),
        sa.Column("changed", sa.Float, nullable=False),
        sa.Column("waiting", sa.Text, nullable=False),
        sa.Column("pinned", sa.Integer, nullable=False),
        sa.Column("suspended", sa.Integer, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("search", sa.Text, nullable=False),
        sa.Column("due", sa.Float),
        sa.Column("removed", sa.Float),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("plan_digest", sa.Text, nullable=False),
        sa.Column("inventory", sa.Text, nullable=False),
        sa.Column("holds", sa.Text, nullable=False),
        sa.Column("reads", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("units_standing", "units", ["standing", "name"])
    op.create_index("units_project", "units", ["project", "standing", "name"])
    op.create_index("units_health", "units", ["health", "standing", "name"])
    op.create_index("units_sync", "units", ["sync", "standing", "name"])
    op.create_index("units_cluster", "units", ["cluster", "standing", "name"])
    op.create_index("units_source", "units", ["repository", "ref"])
    op.create_index("units_root", "units", ["root", "name"])
    op.create_index("units_due", "units", ["due"])
    op.create_table(
        "labels",
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("labels_value", "labels", ["key", "value", "unit"])
    op.create_table(
        "objects",
        sa.Column("cluster", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("hook", sa.Text, nullable=False),
        sa.Column("wave", sa.Integer, nullable=False),
    )
    op.create_index("objects_unit", "objects", ["unit"])
    op.create_table(
        "holds",
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
    )
    op.create_index("holds_digest", "holds", ["kind", "digest"])


def _create_work() -> None:
    op.create_table(
        "operations",
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("rendered", sa.Text, nullable=False),
        sa.Column("declared", sa.Text, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("finished", sa.Float),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("operations_plan", "operations", ["plan"])
    op.create_index("operations_rendered", "operations", ["rendered"])
    op.create_table(
        "plans",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "declared",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "heads",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("checked", sa.Float, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "roots",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "declarations",
        sa.Column("root", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )


def _create_log() -> None:
    op.create_table(
        "events",
        sa.Column("serial", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Integer),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("chain", sa.Text, nullable=False),
    )
    op.create_index("events_id", "events", ["id"], unique=True)
    op.create_index("events_unit", "events", ["unit", "id"])
    op.create_table(
        "sealer",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("chain", sa.Text, nullable=False),
    )
    op.create_table(
        "blobs",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )

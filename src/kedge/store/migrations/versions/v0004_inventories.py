"""An inventory stands in its dossier: only the claims are rows. Two of three records moved a fingerprint of each."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_VALUES = ("digest", "fingerprint", "uid", "hook", "wave")
_REF = ("group", "kind", "namespace", "name")


def upgrade() -> None:
    connection = op.get_bind()
    units = sa.table("units", sa.column("name"), sa.column("body"), sa.column("inventory"))
    objects = sa.table("objects", sa.column("unit"), sa.column("ref"), *map(sa.column, _VALUES))
    for (name,) in connection.execute(sa.select(units.c.name).where(units.c.inventory != "")).all():
        rows = connection.execute(sa.select(objects).where(objects.c.unit == name)).mappings().all()
        body = connection.execute(sa.select(units.c.body).where(units.c.name == name)).scalar_one()
        told = json.dumps(_told(json.loads(body), rows), ensure_ascii=False, separators=(",", ":"))
        connection.execute(sa.update(units).where(units.c.name == name).values(body=told))
    with op.batch_alter_table("objects") as table:
        for column in _VALUES:
            table.drop_column(column)


def _told(dossier: dict[str, Any], rows: Any) -> dict[str, Any]:
    """With the inventory in order of ref. `units.inventory` stays as it is: a digest that fits no more costs the next
    record one look at the claims."""
    refs = {tuple(row["ref"].split("/", 3)): {key: row[key] for key in _VALUES} for row in rows}
    owned = [{"ref": dict(zip(_REF, ref, strict=True)), **refs[ref]} for ref in sorted(refs)]
    return dossier | {"inventory": owned}

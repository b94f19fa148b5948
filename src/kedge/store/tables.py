"""The tables, as the newest migration leaves them (a test holds the two equal).

Only plain types (text, integer, float, bytes): statements run on the DBAPI without value processing. Truth values are
0 or 1. JSON is text written by `codec`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

HEAD = "0006"
"""The newest migration; a database at this revision is opened without importing alembic."""

metadata = MetaData()

installation = Table(
    "installation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("effects_key", LargeBinary, nullable=False),
    Column("effects_nonce", LargeBinary, nullable=False),
    Column("vault_key_id", Text, nullable=False),
    Column("created", Float, nullable=False),
)

# One row per unit. `body` is the dossier without what other columns and tables hold: its plan (plans) and the reads of
# its rendering (reads). `standing` is lower the worse the unit stands: the order of the fleet page. `inventory` is a
# digest of what is claimed (objects), so that an unchanged part costs no statement; `holds` is what is not collected
# while the dossier stands, as `blob:DIGEST` and `plan:ID`.
units = Table(
    "units",
    metadata,
    Column("name", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("root", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("standing", Integer, nullable=False),
    Column("sync", Text, nullable=False),
    Column("health", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("commit", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("verified", Float),
    Column("changed", Float, nullable=False),
    Column("waiting", Text, nullable=False),
    Column("pinned", Integer, nullable=False),
    Column("suspended", Integer, nullable=False),
    Column("labels", Text, nullable=False),
    Column("search", Text, nullable=False),
    Column("due", Float),
    Column("removed", Float),
    Column("plan", Text, nullable=False),
    Column("plan_digest", Text, nullable=False),
    Column("inventory", Text, nullable=False),
    Column("holds", Text, nullable=False),
    Column("reads", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("units_standing", "standing", "name"),
    Index("units_project", "project", "standing", "name"),
    Index("units_cluster", "cluster", "standing", "name"),
    Index("units_source", "repository", "ref"),
    Index("units_root", "root", "name"),
)

labels = Table(
    "labels",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("labels_value", "key", "value", "unit"),
)

# A claim: the primary key makes two units' claim of one object a key conflict.
objects = Table(
    "objects",
    metadata,
    Column("cluster", Text, primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("unit", Text, nullable=False),
    Index("objects_unit", "unit"),
)

operations = Table(
    "operations",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("rendered", Text, nullable=False),
    Column("declared", Text, nullable=False),
    Column("started", Float, nullable=False),
    Column("finished", Float),
    Column("result", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("operations_plan", "plan"),
    Index("operations_rendered", "rendered"),
)

plans = Table(
    "plans",
    metadata,
    Column("id", Text, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("body", Text, nullable=False),
)

# Unit declarations as they were in force when a run began, by the sha256 of their JSON.
declared = Table(
    "declared",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

heads = Table(
    "heads",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("checked", Float, nullable=False),
    Column("body", Text, nullable=False),
)

roots = Table(
    "roots",
    metadata,
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

# What a root declares beside units: `kind` is Cluster, Credential or HealthRule.
declarations = Table(
    "declarations",
    metadata,
    Column("root", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

# `id` is the place in the chain, `chain` the digest there, `payload` what it covers.
events = Table(
    "events",
    metadata,
    Column("serial", Integer, primary_key=True, autoincrement=True),
    Column("id", Integer),
    Column("unit", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("chain", Text, nullable=False),
    Index("events_id", "id", unique=True),
    Index("events_unit", "unit", "id"),
)

# One row: the head of the chain. Whoever seals holds this row for the length of a transaction.
sealer = Table(
    "sealer",
    metadata,
    Column("name", Text, primary_key=True),
    Column("id", Integer, nullable=False),
    Column("chain", Text, nullable=False),
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("created", Float, nullable=False),
)

# What Credentials may name as `store: NAME`, encrypted under that name.
secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# States of stacks. `data` is the packed content, `head` its outputs and addresses, so that they are read without it.
states = Table(
    "states",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("serial", BigInteger, nullable=False),
    Column("lineage", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("resources", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("origin", Text, nullable=False),
    Column("execution", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("head_nonce", LargeBinary, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

state_locks = Table(
    "state_locks",
    metadata,
    Column("unit", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("execution", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("base", Integer, nullable=False),
    Column("info", Text, nullable=False),
)

# What executions may do with a state. `token` is the sha256 of the token, never the token.
state_grants = Table(
    "state_grants",
    metadata,
    Column("execution", Text, primary_key=True),
    Column("unit", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("writes", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("base", Integer),
    Column("barred", Text, nullable=False),
    Column("ended", Float),
)

"""Memory: units, objects, operations, plans, events and encrypted blobs, on SQLAlchemy Core.

Law: knows the model and `kedge.ports`, and no other adapter; nothing outside this room imports SQLAlchemy or alembic,
and importing this package alone imports neither. All writes pass the one writer of `writer.py`, the only file here
that starts a thread. The SQL stays dialect-neutral; what only SQLite can do stands in `sqlite.py`.
"""

"""What alembic runs: upgrade the connection handed over by `kedge.store.migrate`, in the transaction it holds."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()

"""Migrations, one file each under `versions/`, run when a store is opened. A merged one is never edited again."""

"""The migrations in order: 0001 is the first."""

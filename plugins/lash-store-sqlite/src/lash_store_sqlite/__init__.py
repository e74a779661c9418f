"""A store that keeps sessions in one SQLite file."""

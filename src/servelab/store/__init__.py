"""The store: studies, trials, measurements and events; the one truth, in SQLite or PostgreSQL."""

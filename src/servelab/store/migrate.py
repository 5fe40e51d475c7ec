"""Bring a database's schema up to date with alembic."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

LOCK = 7378  # any number, the same for all: whoever holds it migrates


def migrate(engine: Engine) -> None:
    """Run the migrations that the database has not seen, in one transaction each."""
    with as_file(files("servelab.store") / "migrations") as scripts, engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Several workers may open a new store at once; who comes second finds the schema made.
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

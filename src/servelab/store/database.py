"""Open the database behind a store, with the schema this program knows."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from servelab.spec.errors import StoreError
from servelab.store.tables import SCHEMA, schema_version

BUSY_TIMEOUT = 15.0  # seconds to wait for another process's transaction
_KINDS = "Use SQLite (a file's path) or postgresql://user@host/database."
READS_ONLY = "servelab_reads_only"  # execution option: this connection writes nothing


def connect(url: str) -> Engine:
    """Open ``url`` (a SQLite path, or sqlite:// or postgresql:// URL) and bring its schema up to date.

    Raises:
        StoreError: it cannot be opened, or was made by a newer servelab.
    """
    parsed = parse_url(url)
    engine = _sqlite(parsed) if parsed.drivername == "sqlite" else _postgresql(parsed)
    with translated(parsed):
        _bring_up_to_date(engine, parsed)
    return engine


def parse_url(url: str) -> URL:
    """Read a store's URL or file path.

    Raises:
        StoreError: it is neither.
    """
    if "://" not in url:
        return URL.create("sqlite", database=str(Path(url).expanduser()))
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "the store's URL cannot be read", "Write a file's path, or postgresql://user@host/database."
        ) from None
    if parsed.drivername.startswith("postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite":
        return parsed
    raise StoreError(f"a store in {parsed.drivername} is not supported", _KINDS)


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make the directory {path.parent} for the store: {error.strerror}",
            "Give another place with --store, SERVELAB_STORE or SERVELAB_HOME.",
        ) from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: Any) -> None:
        # SQLAlchemy, not the driver, says when a transaction begins: see _immediate below.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        # With WAL, NORMAL loses nothing to a killed process; only a power cut may take the last transactions.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _immediate(connection: Connection) -> None:
        # A transaction that reads and then writes must hold the write lock from the start.
        reads_only = connection.get_execution_options().get(READS_ONLY)
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise StoreError(
            "the PostgreSQL driver is not installed", "Install it: pip install 'servelab[postgres]'"
        ) from error


def _bring_up_to_date(engine: Engine, url: URL) -> None:
    version = _version(engine)
    if version > SCHEMA:
        raise StoreError(
            f"the store {url.render_as_string()} is of schema {version}, this servelab knows {SCHEMA}",
            "Upgrade servelab, or give another store.",
        )
    if version < SCHEMA:
        from servelab.store.migrate import migrate  # alembic takes a quarter of a second to import

        migrate(engine)


def _version(engine: Engine) -> int:
    """The schema number in the database; 0 for an empty one."""
    with engine.connect().execution_options(**{READS_ONLY: True}) as connection:
        if not inspect(connection).has_table(schema_version.name):
            return 0
        return connection.scalar(select(schema_version.c.version)) or 0


@contextlib.contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn the database's errors into sentences with the next step.

    Raises:
        StoreError: for every error of the database but a violated constraint.
    """
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, sqlite3.Error) as error:
        raise _explained(error, url.render_as_string(hide_password=True)) from error


_OTHER = "give another with --store or SERVELAB_STORE"

_EXPLANATIONS = (
    ("database is locked", "{where} is locked by another process", "Wait for it to end, or find it: fuser {where}"),
    ("disk is full", "the disk of {where} is full", "Free some space, then: servelab resume"),
    ("readonly database", "{where} cannot be written", f"Check its permissions, or {_OTHER}."),
    ("unable to open", "{where} cannot be opened", f"Check its directory's permissions, or {_OTHER}."),
    ("not a database", "{where} is not a database", f"Move it away, or {_OTHER}."),
    ("malformed", "{where} is damaged", "Restore a backup, or move it away and start anew."),
    ("disk i/o error", "{where} cannot be written (I/O error)", "Check the disk and its free space."),
    ("authentication", "{where} does not let you in", "Check user and password (PGPASSWORD or ~/.pgpass)."),
    ("does not exist", "the database {where} does not exist", "Create it: createdb NAME"),
    ("connection", "{where} cannot be reached", "Check that PostgreSQL runs there and lets you in."),
)
"""What the database says -> what happened, and what to do next."""


def _explained(error: Exception, where: str) -> StoreError:
    place = where.removeprefix("sqlite:///")
    text = str(getattr(error, "orig", error))
    for pattern, message, remedy in _EXPLANATIONS:
        if pattern in text.lower():
            return StoreError("the store " + message.format(where=place), remedy.format(where=place))
    return StoreError(f"the store {place} failed: {text.splitlines()[0] if text else type(error).__name__}")

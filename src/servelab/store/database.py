"""Open the database behind a store, with the schema this program knows."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from servelab.spec.errors import StoreError
from servelab.store.tables import SCHEMA, schema_version

BUSY_TIMEOUT = 15.0  # seconds to wait for another process's transaction
CONNECT_TIMEOUT = 10  # seconds to wait for PostgreSQL, unless its URL has a connect_timeout of its own
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
        try:
            return URL.create("sqlite", database=str(Path(url).expanduser()))
        except RuntimeError:  # what pathlib raises for the home of nobody
            raise StoreError(f"the store {url} is in the home of a user that does not exist", _KINDS) from None
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(
            "the store's URL cannot be read", "Write a file's path, or postgresql://user@host/database."
        ) from None
    if parsed.drivername.startswith("postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite":
        return parsed
    raise StoreError(f"a store in {parsed.drivername} is not supported", _KINDS)


def shown(url: URL) -> str:
    """``url`` for people: a file's path, or a URL without what may hold a password, its query included."""
    if url.drivername == "sqlite":
        return url.database or ""
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


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
        _write_ahead(connection)
        # With WAL, NORMAL loses nothing to a killed process; only a power cut may take the last transactions.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _immediate(connection: Connection) -> None:
        # A transaction that reads and then writes must hold the write lock from the start.
        reads_only = connection.get_execution_options().get(READS_ONLY)
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on. While another process does, SQLite says it is locked without waiting."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _postgresql(url: URL) -> Engine:
    try:
        patience = {"connect_timeout": url.query.get("connect_timeout", CONNECT_TIMEOUT)}
        return create_engine(url, pool_pre_ping=True, connect_args=patience)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            "the PostgreSQL driver is not installed", "Install it: pip install 'servelab[postgres]'"
        ) from error


def _bring_up_to_date(engine: Engine, url: URL) -> None:
    version = _version(engine)
    if version > SCHEMA:
        raise StoreError(
            f"the store {shown(url)} is of schema {version}, this servelab knows {SCHEMA}",
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
        raise _explained(error, shown(url)) from error


_OTHER = "give another with --store or SERVELAB_STORE"
_EMPTIED = "the store {where} was emptied or replaced while in use"

_EXPLANATIONS = (
    ("database is locked", "the store {where} is locked by another process", "Wait for it, or find it: fuser {where}"),
    ("disk is full", "the disk of the store {where} is full", "Free some space, then: servelab resume"),
    ("no space left", "the disk of the store {where} is full", "Free some space, then: servelab resume"),
    ("readonly database", "the store {where} cannot be written", f"Check its permissions, or {_OTHER}."),
    ("read-only transaction", "the store {where} is for reading only", f"Name the primary server, or {_OTHER}."),
    ("unable to open", "the store {where} cannot be opened", f"Check its directory's permissions, or {_OTHER}."),
    ("not a database", "the store {where} is not a database", f"Move it away, or {_OTHER}."),
    ("malformed", "the store {where} is damaged", "Restore a backup, or move it away and start anew."),
    ("disk i/o error", "the store {where} cannot be written (I/O error)", "Check the disk and its free space."),
    ("already exists", "{where} holds the tables of another program", f"Give it a database of its own: {_OTHER}."),
    ("no such table", _EMPTIED, "Put it back, then: servelab resume"),
    ('relation "', _EMPTIED, "Put it back, then: servelab resume"),
    ("permission denied", "this user may not write to {where}", "As its owner: ALTER DATABASE NAME OWNER TO USER"),
    ("too many c", "the store {where} has no connection left", "End some of its clients, or raise its limit."),
    ("connection slots", "the store {where} has no connection left", "End some of its clients, or raise its limit."),
    ("authentication", "the store {where} does not let you in", "Check user and password (PGPASSWORD or ~/.pgpass)."),
    ("no password", "the store {where} asks for a password", "Give it in PGPASSWORD or ~/.pgpass."),
    ("not permitted to log in", "the store {where} does not let this user in", "As its owner: ALTER ROLE NAME LOGIN"),
    ('role "', "the store {where} does not know this user", "Create it: createuser NAME; or name another in the URL."),
    ("does not exist", "the database of the store {where} does not exist", "Create it: createdb NAME"),
    ("resolve host", "the store {where} cannot be reached: no such host", "Check the host in its URL."),
    ("connection", "the store {where} cannot be reached", "Check that PostgreSQL runs there and lets you in."),
)
"""What the database says -> what happened, and what to do next."""


def _explained(error: Exception, where: str) -> StoreError:
    text = str(getattr(error, "orig", error))
    for pattern, message, remedy in _EXPLANATIONS:
        if pattern in text.lower():
            return StoreError(message.format(where=where), remedy.format(where=where))
    said = text.splitlines()[0] if text else type(error).__name__
    return StoreError(f"the store {where} failed: {said}", f"Try again: servelab resume; or {_OTHER}.")

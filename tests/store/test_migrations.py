"""The migrations make exactly the tables this program knows, whole or not at all."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from servelab.spec.errors import StoreError
from servelab.store import migrate
from servelab.store.database import connect, parse_url
from servelab.store.store import Store
from servelab.store.tables import SCHEMA, metadata
from tests.lab.studies import small

OPEN = "import sys; from servelab.store.store import Store; print('begun', flush=True); Store(sys.argv[1])"


def test_the_migrations_make_the_tables(url):
    engine = connect(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.exec_driver_sql("SELECT version FROM servelab_schema").all() == [(SCHEMA,)]
    engine.dispose()


def test_migrating_again_changes_nothing(url):
    store = Store(url)
    record = store.create_study(small())
    engine = create_engine(parse_url(url))
    migrate.migrate(engine)
    engine.dispose()
    assert store.get_study(record.id) == record


def test_the_schema_number_is_the_newest_migration():
    scripts = ScriptDirectory(str(migrate.files("servelab.store") / "migrations"))
    assert scripts.get_current_head() == f"{SCHEMA:04}"


def test_a_store_whose_making_was_killed_is_made_by_the_next(tmp_path):
    left = set()
    for i in range(12):
        path = tmp_path / f"{i}.db"
        child = subprocess.Popen([sys.executable, "-c", OPEN, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(random.Random(i).uniform(0.0, 0.5))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        left.add(tables(path) if path.exists() else -1)
        assert Store(str(path)).create_study(small()).state == "waiting"
    assert left <= {-1, 0, len(metadata.tables) + 1}, "alembic's own table is the one more"


def tables(path) -> int:
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]


def test_another_programs_database_stays_as_it_was(tmp_path):
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE studies (study_id INTEGER)")
    with pytest.raises(StoreError, match="holds the tables of another program") as caught:
        Store(str(path))
    assert caught.value.remedy
    assert tables(path) == 1

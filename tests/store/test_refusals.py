"""What a store that refuses says: a sentence with the next step, and no password from anywhere in its URL."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time

import psycopg
import pytest

from servelab.spec.errors import StoreError
from servelab.store import database
from servelab.store.store import Store
from tests.lab.studies import small
from tests.postgres import postgresql

SECRET = "hunter2-of-the-test"


@pytest.fixture(scope="module")
def strict():
    """A server that asks everybody but its owner for a password."""
    with postgresql() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE guest LOGIN PASSWORD '{SECRET}'")
        connection.execute("CREATE ROLE single LOGIN CONNECTION LIMIT 0")
        (file,) = connection.execute("SHOW hba_file").fetchone()
        rules = "host all guest 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust"
        connection.execute(f"COPY (SELECT unnest(string_to_array('{rules}', E'\\n'))) TO '{file}'")
        connection.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + 120
        while "let you in" not in refused(url.replace("lab@", "guest:wrong@")) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield url


def refused(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        Store(url).create_study(small())
    assert SECRET not in str(caught.value)
    assert caught.value.remedy
    return str(caught.value)


def test_a_wrong_password(strict):
    assert "does not let you in" in refused(strict.replace("lab@", f"guest:{SECRET}x@"))


def test_no_password(strict):
    assert "asks for a password" in refused(strict.replace("lab@", "guest@"))


def test_a_password_in_the_query_is_hidden(strict):
    assert "does not let you in" in refused(f"{strict.replace('lab@', 'guest@')}?password={SECRET}x")
    assert SECRET not in Store(f"{strict}?password={SECRET}").location


def test_a_user_who_may_not_make_tables(strict):
    url = strict.replace("lab@", f"guest:{SECRET}@")
    assert "may not write to" in refused(url)


def test_a_user_without_connections_left(strict):
    assert "has no connection left" in refused(strict.replace("lab@", "single@"))


def test_a_database_for_reading_only(strict):
    with psycopg.connect(strict, autocommit=True) as connection:
        connection.execute("CREATE DATABASE standby TEMPLATE template0")
        url = f"{strict.rpartition('/')[0]}/standby"
        Store(url)
        connection.execute("ALTER DATABASE standby SET default_transaction_read_only = on")
    assert "is for reading only" in refused(url)


def test_tables_that_vanish_in_use(strict):
    with psycopg.connect(strict, autocommit=True) as connection:
        connection.execute("CREATE DATABASE emptied TEMPLATE template0")
    url = f"{strict.rpartition('/')[0]}/emptied"
    store = Store(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE events")
    with pytest.raises(StoreError, match="was emptied or replaced while in use"):
        store.create_study(small())


def test_a_user_who_may_not_log_in(strict):
    with psycopg.connect(strict, autocommit=True) as connection:
        connection.execute("CREATE ROLE barred NOLOGIN")
    assert "ALTER ROLE" in refused(strict.replace("lab@", "barred@"))


def test_a_host_that_is_not_there():
    assert "no such host" in refused("postgresql://lab@nowhere.invalid/x")


def test_what_nobody_foresaw_has_a_next_step(strict):
    assert "failed: bad value for connect_timeout" in refused(f"{strict}?connect_timeout=soon")


def test_a_server_that_says_nothing(monkeypatch):
    monkeypatch.setattr(database, "CONNECT_TIMEOUT", 250)  # what counts where the URL says nothing
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        told = refused(f"postgresql://lab@127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=2")
    assert "cannot be reached" in told
    assert time.monotonic() - began < 200


def test_a_driver_that_cannot_be_loaded():
    code = (
        "from servelab.spec.errors import StoreError; from servelab.store.store import Store\n"
        "try: Store('postgresql://lab@127.0.0.1/x')\nexcept StoreError as error: print(error)"
    )
    # psycopg's C extension is not installed, and asking for it makes the import of psycopg fail for real.
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PSYCOPG_IMPL": "c"},
    )
    assert "driver is not installed" in ran.stdout
    assert "pip install 'servelab[postgres]'" in ran.stdout


def test_the_home_of_nobody():
    assert "a user that does not exist" in refused("~nobody-of-this-name/x.db")


def test_a_file_that_vanishes_in_use(tmp_path):
    path = tmp_path / "x.db"
    store = Store(str(path))
    store.create_study(small())
    store._engine.dispose()
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(StoreError, match="was emptied or replaced while in use") as caught:
        store.list_studies()
    assert caught.value.remedy


def test_a_damaged_page(tmp_path):
    path = tmp_path / "x.db"
    store = Store(str(path))
    for _ in range(50):
        store.create_study(small())
    store._engine.dispose()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(random.Random(1).randbytes(4096 * 8))
    assert "is damaged" in refused(str(path))

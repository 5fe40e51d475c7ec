"""What PostgreSQL refuses is told in a sentence, and never with the password."""

from __future__ import annotations

import socket

import pytest

from servelab.spec.errors import StoreError
from servelab.store.store import Store, open_store

SECRET = "hunter2-of-the-test"


def complaint(url: str) -> str:
    """What a store that cannot be opened says, remedy included."""
    with pytest.raises(StoreError) as caught:
        open_store(url)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert caught.value.remedy
    return str(caught.value)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def with_user(server: str, user: str) -> str:
    return server.replace("//lab@", f"//{user}:{SECRET}@")


def test_a_server_that_is_not_there():
    assert "cannot be reached" in complaint(f"postgresql://lab:{SECRET}@127.0.0.1:{closed_port()}/lab")


def test_a_database_that_is_not_there(server):
    base, _, _ = with_user(server, "lab").rpartition("/")
    assert "/nowhere does not exist" in complaint(f"{base}/nowhere")


def test_a_user_that_is_not_there(server):
    assert "does not know this user" in complaint(with_user(server, "nobody-known"))


def test_the_location_shows_no_password(server):
    store = Store(with_user(server, "lab"))
    assert SECRET not in store.location
    assert "lab:***@127.0.0.1" in store.location


@pytest.mark.parametrize("url", [f"mysql://me:{SECRET}@host/db", f"postgresql://me:{SECRET}@host:port/db", "://"])
def test_urls_that_are_no_store(url):
    assert "store" in complaint(url)

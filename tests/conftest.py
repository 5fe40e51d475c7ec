"""What all tests share: a home of their own, and the embedded model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from servelab.catalog.models import get_model
from servelab.lab.fetch import fetch_model
from servelab.store.store import Store, open_store

pytest_plugins = ["tests.clusters"]

# A busy machine is no fault of what is tested.
settings.register_profile("servelab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("servelab")


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The embedded model's file, fetched once into the user's cache."""
    embedded = get_model("smollm2-135m").embedded
    assert embedded is not None
    return fetch_model(embedded)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_file: Path) -> Path:
    """A servelab home of the test's own; the cache stays the user's, for the model's sake."""
    directory = tmp_path / "home"
    monkeypatch.setenv("SERVELAB_HOME", str(directory))
    monkeypatch.delenv("SERVELAB_STORE", raising=False)
    monkeypatch.setenv("SERVELAB_CACHE", str(model_file.parent.parent))
    monkeypatch.chdir(tmp_path)
    return directory


@pytest.fixture
def store(home: Path) -> Store:
    """The home's store."""
    del home
    return open_store()

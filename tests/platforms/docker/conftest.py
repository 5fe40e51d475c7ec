"""Each test of Docker runs on the played engine, and on a real one where there is one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.platforms.docker.engines import Engine, played, real


@pytest.fixture(autouse=True)
def patience_with_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the rest of a log may take long."""
    monkeypatch.setattr("servelab.platforms.docker.running.LOG_PATIENCE", 200.0)


@pytest.fixture(params=["played", "real"])
def docker(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A Docker Engine."""
    if request.param == "played":
        with played() as engine:
            yield engine
        return
    engine = real()
    if engine is None:
        pytest.skip("no Docker Engine runs here: set DOCKER_HOST=unix://...")
    yield engine

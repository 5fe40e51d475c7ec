"""What the tests against a cluster share."""

from __future__ import annotations

import httpx2
import pytest


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for half a minute is no fault of what is tested."""
    monkeypatch.setattr("servelab.kube.cluster.TIMEOUT", httpx2.Timeout(150.0))

"""What pages and REST work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fastapi import Request

from servelab.store.store import Store
from servelab.web.dialogs import Dialogs
from servelab.web.live import Live
from servelab.web.overview import Overview
from servelab.web.settings import Settings
from servelab.web.shared import Shared
from servelab.web.tokens import Tokens


@dataclass(frozen=True)
class Context:
    """The one store, what follows it, and how the server is run."""

    store: Store
    live: Live
    settings: Settings
    tokens: Tokens
    shared: Shared[Any] = field(default_factory=lambda: Shared(share=0.008, shortest=2.0))
    devices: Shared[Any] = field(default_factory=lambda: Shared(share=0.2, shortest=2.0))
    """What the accelerators do, which drivers are slow to tell."""
    dialogs: Dialogs = field(default_factory=Dialogs)

    @cached_property
    def overview(self) -> Overview:
        """The lines of all studies."""
        return Overview(self.store, self.live)


def context_of(request: Request) -> Context:
    """The context of the application that answers a request; a dependency of FastAPI."""
    found: Context = request.app.state.context
    return found


def store_of(request: Request) -> Store:
    """The store of the application that answers a request; a dependency of FastAPI."""
    return context_of(request).store

"""What was typed outlives a reload and a restart of the server: the browser's tab keeps it."""

from __future__ import annotations

import json

from nicegui import ui

from servelab.web.preview import LONGEST


class Memory:
    """The unfinished study of this tab, for one page address."""

    def __init__(self, origin: str | None) -> None:
        self._key = json.dumps(f"servelab-new-{origin or ''}")

    async def recall(self) -> str | None:
        """What was written here before; None where nothing was."""
        try:
            found = await ui.run_javascript(f"return sessionStorage.getItem({self._key})", timeout=60)
        except TimeoutError:  # the browser has gone
            return None
        return found if isinstance(found, str) and 0 < len(found) <= LONGEST else None

    def keep(self, content: str) -> None:
        """Keep this."""
        ui.run_javascript(f"sessionStorage.setItem({self._key}, {json.dumps(content)})")

    def forget(self) -> None:
        """Keep nothing more."""
        ui.run_javascript(f"sessionStorage.removeItem({self._key})")

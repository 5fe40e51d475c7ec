"""Texts as a ZIP archive, made while it is sent: no more than one of them is held at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator


def zipped(texts: Iterable[tuple[str, str]], directory: str) -> Iterator[bytes]:
    """An archive of these files below ``directory``, in pieces."""
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts:
            archive.writestr(f"{directory}/{name}", text)
            yield pieces.take()
    yield pieces.take()


class _Pieces:
    """A file that is only ever written to, and handed on in between."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is kept elsewhere."""

    def close(self) -> None:
        """What is held is still to be taken."""

    def take(self) -> bytes:
        held, self._held = b"".join(self._held), []
        return held

"""The token that lets people in from other machines, and the sessions that it opens.

The token is shown once and kept as its hash: it has 192 random bits, so a plain SHA-256 cannot be turned around. A
session is a signed cookie; its key hangs on the token's hash, so that a new token ends all sessions.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from servelab.spec.errors import StoreError

COOKIE = "servelab-session"
LIFETIME = 7 * 86400  # seconds that a session lasts
_HASH, _KEY = "web-token.sha256", "web-session.key"


class Tokens:
    """The token and the sessions of one data directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def exists(self) -> bool:
        """Whether a token was made before."""
        return (self._directory / _HASH).exists()

    def renew(self) -> str:
        """Make a new token; the old one and all sessions end."""
        token = secrets.token_urlsafe(24)
        _write(self._directory / _HASH, _digest(token).encode())
        return token

    def is_token(self, text: str) -> bool:
        """Whether this is the token."""
        try:
            known = (self._directory / _HASH).read_text(encoding="ascii")
        except FileNotFoundError:
            return False
        return hmac.compare_digest(known, _digest(text))

    def session(self) -> str:
        """The value of a new session's cookie."""
        return self._signer().dumps(secrets.token_hex(8))

    def is_session(self, cookie: str) -> bool:
        """Whether a cookie is of a session that still lasts."""
        try:
            self._signer().loads(cookie, max_age=LIFETIME)
        except BadSignature:
            return False
        return True

    def _signer(self) -> URLSafeTimedSerializer:
        key = self._directory / _KEY
        if not key.exists():
            _write(key, secrets.token_bytes(32))
        token = self._directory / _HASH
        return URLSafeTimedSerializer(key.read_bytes(), salt=token.read_bytes() if token.exists() else b"no token")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write a file that only this user reads, all or nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{secrets.token_hex(4)}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        part.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}", "Set SERVELAB_HOME to another place.") from error

"""Sessions: who has logged in on the pages. They are only in memory, so that stopping the server ends all."""

import hashlib
import secrets
import time
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from artstore.server.tokens import Token, Tokens

SECONDS = 12 * 3600
"""How long a session lasts."""
_MOST = 32
"""Sessions of one token: the oldest ends for one more."""


class _Session(NamedTuple):
    token: Token
    until: float


class Sessions:
    """The sessions of all tokens, for the threads of a server. Of the secret of a session only a digest is kept."""

    def __init__(self, tokens: Tokens, seconds: float = SECONDS) -> None:
        self._tokens = tokens
        self._seconds = seconds
        self._lock = Lock()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()

    def begin(self, token: Token) -> str:
        """Begin a session of a token. Returns its secret, which nobody could choose."""
        secret, now = secrets.token_urlsafe(32), time.monotonic()
        with self._lock:
            for key in [key for key, session in self._sessions.items() if session.until < now]:
                del self._sessions[key]
            own = [key for key, session in self._sessions.items() if session.token.id == token.id]
            for key in own[: max(0, len(own) + 1 - _MOST)]:
                del self._sessions[key]
            self._sessions[_key(secret)] = _Session(token, now + self._seconds)
        return secret

    def token(self, secret: str) -> Token | None:
        """The token whose session has this secret, as it is now. None if the session or the token has ended."""
        with self._lock:
            session = self._sessions.get(_key(secret))
        if session is None or session.until < time.monotonic():
            return None
        token = self._tokens.again(session.token)
        if token is None:
            self.end(secret)
        return token

    def end(self, secret: str) -> None:
        """End a session. There may be none."""
        with self._lock:
            self._sessions.pop(_key(secret), None)


def _key(secret: str) -> bytes:
    """What is kept of a secret. Finding it takes the same time for all wrong ones, since nobody can choose digests."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()

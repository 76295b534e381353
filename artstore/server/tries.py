"""Tokens that requests bring: who has one is let in, and nobody can try many."""

import time
from collections import OrderedDict
from threading import Lock

from artstore.errors import ArtstoreError, AuthenticationError, StorageError
from artstore.server.tokens import Token, Tokens

_WRONG = 20
"""Wrong tokens that one address may send in a minute."""
_MINUTE = 60.0
_ADDRESSES = 10_000


class Busy(StorageError):
    """Somebody asks too often, and may come again after some `seconds`."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what, hint=f"wait {seconds:.0f} seconds")
        self.seconds = seconds


class TooMany(Busy):
    """Too many wrong tokens came from one address."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many wrong tokens came from this address", seconds)


class Tries:
    """Finds the tokens that requests bring, and counts wrong ones by the addresses from which they come."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._lock = Lock()
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def token(self, secret: str, address: str) -> Token:
        """The token with this secret. Raises AuthenticationError, and TooMany after many wrong ones from an address.

        Raises StorageError if the tokens can't be read.
        """
        with self._lock:
            recent = self._recent(address)
        if len(recent) >= _WRONG:
            raise TooMany(recent[0] + _MINUTE - time.monotonic())
        try:
            token = self._tokens.find(secret)
        except ArtstoreError as error:  # which names places of the server
            raise StorageError("nobody can be let in now", hint="who runs this server can find out why") from error
        if token is None:
            self._note(address)
            hint = "ask who runs this server for a new one"
            raise AuthenticationError("the token is unknown, was revoked, or has expired", hint=hint)
        return token

    def hold(self, secret: str) -> bool:
        """Whether a token that was let in is still valid."""
        return self._tokens.find(secret) is not None

    def named(self, name: str) -> Token | None:
        """The active token of a name, which a proxy vouches for."""
        return self._tokens.named(name)

    def _recent(self, address: str) -> list[float]:
        return [at for at in self._wrong.get(address, []) if time.monotonic() - at < _MINUTE]

    def _note(self, address: str) -> None:
        with self._lock:
            self._wrong[address] = [*self._recent(address), time.monotonic()][-_WRONG:]
            self._wrong.move_to_end(address)
            while len(self._wrong) > _ADDRESSES:
                self._wrong.popitem(last=False)

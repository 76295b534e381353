"""Tokens: who may do what in a served repository. Their secrets are shown once and kept as digests."""

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from artstore.backends.durability import sync_folder
from artstore.backends.files import check_private, open_regular, remove_if_there, write_file
from artstore.backends.owner import this_process
from artstore.domain.names import printable
from artstore.domain.roles import Grant, Role, pattern_of
from artstore.domain.wording import moment, near
from artstore.errors import Conflict, InvalidValue, NotFound, Refused, storage_error, translated
from artstore.server.folder import make_server_folder

SECRET = re.compile(r"art_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
"""The form of a secret: the id of its token, and 256 random bits."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_LONGEST = 16 << 20
"""Most bytes of the file: 40,000 tokens."""
_LONGEST_NOTE = 1000
_LONGEST_LIFE = 100 * 366 * 86400
_OWNER = Grant(Role.ADMIN)
"""What the owner of a repository may do, who gives out the first tokens."""
_UNKNOWN = "0" * 64

ACTIVE, EXPIRED, REVOKED = "active", "expired", "revoked"


class Token(NamedTuple):
    """A token that was given out. Its name is the verified author of what is done with it."""

    id: str
    """8 hex digits, which are part of the secret"""
    name: str
    grant: Grant
    created: str
    """ISO 8601, UTC, as the next two"""
    expires: str | None
    revoked: str | None
    note: str
    digest: str
    """SHA-256 of the secret, hex"""

    def status(self) -> str:
        """Whether it is active, expired or revoked, by the clock of this host."""
        if self.revoked is not None:
            return REVOKED
        return EXPIRED if self.expires is not None and self.expires <= _now() else ACTIVE


class _Read(NamedTuple):
    """What was in the file, and which file it was."""

    fd: int
    """of the file. While it is open no other file gets its inode, so a new file can't be taken for it"""
    stat: tuple[int, ...]
    tokens: dict[str, Token]
    """by id"""


class Tokens:
    """The tokens of a served repository: one file, written whole under a lock. It is for several threads at once."""

    def __init__(self, folder: str) -> None:
        """`folder` is that of `server_folder`."""
        self._folder = folder
        self._path = os.path.join(folder, "tokens.json")
        self._lock = threading.Lock()
        self._read: _Read | None = None

    def __del__(self) -> None:
        self._forget()

    def all(self) -> list[Token]:
        """All tokens in the order in which they were made, also those that expired or were revoked."""
        with self._lock:
            return list(self._current().values())

    def named(self, name: str) -> Token | None:
        """The active token with this name, or None."""
        return next((token for token in self.all() if token.name == name and token.status() == ACTIVE), None)

    def again(self, token: Token) -> Token | None:
        """A token as it is now, or None if it has ended since it was found."""
        with self._lock:
            now = self._current().get(token.id)
        return now if now is not None and now.digest == token.digest and now.status() == ACTIVE else None

    def find(self, secret: str) -> Token | None:
        """The active token with this secret, or None. Cost: one stat.

        The file is read again when it was replaced, so a token is refused at once when it was revoked.
        """
        match = SECRET.fullmatch(secret)
        with self._lock:
            token = self._current().get(match[1]) if match is not None else None
        is_right = hmac.compare_digest(_digest(secret), token.digest if token is not None else _UNKNOWN)
        return token if token is not None and is_right and token.status() == ACTIVE else None

    def create(
        self,
        name: str,
        role: Role,
        projects: tuple[str, ...] = (),
        expires: float | None = None,
        note: str = "",
        *,
        maker: Grant = _OWNER,
    ) -> str:
        """Give out a token, and return its secret, which can't be found out again.

        Args:
            name: The author of what is done with the token. The holder of a revoked or expired one may get another.
            role: What it allows.
            projects: Patterns as `pattern_of` gives them; none for all projects.
            expires: Seconds until it ends; None for never.
            note: What it is for.
            maker: What the one who asks may do. Nobody gives out more.

        Raises:
            InvalidValue: The name or note breaks its rule.
            Conflict: An active token has the name.
            Refused: The maker isn't an admin, or may do less than the token would.
        """
        if not _NAME.fullmatch(name):
            rule = "1 to 64 ASCII letters, digits, '.', '_', '@', '+' and '-', first a letter or digit"
            raise InvalidValue(f"token name '{printable(name[:100])}' is not allowed: {rule}")
        if len(note) > _LONGEST_NOTE or not note.isprintable():
            raise InvalidValue(f"a note of a token is one line of at most {_LONGEST_NOTE} characters")
        if expires is not None and not 0 < expires <= _LONGEST_LIFE:
            raise InvalidValue("a token lives for some time of at most a hundred years, or for ever")
        grant = Grant(role, tuple(pattern_of(pattern, "") for pattern in projects))
        if maker.role < Role.ADMIN or grant.wider_than(maker):
            raise Refused(
                f"token '{name}' would allow more than you may", hint="an admin of these projects can make it"
            )
        with self._changing() as tokens:
            _check_free(name, tokens.values())
            id = next(id for id in iter(lambda: secrets.token_hex(4), "") if id not in tokens)
            secret = f"art_{id}_{secrets.token_urlsafe(32)}"
            ends = moment(time.time_ns() + int(expires * 1e9)) if expires is not None else None
            tokens[id] = Token(id, name, grant, _now(), ends, None, note, _digest(secret))
        return secret

    def revoke(self, name: str, *, maker: Grant = _OWNER) -> Token:
        """End an active token.

        Raises NotFound if there is none with the name, and Refused if it is the last admin, or if it allows more than
        the one who asks may do.
        """
        with self._changing() as tokens:
            token = _active(name, tokens.values())
            if maker.role < Role.ADMIN or token.grant.wider_than(maker):
                raise Refused(
                    f"token '{name}' allows more than you may", hint="an admin of all its projects can revoke it"
                )
            if token.grant.role == Role.ADMIN and not any(
                other.id != token.id and other.status() == ACTIVE and not token.grant.wider_than(other.grant)
                for other in tokens.values()
            ):
                what = f"token '{name}' is the last admin of its projects"
                raise Refused(what, hint="make another one first: `artstore token create NAME --role admin`")
            tokens[token.id] = token._replace(revoked=_now())
        return tokens[token.id]

    # -- the file --

    def _current(self) -> dict[str, Token]:
        """The tokens in the file, by id. The caller holds the lock."""
        try:
            stat = _stat_of(os.lstat(self._path))
        except FileNotFoundError:
            self._forget()
            return {}
        except OSError as error:
            raise storage_error(error, f"read {printable(self._path)}") from error
        if self._read is None or self._read.stat != stat:
            self._forget()
            self._read = self._load()
        return self._read.tokens

    def _load(self) -> _Read:
        check_private(self._folder)
        check_private(self._path)
        with translated(f"read {printable(self._path)}"):
            fd = open_regular(self._path)
        try:
            stat = _stat_of(os.fstat(fd))
            with open(fd, "rb", closefd=False) as file:
                tokens = map(_from_plain, json.loads(file.read(_LONGEST))["tokens"])
            return _Read(fd, stat, {token.id: token for token in tokens})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            os.close(fd)
            what = f"{printable(self._path)} is not a file of tokens, so nobody is let in"
            raise InvalidValue(what, hint="bring it back from a copy, or remove it and make new tokens") from error

    def _forget(self) -> None:
        read, self._read = getattr(self, "_read", None), None
        if read is not None:
            os.close(read.fd)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        """Yield the tokens to be changed, then write them: one process at a time, durable when this returns."""
        import filelock

        make_server_folder(self._folder)
        with translated(f"write {printable(self._path)}"), filelock.FileLock(f"{self._path}.lock", 30, mode=0o600):
            with self._lock:
                tokens = dict(self._current())
            self._remove_left_over()
            yield tokens
            text = json.dumps({"tokens": [_plain(token) for token in tokens.values()]}, indent=1) + "\n"
            temporary = f"{self._path}.{this_process()}"
            try:
                write_file(temporary, text.encode(), mode=0o600, sync=True)
                os.replace(temporary, self._path)
            except OSError:
                remove_if_there(temporary)
                raise
            sync_folder(self._folder)

    def _remove_left_over(self) -> None:
        """Remove what processes left that were killed while they wrote. The caller has the lock, so nobody writes now."""
        kept = os.path.basename(self._path)
        for name in os.listdir(self._folder):
            if name.startswith(f"{kept}.") and name != f"{kept}.lock":
                remove_if_there(os.path.join(self._folder, name))


def _check_free(name: str, tokens: Iterable[Token]) -> None:
    """Raise Conflict if an active token has the name, or one in another case, which would look like the same author."""
    for token in tokens:
        if token.name.casefold() != name.casefold():
            continue
        if token.name != name:
            raise Conflict(f"token '{name}' would look like '{token.name}'", hint="spell it so, or take another name")
        if token.status() == ACTIVE:
            raise Conflict(f"token '{name}' is active", hint="revoke it first, or take another name")


def _active(name: str, tokens: Iterable[Token]) -> Token:
    of_name = [token for token in tokens if token.name == name]
    for token in of_name:
        if token.status() == ACTIVE:
            return token
    if of_name:
        raise NotFound(f"token '{name}' has {'expired' if of_name[-1].status() == EXPIRED else 'been revoked'} already")
    names = {token.name for token in tokens}
    raise NotFound(f"there is no token '{printable(name)}'", hint=near(name, names) or "`artstore token ls` lists them")


def _plain(token: Token) -> dict[str, Any]:
    return token._asdict() | {"grant": {"role": str(token.grant.role), "projects": list(token.grant.patterns)}}


def _from_plain(value: dict[str, Any]) -> Token:
    """A token from the file. Raises KeyError, TypeError, ValueError and AttributeError for anything else."""
    patterns = value["grant"]["projects"]
    grant = Grant(Role.named(value["grant"]["role"]), tuple(pattern_of(pattern, "") for pattern in patterns))
    token = Token(**value | {"grant": grant})
    times = (token.created, token.expires, token.revoked)
    if not (
        isinstance(patterns, list) and list(grant.patterns) == patterns and isinstance(token.note, str)
        and re.fullmatch(r"[0-9a-f]{8}", token.id) and _NAME.fullmatch(token.name) and re.fullmatch(r"[0-9a-f]{64}", token.digest)
        and all(text is None or _TIME.fullmatch(text) for text in times)
    ):  # fmt: skip
        raise ValueError("a token is malformed")
    return token


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _stat_of(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode


def _now() -> str:
    return moment(time.time_ns())

"""Tokens for served repositories: which one may be sent where, and keeping them for this user."""

import ipaddress
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from artstore.backends.files import check_private, open_regular, remove_if_there, write_file
from artstore.backends.homes import config_folder
from artstore.backends.owner import this_process
from artstore.domain.names import printable
from artstore.domain.redaction import redacted
from artstore.errors import InvalidValue, NotFound, StorageError, storage_error, translated

if TYPE_CHECKING:
    from types import ModuleType

TOKEN, ADDRESS = "ARTSTORE_TOKEN", "ARTSTORE_URL"
"""The variables with a token, and with the address that it is for."""
_SERVICE = "artstore"
"""The name under which the system's keyring has our tokens."""
_PLACE = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")
_VISIBLE = re.compile(r"[\x21-\x7e]{1,4096}")
_PORTS = {"http": 80, "https": 443}
_LONGEST = 1 << 20


class Origin(NamedTuple):
    """The server that a URL names: a token for one is never sent to another."""

    scheme: str
    host: str
    """in lower case, without the brackets of an IPv6 address"""
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @classmethod
    def of(cls, url: str) -> "Origin":
        """The origin of a URL. Raises InvalidValue if it isn't http(s)://HOST[:PORT][/PATH], or holds credentials."""
        shown = printable(redacted(url))
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        place, scheme = _PLACE.fullmatch(parts.netloc), parts.scheme.lower()
        if "@" in parts.netloc:
            what = "the address of a served repository must not hold a user or password"
            raise InvalidValue(what, hint="`artstore login URL` stores a token for it")
        if scheme not in _PORTS or place is None or not _VISIBLE.fullmatch(url) or parts.query or parts.fragment:
            raise InvalidValue(f"'{shown}' is not the address of a served repository", hint="it is https://HOST[/PATH]")
        port = int(place[2]) if place[2] else _PORTS[scheme]
        if not 0 < port < 1 << 16:
            raise InvalidValue(f"'{shown}' names no port: it is 1 to 65535")
        return cls(scheme, place[1].strip("[]").lower(), port)

    def is_loopback(self) -> bool:
        """Whether only this host is reached: 127.0.0.0/8, ::1, or exactly `localhost`."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def check_secrecy(self) -> None:
        """Raise InvalidValue if a token that is sent there could be read on its way."""
        if self.scheme != "https" and not self.is_loopback():
            what = f"a token is not sent to {self}, because everybody on the way could read it"
            raise InvalidValue(what, hint="use https://, which a proxy in front of the server can speak")


def token_for(url: str, *, given: bool) -> str | None:
    """The token to send to a served repository, or None if there is none for it.

    The variable ARTSTORE_TOKEN is for a server that the user names. So it is sent only to an address that is `given`:
    typed on the command line, or passed by a script. It is also sent to the one in ARTSTORE_URL, and to origins that
    this user gave to `remote add` or `clone`: see `note_named`. An address from a lock file, the config of a repository
    that came from elsewhere, a redirect or a reference isn't given. A token that `artstore login` stored is
    sent to the origin for which it was stored, whoever names that.

    Raises:
        InvalidValue: There is a token, and it would be sent over plain http to another host; or it isn't one line of
            visible characters.
    """
    origin = Origin.of(url)
    chosen = os.environ.get(ADDRESS)
    is_given = given or (bool(chosen) and _origin_or_none(str(chosen)) == origin)
    token = os.environ.get(TOKEN)
    token = token if token and (is_given or str(origin) in _load(_named_path())) else None
    token = check_token(token, f"{TOKEN} of the environment") if token else _stored(origin)
    if token is not None:
        origin.check_secrecy()
    return token


def note_named(url: str) -> None:
    """Note that this user named a server on the command line, as a remote: ARTSTORE_TOKEN is for it from now on, too.

    The note is in this user's own folder. What a repository that came from elsewhere holds can't make it.
    """
    origin = str(Origin.of(url))
    if os.environ.get(TOKEN) and origin not in _load(_named_path()):
        with _changing(_named_path()) as known:
            known[origin] = "named"


def check_token(token: str, what: str) -> str:
    """The token. Raises InvalidValue, which doesn't show it, if it can't be one."""
    if not _VISIBLE.fullmatch(token):
        raise InvalidValue(f"{what} is not a token: it is one line of visible ASCII characters")
    return token


def _origin_or_none(url: str) -> Origin | None:
    try:
        return Origin.of(url)
    except InvalidValue:
        return None


# -- keeping them --------------------------------------------------------------------------------


def remember(url: str, token: str) -> str:
    """Store a token for a URL's origin. Returns where it is now: the system's keyring, or else a file of this user."""
    origin = Origin.of(url)
    origin.check_secrecy()
    if _kept_by_keyring(str(origin), token):
        _forget_in_file(origin)
        return "the system's keyring"
    path = _path()
    with _changing(path) as known:
        known[str(origin)] = token
    return path


def forget(url: str) -> None:
    """Remove the token that is stored for a URL's origin. Raises NotFound if there is none."""
    origin = Origin.of(url)
    was_in_keyring = False
    if (keyring := _keyring()) is not None:
        try:
            was_in_keyring = keyring.get_password(_SERVICE, str(origin)) is not None
            if was_in_keyring:
                keyring.delete_password(_SERVICE, str(origin))
        except Exception as error:  # each keyring has errors of its own
            raise StorageError(f"the system's keyring refused to remove the token: {printable(str(error))}") from error
    if not _forget_in_file(origin) and not was_in_keyring:
        raise NotFound(f"there is no token stored for {origin}")


def _stored(origin: Origin) -> str | None:
    if (token := _load(_path()).get(str(origin))) is not None:
        return token
    if (keyring := _keyring()) is None:
        return None
    try:
        found = keyring.get_password(_SERVICE, str(origin))
    except Exception:  # a keyring that is locked, or gone: as if there were none
        return None
    return str(found) if found is not None else None


def _kept_by_keyring(name: str, token: str) -> bool:
    """Store a token in the system's keyring. Returns False if there is none, or if it doesn't give the token back."""
    if (keyring := _keyring()) is None:
        return False
    try:
        keyring.set_password(_SERVICE, name, token)
        return bool(keyring.get_password(_SERVICE, name) == token)
    except Exception:  # each keyring has errors of its own
        return False


def _keyring() -> "ModuleType | None":
    """The package `keyring`, if it is installed and knows a keyring of this system."""
    try:
        import keyring

        return keyring if keyring.get_keyring().priority > 0 else None
    except Exception:  # not installed, or it fails as it looks for a keyring
        return None


def _path() -> str:
    return os.path.join(config_folder(), "credentials")


def _named_path() -> str:
    return os.path.join(config_folder(), "servers")


def _load(path: str) -> dict[str, str]:
    """The stored tokens by origin. Raises InvalidValue if others could read the file, or if it isn't ours."""
    try:
        check_private(path)
        with open(open_regular(path), "rb") as file:
            found = json.loads(file.read(_LONGEST))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise storage_error(error, f"read {printable(path)}") from error
    except InvalidValue:
        raise
    except (ValueError, RecursionError):
        found = None
    if type(found) is not dict or not all(type(value) is str and _VISIBLE.fullmatch(value) for value in found.values()):
        raise InvalidValue(f"{printable(path)} is not a file of tokens", hint="remove it, and log in again")
    return found


@contextmanager
def _changing(path: str) -> Iterator[dict[str, str]]:
    """Yield the stored tokens to be changed, then write them. One process at a time, by a lock."""
    import filelock

    with translated(f"write {printable(path)}"):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with filelock.FileLock(f"{path}.lock", timeout=30, mode=0o600):
            known = _load(path)
            yield known
            temporary = f"{path}.{this_process()}"
            try:
                write_file(temporary, (json.dumps(known, indent=1) + "\n").encode(), mode=0o600, sync=True)
                os.replace(temporary, path)
            except OSError:
                remove_if_there(temporary)
                raise


def _forget_in_file(origin: Origin) -> bool:
    """Remove a token from the file. Returns False if it wasn't there."""
    path = _path()
    if str(origin) not in _load(path):
        return False
    with _changing(path) as known:
        return known.pop(str(origin), None) is not None

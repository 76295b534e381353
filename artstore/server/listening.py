"""Listening: on a port, or on a socket of this host that only a proxy in front of the server may open."""

import ipaddress
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from artstore.domain.names import printable
from artstore.errors import InvalidValue, Refused
from artstore.web.connections import Listener

_UNIX = "unix:"


class PortPlace(NamedTuple):
    """A port to listen on."""

    host: str
    """an IP address"""
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this host reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    def shown(self, listener: socket.socket) -> str:
        """The address for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{listener.getsockname()[1]}"


class SocketPlace(NamedTuple):
    """A socket of this host to listen on."""

    path: str

    def shown(self, listener: socket.socket) -> str:
        """The address for people."""
        return f"{_UNIX}{printable(self.path)}"


def place_of(listen: str) -> PortPlace | SocketPlace:
    """Where to listen: HOST:PORT or unix:PATH. Raises InvalidValue."""
    if listen.startswith(_UNIX):
        return SocketPlace(os.path.abspath(listen.removeprefix(_UNIX)))
    host, _, port = listen.rpartition(":")
    host = {"localhost": "127.0.0.1", "": "127.0.0.1"}.get(host, host.strip("[]"))
    try:
        number, _ = int(port), ipaddress.ip_address(host)
    except ValueError as error:
        what = f"'{listen[:100]}' is not an address to listen on"
        raise InvalidValue(what, hint="such as 127.0.0.1:8650, [::1]:8650 or unix:/run/artstore.sock") from error
    if not 0 <= number < 1 << 16:
        raise InvalidValue(f"{number} is not a port")
    return PortPlace(host, number)


@contextmanager
def listening(place: PortPlace | SocketPlace, group: str | None) -> Iterator[socket.socket]:
    """Listen. A socket of this host may be opened by this user and the `group`, and is removed at the end.

    Raises OSError if the place can't be used, InvalidValue for a group that is not there or not for a socket, Refused
    if other users could put a socket of theirs in its place.
    """
    if isinstance(place, SocketPlace):
        with _listening_at(place.path, group) as listener:
            yield listener
        return
    if group is not None:
        raise InvalidValue("a group is for a socket of this host", hint="--listen unix:PATH")
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:  # named: else no TCP_NODELAY
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((place.host, place.port))
        listener.listen()
        yield listener


@contextmanager
def _listening_at(path: str, group: str | None) -> Iterator[socket.socket]:
    folder = os.path.dirname(path)
    mode = os.stat(folder).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        what = f"{printable(folder)} can be written to by others, who could put a socket of theirs there"
        raise Refused(what, hint="choose a folder of this user")
    with Listener(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        _remove_abandoned(path)
        listener.bind(path)
        try:
            _permit(path, group)
            listener.listen()  # nobody can connect before
            yield listener
        finally:
            os.unlink(path)


def _permit(path: str, group: str | None) -> None:
    if group is None:
        os.chmod(path, 0o600)
        return
    try:
        shutil.chown(path, group=group)
    except LookupError as error:
        raise InvalidValue(f"there is no group '{printable(group)[:100]}'") from error
    os.chmod(path, 0o660)


def _remove_abandoned(path: str) -> None:
    """Remove the socket of a server that was killed. One on which somebody listens stays, and can't be bound to."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except FileNotFoundError:
        pass

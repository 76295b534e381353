"""The proxy in front of the server: what it says of a request is believed, and what anybody else says isn't."""

import ipaddress
import re

from artstore.errors import InvalidValue
from artstore.web.guard import Application, Receive, Scope, Send, say

_FOR, _PROTO = b"x-forwarded-for", b"x-forwarded-proto"
SOCKET = "unix"
"""In place of a proxy's address: the server listens on a socket of this host, and who opens it is the proxy."""
USER = "artstore.user"
"""The key in a request's scope of the name of the token of the user whom the proxy let in."""


class Proxied:
    """Gives requests that come from the proxy the address and the scheme with which they came to it, and their user."""

    def __init__(self, application: Application, proxy: str | None, user: str | None = None) -> None:
        """`proxy` is its IP address, or SOCKET; `user` is the header in which it names the user."""
        self._application = application
        self._proxy = proxy
        self._user = None if user is None else user.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        is_proxy = self._proxy == SOCKET or (scope["client"] is not None and scope["client"][0] == self._proxy)
        users = [(name, value) for name, value in scope["headers"] if name.replace(b"_", b"-") == self._user]
        if users and not (is_proxy and len(users) == 1 and users[0][0] == self._user):
            await say(send, 400, "only the proxy names a user, and once")
            return
        told = {USER: users[0][1].decode("latin-1")} if users else {}
        if is_proxy:
            told |= {"scheme": _scheme(scope), "client": (_address(scope) or self._proxy, 0)}
            told |= {"server": scope["server"] or (SOCKET, 0)}
        await self._application({**scope, **told}, receive, send)


def _scheme(scope: Scope) -> str:
    """https only if the proxy says so, and once: a header that the client sent may come with the proxy's own."""
    return "https" if [value for name, value in scope["headers"] if name == _PROTO] == [b"https"] else "http"


def _address(scope: Scope) -> str | None:
    """The last address of the chain, which the proxy added. The ones before are what the client claims."""
    told = b",".join(value for name, value in scope["headers"] if name == _FOR).decode("latin-1")
    try:
        return str(ipaddress.ip_address(told.rpartition(",")[2].strip()))
    except ValueError:
        return None


def proxy_at(host: str) -> str:
    """The IP address of a proxy. Raises InvalidValue."""
    try:
        return str(ipaddress.ip_address({"localhost": "127.0.0.1"}.get(host, host)))
    except ValueError as error:
        raise InvalidValue(f"'{host[:100]}' is not the IP address of a proxy", hint="such as 127.0.0.1") from error


def header_named(name: str) -> str:
    """The name of a header in which a proxy names a user. Raises InvalidValue.

    Names with `_` aren't taken: some proxies read them as if they had `-`, and let those of clients pass.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", name):
        raise InvalidValue(f"'{name[:100]}' is not the name of a header", hint="such as X-Remote-User")
    return name

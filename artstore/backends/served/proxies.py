"""Proxies: those of the environment through which a served remote is reached, by a tunnel that sees no token."""

import base64
import os
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from artstore.backends.credentials import Origin
from artstore.backends.served.address import Address
from artstore.domain.names import printable
from artstore.domain.redaction import redacted
from artstore.errors import InvalidValue

_NAMES = ("https_proxy", "HTTPS_PROXY")


class Proxy(NamedTuple):
    """A proxy that opens tunnels."""

    host: str
    port: int
    headers: dict[str, str]
    """what it is sent with the request for a tunnel"""


def proxy_for(address: Address) -> Proxy | None:
    """The proxy that `HTTPS_PROXY` names, unless `NO_PROXY` leaves the host out. None for this host, and without TLS.

    Raises InvalidValue if its URL isn't one.
    """
    if not address.tls or not any(os.environ.get(name) for name in _NAMES):
        return None
    if Origin("https", address.host, address.port).is_loopback():
        return None
    from urllib.request import getproxies, proxy_bypass  # only where there is a proxy: 12 ms

    url = getproxies().get("https", "")
    if not url or proxy_bypass(f"{address.host}:{address.port}"):
        return None
    return _parsed(url)


def _parsed(url: str) -> Proxy:
    what = f"HTTPS_PROXY is '{printable(redacted(url))}'"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise InvalidValue(f"{what}, which is not a URL: {error}") from None
    if parts.scheme.lower() != "http" or not host:
        raise InvalidValue(f"{what}, which artstore can't use", hint="such as http://proxy.example.org:3128")
    if parts.username is None:
        return Proxy(host, port, {})
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Proxy(host, port, {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"})

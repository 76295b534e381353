"""The address of a served remote: an https URL, or an http URL of this host."""

from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from artstore.backends.addresses import spelled
from artstore.backends.credentials import Origin
from artstore.domain.names import printable
from artstore.domain.redaction import redacted
from artstore.errors import InvalidValue


class Address(NamedTuple):
    """The parts of a served remote's URL."""

    tls: bool
    host: str
    port: int
    path: str
    """without a slash at the end"""

    @property
    def url(self) -> str:
        """The URL, without what it has by default."""
        scheme, default = ("https", 443) if self.tls else ("http", 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}{'' if self.port == default else f':{self.port}'}{self.path}"


def address_of(url: str) -> Address:
    """The address that a URL names.

    Raises InvalidValue if it holds credentials, a query or a fragment, or is an http URL of another host: tokens would
    be sent where others can read them.
    """
    shown = printable(redacted(url))
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise InvalidValue(f"'{shown}' is not a URL: {error}") from None
    if parts.username is not None or parts.password is not None:
        where = f"{parts.scheme}://{printable(host)}"
        raise InvalidValue(
            f"the URL of {where} holds credentials", hint=f"leave them out; `artstore login {where}` keeps a token"
        )
    if not host or any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise InvalidValue(f"'{shown}' is not a URL: it names no host")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise InvalidValue(f"'{shown}' has a query or fragment, which no served repository has", hint="leave it out")
    hint = spelled(url)
    if hint.startswith("did you mean"):  # a bucket of a service
        raise InvalidValue(f"'{shown}' is not a kind of place that artstore knows", hint=hint)
    tls = parts.scheme.lower() == "https"
    if not tls and not Origin("http", host, 80).is_loopback():
        raise InvalidValue(
            f"'{shown}' is not encrypted: a token would be sent where others can read it",
            hint=f"use https://{printable(host)}, or a tunnel to http://localhost; {hint}",
        )
    path = quote(unquote(parts.path.rstrip("/")), safe="/-._~!$&'()*+,;=:@")
    return Address(tls, host, port or (443 if tls else 80), path)

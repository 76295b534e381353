"""Serving: what may be served, listening, and ending gracefully."""

import gc
import resource
from collections.abc import Callable

import uvicorn

from artstore.backends.descriptors import allow_more_open
from artstore.backends.storage import FolderStorage
from artstore.domain.roles import PROTECTED, pattern_of
from artstore.errors import InvalidValue, Refused
from artstore.server.application import application
from artstore.server.audit import Audit
from artstore.server.connections import ServedConnection
from artstore.server.folder import check_servable, server_folder
from artstore.server.listening import SocketPlace, listening, place_of
from artstore.server.protocol import parts_of
from artstore.server.proxy import SOCKET, Proxied, header_named, proxy_at
from artstore.server.served import Served
from artstore.server.tokens import Tokens
from artstore.store.settings import Settings
from artstore.web.connections import accepted_at_once
from artstore.web.guard import Application

_GRACE = 10
"""Seconds that answers under way have to end when the server is stopped."""


class Serving:
    """One repository that is about to be served."""

    def __init__(
        self,
        place: str,
        settings: Settings,
        protected: tuple[str, ...] = (),
        proxied: str | None = None,
        *,
        previews: tuple[str, ...] = (),
        proxy: str | None = None,
        proxy_user: str | None = None,
    ) -> None:
        """Prepare to serve. Raises Refused for a partial clone: its server would fetch what it lacks.

        Args:
            place: The path of a folder, or the URL of a bucket.
            settings: Of the user who serves it: names of projects without an entity are read by these.
            protected: Aliases that promoters move.
            proxied: The proxy's internal location of this repository, from which it sends large blobs.
            previews: Patterns of projects in which viewers see previews of files on the pages.
            proxy: The IP address of a proxy, whose word on clients' addresses and TLS is taken. On a socket of this
                host, each process that opens it is the proxy.
            proxy_user: The header in which the proxy names the user: each has the token of that name on the pages.
        """
        check_servable(place)
        served = Served(place, settings)
        with served.store() as store:
            folder = server_folder(store.storage)
            if isinstance(store.storage, FolderStorage):
                _refuse_partial(Settings(store.storage.root))
            elif proxied is not None:
                raise InvalidValue("a proxy sends files of a folder, not of a bucket", hint="leave out --accel")
        self._parts = parts_of(served, protected or PROTECTED, proxied)
        self._tokens, self._audit = Tokens(folder), Audit(folder)
        self._previews = tuple(pattern_of(pattern, settings.entity) for pattern in previews)
        self._proxy = proxy and proxy_at(proxy)
        self._proxy_user = proxy_user and header_named(proxy_user)

    def run(
        self,
        listen: str,
        told: Callable[[str], None],
        *,
        group: str | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Serve until interrupted. `group` may open the socket of this host, too.

        `told` is called with the address, `say` with lines for the log of the service.

        Raises OSError if the address can't be used, and Refused if others could reach it and there are no tokens.
        """
        place = place_of(listen)
        proxy = self._proxy
        if isinstance(place, SocketPlace):
            if proxy:
                raise InvalidValue("whoever opens the socket is the proxy", hint="leave out --proxy")
            proxy = SOCKET
        elif not self._tokens.all() and not place.is_loopback:
            hint = "`artstore token create NAME --role admin` makes the first"
            raise Refused(f"{place.host} can be reached from other hosts, and there is no token yet", hint=hint)
        if self._proxy_user and not proxy:
            raise InvalidValue("a header with the user's name is taken from a proxy only", hint="--proxy names it")
        allow_more_open()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold tokens
        with listening(place, group) as listener:
            told(place.shown(listener))
            served: Application = application(self._parts, self._tokens, self._audit, self._previews, say)
            config = uvicorn.Config(
                Proxied(served, proxy, self._proxy_user), log_level="error", access_log=False,
                proxy_headers=False,  # uvicorn takes the word of whoever is on this host
                server_header=False, ws="none", http=ServedConnection, backlog=accepted_at_once(),
                timeout_graceful_shutdown=_GRACE,
            )  # fmt: skip
            gc.freeze()  # else Python looks for cycles in all that was loaded, over and over: a tenth of a push
            uvicorn.Server(config).run(sockets=[listener])


def _refuse_partial(settings: Settings) -> None:
    """Raise Refused if the repository with these settings is a partial clone."""
    partial = [name for name, remote in settings.remotes().items() if remote.partial]
    if partial:
        hint = f"`artstore pull {partial[0]}` of everything makes it whole"
        raise Refused(f"this is a partial clone: bytes that it lacks are at '{partial[0]}'", hint=hint)

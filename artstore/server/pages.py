"""The pages for a team: those of `artstore ui`, for people who log in with their tokens, each route behind one check."""

import re
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlencode

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from artstore.domain.names import printable
from artstore.domain.roles import Grant, Role
from artstore.errors import (
    ArtstoreError,
    AuthenticationError,
    Damage,
    InvalidValue,
    NotFound,
    Refused,
    StorageError,
    UnsupportedFormat,
)
from artstore.server.access import Access
from artstore.server.asking import body_of
from artstore.server.audit import Audit
from artstore.server.patience import late, while_valid
from artstore.server.proxy import USER
from artstore.server.seen import ASK, Seen, Sight
from artstore.server.served import Served
from artstore.server.sessions import SECONDS, Sessions
from artstore.server.summaries import Caches
from artstore.server.tokens import Token
from artstore.server.tries import TooMany, Tries
from artstore.web.connections import let_in
from artstore.web.guard import Application, Receive, Scope, Send, cookie_in, is_own_name, with_headers
from artstore.web.render import Person, absent, failed, page, text_in
from artstore.web.routes import ROUTES, STATIC, PageRoute

_AT_ONCE = 4
"""Pages that are made at once: a large table may take a thread for seconds, and clients need some, too."""
_FORM = 16 << 10
"""The most bytes of the form with which people log in."""
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_SESSION = "__Host-artstore"
"""The cookie of a session. Browsers take one of this name over TLS only, for this host only, and from this host only."""
_WHY = "who runs this server can find out why"
_REFERRER = (b"referrer-policy", b"same-origin")
"""Without it, browsers don't say in a POST from which origin it comes."""


class Pages:
    """The pages of a served repository."""

    def __init__(
        self, served: Served, tries: Tries, sessions: Sessions, audit: Audit, previews: tuple[str, ...] = ()
    ) -> None:
        self._served = served
        self._tries = tries
        self._sessions = sessions
        self._audit = audit
        self._caches = Caches()
        self._turns: anyio.CapacityLimiter | None = None
        self._previews = Grant(Role.READER, previews) if previews else None

    def application(self) -> Application:
        """The pages, as an ASGI application, with what browsers may do with each answer."""
        routed = self.routed()

        async def answered(scope: Scope, receive: Receive, send: Send) -> None:
            await routed(scope, receive, with_headers(send, _REFERRER))

        return answered

    def routed(self) -> Starlette:
        """The routes of the pages."""
        found = Starlette(
            routes=[
                Route("/login", self._login_form, methods=["GET"]),
                Route("/login", self._login, methods=["POST"]),
                Route("/logout", self._logout, methods=["POST"]),
                *map(self._route, ROUTES),
                STATIC,
            ],
            exception_handlers={ArtstoreError: _failed, HTTPException: _other, ClientDisconnect: late, Exception: _bug},
        )
        found.router.redirect_slashes = False  # it leads to the host that the request named
        found.state.where = ""
        found.state.repository_of = lambda request: request.state.seen
        return found

    # -- the check of each route --

    def _route(self, route: PageRoute) -> Route:
        operation = f"GET /{route.path.split('/')[1]}"

        def answered(request: Request) -> Response:
            origin = _Origin.of(request)
            try:
                token = self._who(request, origin)
            except Refused as error:
                response: Response = failed(request, error)
                self._note(request, operation, response, None, request.scope[USER])
                return response
            if token is None:
                return _to_login(request)
            let_in(request.scope, token.name)
            access = Access(token.name, token.grant)
            request.state.person = _person(token, access, USER in request.scope)
            try:
                response = self._permitted(route, request, Sight(access, self._previews))
            except ArtstoreError as error:
                response = failed(request, _shown(error, access))
            if isinstance(response, StreamingResponse):
                response.body_iterator = while_valid(
                    response.body_iterator, lambda: self._who(request, origin) == token
                )
            if route.is_noted or response.status_code >= 400:
                self._note(request, operation, response, token.name, _subject(request), sync=_is_given(route))
            return response

        async def in_turn(request: Request) -> Response:
            self._turns = self._turns or anyio.CapacityLimiter(_AT_ONCE)
            return await anyio.to_thread.run_sync(answered, request, limiter=self._turns)

        return Route(route.path, in_turn, methods=["GET"])

    def _who(self, request: Request, origin: "_Origin") -> Token | None:
        """The token of the visitor: that of their session, or the one of the user whom the proxy names. Raises Refused."""
        if (user := request.scope.get(USER)) is None:
            return self._sessions.token(origin.session)
        token = self._tries.named(user)
        if token is None:
            raise Refused(f"there is no token named '{printable(user[:100])}'", hint="ask who runs this server for one")
        return token

    def _permitted(self, route: PageRoute, request: Request, sight: Sight) -> Response:
        with self._served.store() as store:
            downloads = _is_given(route)
            request.state.seen = Seen(store, self._served.settings, sight, self._caches, downloads=downloads)
            _check(route, sight, None if route.projects is None else route.projects(request))
            return route.answer(request)

    def _note(
        self,
        request: Request,
        operation: str,
        response: Response,
        name: str | None,
        subject: str | None = None,
        *,
        sync: bool = False,
    ) -> None:
        """Keep a record. Raises StorageError if that can't be done: then nothing is given."""
        told = request.path_params
        self._audit.append(
            operation,
            str(response.status_code),
            token=name,
            address=_address(request),
            project=f"{told['entity']}/{told['project']}" if "project" in told else None,
            subject=subject,
            bytes=int(response.headers.get("content-length", 0)),
            sync=sync,
        )

    # -- logging in and out --

    def _login_form(self, request: Request) -> Response:
        following = _own_path(request.query_params.get("next", ""))
        if self._sessions.token(_Origin.of(request).session) is not None:
            return RedirectResponse(following, 303)
        return _form(request, following)

    async def _login(self, request: Request) -> Response:
        try:
            form = _fields(await body_of(request, _FORM))
        except ArtstoreError as error:
            return failed(request, error)
        return await anyio.to_thread.run_sync(self._logged_in, request, form)

    def _logged_in(self, request: Request, form: dict[str, str]) -> Response:
        origin, following = _Origin.of(request), _own_path(form.get("next", ""))
        name, response = None, None
        try:
            origin.require()
            token = self._tries.token(form.get("token", "").strip(), _address(request))
        except TooMany as error:
            wait = f"Too many wrong tokens came from this address: wait {error.seconds:.0f} seconds."
            response = _form(request, following, wait, 429)
            response.headers["retry-after"] = f"{error.seconds:.0f}"
            return response  # no record: the tries before have theirs, and these could go on until the disk is full
        except AuthenticationError:
            response = _form(request, following, "This token is unknown, was revoked, or has expired.", 401)
        except Refused as error:
            response = failed(request, error)
        else:
            name, response = token.name, RedirectResponse(following, 303)
        self._note(request, "POST /login", response, name, sync=True)
        if name is not None:
            self._sessions.end(origin.session)
            origin.keep(response, self._sessions.begin(token))
        return response

    def _logout(self, request: Request) -> Response:
        origin = _Origin.of(request)
        origin.require()
        token = self._sessions.token(origin.session)
        self._sessions.end(origin.session)
        response = RedirectResponse("/login", 303)
        if token is not None:
            self._note(request, "POST /logout", response, token.name)
        origin.keep(response, "")
        return response


def _check(route: PageRoute, sight: Sight, projects: list[tuple[str, str]] | None) -> None:
    """Raise NotFound if a request is about what somebody may not see, Refused if it takes a greater role."""
    if projects is None:
        if not sight.access.sees_all or sight.access.grant.role < route.least:
            raise Refused(
                "this page is about the whole repository", hint=f"it takes the role {_name(route)} in all projects"
            )
        return
    roles = [sight.access.role_in(*project) for project in projects]
    if None in roles:
        raise NotFound("there is nothing here by this name")
    for project, role in zip(projects, roles, strict=True):
        shown = route.is_preview and sight.opens(*project)
        if role is not None and role < route.least and not shown:
            what = f"your role in {printable('/'.join(project))}, {role.name.lower()}, can look at files, and not open them"
            raise Refused(what, hint=ASK)


def _is_given(route: PageRoute) -> bool:
    """Whether a route gives files as they are: of these, each record is durable before the first byte is sent."""
    return route.is_noted and route.least >= Role.READER and not route.is_preview


def _name(route: PageRoute) -> str:
    return route.least.name.lower()


def _person(token: Token, access: Access, by_proxy: bool) -> Person:
    role = access.grant.role
    return Person(token.name, role.name.lower(), access.sees_all and role >= Role.ADMIN, not by_proxy)


def _subject(request: Request) -> str | None:
    """What a request is about, for the record: a version or run of a project, and a path there; else what it asks."""
    told = request.path_params
    if not told:
        return request.url.query or None
    number, path = told.get("number"), text_in(request, "path")
    named = str(told.get("name", told.get("id", "")))
    return named + (f":v{number}" if number else "") + (f" {path}" if path else "")


def _address(request: Request) -> str:
    return request.client.host if request.client else "?"


# -- from where a request comes --


class _Origin(NamedTuple):
    """What a request says of the place from which it comes, for cookies and against other sites."""

    secure: bool
    """whether it came over TLS"""
    own: bool
    """whether it came from this host, to a name of this host"""
    same: bool
    """whether a page of ours sent it, as the browser says"""
    cookie: str
    session: str
    """the secret of the session that it brings; empty without one"""

    @classmethod
    def of(cls, request: Request) -> "_Origin":
        """What a request says."""
        host, secure = request.headers.get("host", ""), request.scope["scheme"] == "https"
        own = is_own_name(host.encode()) and _address(request) in ("127.0.0.1", "::1")
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        same = site == "same-origin" if site is not None else origin == f"{request.scope['scheme']}://{host}"
        cookie = _SESSION if secure else f"artstore-served-{request.scope['server'][1]}"
        session = cookie_in(request.headers.get("cookie", "").encode("latin-1", "replace"), cookie)
        return cls(secure, own, same, cookie, session if secure or own else "")

    def require(self) -> None:
        """Raise Refused for a form that another site sent, and where somebody on the way could read the token."""
        if not self.same:
            raise Refused("this form was not sent by a page of this server", hint="open the page and send it again")
        if not (self.secure or self.own):
            hint = "who runs this server puts a proxy with TLS in front, and names it with --proxy"
            raise Refused("here a token could be read on its way, because the connection has no TLS", hint=hint)

    def keep(self, response: Response, secret: str) -> None:
        """Let the browser keep the secret of a session, or forget it if it is empty.

        With Lax, links in messages lead to pages. Other sites still can't send forms with it, and GET changes nothing.
        """
        response.set_cookie(
            self.cookie, secret, max_age=SECONDS if secret else 0, httponly=True, secure=self.secure, samesite="lax"
        )


def _own_path(text: str) -> str:
    """A path of ours to which somebody is sent. Browsers take `//name/` and `/\\name/` for another host."""
    return text if _OWN_PATH.fullmatch(text) and not text.startswith("/log") else "/"


def _to_login(request: Request) -> Response:
    """Where somebody goes who isn't logged in. A script gets an error instead."""
    if request.headers.get("sec-fetch-dest", "document") != "document":
        return failed(request, AuthenticationError("this session has ended", hint="log in again"))
    path = quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/login?" + urlencode({"next": path}) if path != "/" else "/login", 303)


def _form(request: Request, following: str, problem: str = "", status: int = 200) -> Response:
    return page(request, "login.html", "Log in", status, following=following, problem=problem)


def _fields(body: bytes) -> dict[str, str]:
    """The fields of a form. Raises InvalidValue."""
    try:
        return {name: values[-1] for name, values in parse_qs(body.decode("ascii"), max_num_fields=8).items()}
    except ValueError as error:
        raise InvalidValue("this is not a form with which people log in") from error


# -- errors --


def _shown(error: ArtstoreError, access: Access) -> ArtstoreError:
    """The error to show: one of the store names places of the server and digests, which are for admins."""
    told = not isinstance(error, Damage | StorageError | UnsupportedFormat)
    if told or (access.sees_all and access.grant.role >= Role.ADMIN):
        return error
    if isinstance(error, UnsupportedFormat):
        what = "this was made by a newer artstore than the one of this server"
        return UnsupportedFormat(what, hint="who runs this server can update it")
    return StorageError("this can't be read now", hint=_WHY)


def _failed(request: Request, error: Exception) -> Response:
    """The page of an error before anybody was let in: only what they did wrong themselves is shown."""
    told = error if isinstance(error, Refused) else StorageError("this can't be answered now", hint=_WHY)
    return failed(request, told)


def _other(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return absent(request) if status == 404 else Response(status_code=status)


def _bug(request: Request, error: Exception) -> Response:
    return page(request, "error.html", "A bug", 500, message="a bug in artstore", hint="see the server's output")

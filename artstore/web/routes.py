"""The routes of the pages: what answers each, and who may ask for it where people have roles."""

import re
from collections.abc import Callable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from artstore.domain.names import check_project
from artstore.domain.roles import Role
from artstore.web import browsing, files, panels, recorded, runs, samples
from artstore.web.render import collection_url, parameters, repository_of, text_in, version_named

Answer = Callable[[Request], Response]
Project = tuple[str, str]
_VERSION = "/{entity}/{project}/{name}/{number}"
_RUN = "/{entity}/{project}/{id}"


class PageRoute(NamedTuple):
    """A route, with the least role that it takes in all of the projects that a request is about."""

    path: str
    answer: Answer
    projects: Callable[[Request], list[Project]] | None
    """the projects that a request is about: none if it shows whatever somebody sees; None if of the whole repository"""
    least: Role = Role.VIEWER
    is_preview: bool = False
    """whether viewers get it where they may have previews"""
    is_noted: bool = False
    """whether a server keeps a record of each request, since bytes of files are given"""


def _whatever(request: Request) -> list[Project]:
    return []


def _in_address(request: Request) -> list[Project]:
    return [(request.path_params["entity"], request.path_params["project"])]


def _compared(request: Request) -> list[Project]:
    """The projects of the two versions of a difference. Raises InvalidValue."""
    repository = repository_of(request)
    paths = [repository.path_of(text_in(request, name))[0] for name in ("old", "new")]
    return [(path.entity, path.project) for path in paths]


def _of_runs(request: Request) -> list[Project]:
    """The projects of the runs that a request names. Raises InvalidValue."""
    named = (text.split("/") for text in parameters(request).get("run", []))
    return [(check_project(parts[0]), check_project(parts[1])) for parts in named if len(parts) > 2]


def _by_number(answer: Answer) -> Answer:
    """A page of a version that has one address, with the number. An alias or `v3` in its place leads there."""

    def answered(request: Request) -> Response:
        if re.fullmatch(r"\d+", request.path_params["number"], re.ASCII):
            return answer(request)
        found = version_named(request)
        address = f"{collection_url(found.state.path, request.url.path.split('/')[1])}/{found.number}"
        return RedirectResponse(f"{address}?{request.url.query}" if request.url.query else address, 307)

    return answered


def _of_version(page: str, answer: Answer) -> PageRoute:
    return PageRoute(f"/{page}{_VERSION}", _by_number(answer), _in_address)


def _of_run(page: str, answer: Answer) -> PageRoute:
    return PageRoute(f"/{page}{_RUN}", answer, _in_address)


def _shows(route: PageRoute) -> PageRoute:
    """A route that shows content of files."""
    return route._replace(least=Role.READER, is_preview=True, is_noted=True)


def _gives(route: PageRoute) -> PageRoute:
    """A route that gives a file as it is."""
    return route._replace(least=Role.READER, is_noted=True)


_SHOWN: dict[str, Answer] = {"image": files.image, "play": files.play, "html": files.html, "mask": files.mask}
"""What answers with the bytes of a file as a page shows them, by the first part of the address."""
ROUTES = [
    PageRoute("/", browsing.home, _whatever),
    PageRoute("/artifact/{entity}/{project}/{name}", browsing.collection, _in_address),
    PageRoute("/aliases/{entity}/{project}/{name}", browsing.aliases, _in_address),
    _of_version("version", browsing.version),
    _of_version("lineage", browsing.lineage),
    PageRoute("/diff", browsing.diff, _compared, is_noted=True),
    PageRoute("/search", browsing.search, _whatever),
    PageRoute("/storage", browsing.storage, None, Role.ADMIN),
    _of_version("files", files.browse)._replace(is_noted=True),
    _gives(_of_version("raw", files.download)),
    *(_shows(_of_version(name, answer)) for name, answer in _SHOWN.items()),
    _gives(_of_run("run-raw", files.download)),
    *(_shows(_of_run(f"run-{name}", answer)) for name, answer in _SHOWN.items()),
    PageRoute("/runs", runs.runs, _whatever),
    _of_run("run", runs.run),
    _of_run("run-files", files.browse_run)._replace(is_noted=True),
    _shows(_of_run("run-media", panels.media)),
    _shows(_of_run("run-console", recorded.console)),
    _shows(_of_run("run-environment", recorded.environment)),
    _shows(_of_run("run-samples", samples.samples)),
    PageRoute("/compare", runs.compare, _of_runs),
    PageRoute("/history", runs.history, _of_runs),
]
"""All pages. Where people have roles, there is no other way to any of them."""
STATIC = Mount("/static", StaticFiles(packages=[("artstore.web", "static")]))
"""Styles and scripts, which are the same for all."""

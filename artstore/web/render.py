"""Rendering pages: templates, addresses, and the parameters of a request."""

import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from artstore.domain.collection import Path
from artstore.domain.names import printable
from artstore.domain.recorded_media import in_short, text_of_value
from artstore.domain.run import RunPath
from artstore.domain.wording import count, human, moment
from artstore.errors import (
    ArtstoreError,
    AuthenticationError,
    Conflict,
    Damage,
    InvalidValue,
    NotFound,
    Refused,
    StorageError,
    UnsupportedFormat,
)
from artstore.operations.finding.lookup import Version
from artstore.repository import Repository
from artstore.web import markdown

T = TypeVar("T")
ROWS = 100
"""Rows on one page."""
_STATUS: dict[type[ArtstoreError], int] = {
    NotFound: 404, InvalidValue: 400, Conflict: 409, Refused: 403, AuthenticationError: 401, StorageError: 503,
    UnsupportedFormat: 501, Damage: 500,
}  # fmt: skip


class Person(NamedTuple):
    """Somebody who is logged in at a server."""

    name: str
    role: str
    sees_storage: bool
    logs_out: bool
    """whether they logged in here, and so can log out"""


class Rows(NamedTuple):
    """The rows of one of several pages."""

    shown: list[Any]
    start: int
    """how many rows come before"""
    more: bool


def page_of(request: Request, rows: Iterable[T]) -> Rows:
    """The rows that a request asks for with `start`. Earlier rows are made and skipped."""
    start = number_in(request, "start")
    shown = list(islice(rows, start, start + ROWS + 1))
    return Rows(shown[:ROWS], start, len(shown) > ROWS)


# -- requests --


def repository_of(request: Request) -> Repository:
    """This thread's handle of the repository, or of what a server lets somebody see of it."""
    repository: Repository = request.app.state.repository_of(request)
    return repository


def person_of(request: Request) -> Person | None:
    """The person who asks, at a server where people log in."""
    return getattr(request.state, "person", None)


def parameters(request: Request) -> dict[str, list[str]]:
    """The query's parameters. Bytes that aren't UTF-8 become surrogates, as in file names."""
    return parse_qs(request.url.query, keep_blank_values=True, errors="surrogateescape")


def text_in(request: Request, name: str, default: str = "") -> str:
    """The text of a parameter."""
    return parameters(request).get(name, [default])[-1]


def number_in(request: Request, name: str, default: int = 0, most: int = 1 << 53) -> int:
    """The number in a parameter. Raises InvalidValue."""
    text = text_in(request, name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise InvalidValue(f"{name} must be a number up to {most:,}, not '{printable(text[:80])}'")
    return int(text)


def path_in(request: Request) -> Path:
    """The collection in the address."""
    return Path(*(request.path_params[part] for part in Path._fields))


def version_in(request: Request) -> Version:
    """The version whose number is in the address. Raises NotFound."""
    number = request.path_params["number"]
    if len(number) > 20:
        raise NotFound(f"there is no version v{printable(number[:20])}…")
    return repository_of(request).find(f"{path_in(request)}:v{number}")


def version_named(request: Request) -> Version:
    """The version of which the address has an alias, or its number as in `v3`. Raises NotFound, InvalidValue."""
    return repository_of(request).find(f"{path_in(request)}:{request.path_params['number']}")


# -- addresses --


def collection_url(path: Path, page: str = "artifact") -> str:
    """The address of a page of a collection."""
    return f"/{page}/" + "/".join(quote(part, safe="") for part in path)


def version_url(path: Path, number: int, page: str = "version") -> str:
    """The address of a page of a version."""
    return f"{collection_url(path, page)}/{number}"


def project_url(path: Path) -> str:
    """The address of the artifacts of a collection's project."""
    return "/?" + urlencode({"project": "/".join(path[:2])})


def file_url(found: Version, path: str | bytes, page: str = "files", **more: Any) -> str:
    """The address of a page of a file or folder."""
    query = urlencode({"path": os.fsencode(path), **more})
    return f"{version_url(found.state.path, found.number, page)}?{query}"


def run_url(path: RunPath, page: str = "run") -> str:
    """The address of a page of a run."""
    return f"/{page}/" + "/".join(quote(part, safe="") for part in path)


def with_query(request: Request, **changed: Any) -> str:
    """The address of the request with other parameters. None removes a parameter."""
    query = {name: value for name, value in {**parameters(request), **changed}.items() if value is not None}
    return f"{quote(request.url.path)}?{urlencode(query, doseq=True, errors='surrogateescape')}"


# -- pages --


def _day(value: int | str) -> str:
    """A time in nanoseconds since 1970 or in ISO 8601, cut to the minute, UTC."""
    return (moment(value) if isinstance(value, int) else value)[:16].replace("T", " ")


def _rendered(text: str) -> Markup:
    """A text that belongs to no version, in Markdown, as HTML."""
    return Markup(markdown.rendered(printed(text)))


def as_json(value: Any) -> str:
    """A value as indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _finalized(value: Any) -> Any:
    """The text of a page, with unprintable characters escaped, because anybody may have chosen it."""
    return printed(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def printed(text: str) -> str:
    """A text as `printable` makes it, except for line ends, tabs and all kinds of spaces."""
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(c if c in "\n\t" or unicodedata.category(c) == "Zs" else printable(c) for c in text)


_templates = Environment(
    loader=PackageLoader("artstore.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, finalize=_finalized,
)  # fmt: skip
_templates.filters |= {
    "human": human, "count": count, "day": _day, "markdown": _rendered, "json": as_json, "fsdecode": os.fsdecode,
    "fsencode": os.fsencode,
}  # fmt: skip
_templates.globals |= {
    "ROWS": ROWS, "collection_url": collection_url, "project_url": project_url, "version_url": version_url, "file_url": file_url,
    "run_url": run_url, "with_query": with_query,
}  # fmt: skip


def page(request: Request, template: str, title: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, from a template and its values."""
    about = {"request": request, "title": title, "where": request.app.state.where, "person": person_of(request)}
    return HTMLResponse(_templates.get_template(template).render(about | values), status)


def status_of(error: ArtstoreError) -> int:
    """The status of HTTP for an error."""
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def failed(request: Request, error: ArtstoreError, title: str = "Error") -> HTMLResponse:
    """The page of an error."""
    return page(request, "error.html", title, status_of(error), message=str(error), hint=error.hint)


def absent(request: Request) -> HTMLResponse:
    """The page of an address at which there is none."""
    return page(request, "error.html", "Error", 404, message=f"there is no page {request.url.path}", hint=None)


def fragment(template: str, **values: Any) -> Markup:
    """A part of a page, from a template and its values."""
    return Markup(_templates.get_template(template).render(**values))


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values as rows: (`key.inner`, value). Media are described in few words."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value and in_short(value) is None:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else text_of_value(value)

"""How pages are made: templates, addresses, and what of a request names what to show."""

import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from artstore.api.handles import opened
from artstore.domain.collection import Path
from artstore.domain.names import printable
from artstore.domain.run import RunPath
from artstore.domain.wording import count, human, moment
from artstore.errors import InvalidValue, NotFound
from artstore.operations.finding.lookup import Version
from artstore.repository import Repository

T = TypeVar("T")
ROWS = 100
"""Rows of a page."""

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")  # which also refuses javascript: and the like


class Rows(NamedTuple):
    """The rows of one page of many."""

    shown: list[Any]
    start: int
    """how many stand before"""
    more: bool


def page_of(request: Request, rows: Iterable[T]) -> Rows:
    """The rows that a request asks for by `start`; those before are made and passed over."""
    start = number_in(request, "start")
    shown = list(islice(rows, start, start + ROWS + 1))
    return Rows(shown[:ROWS], start, len(shown) > ROWS)


# -- what a request says --


def repository_of(request: Request) -> Repository:
    return opened(request.app.state.root)


def parameters(request: Request) -> dict[str, list[str]]:
    """Of the query, bytes that are not UTF-8 kept as in the names of files."""
    return parse_qs(request.url.query, keep_blank_values=True, errors="surrogateescape")


def text_in(request: Request, name: str, default: str = "") -> str:
    return parameters(request).get(name, [default])[-1]


def number_in(request: Request, name: str, default: int = 0, most: int = 1 << 53) -> int:
    text = text_in(request, name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise InvalidValue(f"{name} is a number up to {most:,}, not '{printable(text[:80])}'")
    return int(text)


def path_in(request: Request) -> Path:
    """The collection that an address names."""
    return Path(*(request.path_params[part] for part in Path._fields))


def version_in(request: Request) -> Version:
    number = request.path_params["number"]
    if len(number) > 20:
        raise NotFound(f"there is no version v{printable(number[:20])}…")
    return repository_of(request).find(f"{path_in(request)}:v{number}")


# -- addresses --


def collection_url(path: Path, page: str = "artifact") -> str:
    return f"/{page}/" + "/".join(quote(part, safe="") for part in path)


def version_url(path: Path, number: int, page: str = "version") -> str:
    return f"{collection_url(path, page)}/{number}"


def file_url(found: Version, path: str | bytes, page: str = "files", **more: Any) -> str:
    query = urlencode({"path": os.fsencode(path), **more})
    return f"{version_url(found.state.path, found.number, page)}?{query}"


def run_url(path: RunPath) -> str:
    return "/run/" + "/".join(quote(part, safe="") for part in path)


def with_query(request: Request, **changed: Any) -> str:
    """The address asked for with other parameters; None takes one away."""
    known = {name: [os.fsencode(value) for value in values] for name, values in parameters(request).items()}
    query = {**known, **changed}
    return f"{quote(request.url.path)}?{urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)}"


# -- pages --


def _day(value: int | str) -> str:
    """A time in nanoseconds since 1970, or in ISO 8601, to the minute, UTC."""
    return (moment(value) if isinstance(value, int) else value)[:16].replace("T", " ")


def _rendered(text: str) -> Markup:
    """Markdown as HTML: no tags of its own, no scripts, and images from here only (which the policy holds it to)."""
    return Markup(_markdown.render(_shown(text)))


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _finalized(value: Any) -> Any:
    """Every text that a page shows, as it is safe to print: names are anybody's."""
    return _shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _shown(text: str) -> str:
    """As `printable`, but for what texts are laid out with: lines, tabs, and spaces of any width."""
    if text.isprintable():
        return text
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) == "Zs" else printable(c) for c in text.replace("\r\n", "\n")
    )


_templates = Environment(
    loader=PackageLoader("artstore.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_finalized,
)
_templates.filters |= {
    "human": human,
    "count": count,
    "day": _day,
    "markdown": _rendered,
    "json": as_json,
    "fsdecode": os.fsdecode,
}
_templates.globals |= {
    "ROWS": ROWS,
    "collection_url": collection_url,
    "version_url": version_url,
    "file_url": file_url,
    "run_url": run_url,
    "with_query": with_query,
}


def page(request: Request, template: str, title: str, status: int = 200, **values: Any) -> HTMLResponse:
    text = _templates.get_template(template).render(request=request, title=title, root=request.app.state.root, **values)
    return HTMLResponse(text, status)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values as rows: `key.inner`, value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""The addresses of all pages about what a team has, and what each should answer."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

from artstore.domain.tree import DIRECTORY, REFERENCE
from artstore.repository import Repository
from tests.support.team import Answer

CLOSED = {"raw", "image", "play", "html", "mask", "media", "console", "environment", "samples"}
"""Parts of the names of routes that give what is in files."""


def addresses(root: Path, *, hidden: bool = False) -> Iterator[tuple[str, str]]:
    """(page, address) of every page about every version and run that a team sees or, if `hidden`, the others."""
    with Repository(str(root)) as repository:
        for state in repository.collections():
            if ("zq" in state.path.project) is not hidden:
                continue
            yield from ((page, f"/{page}/{'/'.join(state.path)}") for page in ("artifact", "aliases"))
            for version in state.live():
                found = repository.find(f"{state.path}:v{version['number']}")
                place = f"{'/'.join(state.path)}/{version['number']}"
                yield from ((page, f"/{page}/{place}") for page in ("version", "lineage", "files"))
                yield "version", f"/version/{'/'.join(state.path)}/latest"
                for raw, entry in repository.walk(found.tree):
                    pages = (
                        ("files",)
                        if entry.kind in (DIRECTORY, REFERENCE)
                        else ("files", "raw", "image", "play", "html", "mask")
                    )
                    yield from ((page, f"/{page}/{place}?path={quote(raw)}") for page in pages)
        for run in repository.runs.all():
            if ("zq" in run.path.project) is not hidden:
                continue
            place = "/".join(run.path)
            for page in ("run", "run-files", "run-media", "run-console", "run-environment", "run-samples"):
                yield page, f"/{page}/{place}"
            yield from ((page, f"/{page}?run={place}") for page in ("compare", "history"))
            yield "run-media", f"/run-media/{place}?key=picture&step=2"
            files = list(repository.run_files(run))
            for above in {os.path.dirname(path) for path in files} - {""}:
                yield "run-files", f"/run-files/{place}?path={quote(above)}"
            for path in files:
                for page in ("files", "raw", "image", "play", "html", "mask"):
                    yield f"run-{page}", f"/run-{page}/{place}?path={quote(path)}"


def is_closed(page: str) -> bool:
    return page.removeprefix("run-") in CLOSED


def as_expected(page: str, address: str, answer: Answer, *, looks: bool) -> bool:
    if page == "storage":
        return answer.status == 403
    if looks and (is_closed(page) or "table=" in address):
        return answer.status == 403 and b"for the role reader" in answer.body
    if looks and "path=" in address and re.search(r"media/|[0-9a-f]{20}", address):
        return answer.status == 404
    if page.removeprefix("run-") in ("image", "play", "html", "mask"):
        return answer.status in (200, 404)
    return answer.status == (307 if address.endswith("latest") else 200)


def everything(root: Path) -> Iterator[tuple[str, str]]:
    """(page, address) of what a team sees, and of what leads across: lists, search, differences."""
    yield from addresses(root)
    yield from (("", "/"), ("", "/?all=1"), ("runs", "/runs"), ("storage", "/storage"))
    yield from (
        ("search", f"/search?q={text}") for text in ("hush", "mark-", "data", "local", "story", "trainer", "good")
    )
    yield from (
        ("diff", f"/diff?{urlencode({'old': 'seen/data:v0', 'new': 'seen/data:v1'} | one)}") for one in COMPARED
    )
    yield from ((page, f"/{page}?run=local/seen/trainer&run=local/seen/second") for page in ("compare", "history"))
    yield from (("files", f"/files/local/seen/data/0?path={path}&from=m") for path in ("", "deep"))


COMPARED: list[dict[str, str]] = [{}, {"table": "table.table.json", "key": "key"}, {"start": "1"}]

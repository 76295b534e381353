"""Pages of what a run recorded of itself: its console output and its environment."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from artstore.errors import Damage
from artstore.web.console import patched, tail
from artstore.web.previews import TEXT
from artstore.web.render import flat, number_in, page, repository_of, text_in
from artstore.web.sources import RunFiles, run_in

_OUTPUT = "output.log"
_METADATA = "wandb-metadata.json"
_REQUIREMENTS = "requirements.txt"
_PATCH = "diff.patch"
_FACTS = 500
"""The most facts of an environment that are shown."""


def console(request: Request) -> Response:
    """The page of a run's console output, its end first."""
    run = run_in(request)
    source = RunFiles(repository_of(request), run)
    file = source.find(_OUTPUT)
    before = number_in(request, "before") if text_in(request, "before") else None
    shown = None if file is None else tail(file, before)
    return page(request, "console.html", f"Console of {run.path}", run=run, source=source, path=_OUTPUT, shown=shown)


def environment(request: Request) -> Response:
    """The page of the environment in which a run ran: host and versions, packages, and changes that weren't committed."""
    run = run_in(request)
    source = RunFiles(repository_of(request), run)
    notes: list[str] = []
    facts = _facts(source, notes)
    requirements, patch = (_text(source, path, notes) for path in (_REQUIREMENTS, _PATCH))
    return page(
        request, "environment.html", f"Environment of {run.path}", run=run, source=source, notes=notes,
        facts=facts[:_FACTS], requirements=requirements, patch=patched(patch) if patch else None,
        paths=(_METADATA, _REQUIREMENTS, _PATCH),
    )  # fmt: skip


def _facts(source: RunFiles, notes: list[str]) -> list[tuple[str, Any]]:
    text = _text(source, _METADATA, notes)
    if text is None:
        return []
    try:
        told = json.loads(text)
        return list(flat(told)) if isinstance(told, dict) else [(_METADATA, text[:1000])]
    except (ValueError, RecursionError):
        notes.append(f"{_METADATA} is not JSON.")
        return []


def _text(source: RunFiles, path: str, notes: list[str]) -> str | None:
    """The beginning of a file of a run as text. None if there is none, or if it is damaged, which is noted."""
    file = source.find(path)
    if file is None:
        return None
    try:
        with file.open() as opened:
            data = opened.read(TEXT)
    except Damage as error:
        notes.append(f"{path} can't be shown: {error}.")
        return None
    if file.size > TEXT:
        notes.append(f"Of {path} the first {TEXT >> 10} KiB are shown.")
    return data.decode("utf-8", "replace")

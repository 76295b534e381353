"""Versions that several processes put together: parts, finishes, and what became of them."""

from pathlib import Path
from typing import Any

import artstore as wandb
from artstore.api.handles import opened
from artstore.repository import Repository
from tests.support.artifacts import write

ID = "job-7"


def repository() -> Repository:
    return opened(str(Path(".artifacts").absolute()))


def part(files: dict[str, str], name: str = "data", id: str | None = None, **more: Any) -> wandb.Artifact:
    """What one process adds."""
    with wandb.init(group=ID, id=id) as run:
        return run.upsert_artifact(write(wandb.Artifact(name), **files), **more)


def finished(files: dict[str, str] | None = None, name: str = "data", **more: Any) -> wandb.Artifact:
    with wandb.init(group=ID) as run:
        return run.finish_artifact(write(wandb.Artifact(name), **files or {}), **more)


def pending(name: str = "data") -> dict[str, int]:
    """How many parts there are under each id."""
    state = repository().refs.read(repository().path_of(name)[0])
    return {id: len(parts) for id, parts in state.upserts.items()}


def versions(name: str = "data") -> list[str]:
    return [one.name for one in wandb.Api().artifacts(name=name)]

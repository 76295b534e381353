"""Links for tests."""

from pathlib import Path
from typing import Any

import artstore as wandb
from artstore.api.handles import opened
from artstore.repository import Repository
from tests.support.artifacts import draft, log

CHURN = "registry-models/churn"
LONG = "long " * 2000
"""Stored as a blob of its own, since it is over 4 KiB."""


def repository() -> Repository:
    return opened(str(Path(".artifacts").absolute()))


def model(text: str = "1", name: str = "model", **more: Any) -> wandb.Artifact:
    return log(draft(name, text, type="model", **more))


def linked(text: str = "1", target: str = CHURN, **more: Any) -> tuple[wandb.Artifact, wandb.Artifact]:
    source = model(text, **more)
    return source, source.link(target)


def edit(artifact: wandb.Artifact, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(artifact, name, value)
    artifact.save()


def specs(artifacts: Any) -> list[str]:
    return [f"{one.project}/{one.name}" for one in artifacts]

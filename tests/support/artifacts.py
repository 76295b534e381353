"""Artifacts for tests: made, logged and looked at as a script does it."""

import os
from pathlib import Path
from typing import Any

import artstore as wandb
from tests.support.folders import make_tree, snapshot


def draft(name: str = "data", text: str = "1", **more: Any) -> wandb.Artifact:
    """One that holds the file `f`."""
    return write(wandb.Artifact(name, **more), f=text)


def write(artifact: wandb.Artifact, **files: str) -> wandb.Artifact:
    for name, text in files.items():
        with artifact.new_file(name) as file:
            file.write(text)
    return artifact


def log(artifact: wandb.Artifact, project: str | None = None, **more: Any) -> wandb.Artifact:
    with wandb.init(project=project) as run:
        return run.log_artifact(artifact, **more)


def log_files(files: dict[str, str | bytes | None], name: str = "data", **more: Any) -> wandb.Artifact:
    """The next version of an artifact that holds these files."""
    given = {key: more.pop(key) for key in ("aliases", "tags") if key in more}
    artifact = wandb.Artifact(name, **more)
    artifact.add_dir(make_tree(Path(f"in-{os.urandom(4).hex()}"), files))
    return log(artifact, **given)


def again(name: str = "data") -> wandb.Artifact:
    return wandb.Api().artifact(name)


def names() -> list[str]:
    return [collection.name for collection in wandb.Api().artifact_collections()]


def paths(artifact: wandb.Artifact) -> list[str]:
    return list(artifact.manifest.entries)


def stored(artifact: wandb.Artifact, out: str = "out") -> dict[str, tuple[bool, bytes] | None]:
    return snapshot(Path(log(artifact).download(out)))

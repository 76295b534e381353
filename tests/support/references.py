"""References for tests: artifacts that refer to URIs, and what a folder or a repository holds of them."""

from pathlib import Path
from typing import Any

import artstore as wandb
from tests.support.artifacts import log
from tests.support.folders import snapshot

PLAIN = {"a": "1", "sub/b": "22"}


def referring(*uris: str, name: str = "data", **more: Any) -> wandb.Artifact:
    """A draft that refers to them."""
    artifact = wandb.Artifact(name)
    for uri in uris:
        artifact.add_reference(uri, **more)
    return artifact


def logged(*uris: str, name: str = "data", **more: Any) -> wandb.Artifact:
    return log(referring(*uris, name=name, **more))


def files(folder: str | Path) -> dict[str, bytes]:
    """Content of all files below a folder."""
    return {path: found[1] for path, found in snapshot(Path(folder)).items() if found is not None}


def leftovers(folder: Path) -> list[str]:
    """Temporary names below a folder, the repository aside."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    return [path for path in found if "artstore-" in path and not path.startswith(".artifacts")]


def stored_bytes(root: Path) -> bytes:
    """All that a repository's folder holds, packs included."""
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


def blobs(root: Path) -> int:
    """Bytes under objects/, without trees and versions of a few hundred bytes."""
    return sum(path.stat().st_size for path in (root / "objects").rglob("*") if path.is_file())

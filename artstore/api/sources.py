"""What a run can log besides an artifact: a file, a folder or a URI, and its own source files."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from artstore.api.artifact import Artifact
from artstore.api.files import PathLike
from artstore.backends.references import is_known, scheme_of
from artstore.backends.storage import is_url
from artstore.domain.names import name_from
from artstore.errors import InvalidType, InvalidValue

Choose = Callable[..., bool]
"""A user's function that chooses paths: it gets a path, and the root if it takes two arguments."""


def artifact_of(given: Artifact | PathLike, name: str | None, type: str | None, run: str) -> Artifact:
    """The artifact itself, or a new one from a file, folder or URI, by default named after the run and the path."""
    if isinstance(given, Artifact):
        return given
    if not isinstance(given, str | os.PathLike):
        raise InvalidType(
            f"log_artifact needs an Artifact or the path of a file or folder, not {given.__class__.__name__}"
        )
    path = os.fspath(given)
    artifact = Artifact(
        name or name_from(f"run-{run}-{os.path.basename(os.path.abspath(path))}"), type or "unspecified"
    )
    if os.path.isdir(path):
        artifact.add_dir(path)
    elif os.path.lexists(path):
        artifact.add_file(path)
    elif is_url(path) and is_known(scheme_of(path)):
        artifact.add_reference(path)
    else:
        raise InvalidValue(f"there is no file or folder '{path}' to log")
    return artifact


def source_files(root: str, include: Choose, exclude: Choose | None) -> Iterator[str]:
    """The files below a folder that `include` chooses and `exclude` doesn't, sorted.

    Hidden folders, virtual environments, and W&B's and artstore's own folders are skipped.
    """
    found = []
    for where, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and f not in ("wandb", "artifacts", "__pycache__")]
        folders[:] = [f for f in folders if not os.path.isfile(os.path.join(where, f, "pyvenv.cfg"))]
        found += [os.path.join(where, name) for name in names if os.path.isfile(os.path.join(where, name))]
    for path in sorted(found):
        if _says(include, path, root) and not (exclude and _says(exclude, path, root)):
            yield path


def is_source(path: str, _: str) -> bool:
    """Whether a file is source code: `*.py`, `requirements.txt`, `Dockerfile` or `pyproject.toml`."""
    return path.endswith(".py") or os.path.basename(path) in ("requirements.txt", "Dockerfile", "pyproject.toml")


def _says(choose: Choose, path: str, root: str) -> bool:
    """Call a user's function with the path, and with the root if it takes two arguments, as W&B does."""
    import inspect

    parameters: Any = inspect.signature(choose).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    several = len(positional) > 1 or any(p.kind == p.VAR_POSITIONAL for p in positional)
    return bool(choose(path, root) if several else choose(path))

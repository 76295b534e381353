"""What a run logs that is no artifact yet: a file, a folder or a URI, and its own source files."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from artstore.api.artifact import Artifact
from artstore.api.contents import PathLike
from artstore.backends.references import is_known, scheme_of
from artstore.backends.storage import is_url
from artstore.domain.names import name_from
from artstore.errors import InvalidType, InvalidValue

Choose = Callable[..., bool]


def artifact_of(given: Artifact | PathLike, name: str | None, type: str | None, run: str) -> Artifact:
    """An artifact as it was given, or one of what lies at a path or URI, which is called after the run and that."""
    if isinstance(given, Artifact):
        return given
    if not isinstance(given, str | os.PathLike):
        raise InvalidType(
            f"a {given.__class__.__name__} can't be logged: give an Artifact, or the path of a file or folder"
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
    """Files below a folder that `include` takes and `exclude` doesn't, in order, but for what version control and
    environments keep in folders of theirs.
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
    return path.endswith(".py") or os.path.basename(path) in ("requirements.txt", "Dockerfile", "pyproject.toml")


def _says(choose: Choose, path: str, root: str) -> bool:
    """W&B's functions take the path, and the root if they want it."""
    import inspect

    parameters: Any = inspect.signature(choose).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    several = len(positional) > 1 or any(p.kind == p.VAR_POSITIONAL for p in positional)
    return bool(choose(path, root) if several else choose(path))

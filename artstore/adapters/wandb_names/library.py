"""Functions and classes of W&B's inner modules that frameworks import, as far as they mean something here."""

import json
import os
import re
import secrets
import string
from collections.abc import Sequence
from pathlib import PurePath, PurePosixPath
from typing import IO, Any, Self

from artstore.api.artifact import Artifact
from artstore.api.recording import new_id
from artstore.api.terminal import termerror, termlog, termwarn
from artstore.domain.metadata import recorded
from artstore.errors import ArtstoreError

# -- wandb.sdk.lib --


class WaitTimeoutError(ArtstoreError):
    """For scripts that catch it. It is never raised: what is logged is safe on disk, and nothing is waited for."""


class RunDisabled:
    """For scripts that ask whether a run is one. None is: a disabled run is a `Run` whose `disabled` is True."""


class Anything:
    """Takes any attribute and any call, and keeps nothing: W&B's record of which features are used."""

    def __getattr__(self, name: str) -> "Anything":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> "Anything":
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def context(*_: Any, **__: Any) -> Anything:
    """W&B's `telemetry.context`: nothing is recorded of which features are used."""
    return Anything()


StrPath = str | os.PathLike[str]
FilePathStr = URIStr = str


class LogicalPath(str):
    """A path in an artifact or run, with `/`: a text that also has what a `PurePosixPath` has."""

    def __new__(cls, path: str | os.PathLike[str]) -> Self:
        return super().__new__(cls, PurePath(path).as_posix())

    def to_path(self) -> PurePosixPath:
        return PurePosixPath(self)

    def __truediv__(self, other: str | os.PathLike[str]) -> "LogicalPath":
        return LogicalPath(self.to_path() / PurePath(other).as_posix())

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.to_path(), name)
        return LogicalPath(value) if isinstance(value, PurePosixPath) else value


def generate_id(length: int = 8) -> str:
    """A random id of letters and digits, as runs have."""
    return new_id(length)


def mkdir_exists_ok(dir_name: str | os.PathLike[str]) -> None:
    """Make a folder, and the folders above it, unless it is there."""
    os.makedirs(dir_name, exist_ok=True)


def merge_dicts(dest: dict[str, Any], src: dict[str, Any]) -> dict[str, Any]:
    """Put one dict's values into another, dicts in both into each other. Returns `dest`."""
    for key, value in src.items():
        if isinstance(value, dict) and isinstance(dest.get(key), dict):
            merge_dicts(dest[key], value)
        else:
            dest[key] = value
    return dest


class Printer:
    """W&B's printer, as far as it prints lines: `display`. Texts aren't decorated."""

    def display(self, text: str | Sequence[str], *, level: Any = None, **_: Any) -> None:
        lines = [text] if isinstance(text, str) else text
        say = {"warn": termwarn, "error": termerror}.get(str(level).lower(), termlog)
        for line in lines:
            say(line)

    def name(self, name: str) -> str:
        return name

    code = emoji = error = name

    def files(self, name: str) -> str:
        return name

    def link(self, link: str, text: str | None = None) -> str:
        return link if text is None else f"{text} ({link})"


def get_printer(*_: Any, **__: Any) -> Printer:
    """A printer of lines."""
    return Printer()


# -- wandb.util --


def json_dumps_safer(obj: Any, **options: Any) -> str:
    """JSON of any value: what has no JSON form is text, as in a run's summary."""
    return json.dumps(recorded(obj), **options)


def json_dump_safer(obj: Any, fp: IO[str], **options: Any) -> None:
    """Write JSON of any value to a file."""
    fp.write(json_dumps_safer(obj, **options))


def json_friendly(obj: Any) -> tuple[Any, bool]:
    """A value as plain JSON, and whether that is another value than the one given."""
    plain = recorded(obj)
    return plain, plain is not obj


def json_friendly_val(val: Any) -> Any:
    """A value as plain JSON."""
    return recorded(val)


def get_full_typename(o: Any) -> str:
    """The name of a value's class, with its module unless that is `builtins`."""
    kind = type(o)
    return kind.__name__ if kind.__module__ in (None, "builtins") else f"{kind.__module__}.{kind.__name__}"


def make_artifact_name_safe(name: str) -> str:
    """A text as an artifact's name that W&B takes too: letters, digits and `_-.`, at most 128."""
    safe = re.sub(r"[^a-zA-Z0-9_\-.]", "_", name)
    return safe if len(safe) <= 128 else f"{safe[:63]}..{safe[-63:]}"


def random_string(length: int = 12) -> str:
    """A random text of letters and digits."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))


def to_forward_slash_path(path: str) -> str:
    """The path with `/`."""
    return PurePath(path).as_posix()


def artifact_to_json(artifact: Artifact) -> dict[str, Any]:
    """What a run's config records of an artifact."""
    name = artifact.name.partition(":")[0]
    told = {"_type": "artifactVersion", "_version": "v0", "id": artifact.id, "version": artifact.version}
    return told | {"sequenceName": name, "usedAs": None}

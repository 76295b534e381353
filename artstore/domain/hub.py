"""The names that the Hugging Face hub has for what is stored here: its kinds, ids, commits and revisions. Pure."""

import re
from collections.abc import Container

from artstore.domain.collection import Path, State
from artstore.domain.names import Spec, parse_spec, printable
from artstore.errors import InvalidValue

MAIN = "main"
"""The revision that the hub's clients ask for if none is named. Here it is the latest version."""
DATASETS, MODELS = KINDS = ("datasets", "models")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ID = re.compile(r"(?!.*(--|\.\.))(?!.*\.git$)\b[\w.-]{1,96}\b/\b[\w.-]{1,96}\b", re.ASCII)


def kind_of(state: State) -> str:
    """What an artifact is for the hub's clients: a dataset if that is its type, else a model."""
    return DATASETS if state.type == "dataset" else MODELS


def hub_id(path: Path) -> str:
    """The hub's id of an artifact. Raises InvalidValue for a name that the hub's clients refuse.

    >>> hub_id(Path("local", "vision", "classifier"))
    'vision/classifier'
    """
    id = f"{path.project}/{path.name}"
    if not _ID.fullmatch(id):
        hint = "names there have at most 96 letters, digits, '_', '-' and '.', and '-' and '.' only one at a time and inside"
        raise InvalidValue(f"'{printable(id)}' can't be an id of the Hugging Face hub", hint=hint)
    return id


def commit_of(id: str) -> str:
    """The commit of a version: the first 40 digits of its id, which is as many as git has."""
    return id[:40]


def spec_of(path: Path, revision: str, aliases: Container[str]) -> Spec:
    """The spec of a revision of a collection: a commit, an alias, `vN`, or `main`. Raises InvalidValue."""
    if _COMMIT.fullmatch(revision):
        return Spec(*path, digest=revision)
    if revision == MAIN and MAIN not in aliases:
        return Spec(*path, alias="latest")
    return Spec(*path, *parse_spec(f"{path.name}:{revision}")[3:])


def revisions_of(state: State, id: str) -> list[str]:
    """The revisions that name a version: its aliases, its number, and `main` if it is the latest."""
    aliases = state.aliases_of(id)
    main = [MAIN] if "latest" in aliases and MAIN not in state.aliases else []
    return [*aliases, f"v{state.versions[id]['number']}", *main]

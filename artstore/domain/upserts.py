"""Upserts: one version from parts that several processes add. Pure: joins the parts into one tree."""

from collections.abc import Callable
from typing import Any, NamedTuple

from artstore.domain.builder import PathTaken, TreeBuilder
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import State
from artstore.domain.digest import Digest, from_hex
from artstore.domain.names import printable
from artstore.domain.tree import Folder
from artstore.domain.wording import near
from artstore.errors import Conflict, InvalidValue, NotFound

Read = Callable[[Digest], bytes]


class UpsertPart(NamedTuple):
    """The files that one process added to an upsert."""

    folder: Folder
    writer: str
    """that process's name, for people"""


def parts_of(told: list[dict[str, Any]]) -> list[UpsertPart]:
    """The parts that a collection's state records, in the order in which they were added."""
    return [UpsertPart(Folder(from_hex(part["tree"]), part["size"], part["files"]), part["writer"]) for part in told]


def told_part(upsert: str, part: dict[str, Any]) -> list[Change]:
    """The changes that add a part, which has the fields that a collection's state records."""
    fields = {field: value for field, value in part.items() if field not in ("time", "extras")}
    blob = part.get("extras")
    extras = [new_change("part extras", upsert=upsert, tree=part["tree"], blob=blob)] if blob else []
    return [new_change("part", upsert=upsert, **fields), *extras]


def refuse_incremental(incremental: bool, upsert: str | None) -> None:
    """Raise InvalidValue for the files of an upsert that would be added to those of the latest version."""
    if incremental and upsert is not None:
        hint = "make it without incremental=True, or log it by log_artifact()"
        raise InvalidValue("an incremental artifact can't be built by several processes", hint=hint)


def no_upsert(state: State, upsert: str) -> NotFound:
    hint = near(upsert, state.upserts) or (f"there are {', '.join(state.upserts)}" if state.upserts else None)
    return NotFound(f"{state.path.name} has no unfinished version '{printable(upsert)}'", hint=hint)


def joined(parts: list[UpsertPart], read: Read) -> TreeBuilder:
    """The union of parts. Raises Conflict, with both writers' names, if two have a path with different content."""
    union = TreeBuilder(read)
    for number, part in enumerate(parts):
        try:
            union.graft((), part.folder, overwrite=False)
        except PathTaken as error:
            first = next((p for p in parts[:number] if _has(p, error.parts, read)), parts[0])
            what = f"'{printable(b'/'.join(error.parts))}' was added with other content"
            hint = "both belong to one version: give them other names, or add the file in one process only"
            raise Conflict(f"{what} by {first.writer} than by {part.writer}", hint=hint) from error
    return union


def _has(part: UpsertPart, path: tuple[bytes, ...], read: Read) -> bool:
    tree = TreeBuilder(read)
    tree.graft((), part.folder)
    return tree.holds(path)

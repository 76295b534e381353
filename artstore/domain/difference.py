"""The differences between two versions: added, removed, changed and renamed files, and metadata."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from artstore.domain.codec import same_json
from artstore.domain.tree import DIRECTORY, Entry, FileChange
from artstore.domain.wording import human

RENAMES = 10_000
"""Most differences among which renames are looked for: these are held in memory."""


class Difference(NamedTuple):
    """One path that differs. If a file was renamed, `origin` is its path in the old version."""

    kind: str
    """added, removed, changed, renamed"""
    path: bytes
    origin: bytes | None
    old: Entry | None
    new: Entry | None

    @property
    def old_size(self) -> int | None:
        return self.old[2] if self.old is not None else None

    @property
    def new_size(self) -> int | None:
        return self.new[2] if self.new is not None else None


def differences(changes: Iterable[FileChange]) -> Iterator[Difference]:
    """The differences in path order.

    Up to RENAMES changes are held in memory, to match added with removed files of the same content: these are renames.
    If there are more, nothing is held and no file is reported as renamed.
    """
    changes = iter(changes)
    held: list[FileChange] = []
    for change in changes:
        held.append(change)
        if len(held) > RENAMES:
            yield from map(_plain, held)
            yield from map(_plain, changes)
            return
    origins = _origins(held)
    gone = {origin.path for origin in origins.values()}
    for change in held:
        if (origin := origins.get(change.path)) is not None:
            yield Difference("renamed", change.path, origin.path, origin.old, change.new)
        elif not (change.new is None and change.path in gone):
            yield _plain(change)


def _plain(change: FileChange) -> Difference:
    kind = "added" if change.old is None else "removed" if change.new is None else "changed"
    return Difference(kind, change.path, None, change.old, change.new)


def _origins(changes: list[FileChange]) -> dict[bytes, FileChange]:
    """For each added path the removed file with the same content. Each removed file is used once."""
    removed: dict[Any, list[FileChange]] = {}
    for change in changes:
        if change.new is None and change.old is not None and change.old[1] < DIRECTORY and change.old[2]:
            removed.setdefault(change.old[3], []).append(change)
    origins = {}
    for change in changes:
        added = change.old is None and change.new is not None and change.new[1] < DIRECTORY
        if added and (candidates := removed.get(change.new[3])):  # type: ignore[index]  # it is not None
            origins[change.path] = candidates.pop(0)
    return origins


class VersionDiff:
    """All differences between two versions, in memory: paths by kind, and metadata as key → (old, new)."""

    def __init__(
        self, old: str, new: str, found: Iterable[Difference], before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        self.old, self.new = old, new
        self.added: list[str] = []
        self.removed: list[str] = []
        self.changed: list[str] = []
        self.renamed: list[tuple[str, str]] = []
        """(old path, new path)"""
        self.size_change = 0
        """bytes by which the new version is larger"""
        for difference in found:
            self.size_change += (difference.new_size or 0) - (difference.old_size or 0)
            path = os.fsdecode(difference.path)
            if difference.origin is not None:
                self.renamed.append((os.fsdecode(difference.origin), path))
            else:
                getattr(self, difference.kind).append(path)
        pairs = {key: (before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())}
        differ = {key for key, pair in pairs.items() if (key in before) != (key in after) or not same_json(*pair)}
        self.metadata = {key: pair for key, pair in pairs.items() if key in differ}

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.removed or self.changed or self.renamed or self.metadata)

    def __repr__(self) -> str:
        return f"<VersionDiff {self.old} → {self.new}: {self.summary()}>"

    def summary(self) -> str:
        kinds = ("added", "removed", "changed", "renamed")
        parts = [f"{len(getattr(self, kind)):,} {kind}" for kind in kinds if getattr(self, kind)]
        parts += ["metadata"] if self.metadata else []
        sign = "-" if self.size_change < 0 else "+"
        return f"{', '.join(parts)}, {sign}{human(abs(self.size_change))}" if parts else "no difference"

    def _repr_html_(self) -> str:
        rows = [("A", path) for path in self.added] + [("D", path) for path in self.removed]
        rows += [("M", path) for path in self.changed] + [("R", f"{old} → {new}") for old, new in self.renamed]
        for key, (old, new) in self.metadata.items():
            before, after = ("-" if value is None else repr(value) for value in (old, new))
            rows.append(("metadata", f"{key}: {before} → {after}"))
        from artstore.domain.html import definition_rows, page

        return page(f"{self.old} → {self.new}: {self.summary()}", definition_rows(rows))

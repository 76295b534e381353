"""Roles: what the holder of a token may do, in which projects, and the least role for each kind of change. Pure."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from artstore.domain import kinds, run
from artstore.domain.changes import Change, LogEntry, check_known
from artstore.domain.collection import INHERIT, Path, State, VersionState, author_of
from artstore.domain.names import REGISTRY, REGISTRY_TYPE, RESERVED, as_project, check_project, folded, printable
from artstore.domain.run import RunState
from artstore.errors import InvalidValue


class Role(IntEnum):
    """What a token allows. Each role includes those before it."""

    VIEWER = 1
    """names, versions, metadata, lists of files, lineage, runs and charts; not a byte of a file"""
    READER = 2
    """the bytes of files"""
    WRITER = 3
    """new versions and runs, aliases, and edits of its own; nothing of others is lost"""
    PROMOTER = 4
    """protected aliases, and registries"""
    ADMIN = 5
    """everything else, such as deleting"""

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def named(cls, text: str) -> "Role":
        """The role with this name. Raises InvalidValue."""
        for role in cls:
            if str(role) == text:
                return role
        raise InvalidValue(f"'{printable(text)}' is not a role: {', '.join(map(str, cls))}")


# -- projects ------------------------------------------------------------------------------------


def pattern_of(text: str, entity: str) -> str:
    """A pattern of projects as `ENTITY/PROJECT`. One without an entity is of `entity`. Raises InvalidValue.

    A `*` stands for any characters. Anything else stands for itself, as names do: in NFC, and in any case.

    >>> pattern_of("vision-*", "local")
    'local/vision-*'
    """
    owner, slash, project = text.rpartition("/")
    owner = owner if slash else entity
    if "/" in owner:
        raise InvalidValue(f"'{printable(text)}' is not a pattern of projects: [ENTITY/]PROJECT, with * for any text")
    return f"{check_project(owner, 'entity')}/{as_project(project)}"


class Grant(NamedTuple):
    """A role in the projects that match one of some patterns."""

    role: Role
    patterns: tuple[str, ...] = ()
    """as `pattern_of` gives them; none for all projects"""

    def role_in(self, entity: str, project: str) -> Role | None:
        """The role in a project, or None for a project that the patterns don't match.

        Names are compared as those of folders are. So names that only look alike don't match.
        """
        return self.role if self._covers(f"{entity}/{project}") else None

    def wider_than(self, other: "Grant") -> bool:
        """Whether this allows anything, in any project that there may be, that the other doesn't allow."""
        return self.role > other.role or not all(map(other._covers, self.patterns or (_ALL,)))

    def _covers(self, path: str) -> bool:
        """Whether all projects that a path or pattern `ENTITY/PROJECT` names are among these.

        A pattern is covered if it matches as a name. Its `*` isn't a name's character that any pattern has, so only
        another `*` matches it, and that also matches whatever the `*` stands for. Hence the union of several patterns
        covers a pattern only if one of them does.
        """
        parts = _parts(path)
        return any(all(map(_matches, _parts(pattern), parts)) for pattern in self.patterns or (_ALL,))


_ALL = "*/*"


@lru_cache(4096)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(map(folded, path.split("/")))


def _matches(pattern: str, name: str) -> bool:
    """Whether a pattern with `*` matches a name or a narrower pattern. Takes time in proportion to both lengths."""
    first, *pieces = pattern.split("*")
    if not pieces:
        return name == pattern
    last = pieces.pop()
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for piece in pieces:  # the leftmost place leaves most room for the rest
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


# -- aliases -------------------------------------------------------------------------------------

PROTECTED = ("prod", "production")
"""The aliases that are protected unless others are named. `latest` can't be set, so it needs no protection."""


def is_protected_alias(alias: str, protected: Iterable[str] = PROTECTED) -> bool:
    """Whether an alias matches one of some patterns with `*`, in any case and in any form that looks the same.

    Compatible characters count as equal (full-width letters, for example), because here a false match only asks for
    a higher role. Letters of other scripts that look alike aren't known.
    """
    return any(_matches(_looks(pattern), _looks(alias)) for pattern in protected)


def _looks(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


# -- changes -------------------------------------------------------------------------------------


class _Case(NamedTuple):
    """A change that somebody wants to make."""

    change: Change
    state: State
    author: str | None
    protected: tuple[str, ...]

    @property
    def version(self) -> VersionState | None:
        return self.state.versions.get(self.change["id"])

    def is_own(self) -> bool:
        """Whether the change is about a version of the author; without an id, about a collection with no others'."""
        if self.change["id"] is not None:
            return self.version is not None and self._by_author(self.version)
        is_usual = self.author is not None and self.state.type != REGISTRY_TYPE
        return is_usual and all(map(self._by_author, self.state.versions.values()))

    def is_fresh(self) -> bool:
        """Whether the change is about the author's own version, and no version came after it."""
        return self.is_own() and self.version is not None and self.version["number"] == self.state.next - 1

    def _by_author(self, version: VersionState) -> bool:
        return self.author is not None and author_of(version) == self.author

    def named_by_protected(self) -> bool:
        """Whether a protected alias names the change's version."""
        aliases = self.state.aliases.items()
        return any(id == self.change["id"] and is_protected_alias(alias, self.protected) for alias, id in aliases)


_Rule = Callable[[_Case], Role]
"""Decides where a kind alone doesn't."""


def _collection(case: _Case) -> Role:
    """Making a collection takes a writer. Another type, another spelling, the name of a collection that was renamed and
    the rules of a registry take an admin: what others have under the name would change.
    """
    change, state = case.change, case.state
    is_new = state.redirect is None and (not state.exists or state.type == change["type"])
    named = Path.named_by(change)
    is_spelled = state.path == named if state.number else state.path.folder == named.folder
    is_usual = not change["type"].startswith(RESERVED)
    return Role.WRITER if is_new and is_spelled and is_usual else Role.ADMIN


def _edit(case: _Case) -> Role:
    return Role.WRITER if case.is_own() else Role.ADMIN


def _tags(case: _Case) -> Role:
    """A tag may be added to versions of others, because nothing is lost. Only their author or an admin removes one."""
    adds_only = not case.change["remove"] and case.state.type != REGISTRY_TYPE
    return Role.WRITER if adds_only else _edit(case)


def _alias(case: _Case) -> Role:
    """A writer moves any alias that isn't protected, also away from a version of others, and removes it.

    Aliases are made to move: with an admin for each `best` that names another's version, no two jobs could save into
    one collection. Nothing is lost: the log has each move, with its author and where the alias was. What must not move
    is protected. Removing an alias does no more harm than moving it.
    """
    return Role.PROMOTER if is_protected_alias(case.change["alias"], case.protected) else Role.WRITER


def _once(case: _Case) -> Role:
    """What is recorded of entries once, when a version is made."""
    is_first = case.version is not None and not case.version.get(case.change["kind"])
    return Role.WRITER if case.is_own() and is_first else Role.ADMIN


def _part_extras(case: _Case) -> Role:
    """Of a part nobody knows the author. So it may get extras, and loses none that it has."""
    parts = case.state.upserts.get(case.change["upsert"], [])
    held = any(part.get("extras") for part in parts if part["tree"] == case.change["tree"])
    return Role.ADMIN if held else Role.WRITER


def _ttl(case: _Case) -> Role:
    """A writer keeps its own versions longer, and limits the newest one, as a save does.

    Else a stolen token could let everything expire that it ever saved. What limits a version is like taking it back.
    """
    if case.version is None or not case.is_own():
        return Role.ADMIN
    new, has = case.change["new"], case.version.get("ttl", INHERIT)
    if new is None or (isinstance(has, int) and (new == INHERIT or new >= has)):
        return Role.WRITER
    return _withdraw(case)


def _withdraw(case: _Case) -> Role:
    """A writer takes back its own version while it is the newest one: what a save does whose objects were lost.

    Nothing of others is lost: they could at most have aliases and tags on it, and a protected alias takes a promoter.
    Numbers aren't used again, so a stolen token takes back one version of each collection at most, and not the one
    before it.
    """
    if not case.is_fresh():
        return Role.ADMIN
    return Role.PROMOTER if case.named_by_protected() else Role.WRITER


def _undelete(case: _Case) -> Role:
    """What an author took back may come again. What an admin deleted stays deleted: there was a reason."""
    is_taken_back = case.version is not None and "withdrawn" in case.version
    return Role.WRITER if is_taken_back and case.is_own() else Role.ADMIN


COLLECTIONS: Mapping[str, Role | _Rule] = {
    "collection": _collection,
    "version": Role.WRITER,
    "link": Role.WRITER,
    "alias": _alias,
    "tags": _tags,
    "metadata": _edit,
    "description": _edit,
    "origins": _once,
    "extras": _once,
    "ttl": _ttl,
    "withdraw": _withdraw,
    "undelete": _undelete,
    "part": Role.WRITER,
    "part extras": _part_extras,
    "not moved": Role.WRITER,  # whoever appends after a rename that was never completed has to write it
    "finish": Role.ADMIN,  # it gives up parts, of which nobody knows the author; no push sends it
    "drop": Role.ADMIN,
    "keep": Role.ADMIN,  # it deletes what others saved
    "renumber": Role.ADMIN,  # `data:v3` would be another version; a push takes the numbers that are free here
    "delete": Role.ADMIN,  # also of own versions: all that a stolen token could delete was saved with it
    "delete collection": Role.ADMIN,
    "moved from": Role.ADMIN,
    "moved to": Role.ADMIN,
}
"""The least role for each kind of change of a collection, or the rule that decides. Other kinds need an admin."""


class _RunCase(NamedTuple):
    state: RunState
    author: str | None

    def is_own(self) -> bool:
        return self.author is not None and self.state.author == self.author


def _start(case: _RunCase) -> Role:
    """Anybody begins a run, also with the id of one that was deleted. Only its author continues one."""
    is_new = case.state.number == 0 or case.state.deleted is not None
    return Role.WRITER if is_new or case.is_own() else Role.ADMIN


def _record(case: _RunCase) -> Role:
    return Role.WRITER if case.is_own() else Role.ADMIN


RUNS: Mapping[str, Role | Callable[[_RunCase], Role]] = {
    "start": _start,
    **dict.fromkeys(("label", "config", "summary", "define", "used", "logged", "history", "files", "finish"), _record),
    "delete": Role.ADMIN,  # as a collection's `delete`
}
"""As COLLECTIONS, for the changes of a run."""


def least_role(
    change: Change, state: State | RunState, author: str | None, protected: Iterable[str] = PROTECTED
) -> Role:
    """The least role that may make a change.

    The change must have the fields of its kind. Whoever asks checks all else: that a link's source may be read, that
    a rename is allowed on both sides, and that the change contradicts nothing.

    Args:
        change: What is to be appended.
        state: The log's state before this change, with those that come before it in the same entry.
        author: The verified name, or None if there is none: then nothing is their own.
        protected: Patterns of the aliases that only promoters move.
    """
    kind = change["kind"]
    if isinstance(state, RunState):
        of_run = RUNS.get(kind, Role.ADMIN)
        return of_run if isinstance(of_run, Role) else of_run(_RunCase(state, author))
    rule = COLLECTIONS.get(kind, Role.ADMIN)
    role = rule if isinstance(rule, Role) else rule(_Case(change, state, author, tuple(protected)))
    return max(role, Role.PROMOTER) if in_registry(state.path.project) else role


def fold_with_role(state: State | RunState, entry: LogEntry, protected: Iterable[str] = PROTECTED) -> Role:
    """Apply an entry to a state, and return the least role that may append it.

    Raises DamagedLog and UnsupportedFormat, as the folds do. The state is then changed in part.
    """
    role, protected = Role.WRITER, tuple(protected)
    for change in entry.changes:
        check_known(run.KINDS if isinstance(state, RunState) else kinds.KINDS, entry, change, str(state.path))
        role = max(role, least_role(change, state, entry.author, protected))
        _fold(state, entry._replace(changes=[change]))
    _fold(state, entry._replace(changes=[]))
    return role


def _fold(state: State | RunState, entry: LogEntry) -> None:
    if isinstance(state, RunState):
        run.fold(state, entry)
    else:
        kinds.fold(state, entry)


def in_registry(project: str) -> bool:
    """Whether a project is a registry, however it is spelled. Every change there takes a promoter."""
    return folded(project).startswith(REGISTRY)

"""Looking up collections and versions by their names. If there is none, the error names similar ones."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast
from warnings import warn

from artstore.domain.changes import origin_of
from artstore.domain.codec import decode_json
from artstore.domain.collection import Path, State, VersionState, digest_of_state, is_live
from artstore.domain.digest import BLOB, Digest, from_hex
from artstore.domain.extras import Extras, extras_of
from artstore.domain.names import Spec, file_name_of, parse_path, parse_spec, printable, shortened
from artstore.domain.properties import SHARED_FIELDS
from artstore.domain.tree import DIRECTORY, Entry, find, read_folder
from artstore.domain.wording import near, typed
from artstore.errors import ArtstoreError, Conflict, Damage, MissingObject, NoEntry, NotFound
from artstore.progress import Monitor
from artstore.store.refs import Refs, resolve
from artstore.store.settings import Settings
from artstore.store.sides import Objects

Home = tuple[str, str]
"""(entity, project) for specs that name none"""

_SEARCH = 0.2
"""Seconds. If a name is not an artifact, this long a file of that name is searched for."""


_NEAR_AMONG = 2000
"""The number of names in a folder among which similar ones are looked for."""


class RenumberedWarning(UserWarning):
    """A spec has a number that a pull gave to another version."""


class Version(NamedTuple):
    """A version together with the collection that holds it."""

    state: State
    version: VersionState

    @property
    def id(self) -> str:
        """The digest of its record, in hex."""
        return self.version["id"]

    @property
    def number(self) -> int:
        """Its number in the collection, such as 3 for `v3`."""
        return self.version["number"]

    @property
    def tree(self) -> Digest:
        """The digest of its root tree."""
        return digest_of_state(self.version)

    def expected_by(self, monitor: Monitor | None) -> Monitor:
        """The monitor, or a new one, which expects all files of this version."""
        monitor = monitor or Monitor()
        monitor.expect(self.version["files"], self.version["size"])
        return monitor

    @property
    def is_live(self) -> bool:
        """Whether it is not deleted."""
        return is_live(self.version)

    @property
    def is_link(self) -> bool:
        """Whether it is a link to a version of another collection."""
        return "source" in self.version

    @property
    def root(self) -> Entry:
        """Its root folder, as an entry without a name."""
        return Entry((b"", DIRECTORY, self.version["size"], self.tree, self.version["files"]))

    @property
    def name(self) -> str:
        """Its short name, such as `data:v3`."""
        return f"{self.state.path.name}:v{self.number}"

    @property
    def spec(self) -> str:
        """Its full name, such as `local/vision/data:v3`."""
        return f"{self.state.path}:v{self.number}"


@contextmanager
def unless_deleted(refs: Refs, found: Version) -> Iterator[None]:
    """Read a version. If that raises Damage, put the version's name into the message.

    If an object is missing because the version was deleted and collected meanwhile, raise NotFound instead.
    """
    try:
        yield
    except Damage as error:
        if isinstance(error, MissingObject) and not is_live(refs.read(found.state.path).versions.get(found.id)):
            raise NotFound(f"{found.name} was deleted and collected while it was read") from error
        raise type(error)(f"{found.name}: {error}", hint=error.hint) from error


def _deleted(name: str, state: State) -> NotFound | None:
    """The error for a collection all of whose versions were deleted. None if it never had any here."""
    gone = [version for version in state.versions.values() if not is_live(version) and "withdrawn" not in version]
    days = [version["deleted"][:10] for version in gone]
    if not days or state.live():  # a move that is not complete leaves live versions in an artifact that isn't there
        return None
    return NotFound(
        f"artifact '{printable(name)}' was deleted on {max(days)}", hint=f"{typed('undelete', name)} may bring it back"
    )


class Lookup:
    """Looks up collections and versions by their names.

    If a spec names no entity or project, those of `home` are used, or else those of the settings.
    """

    def __init__(self, refs: Refs, objects: Objects, settings: Settings) -> None:
        self._refs = refs
        self._objects = objects
        self._settings = settings

    def home(self, home: Home | None = None) -> Home:
        """The entity and project for specs that name none."""
        return home or (self._settings.entity, self._settings.project)

    def path_of(self, text: str, home: Home | None = None) -> tuple[Path, Spec]:
        """The path of the collection that a spec names, and the parsed spec. Nothing is looked up."""
        spec = parse_spec(text)
        if spec.entity and spec.project:
            return Path(spec.entity, spec.project, spec.name), spec
        entity, project = self.home(home)
        return Path(entity, spec.project or project, spec.name), spec

    def short(self, path: Path, home: Home | None = None) -> str:
        """The shortest spec of a collection. For many collections, look up `home` once and pass it."""
        return shortened(path, self.home(home))

    def named(self, found: Version) -> str:
        """The shortest spec of a version, such as `data:v3`."""
        return f"{self.short(found.state.path)}:v{found.number}"

    def collection(self, text: str, home: Home | None = None) -> State:
        """The collection that a spec names. Raises NotFound, with similar names in the hint."""
        path, spec = self.path_of(text, home)
        try:
            state = self._refs.read(path)
        except Conflict as error:  # a collection has this name in another case
            raise self._unknown(path, spec, text, home) from error
        if not state.exists:
            raise _deleted(self.short(path), state) or self._unknown(path, spec, text, home)
        return state

    def find(self, text: str, home: Home | None = None, *, for_good: bool = False) -> Version:
        """The version that a spec names: `latest` if it names none.

        Raises NotFound, which names the part that is missing. If a pull gave the number to another version, this warns,
        or raises Conflict if something is changed by it (`for_good`).
        """
        state, spec = self.collection(text, home), parse_spec(text)
        if for_good:
            return self.chosen_for_good(state, spec)
        named = self.looked_at(Version(state, resolve(state, spec)))
        if spec.number in state.renumbered:
            before = state.versions[state.renumbered[spec.number]]
            other = "" if before is named.version else f", and v{spec.number} is another version"
            message = f"{state.path.name}:v{spec.number} was renumbered by a pull: it is v{before['number']} now{other}"
            warn(message, RenumberedWarning, stacklevel=2)
        return named

    def looked_at(self, found: Version) -> Version:
        """The same version, which is going to be looked at: a served remote gives only what such versions have."""
        self._objects.looks_at(found.state.path.folder, found.version)
        return found

    def chosen_for_good(self, state: State, spec: Spec) -> Version:
        """The version of a collection that a spec names, for what changes it.

        Raises Conflict if a pull gave the number to another version: who read it before means the other one.
        """
        found = Version(state, resolve(state, spec))
        self.refuse_renumbered(found, spec.number)
        return found

    def refuse_renumbered(self, found: Version, number: int | None) -> None:
        """Raise Conflict if a version was named by a number that another one had before a pull."""
        state = found.state
        before = state.versions.get(state.renumbered.get(number, found.id)) if number is not None else None
        if before is None or before["id"] == found.id:
            return
        name = self.short(state.path)
        raise Conflict(
            f"{name}:v{number} is another version since a pull: the one that had this number is v{before['number']} now",
            hint=f"{name}@{found.id[:12]} names the one that has it now, {name}@{before['id'][:12]} the other one",
        )

    def version(self, path: Path, id: str) -> Version:
        """The version with an id, deleted or not. Raises NotFound."""
        state = self._refs.read(path)
        if (version := state.versions.get(id)) is None:
            raise NotFound(f"{path} has no version with id {id[:12]}")
        return self.looked_at(Version(state, version))

    def source(self, found: Version) -> Version | None:
        """The source of a link. None if it isn't here or was deleted, or if the version is not a link."""
        source = self.source_of_any_time(found)
        return source if source is not None and source.is_live else None

    def source_of_any_time(self, found: Version) -> Version | None:
        """The source of a link, deleted or not. None if it isn't here, or if the version is not a link."""
        place, id = found.version.get("source"), found.id
        if place is None:
            return None
        try:
            state = self._refs.read(Path.named_by(place))  # follows a rename
        except Conflict:
            return None  # another collection has this name in another case
        return Version(state, state.versions[id]) if id in state.versions else None

    def linked_at(self, found: Version) -> str | None:
        """When a link was made; None for any other version. Cost: the collection's log is read."""
        for entry in self._refs.history(found.state.path) if found.is_link else ():
            for change in entry.changes:
                if change["kind"] == "link" and change["id"] == found.id:
                    return origin_of(entry, change)["time"]
        return None

    def of_id(self, id: str) -> Version:
        """The live version with an id, of a link its source if that is here. Raises NotFound.

        Cost: each collection is read.
        """
        found = [Version(state, state.versions[id]) for state in self._refs.collections() if id in state.versions]
        live = sorted((one for one in found if one.is_live), key=lambda one: one.is_link)
        if not live:
            raise NotFound(f"there is no version with the id {printable(id)}")
        return self.looked_at(live[0])

    def saved_as(self, found: Version) -> tuple[Path, int]:
        """The collection in which a version was saved, and its number there: of a link, those of its source."""
        source = self.source_of_any_time(found) or found
        if source.is_link:  # whose source isn't here
            return Path.named_by(source.version["source"]), int(source.version["source"]["number"])
        return source.state.path, source.number

    def entry(self, found: Version, path: str) -> Entry:
        """The entry at a path of a version. Raises NoEntry, with similar names in the hint."""
        parts, read = parse_path(path.rstrip("/")), self._objects.read_tree
        if (entry := find(found.tree, parts, read)) is not None:
            return entry
        parent = find(found.tree, parts[:-1], read)
        siblings = read_folder(parent.digest, read)[:_NEAR_AMONG] if parent and parent.kind == DIRECTORY else ()
        names = (printable(entry.name) for entry in siblings)
        hint = near(printable(parts[-1]), names, "".join(f"{printable(part)}/" for part in parts[:-1]))
        hint = hint or f"{typed('ls', self.named(found))} lists its files"
        raise NoEntry(f"{found.name} has no '{printable(path)}'", hint=hint)

    def whole(self, found: Version) -> VersionState:
        """A version with its properties. A link has the shared ones of its source."""
        source = self.said_of(found)
        own = {key: value for key, value in found.version.items() if key not in SHARED_FIELDS}
        shared = {key: value for key, value in source.items() if key in SHARED_FIELDS}
        return cast(VersionState, own | shared)

    def said_of(self, found: Version) -> VersionState:
        """The version that has the tags, metadata, description and ttl of a version.

        It is the version itself, or the source of a link. A link whose source was deleted has them itself.
        """
        source = self.source(found)
        return found.version if source is None else source.version

    def properties(self, found: Version) -> tuple[str | None, dict[str, Any]]:
        """The description and metadata of a version. A link has those of its source. Long values are read from blobs."""
        source = self.source(found)
        version = found.version if source is None else source.version
        self._objects.through((found if source is None else source).state.path.folder, ())
        metadata = dict(version.get("metadata", {}))
        for key, digest in version.get("blobs", {}).items():
            metadata[key] = decode_json(self._property(digest), f"metadata '{key}' of {found.name}")
        return self._text(version.get("description")), metadata

    def origins(self, found: Version) -> dict[str, dict[str, Any]]:
        """The entries that came from other versions, by path: the version's collection, id and number, and the
        path there.
        """
        self._objects.through(found.state.path.folder, ())
        origins: dict[str, Any] = found.version.get("origins", {})
        if isinstance(blob := origins.get("blob"), str):
            origins = decode_json(self._property(blob), f"origins of entries of {found.name}")
        return origins

    def extras(self, found: Version) -> Extras:
        """The keys that users gave to entries of a version, by path. Don't edit them. A link has those of its source."""
        return extras_of(self.said_of(found), partial(self._objects.read, BLOB))

    def _text(self, description: Any) -> str | None:
        if isinstance(description, dict):
            return self._property(description["blob"]).decode("utf-8", "replace")
        return description if isinstance(description, str) else None

    def _property(self, digest: str) -> bytes:
        return self._objects.read(BLOB, from_hex(digest))

    def _unknown(self, path: Path, spec: Spec, text: str, home: Home | None) -> NotFound:
        """The error for an artifact that doesn't exist. It names the first part that is missing, and a way out."""
        # 1. A file of an artifact has this name.
        if (holder := self._holder_of(text, home)) is not None:
            name, file = self.short(holder.path), _without_alias(text)
            message = f"there is no artifact '{printable(file)}', but a file of that name in {name}:latest"
            return NotFound(message, hint=f"{typed('cat', name, file)} prints it")
        folders = [folder.split("/")[1:] for folder in self._refs.paths()]
        entity, project = (file_name_of(part) for part in path[:2])
        all_, where = f"{typed('ls')} lists all artifacts", printable("/".join(path[:2]))
        absent = f"there is no artifact '{printable(path.name)}' in project {where}"
        # 2. The repository is empty.
        if not folders:
            root = printable(self._objects.storage.root)
            return NotFound(absent, hint=f"{root} is empty; set ARTSTORE_DIR to use another repository")
        # 3. The entity or the project of the spec doesn't exist.
        if spec.entity and not any(folder[0] == entity for folder in folders):
            entities = {state.path.entity for state in self._refs.collections(damaged=[])}
            hint = near(path.entity, entities, "", f"/{path.project}/{path.name}")
            missing = (
                f"project '{printable(path.project)}' not found: there is no entity '{printable(path.entity)}' here"
            )
            return NotFound(missing, hint=hint or all_)
        if spec.project and not any(folder[:2] == [entity, project] for folder in folders):
            projects = {state.path.project for state in self._refs.collections(path.entity, damaged=[])}
            before = f"{path.entity}/" if spec.entity else ""
            hint = self._in_other_entities(path) or near(path.project, projects, before, f"/{path.name}")
            missing = f"project '{printable(path.project)}' not found in entity '{printable(path.entity)}'"
            return NotFound(missing, hint=hint or all_)
        # 4. Another project has an artifact of this name, or the name is that of a project. Otherwise: similar names.
        if (hint := self._elsewhere(path, folders)) is not None:
            return NotFound(absent, hint=hint)
        names = [state.path.name for state in self._refs.collections(*path[:2], damaged=[])]
        before = "".join(f"{part}/" for part in (spec.entity, spec.project) if part)
        return NotFound(absent, hint=near(path.name, names, before) or all_)

    def _elsewhere(self, path: Path, folders: list[list[str]]) -> str | None:
        """A hint with the same name in other projects, or for the project of that name. None if there is neither."""
        name = file_name_of(path.name)
        if same_name := self.same_name(path):
            return f"did you mean {' or '.join(map(repr, same_name[:3]))}?"
        if any(folder[:2] == [file_name_of(path.entity), name] for folder in folders):
            return f"that is a project: {typed('ls', project=path.name)} lists it"
        if any(name == folder[0] for folder in folders):
            return f"that is an entity: {typed('ls', f'{path.name}/')} lists it"
        if (folder := next((folder for folder in folders if folder[1] == name), None)) is not None:
            project = "/".join(self._refs.read_folder("/".join(["refs", *folder])).path[:2])
            return f"that is a project of another entity: {typed('ls', project=project)} lists it"
        return None

    def _in_other_entities(self, path: Path) -> str | None:
        """A hint with the artifacts of this name in a project of this name, in other entities."""
        ending = f"/{path.folder.split('/', 2)[2]}"
        states = (self._refs.read_folder(folder) for folder in self._refs.paths() if folder.endswith(ending))
        found = [self.short(state.path) for state in states if state.exists]
        return f"did you mean {' or '.join(map(repr, found[:3]))}?" if found else None

    def same_name(self, path: Path) -> list[str]:
        """The artifacts in other projects that have the name of this one."""
        name = file_name_of(path.name)
        folders = (folder for folder in self._refs.paths() if folder.rpartition("/")[2] == name)
        states = (self._refs.read_folder(folder) for folder in folders if folder != path.folder)
        return [self.short(state.path) for state in states if state.exists]

    def _holder_of(self, text: str, home: Home | None) -> State | None:
        """A collection of the home project whose latest version has a file with this path. None if it takes too long."""
        deadline = time.monotonic() + _SEARCH
        try:
            parts = parse_path(_without_alias(text))
            for state in self._refs.collections(*self.home(home)):
                if time.monotonic() > deadline:
                    break
                if state.latest and find(digest_of_state(state.latest), parts, self._objects.read_tree):
                    return state
        except ArtstoreError:
            pass  # without it, the message is only less helpful
        return None


def _without_alias(text: str) -> str:
    folder, slash, name = text.rpartition("/")
    return folder + slash + name.partition(":")[0].partition("@")[0]

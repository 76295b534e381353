"""Properties of versions and collections: aliases, tags, metadata, description, ttl, origins, extras.

Each kind is a class that knows the fields of its changes, and how it is folded, compared, copied and named.
Other modules loop over these classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Container, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, cast

from artstore.domain.changes import (
    PLACE,
    Change,
    Fields,
    LogEntry,
    anything,
    dict_of,
    is_count,
    is_digest,
    is_json,
    is_record,
    is_text,
    list_of,
    named,
    new_change,
    or_null,
)
from artstore.domain.codec import same_json
from artstore.domain.collection import INHERIT, LONGEST_TTL, State, VersionState, is_live
from artstore.domain.digest import Digest, from_hex
from artstore.domain.extras import are_extras
from artstore.domain.metadata import normalise
from artstore.domain.names import check_alias, check_new_alias, check_tag, check_tags, listed
from artstore.errors import InvalidValue

Key = tuple[str, ...]
"""The name of one value that a change can set alone.

One of ("alias", name), ("tag", id, tag), ("metadata", id, key), ("description", id), ("ttl", id), ("origins", id),
("extras", id) and ("keep",).
The id is that of the version, or "" for the collection itself.
"""
Subject = Mapping[str, Any]
"""The state that holds a property: that of a version, or the collection's own."""
LONGEST_RULE = 1000
"""The most characters of a collection's rule for what it keeps."""


def own(state: State, id: str) -> VersionState:
    """A version's state, for editing. It is copied first, because copies of the collection's state share it."""
    version = state.versions[id] = state.versions[id].copy()
    return version


def owner_of(state: State, id: str) -> Subject:
    """The state of a version, or with "" of the collection, for reading."""
    return state.versions.get(id, {}) if id else vars(state)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values of a property are the same, as JSON: 1 is neither True nor 1.0."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return one[0] == other[0] and same_json(one[1], other[1])
    return bool(one == other)


# -- checks of fields --


def is_description(value: Any) -> bool:
    return value is None or is_text(value) or _is_blob(value)


def is_alias(value: Any) -> bool:
    return type(value) is str and check_alias(value) != "latest"


is_place = is_record({**PLACE, "number": is_count})
"""The check for the place where a version was made: its collection and number."""


def is_origin(value: Any) -> bool:
    """Whether a value names an entry of another version: the version's place and id, and the path in it."""
    if type(value) is not dict or not {"id", "path"} <= value.keys():
        return False
    place = {key: item for key, item in value.items() if key not in ("id", "path")}
    return is_place(place) and is_digest(value["id"]) and type(value["path"]) is str


def are_blobs(value: Any) -> bool:
    """Whether a value maps keys to digests of blobs."""
    return type(value) is dict and all(is_text(key) and is_digest(digest) for key, digest in value.items())


def is_ttl(value: Any) -> bool:
    return value in (None, INHERIT) or (type(value) is int and 0 < value <= LONGEST_TTL)


def is_rule(value: Any) -> bool:
    return value is None or (is_text(value) and 0 < len(value) <= LONGEST_RULE)


def _are_origins(value: Any) -> bool:
    return _is_blob(value) or bool(dict_of(is_origin)(value))


def _are_stored_extras(value: Any) -> bool:
    return _is_blob(value) or (are_extras(value) and bool(value))


_is_blob = is_record({"blob": is_digest})
_ID: Fields = {"id": or_null(is_digest)}
"""The field for the version whose property is set, or None for the collection's own."""


# -- kinds --


class Property(ABC):
    """A kind of property, and of the changes that set it."""

    kind: ClassVar[str]
    """the kind of its changes"""
    words: ClassVar[str]
    """the users' word for what such a change sets"""
    fields: ClassVar[Fields]
    """the fields of its changes, with their checks"""
    stored: ClassVar[Fields]
    """the fields of a version's state that hold it, with the checks for their form in a checkpoint"""
    shared: ClassVar[bool] = True
    """whether a link has the value of its source"""
    lasting: ClassVar[bool] = False
    """whether it is set when the version is made, and never again"""

    @abstractmethod
    def fold(self, state: State, entry: LogEntry, change: Change) -> None:
        """Apply a change."""

    def keys(self, change: Change) -> list[Key]:
        """The keys of the values that a change sets."""
        return [(self.kind, change["id"] or "")]

    def value(self, state: State, key: Key) -> Any:
        """The value of a key in a state; None if it isn't set."""
        return owner_of(state, key[1]).get(self.kind)

    def narrowed(self, change: Change, keys: Container[Key]) -> Change:
        """A change reduced to these keys. It must set at least one of them."""
        return change

    @abstractmethod
    def aligned(self, id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
        """The change that gives `own` the values of `theirs`, except for the keys in `kept`; none if they are equal.

        `id` is the version's, or None for a collection.
        """

    def blobs(self, owner: Subject) -> list[str]:
        """Digests of the blobs in an owner's value."""
        return []

    def new_blobs(self, change: Change) -> list[str]:
        """Digests of the blobs in a change."""
        return [change["blob"]] if change.get("blob") else []

    def named(self, key: Key) -> str:
        """A key in words, for messages."""
        return self.kind


class Alias(Property):
    """A name in a collection that can move to another version. The collection's state holds it, not the version's."""

    kind, words, shared = "alias", "aliases", False
    fields: ClassVar[Fields] = {"alias": is_alias, "id": or_null(is_digest), "old": or_null(is_digest)}
    stored: ClassVar[Fields] = {}

    def fold(self, state: State, entry: LogEntry, change: Change) -> None:
        version = state.versions.get(change["id"])
        if change["id"] is None or is_live(version):
            state.aliases.pop(change["alias"], None)
        if is_live(version):
            state.aliases[change["alias"]] = change["id"]

    def keys(self, change: Change) -> list[Key]:
        return [("alias", change["alias"])]

    def value(self, state: State, key: Key) -> Any:
        return state.aliases.get(key[1])

    def aligned(self, id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
        if id is not None:
            return
        for alias in sorted(own["aliases"].keys() | theirs["aliases"].keys()):
            old, new = own["aliases"].get(alias), theirs["aliases"].get(alias)
            known = new is None or (is_live(theirs["versions"][new]) and new in own["versions"])
            if old != new and ("alias", alias) not in kept and known:
                yield new_change("alias", alias=alias, id=new, old=old)

    def named(self, key: Key) -> str:
        return f"alias '{key[1]}'"


class Tags(Property):
    kind = words = "tags"
    fields: ClassVar[Fields] = {**_ID, "add": list_of(named(check_tag)), "remove": list_of(is_text)}
    stored: ClassVar[Fields] = {"tags": list_of(named(check_tag))}

    def fold(self, state: State, entry: LogEntry, change: Change) -> None:
        owner = _written(state, change)
        kept = [tag for tag in owner.get("tags", []) if tag not in change["remove"]]
        owner["tags"] = list(dict.fromkeys(kept + change["add"]))

    def keys(self, change: Change) -> list[Key]:
        return [("tag", change["id"] or "", tag) for tag in dict.fromkeys([*change["add"], *change["remove"]])]

    def value(self, state: State, key: Key) -> Any:
        return key[2] in owner_of(state, key[1]).get("tags", []) or None

    def narrowed(self, change: Change, keys: Container[Key]) -> Change:
        id = change["id"] or ""
        return {**change, **{f: [t for t in change[f] if ("tag", id, t) in keys] for f in ("add", "remove")}}

    def aligned(self, id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
        has, wanted = own.get("tags", []), theirs.get("tags", [])
        on = [tag for tag in wanted if tag not in has and ("tag", id or "", tag) not in kept]
        off = [tag for tag in has if tag not in wanted and ("tag", id or "", tag) not in kept]
        if on or off:
            yield new_change("tags", id=id, add=on, remove=off)

    def named(self, key: Key) -> str:
        return f"tag '{key[2]}'"


class Metadata(Property):
    """Metadata, set by top-level key. A long value is a blob, and the log holds only its digest."""

    kind = words = "metadata"
    fields: ClassVar[Fields] = {**_ID, "set": dict_of(anything), "blobs": are_blobs, "remove": list_of(is_text)}
    stored: ClassVar[Fields] = {"metadata": is_json(dict_of(anything)), "blobs": are_blobs}

    def fold(self, state: State, entry: LogEntry, change: Change) -> None:
        owner = _written(state, change)
        gone = {*change["remove"], *change["set"], *change["blobs"]}
        for field, new in (("metadata", change["set"]), ("blobs", change["blobs"])):
            kept = {key: value for key, value in owner.get(field, {}).items() if key not in gone}
            if kept or new or change["id"] is None:
                owner[field] = kept | new
            else:
                owner.pop(field, None)

    def keys(self, change: Change) -> list[Key]:
        names = dict.fromkeys([*change["set"], *change["blobs"], *change["remove"]])
        return [("metadata", change["id"] or "", name) for name in names]

    def value(self, state: State, key: Key) -> Any:
        return self._value(owner_of(state, key[1]), key[2])

    @staticmethod
    def _value(owner: Subject, name: str) -> Any:
        if name in owner.get("blobs", {}):
            return ("blob", owner["blobs"][name])
        metadata = owner.get("metadata", {})
        return ("value", metadata[name]) if name in metadata else None

    def narrowed(self, change: Change, keys: Container[Key]) -> Change:
        id = change["id"] or ""
        new = {f: {k: v for k, v in change[f].items() if ("metadata", id, k) in keys} for f in ("set", "blobs")}
        return {**change, **new, "remove": [k for k in change["remove"] if ("metadata", id, k) in keys]}

    def aligned(self, id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
        names = {name for owner in (own, theirs) for field in ("metadata", "blobs") for name in owner.get(field, {})}
        differ = [name for name in sorted(names) if not is_same(self._value(own, name), self._value(theirs, name))]
        if differ := [name for name in differ if ("metadata", id or "", name) not in kept]:
            yield self._change(id, differ, theirs)

    @staticmethod
    def _change(id: str | None, names: Collection[str], owner: Subject) -> Change:
        """The change that sets these keys to an owner's values."""
        metadata, blobs = owner.get("metadata", {}), owner.get("blobs", {})
        values = {name: metadata[name] for name in names if name in metadata}
        stored = {name: blobs[name] for name in names if name in blobs}
        gone = [name for name in names if name not in values and name not in stored]
        return new_change("metadata", id=id, set=values, blobs=stored, remove=gone)

    def blobs(self, owner: Subject) -> list[str]:
        return list(owner.get("blobs", {}).values())

    def new_blobs(self, change: Change) -> list[str]:
        return list(change["blobs"].values())

    def named(self, key: Key) -> str:
        return f"metadata '{key[2]}'"


class Description(Property):
    """A description: text, or a blob if it is long."""

    kind = words = "description"
    fields: ClassVar[Fields] = {**_ID, "old": is_description, "new": or_null(is_text), "blob": or_null(is_digest)}
    stored: ClassVar[Fields] = {"description": is_description}

    def fold(self, state: State, entry: LogEntry, change: Change) -> None:
        _written(state, change)["description"] = self._new(change)

    @staticmethod
    def _new(change: Change) -> Any:
        return {"blob": change["blob"]} if change["blob"] else change["new"]

    @staticmethod
    def _change(id: str | None, old: Any, new: Any) -> Change:
        blob = new["blob"] if isinstance(new, dict) else None
        return new_change("description", id=id, old=old, new=None if blob else new, blob=blob)

    def aligned(self, id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
        old, new = own.get("description"), theirs.get("description")
        if old != new and ("description", id or "") not in kept:
            yield self._change(id, old, new)

    def blobs(self, owner: Subject) -> list[str]:
        text = owner.get("description")
        return [text["blob"]] if isinstance(text, dict) else []


class Ttl(Property):
    """How long a version is kept: seconds, None for ever, or INHERIT if it wasn't set."""

    kind = words = "ttl"
    fields: ClassVar[Fields] = {"id": is_digest, "old": is_ttl, "new": is_ttl}
    stored: ClassVar[Fields] = {"ttl": is_ttl}

    def fold(self, state: State, entry: LogEntry, change: Change) -> None:
        version = own(state, change["id"])
        if change["new"] == INHERIT:
            version.pop("ttl", None)
        else:
            version["ttl"] = change["new"]

    def value(self, state: State, key: Key) -> Any:
        return owner_of(state, key[1]).get("ttl", INHERIT)

    def aligned(self, id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
        old, new = own.get("ttl", INHERIT), theirs.get("ttl", INHERIT)
        if id is not None and old != new and ("ttl", id) not in kept:
            yield new_change("ttl", id=id, old=old, new=new)


class Origins(Property):
    """Which entries came from other versions. It is set once, when the version is made."""

    kind, words, shared, lasting = "origins", "origins", False, True
    fields: ClassVar[Fields] = {"id": is_digest, "entries": or_null(dict_of(is_origin)), "blob": or_null(is_digest)}
    stored: ClassVar[Fields] = {"origins": is_json(_are_origins)}

    def fold(self, state: State, entry: LogEntry, change: Change) -> None:
        own(state, change["id"])["origins"] = {"blob": change["blob"]} if change["blob"] else change["entries"] or {}

    def aligned(self, id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
        new = theirs.get("origins")
        if id is not None and new and own.get("origins") != new and ("origins", id) not in kept:
            blob = new.get("blob")
            blob = blob if isinstance(blob, str) else None  # else a path that is called "blob"
            yield new_change("origins", id=id, entries=None if blob else new, blob=blob)

    def blobs(self, owner: Subject) -> list[str]:
        blob = owner.get("origins", {}).get("blob")
        return [blob] if isinstance(blob, str) else []


class Extras(Property):
    """Keys that the user gave to entries. They are set once, when the version is made."""

    kind, words, lasting = "extras", "extra keys", True
    fields: ClassVar[Fields] = {"id": is_digest, "entries": or_null(are_extras), "blob": or_null(is_digest)}
    stored: ClassVar[Fields] = {"extras": is_json(_are_stored_extras)}

    def fold(self, state: State, entry: LogEntry, change: Change) -> None:
        version = own(state, change["id"])
        version.pop("extras", None)
        if new := {"blob": change["blob"]} if change["blob"] else change["entries"]:
            version["extras"] = new

    def value(self, state: State, key: Key) -> Any:
        return self._value(owner_of(state, key[1]))

    @staticmethod
    def _value(owner: Subject) -> Any:
        return ("extras", owner["extras"]) if "extras" in owner else None

    def aligned(self, id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
        if id is not None and not is_same(self._value(own), self._value(theirs)) and ("extras", id) not in kept:
            blob = next(iter(self.blobs(theirs)), None)
            yield new_change("extras", id=id, entries=None if blob else theirs.get("extras", {}), blob=blob)

    def blobs(self, owner: Subject) -> list[str]:
        blob = owner.get("extras", {}).get("blob")
        return [blob] if isinstance(blob, str) else []  # else the extra of a path that is called "blob"


class Keep(Property):
    """The rule that says which versions of a collection are kept. It belongs to the collection."""

    kind, words, shared = "keep", "retention rule", False
    fields: ClassVar[Fields] = {"old": is_rule, "new": is_rule}
    stored: ClassVar[Fields] = {}

    def fold(self, state: State, entry: LogEntry, change: Change) -> None:
        state.keep, state.keep_entry = change["new"], entry.digest if change["new"] else None

    def keys(self, change: Change) -> list[Key]:
        return [("keep",)]

    def value(self, state: State, key: Key) -> Any:
        return state.keep

    def aligned(self, id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
        old, new = own.get("keep"), theirs.get("keep")
        if id is None and old != new and ("keep",) not in kept:
            yield new_change("keep", old=old, new=new)

    def named(self, key: Key) -> str:
        return self.words


def _written(state: State, change: Change) -> dict[str, Any]:
    """The state that a change edits: a version's, or the collection's if the change's id is None."""
    return vars(state) if change["id"] is None else cast(dict[str, Any], own(state, change["id"]))


_ALL: tuple[Property, ...] = (Alias(), Tags(), Metadata(), Description(), Ttl(), Origins(), Extras(), Keep())
PROPERTIES: Mapping[str, Property] = {of.kind: of for of in _ALL}
SHARED = [of for of in PROPERTIES.values() if of.shared]
"""The properties that a link shares with its source."""
SHARED_FIELDS = tuple(field for of in SHARED for field in of.stored)
"""The fields of a version's state that hold the shared properties."""


def property_digests(owner: Subject) -> list[Digest]:
    """Digests of the blobs that a version's or a collection's properties name."""
    return [from_hex(name) for of in PROPERTIES.values() for name in of.blobs(owner)]


def new_blobs(changes: list[Change]) -> list[Digest]:
    """Digests of the blobs that changes of properties name."""
    said = [(PROPERTIES[change["kind"]], change) for change in changes if change["kind"] in PROPERTIES]
    return [from_hex(name) for of, change in said for name in of.new_blobs(change)]


def said_of(version: VersionState) -> dict[str, Any]:
    """The properties of a version that its links share, as its collection's state holds them."""
    return {field: version.get(field) for field in SHARED_FIELDS}


def aligned(id: str | None, own: Subject, theirs: Subject, kept: Container[Key] = ()) -> Iterator[Change]:
    """Changes that give `own` the shared properties of `theirs`, except for the keys in `kept`."""
    for of in SHARED:
        yield from of.aligned(id, own, theirs, kept)


# -- what a user wants to change --


NEVER = "never"


class Properties(NamedTuple):
    """Edits of properties. Whatever isn't named stays as it is. Keys of `metadata` are top-level keys."""

    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    description: str | None = None
    """None leaves it, "" removes it"""
    metadata: Any = None
    """a dict, or JSON text of one; None leaves it"""
    ttl: int | str | None = None
    """seconds from the version's creation, NEVER or INHERIT; None leaves it"""
    no_aliases: tuple[str, ...] = ()
    no_tags: tuple[str, ...] = ()
    no_metadata: tuple[str, ...] = ()

    def checked(self) -> "Properties":
        """These edits as they are stored: metadata as plain JSON values, no tag twice. Raises InvalidValue."""
        aliases = tuple(map(check_new_alias, listed(self.aliases, "aliases")))
        no_aliases = tuple(map(check_alias, listed(self.no_aliases, "no_aliases")))
        no_tags, no_metadata = listed(self.no_tags, "no_tags"), listed(self.no_metadata, "no_metadata")
        if self.description is not None and any("\ud800" <= c <= "\udfff" for c in self.description):
            raise InvalidValue("the description is not valid Unicode")
        metadata = None if self.metadata is None else normalise(self.metadata)
        if both := sorted(set(metadata or ()) & set(no_metadata)):
            raise InvalidValue(f"metadata '{both[0]}' can't be set and removed at once")
        tags = tuple(check_tags(self.tags))
        return Properties(aliases, tags, self.description, metadata, self.ttl, no_aliases, no_tags, no_metadata)

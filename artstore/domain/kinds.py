"""The kinds of changes in a collection's log: their fields, and how each changes the collection's state."""

from typing import Any, cast

from artstore.domain.changes import (
    PLACE,
    Change,
    ChangeKind,
    Fields,
    Good,
    Kinds,
    LogEntry,
    anything,
    apply,
    check_change,
    dict_of,
    is_count,
    is_digest,
    is_json,
    is_record,
    is_text,
    list_of,
    named,
    or_null,
    origin_of,
)
from artstore.domain.collection import Path, State, VersionState, is_live
from artstore.domain.names import check_name, check_project, check_tag
from artstore.domain.properties import PROPERTIES, are_blobs, is_alias, is_description, is_place, is_rule, own
from artstore.errors import Damage


def fold(state: State, entry: LogEntry) -> None:
    """Apply the changes of one entry to a state.

    Raises DamagedLog if a change is malformed or contradicts the log, and UnsupportedFormat for a kind of a
    newer artstore.
    """
    for change in entry.changes:
        apply(KINDS, state, entry, change, str(state.path))
        if (id := change.get("id") or "") in state.versions:
            own(state, id)["updated"] = origin_of(entry, change)["time"]
    state.number, state.digest = entry.number, entry.digest


# -- checks of fields --


def _is_run(value: Any) -> bool:
    """entity/project/id"""
    return is_text(value) and value.count("/") == 2 and all(map(check_project, value.split("/")))


def _is_upsert(value: Any) -> bool:
    return is_text(value) and 1 <= len(value) <= 128


def _are_numbers(value: Any) -> bool:
    """Whether a value maps ids to numbers, with no number twice."""
    return (
        type(value) is dict
        and all(is_digest(id) and is_count(number) for id, number in value.items())
        and len(set(value.values())) == len(value)
    )


# -- what each kind does --


def _fold_collection(state: State, entry: LogEntry, change: Change) -> None:
    state.path = Path.named_by(change)
    state.type, state.exists, state.redirect = change["type"], True, None


def _fold_version(state: State, entry: LogEntry, change: Change) -> None:
    id, number = change["id"], change["number"]
    if id in state.versions or (number < state.next and number in state.taken):
        raise ValueError(f"number {number} or id {id[:12]} is in use")
    fields = {key: change[key] for key in KINDS[change["kind"]].fields}
    by = origin_of(entry, change)
    added = {**fields, "user": by["user"], "host": by["host"]}
    if entry.author is not None:
        added["author"] = entry.author
    state.versions[id] = cast(VersionState, added)
    state.next = max(state.next, number + 1)


def _fold_renumber(state: State, entry: LogEntry, change: Change) -> None:
    numbers: dict[str, int] = change["numbers"]
    staying = {version["number"] for id, version in state.versions.items() if id not in numbers}
    if not numbers.keys() <= state.versions.keys() or staying & set(numbers.values()):
        raise ValueError("a version that is not there, or a number in use")
    for id, number in numbers.items():
        state.renumbered[state.versions[id]["number"]] = id
        own(state, id)["number"] = number
    for number in numbers.values():
        state.renumbered.pop(number, None)
        state.next = max(state.next, number + 1)


def _fold_part(state: State, entry: LogEntry, change: Change) -> None:
    fields = {key: change[key] for key in _PART}
    state.upserts.setdefault(change["upsert"], []).append({**fields, "time": origin_of(entry, change)["time"]})


def _fold_part_extras(state: State, entry: LogEntry, change: Change) -> None:
    parts = state.upserts[change["upsert"]]
    (at,) = (at for at, part in enumerate(parts) if part["tree"] == change["tree"])
    parts[at] = {**parts[at], "extras": change["blob"]}  # states share the part that was there


def _fold_finish(state: State, entry: LogEntry, change: Change) -> None:
    state.upserts.pop(change["upsert"], None)
    state.finished[change["upsert"]] = change["id"]


def _fold_drop(state: State, entry: LogEntry, change: Change) -> None:
    parts = state.upserts.pop(change["upsert"], [])
    if change["tree"] is not None and (kept := [part for part in parts if part["tree"] != change["tree"]]):
        state.upserts[change["upsert"]] = kept


def _fold_delete(state: State, entry: LogEntry, change: Change) -> None:
    version = own(state, change["id"])
    version.setdefault("deleted", origin_of(entry, change)["time"])
    state.aliases = {alias: id for alias, id in state.aliases.items() if id != change["id"]}


def _fold_withdraw(state: State, entry: LogEntry, change: Change) -> None:
    _fold_delete(state, entry, change)
    own(state, change["id"])["withdrawn"] = True


def _fold_undelete(state: State, entry: LogEntry, change: Change) -> None:
    version = own(state, change["id"])
    version.pop("deleted", None)
    version.pop("withdrawn", None)
    state.exists = True


def _fold_delete_collection(state: State, entry: LogEntry, change: Change) -> None:
    for id in change["ids"]:
        _fold_delete(state, entry, {**change, "id": id})
    state.exists = any(is_live(version) for version in state.versions.values())
    if not state.exists:
        state.tags, state.description, state.metadata, state.blobs, state.upserts = [], None, {}, {}, {}
        state.keep = state.keep_entry = None


def _fold_moved_from(state: State, entry: LogEntry, change: Change) -> None:
    state.pending = change
    state.exists = False  # until the old name's log has the entry that completes the move


def _fold_moved_to(state: State, entry: LogEntry, change: Change) -> None:
    target = Path.named_by(change)
    if target.folder == state.path.folder:
        raise ValueError("it was moved to itself")
    state.redirect = target
    state.exists, state.versions, state.aliases, state.upserts = False, {}, {}, {}


def _fold_not_moved(state: State, entry: LogEntry, change: Change) -> None:
    pass


VERSION: Fields = {
    "id": is_digest, "number": is_count, "digest": is_digest, "size": is_count, "files": is_count, "created": is_count,
    "run": or_null(_is_run), "parents": list_of(is_digest),
}  # fmt: skip
_PART: Fields = {"tree": is_digest, "size": is_count, "files": is_count, "writer": is_text, "run": or_null(_is_run)}
KINDS: Kinds = {
    "collection": ChangeKind({**PLACE, "type": named(check_name)}, _fold_collection),
    "version": ChangeKind(VERSION, _fold_version),
    "link": ChangeKind({**VERSION, "source": is_place}, _fold_version),
    **{name: ChangeKind(of.fields, of.fold) for name, of in PROPERTIES.items()},
    "part": ChangeKind({"upsert": _is_upsert, **_PART}, _fold_part),
    "part extras": ChangeKind({"upsert": _is_upsert, "tree": is_digest, "blob": or_null(is_digest)}, _fold_part_extras),
    "finish": ChangeKind({"upsert": _is_upsert, "id": is_digest}, _fold_finish),
    "drop": ChangeKind({"upsert": _is_upsert, "tree": or_null(is_digest)}, _fold_drop),
    "renumber": ChangeKind({"numbers": _are_numbers}, _fold_renumber),
    "delete": ChangeKind({"id": is_digest, "reason": or_null(is_text)}, _fold_delete),
    "withdraw": ChangeKind({"id": is_digest, "reason": or_null(is_text)}, _fold_withdraw),
    "undelete": ChangeKind({"id": is_digest}, _fold_undelete),
    "delete collection": ChangeKind({"ids": list_of(is_digest)}, _fold_delete_collection),
    "moved from": ChangeKind({**PLACE, "number": is_count, "digest": is_digest}, _fold_moved_from),
    "moved to": ChangeKind(PLACE, _fold_moved_to),
    "not moved": ChangeKind(PLACE, _fold_not_moved),
}


# -- checks of checkpoints --


def _pairs(first: Good, second: Good) -> Good:
    def is_pair(pair: Any) -> bool:
        return type(pair) is list and len(pair) == 2 and first(pair[0]) is not False and second(pair[1]) is not False

    return list_of(is_pair)


def _is_path(value: Any) -> bool:
    return type(value) is list and len(value) == len(PLACE) and _is_named(dict(zip(PLACE, value, strict=True)))


def _is_pending(value: Any) -> bool:
    if value is not None and (type(value) is not dict or value.get("kind") != "moved from"):
        return False
    if value is not None:
        check_change(KINDS, value)
    return True


_is_named = is_record(PLACE)
_STORED_VERSION = is_record(
    {**VERSION, "user": or_null(is_text), "host": or_null(is_text), "updated": is_text},
    optional={
        **{field: good for of in PROPERTIES.values() for field, good in of.stored.items()},
        "source": is_place,
        "author": is_text,
        "deleted": is_text,
        "withdrawn": lambda value: value is True,
    },
)
_STATE = is_record(
    {
        "path": _is_path,
        "number": is_count,
        "digest": is_digest,
        "type": lambda value: value == "" or check_name(value) is not None,
        "description": is_description,
        "tags": list_of(named(check_tag)),
        "next": is_count,
        "versions": list_of(_STORED_VERSION),
        "aliases": _pairs(is_alias, is_digest),
        "exists": lambda value: type(value) is bool,
        "redirect": or_null(_is_path),
        "keep": is_rule,
        "keep_entry": or_null(is_digest),
        "metadata": is_json(dict_of(anything)),
        "blobs": are_blobs,
        "upserts": dict_of(list_of(is_record({**_PART, "time": is_text}, {"extras": or_null(is_digest)}))),
        "finished": dict_of(is_digest),
        "renumbered": _pairs(is_count, is_digest),
        "pending": _is_pending,
    }
)


def check_plain(plain: Any) -> None:
    """Raise Damage for a checkpoint's state that can't come from a log.

    That is one with malformed fields, or with an alias of a version that isn't there or was deleted. Cost: 10 µs
    a version.
    """
    try:
        good = _STATE(plain) is not False
        live = {version["id"] for version in plain["versions"] if is_live(version)} if good else set()
        good = good and all(id in live for _, id in plain["aliases"])
    except (ValueError, TypeError) as error:
        raise Damage(f"a checkpoint holds what no log makes: {error}") from error
    if not good:
        raise Damage("a checkpoint holds what no log makes")

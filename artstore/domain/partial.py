"""What of a log may be shown to somebody who may not see every project: what names another is left out."""

from collections.abc import Callable
from typing import Any

from artstore.domain.changes import Change
from artstore.domain.collection import State, VersionState
from artstore.domain.revealing import tells_content
from artstore.domain.run import RunState

Sees = Callable[[str, str], bool]
"""Whether somebody may see a project: (entity, project)."""
_NAMING = ("sha256", "digest", "path", "artifact_path", "_latest_artifact_path", "md5")
"""Fields of a logged object by which the content of its file could be guessed: W&B's paths hold a part of its digest."""
_OF_FILES = {"origins", "extras"}


def told_change(change: Change, sees: Sees) -> Change | None:
    """A change as it is shown; the same object if nothing is left out, None if all is.

    A link becomes a version of its own. Edges to versions that may not be seen are left out, and so is the run that
    made a version, and where files came from. The name of another project from which a collection was renamed stays: it
    is this collection's own.
    """
    kind = change["kind"]
    if kind in ("used", "logged") and not _sees_place(change, sees):
        return None
    told = change
    if kind in ("version", "link", "part") and not _sees_run(change["run"], sees):
        told = {**told, "run": None}
    if kind == "link" and not _sees_place(change["source"], sees):
        told = {key: value for key, value in told.items() if key != "source"} | {"kind": "version"}
    if kind == "origins" and (kept := _origins(change["entries"] or {}, sees)) != change["entries"]:
        told = {**told, "entries": kept, "blob": None}
    return told


def told_changes(changes: list[Change], sees: Sees) -> list[Change]:
    """The changes of an entry as they are shown; the same list if nothing is left out."""
    told = [told_change(change, sees) for change in changes]
    if all(one is other for one, other in zip(told, changes, strict=True)):
        return changes
    return [change for change in told if change is not None]


def told_collection(state: State, sees: Sees) -> State:
    """A collection as it is shown, without changing `state`."""
    told = state.copy()
    for id, version in state.versions.items():
        told.versions[id] = _told_version(version, sees)
    if told.redirect is not None and not sees(*told.redirect[:2]):
        told.redirect = None
    return told


def _told_version(version: VersionState, sees: Sees) -> VersionState:
    told: Any = version
    if not _sees_run(version["run"], sees):
        told = {**told, "run": None}
    if "source" in told and not _sees_place(told["source"], sees):
        told = {key: value for key, value in told.items() if key != "source"}
    if "origins" in told and (kept := _origins(told["origins"], sees)) != told["origins"]:
        told = {**told, "origins": kept}
    return told  # type: ignore[no-any-return]


def without_files(state: State) -> State:
    """A collection without what its log says of single files, without changing `state`.

    That is where they came from, the keys that users gave them, and unfinished parts. All of it names files, and some
    names say what is in a file.
    """
    without = state.copy()
    without.upserts = {}
    for id, version in state.versions.items():
        if not _OF_FILES.isdisjoint(version):
            kept: Any = {key: value for key, value in version.items() if key not in _OF_FILES}
            without.versions[id] = kept
    return without


def told_run(state: RunState, sees: Sees, *, files: bool) -> RunState:
    """A run as it is shown, without changing `state`. Without `files` nothing says what a file holds.

    Of the parts of its history the lengths are left: the rows themselves are read another way.
    """
    told = RunState(state.path)
    vars(told).update(vars(state))
    told.used = {id: edge for id, edge in state.used.items() if _sees_place(edge, sees)}
    told.logged = {id: edge for id, edge in state.logged.items() if _sees_place(edge, sees)}
    if not files:
        told.config, told.summary = without_content(state.config), without_content(state.summary)
        told.files = dict.fromkeys(state.files)
        told.history = {name: {**part, "text": None, "blob": None} for name, part in state.history.items()}
    return told


def without_content(value: Any) -> Any:
    """A logged value without what says what a file holds: its digest, and a path with a part of the digest."""
    return _without_content(value, False)


def _without_content(value: Any, in_media: bool) -> Any:
    if isinstance(value, dict):
        in_media = in_media or "_type" in value
        kept = {key: item for key, item in value.items() if not (in_media and (key in _NAMING or _tells(item)))}
        return {key: _without_content(item, in_media) for key, item in kept.items()}
    if isinstance(value, list):
        return [_without_content(item, in_media) for item in value if not (in_media and _tells(item))]
    return value


def _tells(value: Any) -> bool:
    return isinstance(value, str) and tells_content(value.encode("utf-8", "surrogatepass"))


def _sees_place(place: dict[str, Any], sees: Sees) -> bool:
    return sees(place["entity"], place["project"])


def _sees_run(run: str | None, sees: Sees) -> bool:
    return run is None or sees(*run.split("/")[:2])


def _origins(origins: dict[str, Any], sees: Sees) -> dict[str, Any]:
    """Those that may be shown. Long ones are a blob, whose content isn't looked at: it is left out."""
    return {path: origin for path, origin in origins.items() if type(origin) is dict and _sees_place(origin, sees)}

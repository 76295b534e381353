"""What viewers get: made by the server from what they may see, without a byte of a file or what says what it holds."""

import json
import os
from collections.abc import Iterator
from typing import Any

from artstore.domain.changes import LogEntry
from artstore.domain.codec import encode_json
from artstore.domain.collection import State, digest_of_state, is_live
from artstore.domain.names import check_name, check_project, file_name_of, parse_path
from artstore.domain.partial import told_collection, told_run, without_content, without_files
from artstore.domain.revealing import tells_content
from artstore.domain.roles import Role
from artstore.domain.run import RunState
from artstore.domain.tree import DIRECTORY, REFERENCE, find, walk
from artstore.errors import Damage, InvalidValue, NotFound, UnsupportedFormat
from artstore.server.access import REFS, RUNS, Access, log_place
from artstore.server.logs import Logs
from artstore.server.served import Served
from artstore.store.metrics import read_history
from artstore.store.runfiles import files_of
from artstore.store.store import Store

_IN_ENTRIES = ("config", "summary")
_OF_FILES = ("files", "history", "part", "part extras", "drop", "origins", "extras")
"""Kinds of changes that name trees and blobs of files: a viewer sees that they are there, and not which."""


class Looking:
    """Collections, runs, histories and lists of files, as the holder of a token may see them."""

    def __init__(self, served: Served, logs: Logs) -> None:
        self._served = served
        self._logs = logs

    def collections(
        self, store: Store, access: Access, entity: str | None, project: str | None, name: str | None
    ) -> Iterator[list[Any]]:
        """Frames [state], one for each collection; ["damaged", what, why] for one that can't be read."""
        for folder in self._folders(store, access, REFS, entity, project, name, check_name):
            try:
                state = self._served.collection(store, folder)
            except (Damage, UnsupportedFormat) as error:
                yield ["damaged", folder, self._served.for_clients(error).message]
                continue
            if state.number:
                yield [self._told(access, state).plain()]

    def _told(self, access: Access, state: State) -> State:
        told = state if access.sees_all else told_collection(state, access.sees)
        return told if access.reads(state.path.entity, state.path.project) else without_files(told)

    def runs(
        self, store: Store, access: Access, entity: str | None, project: str | None, id: str | None
    ) -> Iterator[list[Any]]:
        """Frames [state], one for each run; ["damaged", what, why] for one that can't be read."""
        for folder in self._folders(store, access, RUNS, entity, project, id, check_project):
            try:
                state = store.runs.read_folder(folder)
            except (Damage, UnsupportedFormat) as error:
                yield ["damaged", folder, self._served.for_clients(error).message]
                continue
            if state.number:
                place = state.path
                yield [told_run(state, access.sees, files=access.reads(place.entity, place.project)).plain()]

    def _folders(
        self, store: Store, access: Access, top: str, entity: str | None, project: str | None, name: str | None,
        checked: Any,
    ) -> Iterator[str]:  # fmt: skip
        book = store.refs if top == REFS else store.runs
        if name is not None:
            if entity is None or project is None:
                raise InvalidValue("a name without its entity and project")
            parts = (check_project(entity, "entity"), check_project(project), checked(name))
            folders: Iterator[str] = iter(["/".join([top, *map(file_name_of, parts)])])
        else:
            folders = book.paths(entity and check_project(entity, "entity"), project and check_project(project))
        for folder in folders:
            try:
                place = log_place(folder)
            except InvalidValue:
                continue
            if access.sees(place.entity, place.project):
                yield folder

    def log(self, store: Store, access: Access, folder: str) -> Iterator[list[Any]]:
        """Frames [number, digest, time, host, user, author, changes as JSON] of a log, for people."""
        place = log_place(folder)
        access.require(Role.VIEWER, place.entity, place.project)
        files = access.reads(place.entity, place.project)
        for entry in self._logs.told(store, access, folder):
            changes = entry.changes if files else [_without_files(change) for change in entry.changes]
            yield [*_of_people(entry), encode_json(changes)]

    def history(self, store: Store, access: Access, folder: str, having: str | None) -> Iterator[list[Any]]:
        """Frames [row, as JSON] of the metrics of a run."""
        state = self._run(store, access, folder)
        files = access.reads(state.path.entity, state.path.project)
        wanted = (having or "").encode("utf-8", "surrogatepass")
        for row in read_history(store.objects, store.runs, state, wanted if files else b""):
            told = json.dumps(row if files else without_content(row)).encode()
            if files or wanted in told:  # who only looks could find a digest by asking for its digits
                yield [told]

    def run_files(self, store: Store, access: Access, folder: str) -> Iterator[list[Any]]:
        """Frames [path, size] of the files of a run."""
        state = self._run(store, access, folder)
        files = access.reads(state.path.entity, state.path.project)
        for path, file in files_of(store.objects, store.runs, state).items():
            if files or not tells_content(os.fsencode(path)):
                yield [os.fsencode(path), file.size]

    def _run(self, store: Store, access: Access, folder: str) -> RunState:
        place = log_place(folder)
        access.require(Role.VIEWER, place.entity, place.project)
        state = store.runs.read_folder(folder) if place.top == RUNS else None
        if state is None or not state.number or state.deleted is not None:
            raise NotFound(f"there is no run {place.name} in {place.entity}/{place.project}")
        return state

    def listing(self, store: Store, access: Access, folder: str, id: str, prefix: str) -> Iterator[list[Any]]:
        """Frames [path, kind, size, digest] of the files and references of a version: no digest for viewers."""
        place = log_place(folder)
        access.require(Role.VIEWER, place.entity, place.project)
        version = self._served.collection(store, folder).versions.get(id)
        if not is_live(version):
            raise NotFound(f"there is no version {id[:12]} in {place.entity}/{place.project}/{place.name}")
        files, root, start = access.reads(place.entity, place.project), digest_of_state(version), b""
        if prefix:
            parts = parse_path(prefix)
            found = find(root, parts, store.objects.read_tree) if files or not tells_content(b"/".join(parts)) else None
            if found is None or found.kind != DIRECTORY:
                raise NotFound(f"there is no folder '{prefix[:200]}' in this version")
            root, start = found.digest, b"/".join(parts) + b"/"
        for path, entry in walk(root, store.objects.read_tree, start):
            if entry.kind != DIRECTORY and (files or not tells_content(path)):
                yield [path, entry.kind, entry.size, entry.digest if files and entry.kind != REFERENCE else None]


def _of_people(entry: LogEntry) -> list[Any]:
    return [entry.number, entry.digest, entry.time, entry.host, entry.user, entry.author]


def _without_files(change: dict[str, Any]) -> dict[str, Any]:
    if change["kind"] in _IN_ENTRIES and "set" in change:
        return {**change, "set": without_content(change["set"])}
    if change["kind"] in _OF_FILES:
        return {key: None if key in ("tree", "blob", "text", "entries") else value for key, value in change.items()}
    return change

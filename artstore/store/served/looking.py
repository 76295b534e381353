"""Collections and runs of a served remote for people who look: their states, which the server makes."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from artstore.backends.served.answers import shown
from artstore.backends.served.client import Client, CutOff, wait_before, waits_for_tries
from artstore.backends.served.storage import ServedStorage
from artstore.domain.changes import LogEntry
from artstore.domain.codec import MAX_JSON
from artstore.domain.collection import Path, State, nfc
from artstore.domain.kinds import check_plain
from artstore.domain.names import file_name_of, printable
from artstore.domain.run import PLAIN_KEYS, RunPath, RunState, is_plain
from artstore.errors import Damage, DamagedLog
from artstore.store.logbook import Identity
from artstore.store.refs import Refs
from artstore.store.runs import Runs

_KEPT = 10.0
"""Seconds for which a state that came with a list of folders is used, once."""


class States:
    """The states of one kind of logs, as the server gives them."""

    def __init__(self, client: Client, top: str, path: str, name: str) -> None:
        self._client = client
        self._top = top
        self._path = path
        self._name = name
        self._kept: dict[str, Any] = {}
        self._until = 0.0

    def ask(
        self, entity: str | None, project: str | None, name: str | None = None, damaged: list[Damage] | None = None
    ) -> Iterator[tuple[str, Any]]:
        """(folder, state) of each log, of those of a project, or of one. The states are not checked.

        A log that the server can't read is an error; with `damaged` the error is added there. After an answer that is
        cut off, those that didn't come are asked for again.
        """
        waits, seen = waits_for_tries(), set[str]()
        while True:
            try:
                for folder, state in self._once(entity, project, name):
                    if folder in seen:
                        continue
                    seen.add(folder)
                    if not isinstance(state, DamagedLog):
                        yield folder, state
                    elif damaged is None:
                        raise state
                    else:
                        damaged.append(state)
                return
            except CutOff as error:
                wait_before(waits, error)

    def _once(self, entity: str | None, project: str | None, name: str | None) -> Iterator[tuple[str, Any]]:
        """(folder, state) of each log, or the error of one that the server can't read: by one request."""
        asked = {"entity": entity, "project": project, self._name: name}
        for values in self._client.frames(self._path, asked, resumes=False):
            if values[:1] == ["damaged"] and len(values) == 3 and all(type(value) is str for value in values):
                yield values[1], DamagedLog(shown(values[2]))
                continue
            path = values[0].get("path") if len(values) == 1 and type(values[0]) is dict else None
            if type(path) is not list or len(path) != 3 or not all(type(part) is str for part in path):
                raise Damage(f"{self._client.what} sent something else than states")
            yield "/".join([self._top, *map(file_name_of, path)]), values[0]

    def folders(self, entity: str | None, project: str | None) -> list[str]:
        """The folders of all logs, in order. Their states are kept for a while: most callers read them next."""
        self._kept = dict(self.ask(entity, project, damaged=[]))
        self._until = time.monotonic() + _KEPT
        return sorted(self._kept)

    def of(self, folder: str) -> Any:
        """The state of one log, or None if there is none."""
        kept = self._kept.pop(folder, None) if time.monotonic() < self._until else None
        if kept is not None:
            return kept
        parts = folder.split("/")
        if len(parts) != 4:
            return None
        entity, project, name = map(unquote, parts[1:])
        return next((state for there, state in self.ask(entity, project, name) if there == folder), None)


class ServedRefs(Refs):
    """The collections of a served remote. A list of all is one request."""

    def __init__(self, storage: ServedStorage, *, identity: Identity) -> None:
        super().__init__(storage, identity=identity, foreign=True)
        self._client = storage.client
        self._served = States(storage.client, "refs", "/collections", "name")

    def cached(self) -> "Refs":
        return self

    def paths(self, entity: str | None = None, project: str | None = None) -> Iterator[str]:
        return iter(self._served.folders(entity, project))

    def _states(self, entity: str | None, project: str | None, damaged: list[Damage] | None) -> Iterator[State]:
        for folder, plain in self._served.ask(entity, project, damaged=damaged):
            yield self._checked(folder, plain)

    def _checked(self, folder: str, plain: Any) -> State:
        try:
            check_plain(plain)
            state = State.from_plain(plain)
        except (KeyError, TypeError, ValueError) as error:
            raise Damage(f"{self._client.what} sent a collection that no log makes") from error
        if state.path.folder != folder:
            raise Damage(f"{self._client.what} sent another collection than {printable(folder)}")
        return state

    def read_folder(
        self, folder: str, path: Path | None = None, *, until: int | None = None, checkpoints: bool = True
    ) -> State:
        """The state of a log as it is now. `until` and `checkpoints` can't be asked for."""
        plain = self._served.of(folder)
        return State(nfc(path) if path else Path("", "", "")) if plain is None else self._checked(folder, plain)

    def is_current(self, state: State) -> bool:
        """Whether no entry was appended since this state was read. Cost: a request."""
        return self.read_folder(state.path.folder, state.path).number == state.number

    def history(self, path: Path, until: int | None = None) -> Iterator[LogEntry]:
        """All entries of a collection, as far as the token may see what they name, oldest first."""
        return (entry for entry in told_entries(self._client, path.folder) if until is None or entry.number <= until)


class ServedRuns(Runs):
    """The runs of a served remote. A list of all is one request."""

    def __init__(self, storage: ServedStorage, *, identity: Identity) -> None:
        super().__init__(storage, identity=identity, foreign=True)
        self._client = storage.client
        self._served = States(storage.client, "runs", "/runs", "id")

    def paths(self, entity: str | None = None, project: str | None = None) -> Iterator[str]:
        return iter(self._served.folders(entity, project))

    def _states(self, entity: str | None, project: str | None, damaged: list[Damage] | None) -> Iterator[RunState]:
        for folder, plain in self._served.ask(entity, project, damaged=damaged):
            yield self._checked(folder, plain)

    def _checked(self, folder: str, plain: Any) -> RunState:
        if plain.keys() != PLAIN_KEYS or not is_plain(plain):
            raise Damage(f"{self._client.what} sent a run that no log makes")
        state = RunState.from_plain(plain)
        if state.path.folder != folder:
            raise Damage(f"{self._client.what} sent another run than {printable(folder)}")
        return state

    def read_folder(
        self, folder: str, path: RunPath | None = None, *, until: int | None = None, checkpoints: bool = True
    ) -> RunState:
        """The state of a log as it is now. `until` and `checkpoints` can't be asked for."""
        plain = self._served.of(folder)
        return RunState(path or RunPath("", "", "")) if plain is None else self._checked(folder, plain)

    def ended(self, folder: str) -> dict[str, Any] | None:
        """None: the state itself is asked for."""
        return None

    def parts(self, state: RunState) -> list[str]:
        """Nothing: the server reads what isn't sealed."""
        return []

    def file_folders(self, state: RunState) -> list[str]:
        """Nothing: the server reads what isn't sealed."""
        return []


def told_entries(client: Client, folder: str) -> Iterator[LogEntry]:
    """The entries of a log as the server tells them to people. Not a chain: some may be left out."""
    for values in client.frames("/log", {"folder": folder}):
        texts = values[3:6] if len(values) == 7 else [0]
        good = (
            all(value is None or type(value) is str for value in texts)
            and type(values[0]) is int
            and type(values[1]) is str
            and type(values[2]) is str
            and type(values[6]) is bytes
            and len(values[6]) <= MAX_JSON
        )
        changes = parsed(values[6], client) if good else None
        if type(changes) is not list or not all(type(change) is dict and "kind" in change for change in changes):
            raise Damage(f"{client.what} sent something else than the entries of a log")
        number, digest, when, host, user, author = values[:6]
        yield LogEntry(number, digest, None, when, host, user, "", changes, author)


def rows_of_run(client: Client, folder: str, having: bytes) -> Iterator[dict[str, Any]]:
    """The rows of metrics that a run logged, in their order."""
    wanted = having.decode("utf-8", "replace") if having else None
    for values in client.frames("/history", {"run": folder, "having": wanted}):
        row = parsed(values[0], client) if len(values) == 1 and type(values[0]) is bytes else None
        if type(row) is not dict or type(row.get("_step")) is not int:
            raise Damage(f"{client.what} sent something else than rows of metrics")
        yield row


def parsed(data: bytes, client: Client) -> Any:
    """JSON that the server sent. Raises Damage."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damage(f"{client.what} sent something else than JSON") from error

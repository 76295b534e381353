"""The logs of a served remote as a storage. What else a storage does is done on the server."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NoReturn

from artstore.backends.addresses import spelled
from artstore.backends.served.client import Client, CutOff, Sent, query
from artstore.domain.codec import MAX_JSON, encode_json
from artstore.domain.names import printable
from artstore.domain.wire import MOST_WANTED, PROTOCOL, TRANSACTION, Hello
from artstore.errors import Damage, NotFound, Refused, UnsupportedFormat

_ROOM = 32 << 20
"""Most bytes of entries that are kept because they are probably asked for next."""
_MOST_LOGS = 2_000_000
"""Most logs of which a server may tell at once."""
_EARLY = 64 << 20
"""Most bytes of entries that a server may send before those that it was asked for first."""
_TRIES = 4
"""How often an answer that is cut off is asked for without getting further."""
_ROLES = ("viewer", "reader", "writer", "promoter", "admin")


class ServedStorage:
    """A served remote: its logs can be read, and get entries. Everything else that a `Storage` does is refused.

    What `names`, `paths` and `size` answer is asked anew each time. Entries never change, so those that were received
    are kept.
    """

    local = False
    coherent = True
    distant = True
    restates = True
    roll_at = 256 << 20

    def __init__(self, client: Client) -> None:
        self.client = client
        self.root = client.root
        self._entries: dict[tuple[str, int], bytes] = {}
        self._room = _ROOM
        self.transaction: str | None = None
        """the transaction under which entries are appended; without one, one is begun for the first entry"""

    def close(self) -> None:
        """End the transaction of this storage, if it has one, and close all connections."""
        self.end()
        self.client.close()

    @cached_property
    def hello(self) -> Hello:
        """What is served, and to whom. Raises UnsupportedFormat for another protocol, NotFound if there is no server."""
        what = self.client.what
        try:
            value = self.client.json("GET", "")
        except Damage:
            value = None  # a web page, for example
        if not isinstance(value, dict) or type(value.get("protocol")) is not int:
            raise NotFound(f"there is no served repository at {what}", hint=spelled(what))
        if value["protocol"] != PROTOCOL:
            message = f"{what} speaks protocol {value['protocol']}; this artstore speaks protocol {PROTOCOL}"
            raise UnsupportedFormat(message, hint="update artstore")
        texts = ("repository", "entity", "author", "role", "scope")
        whole = all(isinstance(value.get(key), str) for key in texts) and isinstance(value.get("format"), dict)
        if not whole or value["role"] not in _ROLES:
            raise Damage(f"{what} doesn't say what it serves")
        return Hello(**{key: value[key] for key in Hello._fields})

    @property
    def may_write(self) -> bool:
        """Whether the token may write anything."""
        return _ROLES.index(self.hello.role) >= _ROLES.index("writer")

    @property
    def only_looks(self) -> bool:
        """Whether the token may look, and not download."""
        return self.hello.role == "viewer"

    def refuse_download(self) -> NoReturn:
        """Raise Refused: the role of the token may look, not download."""
        message = f"the role of your token at {printable(self.root)} is viewer: it can look, and not download"
        raise Refused(message, hint="ask who runs the server for the role `reader`")

    # -- reading logs --

    def heads(self, *folders: str) -> dict[str, int]:
        """The number of the last entry of each log below these folders, or of the logs in them."""
        found: dict[str, int] = {}
        for values in self.client.collected("/heads", {"under": list(folders)}, _MOST_LOGS):
            good = len(values) == 2 and _is_log(values[0]) and _is_number(values[1])
            if not good or not any(_below(values[0], folder) for folder in folders):
                raise Damage(f"{self.client.what} sent something else than the heads of logs")
            found[values[0]] = values[1]
        return found

    def names(self, folder: str) -> list[str]:
        """The names in a folder. Of a log's entries only the last: the server says how many there are."""
        if folder.count("/") > 3 or not folder.startswith(("refs", "runs")):
            return []
        heads = self.heads(folder)
        if folder in heads:
            return [_name(heads[folder])]
        return list({log[len(folder) + 1 :].partition("/")[0] for log in heads})

    steady_names = names

    def paths(self, folder: str) -> list[str]:
        """The path of the last entry of each log below a folder."""
        return [f"{log}/{_name(last)}" for log, last in self.heads(folder).items()]

    def size(self, path: str) -> int | None:
        try:
            return len(self.read(path))
        except FileNotFoundError:
            return None

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """An entry, or the file `format`. One request brings all later entries of the log too."""
        data = encode_json(self.hello.format) if path == "format" else self._entry(path)
        return data[offset:] if length is None else data[offset : offset + length]

    def _entry(self, path: str) -> bytes:
        at = _entry_at(path)
        if at is None:
            raise FileNotFoundError(path)
        found = self._entries.get(at)
        for attempt in range(_TRIES if found is None else 0):
            try:
                for folder, number, data in self._asked([[*at, None]]):
                    if number == at[1]:
                        found = data
                    if found is not None and len(data) > self._room:
                        break  # those behind it are asked for when they are needed
                    self._keep(folder, number, data)
                break
            except CutOff:
                if found is not None:
                    break
                if attempt == _TRIES - 1:
                    raise
        if found is None:
            raise FileNotFoundError(path)
        return found

    def _keep(self, folder: str, number: int, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            self._entries, self._room = {}, _ROOM - len(data)
        self._entries[folder, number] = data

    def read_each(self, paths: Iterable[str], most: int | None = None) -> Iterator[bytes]:
        paths = list(paths)
        for start in range(0, len(paths), MOST_WANTED):
            yield from self._read_some(paths[start : start + MOST_WANTED])

    def _read_some(self, paths: list[str]) -> Iterator[bytes]:
        wanted = [at for path in paths if (at := _entry_at(path)) is not None]
        if len(wanted) != len(paths):
            raise FileNotFoundError(next(path for path in paths if _entry_at(path) is None))
        position = failures = 0
        while True:
            try:
                for data in self._in_order(wanted[position:]):
                    position, failures = position + 1, 0
                    yield data
            except CutOff:
                failures += 1
                if failures >= _TRIES:
                    raise
                continue
            if position < len(wanted):
                raise FileNotFoundError(paths[position])
            return

    def _in_order(self, wanted: list[tuple[str, int]]) -> Iterator[bytes]:
        """Entries in the order in which they are wanted, up to the first that isn't there."""
        early: dict[tuple[str, int], bytes] = {}
        room, position = _EARLY, 0
        for folder, number, data in self._asked(_stretches(wanted)):
            early[folder, number] = data
            room -= len(data)
            while position < len(wanted) and (found := early.pop(wanted[position], None)) is not None:
                room += len(found)
                position += 1
                yield found
            if room < 0:
                raise Damage(f"{self.client.what} sends entries in another order than they were asked for")

    def _asked(self, logs: list[list[Any]]) -> Iterator[tuple[str, int, bytes]]:
        """The entries of some logs, each named by its folder, the first number and the last, or None for all others."""
        asked = {folder for folder, _, _ in logs}
        for values in self.client.frames("/entries", {"logs": logs}, resumes=False):
            good = len(values) == 3 and values[0] in asked and _is_number(values[1]) and type(values[2]) is bytes
            if not good or len(values[2]) > MAX_JSON:
                raise Damage(f"{self.client.what} sent something else than log entries")
            yield values[0], values[1], values[2]

    # -- writing logs --

    def create(self, path: str, data: bytes) -> bool:
        """Append an entry. What the server stored, or what was there first, is what `read` returns after this."""
        at = _entry_at(path)
        if at is None:
            raise self._refusal()
        headers = {"Content-Type": "application/json", TRANSACTION: self.begun()}
        target = query("/entry", log=at[0], number=str(at[1]))
        status, stored = self.client.do("PUT", target, Sent(data, headers=headers), (200, 201, 409))
        if status == 409 and (error := self.client.error_in(status, stored)) is not None:
            raise error
        self._keep(at[0], at[1], stored)
        return status != 409

    def begun(self) -> str:
        """The id of the transaction, which is begun if there is none."""
        if self.transaction is None:
            value = self.client.json("POST", "/transactions")
            id = value.get("transaction") if isinstance(value, dict) else None
            if (
                not isinstance(id, str)
                or not 0 < len(id) <= 200
                or not id.isascii()
                or not id.replace("-", "").isalnum()
            ):
                raise Damage(f"{self.client.what} did not name a transaction")
            self.transaction = id
        return self.transaction

    def end(self) -> None:
        """End the transaction. What was sent and isn't named by an entry is collected later. Never raises for an error."""
        id, self.transaction = self.transaction, None
        if id is not None:
            try:
                self.client.do("DELETE", f"/transactions/{id}", Sent(), (200, 204, 404))
            except Exception:
                pass

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        """Do nothing: the server writes checkpoints."""

    def make_durable(self, folder: str) -> None:
        """Do nothing: what the server acknowledged is durable."""

    def remove(self, path: str) -> bool:
        """Do nothing: the server removes old checkpoints."""
        return False

    # -- everything else --

    def _refusal(self) -> Refused:
        message = f"{printable(self.root)} is a served repository: this is done on the server"
        return Refused(message, hint="run the command there, or ask who runs the server")

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise self._refusal()

    below = sizes = open = reader = copy_out = take = give_back = rescue = purge = only_here = rename_folder = _refuse
    keep = set_aside = stamp = now = writing = claim = folders = remove_folder = publish = sync_names = _refuse
    is_young = _refuse


def _entry_at(path: str) -> tuple[str, int] | None:
    """The folder and number of a log entry's path; None for any other path."""
    folder, _, name = path.rpartition("/")
    digits = name.removesuffix(".json")
    if len(digits) != 8 or len(name) != 13 or not digits.isascii() or not digits.isdecimal() or not _is_log(folder):
        return None
    return (folder, int(digits)) if int(digits) else None


def _name(number: int) -> str:
    return f"{number:08}.json"


def _is_log(folder: Any) -> bool:
    """Whether this is the folder of a log: a top folder and three names."""
    return (
        type(folder) is str
        and folder.startswith(("refs/", "runs/"))
        and folder.count("/") == 3
        and all(part not in ("", ".", "..") for part in folder.split("/"))
        and folder.isascii()
        and folder.isprintable()
        and len(folder) <= 1000
    )


def _below(log: str, folder: str) -> bool:
    return f"{log}/".startswith(f"{folder}/")


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 < value < 100_000_000


def _stretches(wanted: list[tuple[str, int]]) -> list[list[Any]]:
    """Entries as stretches of consecutive numbers: the folder, the first number and the last."""
    found: list[list[Any]] = []
    for folder, number in wanted:
        if found and found[-1][0] == folder and found[-1][2] == number - 1:
            found[-1][2] = number
        else:
            found.append([folder, number, number])
    return found

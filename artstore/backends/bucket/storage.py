"""A repository's files in a bucket: each stored file under a random key, with markers for deleted ones."""

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import obstore
from obstore import exceptions

from artstore.backends.bucket import calls
from artstore.backends.bucket.answers import is_final, status_of
from artstore.backends.bucket.calls import bucket_errors, called, tried
from artstore.backends.bucket.opening import CREATING, SENDING, service_of, store_of
from artstore.backends.files import copying, hash_file
from artstore.backends.folder import MOST
from artstore.backends.parallel import MOST_SECONDS, reported, together
from artstore.domain.digest import Digest, plain_digest, short
from artstore.domain.names import printable
from artstore.errors import StorageError, UnknownOutcome, translated

PART = 32 << 20
"""Bytes of one part of a multipart upload. S3 accepts 10,000 parts of 5 MiB to 5 GiB."""
_MOST_PARTS = 9_000
_PARTS = 4
"""Parts of a file that are sent at once."""
_PIECE = 16 << 20
"""Bytes of one request of a large download."""
_TOGETHER = 8
"""Most requests at once."""
_TRIES = 4
_CLAIM = ".claim"
_BELONGING = ("tmp", "trash")
"""Folders whose subfolders each belong to one process."""
_NONCE = re.compile(r"[0-9a-f]{16}")
_STORED = re.compile(r"objects/(packs/[0-9a-f]{64}\.pack|blobs/[0-9a-f]{2}/[0-9a-f]{64})")

_TYPE = {"Content-Type": "application/octet-stream"}
"""Else some services guess a type from the bytes: at an address of the bucket, browsers would run a stored page."""


class BucketStorage:
    """`Storage` in a bucket, or in the part of a bucket below a path.

    A stored file can have several copies, each under its own key `<path>/<nonce>`. To delete a copy, a collector first
    marks it, with an empty object `trash/<run>/<name>/<nonce>`. A marked copy doesn't exist for savers, but readers can
    still read it until its key is deleted. If the file is stored again meanwhile, it gets a new key, which that
    deletion can't hit.
    """

    roll_at = 64 << 20
    local = False
    coherent = True
    distant = True
    restates = False

    def __init__(self, url: str, *, scratch: str | None = None) -> None:
        self.root = url.partition("?")[0].rstrip("/")
        self._at = service_of(url)
        self._url, self._store = url, store_of(url)
        self._scratch = scratch
        self._lock = threading.RLock()
        self._known: dict[str, list[tuple[str, int]]] = {}
        """(key, bytes) of the unmarked copies of each stored file, as of the last listing"""

    @cached_property
    def _sending(self) -> Any:
        """The bucket for requests that may take long before they are answered."""
        return store_of(self._url, SENDING)

    @cached_property
    def _creating(self) -> Any:
        return store_of(self._url, CREATING)

    # -- listings --

    def _list(self, folder: str) -> list[tuple[str, int]]:
        listed = tried(lambda: self._ask(f"list {folder}", _listed, f"{folder}/"))
        return [(item["path"], item["size"]) for item in listed]

    def _marked(self) -> set[str]:
        """`<name>/<nonce>` of each copy that a collector has marked."""
        return {key.split("/", 2)[2] for key, _ in self._list("trash") if key.count("/") == 3}

    def _look(self, *folders: str) -> dict[str, list[tuple[str, int]]]:
        """The stored files at or below these folders, with their unmarked copies.

        Markers are listed first, so that a copy purged between both listings is seen as marked or absent, not
        as stored.
        """
        marked = self._marked()
        found: dict[str, list[tuple[str, int]]] = {}
        for key, size in (item for listing in together(self._list, list(folders), most=_TOGETHER) for item in listing):
            path, _, nonce = key.rpartition("/")
            if _STORED.fullmatch(path) and _NONCE.fullmatch(nonce):
                copies = found.setdefault(path, [])
                if f"{path.rpartition('/')[2]}/{nonce}" not in marked:
                    copies.append((key, size))
        found = {path: copies for path, copies in found.items() if copies}
        heads = tuple(f"{folder}/" for folder in folders)
        with self._lock:  # threads that copy files call this too
            for path in [path for path in self._known if f"{path}/".startswith(heads)]:
                self._known.pop(path, None)
            self._known.update(found)
        return found

    def names(self, folder: str) -> list[str]:
        if folder == "objects/packs" or folder.startswith("objects/blobs/"):
            return [path.rpartition("/")[2] for path in self._look(folder)]
        if folder.startswith(_BELONGING):
            keys = self._list(folder)  # a listing by delimiter may show a folder long after its last key was deleted
            names = dict.fromkeys(key.removeprefix(f"{folder}/").partition("/")[0] for key, _ in keys)
            return [name for name in names if not name.startswith(".")]
        found = tried(lambda: self._ask(f"list {folder}", obstore.list_with_delimiter, folder))
        prefixes = [prefix.rstrip("/") for prefix in found["common_prefixes"]]
        paths = [*(item["path"] for item in found["objects"]), *prefixes]
        return [path.rpartition("/")[2] for path in paths if path != folder]

    def steady_names(self, folder: str) -> list[str]:
        return self.names(folder)

    def folders(self, folder: str) -> list[str]:
        """Names of the claimed folders in a folder."""
        keys = [key.removeprefix(f"{folder}/") for key, _ in self._list(folder)]
        return [key.partition("/")[0] for key in keys if key.endswith(f"/{_CLAIM}")]

    def paths(self, folder: str) -> list[str]:
        return [path for path, _ in self.below(folder)]

    def below(self, folder: str) -> list[tuple[str, int]]:
        if folder.startswith("objects"):
            return [(path, copies[0][1]) for path, copies in self._look(folder).items()]
        found = [(key, size) for key, size in self._list(folder) if not key.endswith(f"/{_CLAIM}")]
        return [(key.rpartition("/")[0], size) for key, size in found] if folder == "trash" else found

    # -- small files --

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        if _STORED.fullmatch(path) or path.startswith("trash/"):
            size, read, _ = self.reader(path)
            return read(offset, size - offset if length is None else length)
        if offset or length is not None:
            return tried(lambda: self._range(path, offset, MOST if length is None else length))

        def ask() -> bytes:
            with self._translated(f"read {path}"):
                found = called(obstore.get, self._store, path)
                if found.meta["size"] > MOST:
                    raise StorageError(
                        f"{path} at {self.root} has {found.meta['size']} bytes: more than anything of its kind",
                        hint="somebody else put it there; remove it",
                    )
                return bytes(called(found.bytes))

        return tried(ask)

    def _range(self, key: str, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        with self._translated(f"read {key}"):
            try:
                return bytes(called(obstore.get_range, self._store, key, start=offset, length=length))
            except exceptions.BaseError as error:
                if status_of(error) == 416 or "StartTooLarge" in str(error):
                    return b""  # the range begins at or after the object's end
                raise

    def _whole_range(self, key: str, offset: int, length: int) -> bytes:
        """A range that must exist. Its length is checked: obstore may return less than the reply's headers promised."""
        data = b""
        for _ in range(_TRIES):
            data = tried(lambda: self._range(key, offset, length))
            if len(data) == length:
                return data
        raise StorageError(
            f"{self.root} gives {len(data)} bytes where {length} of {key} were asked for",
            hint="something on the way cuts or changes replies; run the same command again, or over another way",
        )

    def read_each(self, paths: list[str], most: int | None = None) -> Iterator[bytes]:
        for start in range(0, len(paths), 4 * _TOGETHER):
            some = paths[start : start + 4 * _TOGETHER]
            yield from list(together(partial(self.read, length=most), some, most=_TOGETHER))

    def size(self, path: str) -> int | None:
        if _STORED.fullmatch(path):
            return self.sizes([path]).get(path)
        try:
            if path.startswith("trash/"):
                return self._copy_of(path)[1]
            return int(self._ask(f"look at {path}", obstore.head, path)["size"])
        except FileNotFoundError:
            return None

    def sizes(self, paths: list[str]) -> dict[str, int]:
        """With one listing for each file if there are few, else one listing of all."""
        self._look(*(paths if len(paths) <= _TOGETHER else ("objects",)))
        return {path: self._known[path][0][1] for path in paths if path in self._known}

    def stamp(self, path: str) -> float | None:
        for key in (f"{path}/{_CLAIM}", path):
            try:
                return float(self._ask(f"look at {path}", obstore.head, key)["last_modified"].timestamp())
            except FileNotFoundError:
                continue
        return None

    def now(self, *, probe: bool = False) -> float:
        self.replace("tmp/.clock", b"")
        return self.stamp("tmp/.clock") or 0.0

    def create(self, path: str, data: bytes) -> bool:
        """Repeats after a temporary failure. Data has a unique write id: an object with this data is ours."""
        problem: StorageError | None = None
        end = time.monotonic() + MOST_SECONDS
        for wait in (*calls.LONG_WAITS, None):
            try:
                with self._translated(f"write {path}"):
                    called(obstore.put, self._creating, path, data, mode="create", use_multipart=False)
                return True
            except FileExistsError:
                try:
                    return self.read(path) == data
                except FileNotFoundError as error:  # a conflict (409) with a request that wasn't finished
                    problem = StorageError(f"{path} was being written by another request")
                    problem.__cause__ = error
            except StorageError as error:
                problem = error
                if is_final(error):
                    raise
            if wait is None or time.monotonic() > end:
                break
            time.sleep(wait)
        try:
            return self.read(path) == data
        except (FileNotFoundError, StorageError):
            raise UnknownOutcome(
                f"{self.root} did not say whether {path} was written: {problem}",
                hint="run the same command again: what was done is found, nothing is done twice",
            ) from problem

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        self._ask(f"write {path}", obstore.put, path, data, use_multipart=False)

    def make_durable(self, folder: str) -> None:
        """Nothing to do: everything that a bucket lists is durable."""

    def remove(self, path: str) -> bool:
        self._delete([path])
        return True

    def _delete(self, keys: list[str]) -> None:
        def ask() -> None:
            with self._translated(f"remove {keys[0]}"):
                try:
                    called(obstore.delete, self._store, keys)
                except FileNotFoundError:
                    pass  # Google and Azure report this, S3 doesn't

        if keys:
            tried(ask)

    def writing(self) -> AbstractContextManager[None]:
        return translated(f"write to {printable(self.root)}")

    # -- who is at work --

    def claim(self, folder: str) -> str:
        if not self.create(f"{folder}/{_CLAIM}", os.urandom(16)):
            raise FileExistsError(f"{self.root} has {folder} already")
        here = self._here(folder)
        with translated(f"write to {printable(here)}"):
            os.makedirs(here)
        return here

    def _here(self, folder: str) -> str:
        """The folder on this host for files that are going to the bucket or coming from it."""
        if self._scratch is None:
            self._scratch = tempfile.gettempdir()
        mark = short(plain_digest(self.root.encode()))
        return os.path.join(self._scratch, f"{folder.rpartition('/')[2]}.{mark}")

    def rename_folder(self, folder: str, target: str) -> bool:
        """First makes all new markers, then deletes the old ones, so that each copy is marked all the time."""
        keys = [key for key, _ in self._list(folder)]
        if not keys:
            return False
        rest = [key.removeprefix(f"{folder}/") for key in keys]
        self._mark([f"{target}/{name}" for name in {_CLAIM, *rest}])
        self._delete(keys)
        return True

    def _mark(self, keys: Iterable[str]) -> None:
        for _ in together(lambda key: self.replace(key, b""), keys, most=_TOGETHER):
            pass

    def remove_folder(self, folder: str) -> None:
        self._delete([key for key, _ in self._list(folder)])
        shutil.rmtree(self._here(folder), ignore_errors=True)

    # -- stored files --

    def _copy_of(self, path: str) -> tuple[str, int]:
        """(key, bytes) of a copy to read: any copy of a stored file, or the marked copy of a file in the trash."""
        for key, size in self._known.get(path, ()):
            return key, size
        name = path.rpartition("/")[2]
        stored = path if path.startswith("objects/") else stored_path(name)
        wanted = None if path == stored else {key.rpartition("/")[2] for key, _ in self._list(path)}
        for key, size in self._list(stored):
            if wanted is None or key.rpartition("/")[2] in wanted:
                return key, size
        raise FileNotFoundError(f"{self.root} has no {path}")

    def reader(self, path: str) -> tuple[int, Callable[[int, int], bytes], Callable[[], None]]:
        key, size = self._copy_of(path)

        def read(offset: int, length: int) -> bytes:
            wanted = max(0, min(length, size - offset))
            try:
                return self._whole_range(key, offset, wanted)
            except FileNotFoundError:  # this copy was purged, but there may be another
                self._known.pop(path, None)
                return self._whole_range(self._copy_of(path)[0], offset, wanted)

        return size, read, lambda: None

    def open(self, path: str) -> int:
        file = tempfile.TemporaryFile(dir=self._scratch)
        with file:
            self.copy_out(path, file.fileno())
            return os.dup(file.fileno())

    def address(self, path: str, seconds: int) -> str | None:
        """An address from which anybody can read one stored file for some seconds; None if this kind has none.

        Raises FileNotFoundError if it is absent.
        """
        key, _ = self._copy_of(path)
        try:
            return str(obstore.sign(self._store, "GET", key, timedelta(seconds=seconds)))
        except (exceptions.BaseError, TypeError, ValueError):
            return None

    def copy_out(self, path: str, target: int, advance: Callable[[int], None] = lambda n: None) -> tuple[Digest, int]:
        """Download a stored file into an open one, several ranges at once. Returns (digest, bytes) as written."""
        key, size = self._copy_of(path)

        def fetch(offset: int) -> None:
            data = memoryview(self._whole_range(key, offset, min(_PIECE, size - offset)))
            done = 0
            with copying(f"what came from {key}", target):
                while done < len(data):
                    done += os.pwrite(target, data[done:], offset + done)
            advance(len(data))

        for _ in together(fetch, range(0, size, _PIECE), most=_TOGETHER):
            pass
        with translated(f"read what came from {key}"):
            return hash_file(target)

    def publish(self, staged: str, path: str, sent: Callable[[int], None] = lambda n: None) -> bool:
        """Uploads a new copy each time: the caller has checked that there is none.

        A lost reply can leave a second one.
        """
        size = os.path.getsize(staged)
        part = max(PART, -(-size // _MOST_PARTS))
        whole = size <= 2 * PART

        def send() -> str:
            key = f"{path}/{os.urandom(8).hex()}"
            options = {"use_multipart": not whole, "chunk_size": part, "max_concurrency": _PARTS, "attributes": _TYPE}
            counted = 0

            def parts() -> Iterator[bytes]:
                nonlocal counted
                with open(staged, "rb") as file:
                    while data := file.read(part):
                        if file.tell() > _PARTS * part:  # when this part is wanted, an earlier one was sent
                            counted += part
                            sent(part)
                        yield data

            try:
                self._send(f"write {key}", obstore.put, key, Path(staged) if whole else parts(), **options)
            except BaseException:
                sent(-counted)  # if it is tried again, all of it is sent again
                raise
            sent(size - counted)
            return key

        key = tried(send)
        with self._lock:
            self._known.setdefault(path, []).append((key, size))
        return True

    def take(self, path: str, folder: str) -> bool:
        copies = self._known.get(path) or self._look(path).get(path, [])
        self._mark(f"{folder}/{path.rpartition('/')[2]}/{key.rpartition('/')[2]}" for key, _ in copies)
        self._known.pop(path, None)
        return bool(copies)

    def give_back(self, trashed: str, path: str) -> None:
        self._delete([key for key, _ in self._list(trashed)])

    def rescue(self, trashed: str, path: str) -> bool:
        """Always False: removing a run's marker would not stop that run from deleting the copy."""
        return False

    def purge(self, trashed: str) -> int:
        name = trashed.rpartition("/")[2]
        stored = stored_path(name)
        marks = [key for key, _ in self._list(trashed)]
        nonces = {key.rpartition("/")[2] for key in marks}
        doomed = [(key, size) for key, size in self._list(stored) if key.rpartition("/")[2] in nonces]
        self._delete([key for key, _ in doomed])
        self._delete(marks)
        return sum(size for _, size in doomed)

    def only_here(self, path: str) -> int:
        try:
            return self._copy_of(path)[1]
        except FileNotFoundError:
            return 0

    def set_aside(self, path: str, aside: str, seen: os.stat_result | None = None) -> bool:
        try:
            key, _ = self._copy_of(path)
        except FileNotFoundError:
            return False
        self._send(f"move {key}", obstore.rename, key, aside)
        self._known.pop(path, None)
        return True

    def keep(self, path: str, aside: str) -> None:
        try:
            key, _ = self._copy_of(path)
            self._send(f"keep {key}", obstore.copy, key, aside)
        except FileNotFoundError:
            return

    def sync_names(self, folders: list[str]) -> None:
        """Nothing to do: everything that a bucket lists is durable."""

    def is_young(self, folder: str) -> bool:
        return False

    # -- requests --

    def _ask(self, action: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function of obstore for this bucket. `action` says in errors what it does."""
        with self._translated(action):
            return called(call, self._store, *arguments, **options)

    def _send(self, action: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """The same for an upload, or for a copy that the service makes."""
        with bucket_errors(self.root, action, self._at):
            return called(call, self._sending, *arguments, **options)

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        with bucket_errors(self.root, action, self._at), reported(self.root):
            yield


def _listed(store: Any, prefix: str) -> Any:
    return obstore.list(store, prefix, chunk_size=1000).collect()


def stored_path(name: str) -> str:
    """The path in objects/ of a file with this name in the trash."""
    return f"objects/packs/{name}" if name.endswith(".pack") else f"objects/blobs/{name[:2]}/{name}"

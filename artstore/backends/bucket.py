"""A bucket (S3, Google Cloud Storage, Azure, and what speaks like them) as storage, over obstore."""

import os
import queue
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from artstore.backends.endpoints import endpoint_of_environment
from artstore.backends.files import hash_file
from artstore.backends.folder import MOST
from artstore.backends.parallel import together
from artstore.domain.digest import Digest, plain_digest, short
from artstore.domain.names import printable
from artstore.domain.redaction import redacted
from artstore.errors import InvalidValue, NoSpace, StorageError, UnknownOutcome, translated

try:
    import obstore
    from obstore import exceptions
    from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store
except ImportError as error:
    raise StorageError(
        "buckets need the package obstore, which is not installed here", hint="`pip install 'artstore[cloud]'` adds it"
    ) from error

T = TypeVar("T")

PART = 32 << 20
"""Bytes of one part of a multipart upload; S3 takes 10,000 parts of 5 MiB to 5 GiB."""
_MOST_PARTS = 9_000
_PIECE = 16 << 20
"""Bytes of one range of a large download."""
_TOGETHER = 8
"""Requests on their way at once."""
_TRIES = 4
_WAITS = (0.2, 1.0, 3.0)
_CLAIM = ".claim"
_BELONGING = ("tmp", "trash")
"""Folders of which each belongs to somebody."""
_NONCE = re.compile(r"[0-9a-f]{16}")
_STORED = re.compile(r"objects/(packs/[0-9a-f]{64}\.pack|blobs/[0-9a-f]{2}/[0-9a-f]{64})")


class BucketStorage:
    """`Storage` over a bucket, or what of it begins with a path.

    A stored file may have several copies, each at a key of its own: `<path>/<nonce>`. `trash/<run>/<name>/<nonce>` is an
    empty object that marks one as taken: absent to who saves, readable to who reads, until its key is deleted. So a copy
    that was marked and is stored again meanwhile is another key, which that deletion can't hit.
    """

    roll_at = 64 << 20
    local = False
    coherent = True
    distant = True

    def __init__(self, url: str, *, scratch: str | None = None) -> None:
        self.root = url.partition("?")[0].rstrip("/")
        endpoint = dict(parse_qsl(url.partition("?")[2])).get("endpoint")
        self._at = f" ({endpoint})" if endpoint else ""
        self._store = store_of(url)
        self._scratch = scratch
        self._lock = threading.Lock()
        self._known: dict[str, list[tuple[str, int]]] = {}
        """stored file → (key, bytes) of its copies that nobody marked, as of the last listing"""

    # -- listings --

    def _list(self, folder: str) -> list[tuple[str, int]]:
        def ask() -> list[Any]:
            with self._translated(f"list {folder}"):
                return list(called(lambda: obstore.list(self._store, f"{folder}/", chunk_size=1000).collect()))

        return [(item["path"], item["size"]) for item in _tried(ask)]

    def _marked(self) -> set[str]:
        """`<name>/<nonce>` of every copy that a collector marked."""
        return {key.split("/", 2)[2] for key, _ in self._list("trash") if key.count("/") == 3}

    def _look(self, *folders: str) -> dict[str, list[tuple[str, int]]]:
        """Stored files at or below these folders, and their copies that are not marked.

        Markers are listed first: a copy that is purged between both listings is then known as marked or absent, never
        taken for there.
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
        with self._lock:  # copying threads look, too
            for path in [path for path in self._known if f"{path}/".startswith(heads)]:
                self._known.pop(path, None)
            self._known.update(found)
        return found

    def names(self, folder: str) -> list[str]:
        if folder == "objects/packs" or folder.startswith("objects/blobs/"):
            return [path.rpartition("/")[2] for path in self._look(folder)]
        if folder.startswith(_BELONGING):
            keys = self._list(folder)  # a server may list a folder long after the last key in it went
            names = dict.fromkeys(key.removeprefix(f"{folder}/").partition("/")[0] for key, _ in keys)
            return [name for name in names if not name.startswith(".")]

        def ask() -> Any:
            with self._translated(f"list {folder}"):
                return called(obstore.list_with_delimiter, self._store, folder)

        found = _tried(ask)
        prefixes = [prefix.rstrip("/") for prefix in found["common_prefixes"]]
        paths = [*(item["path"] for item in found["objects"]), *prefixes]
        return [path.rpartition("/")[2] for path in paths if path != folder]

    def steady_names(self, folder: str) -> list[str]:
        return self.names(folder)

    def folders(self, folder: str) -> list[str]:
        """Those that were claimed."""
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
            return _tried(lambda: self._range(path, offset, MOST if length is None else length))

        def ask() -> bytes:
            with self._translated(f"read {path}"):
                found = called(obstore.get, self._store, path)
                if found.meta["size"] > MOST:
                    raise StorageError(
                        f"{path} at {self.root} has {found.meta['size']} bytes: more than anything of its kind",
                        hint="somebody else put it there; remove it",
                    )
                return bytes(called(found.bytes))

        return _tried(ask)

    def _range(self, key: str, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        with self._translated(f"read {key}"):
            try:
                return bytes(called(obstore.get_range, self._store, key, start=offset, length=length))
            except exceptions.BaseError as error:
                if _status(error) == 416 or "StartTooLarge" in str(error):
                    return b""  # all of it lies behind the end
                raise

    def _whole_range(self, key: str, offset: int, length: int) -> bytes:
        """A range that is known to be there. obstore hands on what it gets, whatever the reply's headers promised."""
        data = b""
        for _ in range(_TRIES):
            data = _tried(lambda: self._range(key, offset, length))
            if len(data) == length:
                return data
        raise StorageError(
            f"{self.root} gives {len(data)} bytes where {length} of {key} were asked for",
            hint="something on the way cuts or changes replies; run the same command again, or over another way",
        )

    def read_many(self, paths: list[str], most: int | None = None) -> list[bytes]:
        return list(together(partial(self.read, length=most), paths, most=_TOGETHER))

    def size(self, path: str) -> int | None:
        if _STORED.fullmatch(path):
            return self.sizes([path]).get(path)
        if path.startswith("trash/"):
            try:
                return self._copy_of(path)[1]
            except FileNotFoundError:
                return None
        try:
            with self._translated(f"look at {path}"):
                return int(called(obstore.head, self._store, path)["size"])
        except FileNotFoundError:
            return None

    def sizes(self, paths: list[str]) -> dict[str, int]:
        """One listing of all, or for a few one each."""
        self._look(*(paths if len(paths) <= _TOGETHER else ("objects",)))
        return {path: self._known[path][0][1] for path in paths if path in self._known}

    def stamp(self, path: str) -> float | None:
        for key in (f"{path}/{_CLAIM}", path):
            try:
                with self._translated(f"look at {path}"):
                    return float(called(obstore.head, self._store, key)["last_modified"].timestamp())
            except FileNotFoundError:
                continue
        return None

    def now(self, *, probe: bool = False) -> float:
        with self._translated("write tmp/.clock"):
            called(obstore.put, self._store, "tmp/.clock", b"", use_multipart=False)
        return self.stamp("tmp/.clock") or 0.0

    def create(self, path: str, data: bytes) -> bool:
        """Asked again after a passing failure: these bytes (an entry's write id is in them) are ours wherever they are."""
        problem: StorageError | None = None
        for wait in (*_WAITS, None):
            try:
                with self._translated(f"write {path}"):
                    called(obstore.put, self._store, path, data, mode="create", use_multipart=False)
                return True
            except FileExistsError:
                try:
                    return self.read(path) == data
                except FileNotFoundError as error:  # a conflict with a request that was still on its way (409)
                    problem = StorageError(f"{path} was being written by another request")
                    problem.__cause__ = error
            except StorageError as error:
                problem = error
                if _is_final(error):
                    raise
            if wait is not None:
                time.sleep(wait)
        try:
            return self.read(path) == data
        except (FileNotFoundError, StorageError):
            raise UnknownOutcome(
                f"{self.root} did not say whether {path} was written: {problem}",
                hint="run the same command again: what was done is found, nothing is done twice",
            ) from problem

    def replace(self, path: str, data: bytes, *, sync: bool = False) -> None:
        with self._translated(f"write {path}"):
            called(obstore.put, self._store, path, data, use_multipart=False)

    def settle(self, folder: str) -> None:
        """What a bucket shows is durable."""

    def remove(self, path: str) -> bool:
        self._delete([path])
        return True

    def _delete(self, keys: list[str]) -> None:
        def ask() -> None:
            with self._translated(f"remove {keys[0]}"):
                try:
                    called(obstore.delete, self._store, keys)
                except FileNotFoundError:
                    pass  # Google and Azure say so, S3 doesn't know

        if keys:
            _tried(ask)

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
        """The folder on this host for files on their way to the bucket, or back."""
        if self._scratch is None:
            self._scratch = tempfile.gettempdir()
        mark = short(plain_digest(self.root.encode()))
        return os.path.join(self._scratch, f"{folder.rpartition('/')[2]}.{mark}")

    def rename_folder(self, folder: str, target: str) -> bool:
        """Marker by marker, the new one first: no copy is unmarked meanwhile."""
        keys = [key for key, _ in self._list(folder)]
        if not keys:
            return False
        rest = [key.removeprefix(f"{folder}/") for key in keys]
        self._mark([f"{target}/{name}" for name in {_CLAIM, *rest}])
        self._delete(keys)
        return True

    def _mark(self, keys: Iterable[str]) -> None:
        def put(key: str) -> None:
            with self._translated(f"write {key}"):
                called(obstore.put, self._store, key, b"", use_multipart=False)

        for _ in together(put, list(keys), most=_TOGETHER):
            pass

    def remove_folder(self, folder: str) -> None:
        self._delete([key for key, _ in self._list(folder)])
        shutil.rmtree(self._here(folder), ignore_errors=True)

    # -- stored files --

    def _copy_of(self, path: str) -> tuple[str, int]:
        """(key, bytes) of a copy to read: of a stored file any, of one in the trash the marked one."""
        for key, size in self._known.get(path, ()):
            return key, size
        name = path.rpartition("/")[2]
        stored = path if path.startswith("objects/") else stored_path(name)
        wanted = None if path == stored else {key.rpartition("/")[2] for key, _ in self._list(path)}
        copies = self._list(stored)
        for key, size in copies:
            if wanted is None or key.rpartition("/")[2] in wanted:
                return key, size
        raise FileNotFoundError(f"{self.root} has no {path}")

    def reader(self, path: str) -> tuple[int, Callable[[int, int], bytes], Callable[[], None]]:
        key, size = self._copy_of(path)

        def read(offset: int, length: int) -> bytes:
            wanted = max(0, min(length, size - offset))
            try:
                return self._whole_range(key, offset, wanted)
            except FileNotFoundError:  # this copy was purged; another may be there
                self._known.pop(path, None)
                return self._whole_range(self._copy_of(path)[0], offset, wanted)

        return size, read, lambda: None

    def open(self, path: str) -> int:
        file = tempfile.TemporaryFile(dir=self._scratch)
        with file:
            self.copy_out(path, file.fileno())
            return os.dup(file.fileno())

    def copy_out(self, path: str, target: int, advance: Callable[[int], None] = lambda n: None) -> tuple[Digest, int]:
        """Fetch a stored file into an open one of ours, several ranges at once; (digest, bytes), hashed as written."""
        key, size = self._copy_of(path)

        def fetch(offset: int) -> None:
            data = memoryview(self._whole_range(key, offset, min(_PIECE, size - offset)))
            done = 0
            with translated(f"write what came from {key}"):
                while done < len(data):
                    done += os.pwrite(target, data[done:], offset + done)
            advance(len(data))

        for _ in together(fetch, list(range(0, size, _PIECE)), most=_TOGETHER):
            pass
        with translated(f"read what came from {key}"):
            return hash_file(target)

    def publish(self, staged: str, path: str) -> bool:
        """By a new copy each time: who asks has looked whether there is one. What a cut reply may have left is such a copy,
        too.
        """
        size = os.path.getsize(staged)
        part = max(PART, -(-size // _MOST_PARTS))
        whole = size <= 2 * PART

        def send() -> str:
            key = f"{path}/{os.urandom(8).hex()}"
            with self._translated(f"write {key}"):
                called(
                    obstore.put, self._store, key, Path(staged),
                    use_multipart=not whole, chunk_size=part, max_concurrency=4,
                )  # fmt: skip
            return key

        key = _tried(send)
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
        """To take away a run's marker would not keep that run from deleting the copy."""
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
        with self._translated(f"move {key}"):
            called(obstore.rename, self._store, key, aside)
        self._known.pop(path, None)
        return True

    def keep(self, path: str, aside: str) -> None:
        try:
            key, _ = self._copy_of(path)
            with self._translated(f"keep {key}"):
                called(obstore.copy, self._store, key, aside)
        except FileNotFoundError:
            return

    def sync_names(self, folders: list[str]) -> None:
        """What a bucket shows is durable."""

    def is_young(self, folder: str) -> bool:
        return False

    # -- errors --

    def _translated(self, action: str) -> AbstractContextManager[None]:
        return bucket_errors(self.root, action, self._at)


@contextmanager
def bucket_errors(root: str, action: str, at: str = "") -> Iterator[None]:
    """obstore's errors as ours; FileNotFoundError and FileExistsError are for the caller."""
    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise FileNotFoundError(f"{root} has no such object") from error
    except exceptions.AlreadyExistsError as error:
        raise FileExistsError(f"{root} has it already") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise _refused(root, action, error) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # obstore's, which no class of its tells
            raise StorageError(f"cannot {action} at {root}: obstore failed: {error}") from error
        if not isinstance(error, exceptions.BaseError):
            raise
        status = _status(error)
        if status in (401, 403):
            raise _refused(root, action, error) from error
        if status == 404:
            raise StorageError(f"cannot {action} at {root}: there is no such bucket", hint=_MAKE) from error
        if status == 507 or "QuotaExceeded" in str(error):
            raise NoSpace(
                f"cannot {action} at {root}: no space left there",
                hint="free some space there and run the same command again: nothing was lost",
            ) from error
        raise StorageError(
            f"cannot {action} at {root}{at}: {_reason(error)}",
            hint="check the network and run the same command again: what arrived is not sent again",
        ) from error


def _refused(root: str, action: str, error: Exception) -> StorageError:
    return StorageError(
        f"{root} refused to let us {action}: {_reason(error)}",
        hint=_LOG_IN if has_credentials() else _NO_CREDENTIALS,
    )


_LOG_IN = "check the credentials (or log in again) and run the same command again"
_NO_CREDENTIALS = (
    "no credentials are set here: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a login) say who you are"
)
_MAKE = "make the bucket first, or mend the URL"
_FINAL = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, exceptions.InvalidPathError)
"""Errors that no second try mends."""


def _is_final(error: StorageError) -> bool:
    """Whether asking again can't help: the server has understood, and refused."""
    status = _status(error.__cause__)
    return isinstance(error.__cause__, _FINAL) or (
        status is not None and 400 <= status < 500 and status not in (408, 409, 412, 429)
    )


def _status(error: BaseException | None) -> int | None:
    """The status that a server answered with, of which obstore tells in its text only."""
    found = re.search(r"status: (\d{3})\b", str(error))
    return int(found[1]) if found else None


_KINDS = {
    "Timeout": "it did not answer in time",
    "Connect": "it can't be reached",
    "Interrupted": "the connection was cut",
}


def _reason(error: Exception) -> str:
    """What went wrong, in a few words: without obstore's dump, which holds URLs and replies."""
    text = str(error)
    if (status := _status(error)) is not None:
        code = re.search(r"<Code>(\w+)</Code>", text)
        return f"it answered {status}" + (f" ({code[1]})" if code else "")
    if kind := re.search(r"kind: (\w+)", text):
        return _KINDS.get(kind[1], "the connection failed")
    return printable(text.split("\n")[0][:200])


def called(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """A call of obstore, which hears no signal while a server is silent: the main thread waits for another's."""
    if threading.current_thread() is not threading.main_thread():
        return call(*arguments, **options)
    answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put((call(*arguments, **options), None))
        except BaseException as error:
            answer.put((None, error))

    threading.Thread(target=ask, daemon=True).start()
    found, error = answer.get()
    if error is not None:
        raise error
    return found


def _tried(ask: Callable[[], T]) -> T:
    """What only reads is asked again: obstore gives up on a reply that was cut."""
    for wait in _WAITS:
        try:
            return ask()
        except StorageError as error:
            if _is_final(error):
                raise
            time.sleep(wait)
    return ask()


def stored_path(name: str) -> str:
    """Where a file of the trash was stored."""
    return f"objects/packs/{name}" if name.endswith(".pack") else f"objects/blobs/{name[:2]}/{name}"


_BY_ENVIRONMENT = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use the service's own login"
_memories: dict[str, Any] = {}
"""Buckets of this process's memory, by name."""


def is_askable(key: str) -> bool:
    """Whether obstore asks for just this key: it strips or refuses those that have empty parts and the like."""
    return not re.search(r"[\x00-\x1f\x7f]", key) and all(part not in ("", ".", "..") for part in key.split("/"))


def store_of(url: str) -> Any:
    """obstore's store for a URL: its path is taken as it is, up to a `?`. Credentials come from the environment and the
    services' own chain, never from here.
    """
    place, _, query = url.partition("?")
    scheme, _, path = place.partition("://")
    scheme, (bucket, _, prefix) = scheme.lower(), path.partition("/")
    prefix = prefix.strip("/")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if "@" in bucket:
        raise InvalidValue(
            f"'{printable(bucket.rpartition('@')[2])}' stands behind credentials: a URL must not hold any",
            hint=_BY_ENVIRONMENT,
        )
    if not bucket:
        raise InvalidValue(f"'{printable(url)}' names no bucket", hint=f"{scheme}://BUCKET/PATH does")
    if strange := re.search(r"[^\w.:$-]", bucket, re.ASCII):
        raise InvalidValue(
            f"'{printable(strange[0])}' can't be in a bucket's name", hint=f"{scheme}://BUCKET/PATH names a bucket"
        )
    if prefix and not is_askable(prefix):
        raise InvalidValue(
            f"'{printable(prefix)}' can't be a path in a bucket: it has an empty part, '.', '..' or a control character"
        )
    if unknown := sorted(options.keys() - {"endpoint", "region"}):
        raise InvalidValue(f"'{printable(unknown[0])}' is no option of a bucket's URL", hint="endpoint and region are")
    retry = {"max_retries": 6, "retry_timeout": timedelta(minutes=3)}
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(minutes=2),
        "timeout": timedelta(minutes=15),
    }
    common: dict[str, Any] = {"prefix": prefix or None, "retry_config": retry, "client_options": client}
    endpoint = options.get("endpoint") or endpoint_of_environment()
    if ("endpoint" in options or endpoint) and not re.match(r"https?://[^/]", endpoint or ""):
        given = printable(redacted(endpoint or ""))
        raise InvalidValue(f"endpoint '{given}' is no URL", hint=f"http://{given} or https://{given} is")
    if re.match(r"https?://[^/?#]*@", endpoint or ""):
        raise InvalidValue("the endpoint stands behind credentials: a URL must not hold any", hint=_BY_ENVIRONMENT)
    if not re.fullmatch(r"[A-Za-z0-9-]*", options.get("region", "")):  # it becomes part of the service's address
        raise InvalidValue(f"'{printable(options['region'])}' is not a region", hint="a region looks like eu-central-1")
    if scheme == "memory":
        return _memories.setdefault(f"{bucket}/{prefix}", MemoryStore())
    if scheme == "gs":
        return GCSStore(bucket, **common)
    if scheme == "az":
        return AzureStore(bucket, **common)
    if endpoint:
        client["allow_http"] = endpoint.startswith("http://")
        common["endpoint"] = endpoint
    if region := options.get("region") or ("us-east-1" if endpoint else None):
        common["region"] = region
    return S3Store(bucket, **common, **_credentials())


def has_credentials() -> bool:
    """Whether the environment holds any; a machine's own login may do without."""
    return any(
        name.startswith(("AWS_ACCESS", "AWS_PROFILE", "AWS_WEB", "AWS_CONTAINER", "GOOGLE_", "AZURE_"))
        for name in os.environ
    )


def _credentials() -> dict[str, Any]:
    """AWS profiles and logins are boto3's to read; without it obstore asks the environment and the machine."""
    if os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_SKIP_SIGNATURE"):
        return {}
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except Exception:
        return {}

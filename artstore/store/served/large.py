"""The large blobs of a served remote: each is downloaded alone, and hashed as it arrives."""

import http.client
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Protocol

from blake3 import blake3

from artstore.backends.files import write_fully
from artstore.backends.served.answers import Foreign
from artstore.backends.served.client import Client, CutOff, Sent, query
from artstore.domain.digest import BLOB, Digest, ObjectKind, short
from artstore.domain.wire import Through
from artstore.errors import Damage, DamagedObject, MissingObject, NotFound, StorageError, translated
from artstore.store.content import Content, FileContent
from artstore.store.verified import VerifiedNotes

_WAITS = (0.3, 1.0, 3.0)
"""Seconds before what is left of a blob is asked for again."""
_BY_PROXY = "X-Accel-Redirect"
"""The header with which a server tells the proxy in front of it to send a file."""


class Asked(Protocol):
    """The objects of the same remote, which know through what they may be asked for."""

    def ask(self, wanted: Mapping[Digest, ObjectKind | None]) -> Iterator[tuple[ObjectKind, Digest, bytes | int]]: ...
    def holders(self) -> list[tuple[str, str | None]]: ...
    def has_through(self, through: Through, digests: list[Digest]) -> set[Digest]: ...


class ServedLarge:
    """The large blobs of a served remote. Any thread may call `copy`."""

    def __init__(self, client: Client, objects: Asked) -> None:
        self._client = client
        self._objects = objects
        self._holders: dict[Digest, tuple[str, str | None]] = {}
        """the version, or the log, through which each blob is asked for"""

    def sizes(self, digests: list[Digest]) -> dict[Digest, int]:
        """The size in bytes of each of these blobs that is there, and through what, for `copy`."""
        asked = self._objects.ask(dict.fromkeys(digests, BLOB)) if digests else ()
        found = {digest: size for _, digest, size in asked if isinstance(size, int)}
        unknown, holders = [digest for digest in found if digest not in self._holders], self._objects.holders()
        if sum(id is not None for _, id in holders) == 1:
            self._holders.update(dict.fromkeys(unknown, holders[0]))  # most probably: `copy` looks again
        else:
            self._locate(unknown, holders)
        return found

    def readable(self, digests: Set[Digest]) -> dict[Digest, int]:
        """See `sizes`."""
        return self.sizes(list(digests))

    def _locate(self, digests: list[Digest], holders: list[tuple[str, str | None]]) -> None:
        """Find out through which version each blob can be had: by halves, because a download names one version."""
        if not digests or not holders:
            return
        if len(holders) == 1:
            self._holders.update(dict.fromkeys(digests, holders[0]))
            return
        half = holders[: len(holders) // 2]
        inside = self._objects.has_through([(folder, [id] if id else []) for folder, id in half], digests)
        self._locate([digest for digest in digests if digest in inside], half)
        self._locate([digest for digest in digests if digest not in inside], holders[len(half) :])

    def copy(
        self, digest: Digest, size: int, target: int, advance: Callable[[int], None], *, there: int | None = None
    ) -> tuple[Digest, int]:
        """Download a large blob into an open file. Returns (digest, bytes) of what was written.

        After a connection that broke, the rest is asked for. Raises MissingObject, and DamagedObject for another size.
        """
        if digest not in self._holders:
            there = self.sizes([digest]).get(digest)
            if there is None:
                raise MissingObject(f"blob {short(digest)} is missing from {self._client.what}")
        if there is not None and there != size:
            raise DamagedObject(f"blob {short(digest)} in {self._client.what} has {there} bytes instead of {size}")
        hasher, done, looked = blake3(), 0, set[Digest]()
        for wait in (*_WAITS, None):
            before = done
            try:
                with self._opened(digest, done) as answer:
                    if answer.length is not None and answer.length != size - done:
                        actual = done + answer.length
                        raise DamagedObject(
                            f"blob {short(digest)} in {self._client.what} has {actual} bytes instead of {size}"
                        )
                    for piece in self._client.pieces(answer):
                        if done + len(piece) > size:
                            raise DamagedObject(f"{self._client.what} sent more than blob {short(digest)} has")
                        with translated("write a downloaded blob"):
                            write_fully(target, piece)
                        hasher.update(piece)
                        done += len(piece)
                        advance(len(piece))
                if done < size:
                    raise self._client.cut_off()
                return Digest(hasher.digest()), done
            except CutOff:
                if done == size:  # only the end of the answer was lost
                    return Digest(hasher.digest()), done
                if wait is None or (done == before and done):
                    raise
                time.sleep(wait)
            except Foreign as error:
                raise self._not_sent("what is in front of it doesn't find or open them") from error
            except NotFound as error:
                if digest not in looked:
                    looked.add(digest)
                    self._locate([digest], self._objects.holders())
                    continue
                raise MissingObject(f"blob {short(digest)} is missing from {self._client.what}") from error
        raise AssertionError

    @contextmanager
    def _opened(self, digest: Digest, start: int) -> Iterator[http.client.HTTPResponse]:
        """The answer with a blob's bytes from an offset on: the server's, or that of the bucket to which it redirects."""
        folder, id = self._holders[digest]
        path = query(f"/blobs/{digest.hex()}", log=folder, **({"id": id} if id else {}))
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._client.asked("GET", path, Sent(headers=headers), good=(200, 206, 302, 416)) as answer:
            if answer.status != 302:
                if answer.status == 416:
                    message = f"blob {short(digest)} in {self._client.what} ends before byte {start}"
                    raise DamagedObject(message)
                if answer.headers.get(_BY_PROXY) is not None:
                    raise self._not_sent(f"what is in front of it passes on {_BY_PROXY} instead of the file")
                if answer.status != (206 if start else 200):
                    raise Damage(f"{self._client.what} answered with another part of blob {short(digest)}")
                yield answer
                return
            location = answer.headers.get("Location", "")
            self._client.whole(answer)
        with self._client.elsewhere(location, start) as answer:
            yield answer

    def _not_sent(self, why: str) -> StorageError:
        """The error for a proxy that should send large files itself, and doesn't."""
        hint = "who runs the server can correct its proxy, or leave out `serve --accel`"
        return StorageError(f"{self._client.what} doesn't send large files: {why}", hint=hint)

    def open(self, digest: Digest, size: int) -> Content:
        """A blob that was downloaded into a file without a name, and checked."""
        with tempfile.TemporaryFile(buffering=0) as file:
            if self.copy(digest, size, file.fileno(), lambda n: None) != (digest, size):
                raise DamagedObject(f"{self._client.what} sent blob {short(digest)} with other bytes than it has")
            return _Downloaded(os.dup(file.fileno()), digest, path="", notes=VerifiedNotes(None), aside=lambda *_: None)

    def read(self, digest: Digest, size: int) -> bytes:
        """A large blob, checked."""
        with self.open(digest, size) as content:
            return content.read(0, size)


class _Downloaded(FileContent):
    def verify(self) -> None:
        """Nothing: it was hashed when it arrived."""

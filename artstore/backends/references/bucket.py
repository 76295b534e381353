"""References to objects in buckets: `s3://BUCKET/KEY`, or all objects below a prefix; also `gs://`, `az://`."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from artstore.backends.bucket import obstore
from artstore.backends.bucket.answers import ODD, odd_key
from artstore.backends.bucket.calls import bucket_errors, called
from artstore.backends.bucket.opening import is_askable, kept_store_of, service_of
from artstore.backends.parallel import reported, together
from artstore.backends.references import Reference, Target, changed, plain_tag
from artstore.backends.references.keys import name_in, uri_of
from artstore.domain.names import printable
from artstore.domain.tree import ETAG, URI
from artstore.errors import InvalidValue, MissingReference, SourceError, StorageError

_BESIDE = "rename that object, or reference the folders and objects beside it one by one; nothing was added"
_TOGETHER = 8
"""Most requests at once."""


class _Named:
    """The bucket, and the key or prefix in it, that a URI names.

    Only the environment says where the service is: an endpoint in a version could send credentials to an attacker.
    """

    def __init__(self, uri: str) -> None:
        self.bucket, self.key, options = name_in(uri)
        self.version = options.pop("versionid", "") or None
        if options:
            raise InvalidValue(
                f"'{printable(min(options))}' is not an option of a reference to a bucket: versionId is",
                hint="AWS_ENDPOINT_URL and AWS_REGION in the environment say where the service is",
            )
        if self.key and not is_askable(self.key.removesuffix("/")):
            raise InvalidValue(
                f"the key '{printable(self.key)}' can't be referenced: it has an empty part, '.', '..' or a control "
                "character",
                hint="copy the object to another key, or download it and add the file",
            )
        self._at = service_of(self.bucket)

    @cached_property
    def store(self) -> Any:
        return kept_store_of(self.bucket)

    @contextmanager
    def asking(self, action: str) -> Iterator[None]:
        """Translate errors of a request, and report a long wait."""
        with bucket_errors(self.bucket, action, self._at), reported(self.bucket):
            yield

    def head(self, key: str, version: str | None = None) -> Any:
        with self.asking(f"look at {key}"):
            if version is None:
                return called(obstore.head, self.store, key)
            return called(obstore.get, self.store, key, options={"version": version, "head": True}).meta

    def look(self, key: str) -> Any:
        """The metadata of an object, or None if there is no such object."""
        try:
            return self.head(key)
        except FileNotFoundError:
            return None

    def below(self, folder: str) -> dict[str, Any]:
        """The metadata of each object below a folder, by key.

        Some tools mark a folder by an empty object whose key ends in `/`. obstore removes this `/` in listings, so each
        object that may be such a marker is asked for by its key.
        """

        def ask() -> list[Any]:
            return list(called(lambda: obstore.list(self.store, folder or None, chunk_size=1000).collect()))

        try:
            with self.asking(f"list {folder}"):
                listed = [item for item in ask() if not folder or item["path"].startswith(f"{folder}/")]
        except StorageError as error:
            if error.__cause__ is None or (key := odd_key(error.__cause__)) is None:
                raise
            what = f"{self.bucket}/{printable(key)}"
            raise SourceError(
                f"{what} can't be referenced", problems=[(what, f"its key has {ODD}")], hint=_BESIDE
            ) from error
        times = Counter(item["path"] for item in listed)
        found = {item["path"]: item for item in sorted(listed, key=lambda item: item["path"])}
        found |= self.asked([key for key, item in found.items() if item["size"] == 0 or times[key] > 1])
        return {key: item for key, item in found.items() if item is not None}

    def asked(self, keys: list[str]) -> dict[str, Any]:
        """The metadata of each of these objects, or None if it isn't there."""
        return dict(zip(keys, together(self.look, keys, most=_TOGETHER), strict=True))


class BucketHandler:
    """Identifies content by its ETag, and by its version's id if the bucket keeps versions.

    Without `checksum` the bucket is not contacted, and each URI is one object.

    Credentials come from the environment or the service's own login.
    """

    def find(self, uri: str, *, checksum: bool) -> Iterator[Target]:
        named = _Named(uri)
        if checksum:
            yield from self._found(named, uri)
        else:
            where = uri_of(named.bucket, named.key)
            yield Target("", Reference(where, None, URI, where, named.version))

    def _found(self, named: _Named, uri: str) -> Iterator[Target]:
        folder, single = named.key.removesuffix("/"), None
        if named.key and not named.key.endswith("/"):
            try:
                single = named.head(named.key, named.version)
            except FileNotFoundError:
                pass  # it may be a prefix
        # An empty object may only mark a folder. Then there are objects below it.
        found = {} if named.version or (single and single["size"]) else named.below(folder)
        if found:
            yield from self._targets(named, f"{folder}/" if folder else "", found)
        elif single:
            yield Target("", _reference(named, named.key, single, named.version))
        else:
            raise SourceError(f"{printable(uri)} names no object", problems=[(uri, "nothing is there")])

    def _targets(self, named: _Named, prefix: str, found: dict[str, Any]) -> Iterator[Target]:
        """The targets for listed objects. Listings have no versions: if the first object has one, each is asked for."""
        if (named.look(next(iter(found))) or {}).get("version"):
            found = {key: item for key, item in named.asked([*found]).items() if item is not None}
        for key, item in found.items():
            yield Target(key.removeprefix(prefix), _reference(named, key, item, None))

    def read(self, reference: Reference) -> Iterator[bytes]:
        named = _Named(reference.uri)
        reply = _reply(named, named.key, reference)
        if reference.check == ETAG and not _fits(reply, reference):
            # Older references have percent-encoded keys: if the decoded key has the ETag, it is the referenced object.
            earlier = unquote(named.key)
            other = _reply(named, earlier, reference) if earlier != named.key and is_askable(earlier) else None
            reply = other if _fits(other, reference) else reply
        if reply is None:
            raise MissingReference(f"{printable(reference.uri)} is not there any more")
        if reference.check == ETAG and not _fits(reply, reference):
            raise changed(reference, f"its ETag is {printable(plain_tag(reply.meta.get('e_tag')))} now")
        pieces = iter(reply.stream(min_chunk_size=1 << 20))
        while (piece := _next(named, pieces)) is not None:
            yield bytes(piece)


def _next(named: _Named, pieces: Iterator[Any]) -> Any:
    with named.asking(f"read {named.key}"):
        return called(next, pieces, None)


def _reply(named: _Named, key: str, reference: Reference) -> Any:
    """The bucket's reply for an object, or None if it isn't there."""
    options = {"version": reference.version} if reference.version else None
    try:
        with named.asking(f"read {key}"):
            return called(obstore.get, named.store, key, options=options)
    except FileNotFoundError:
        return None


def _fits(reply: Any, reference: Reference) -> bool:
    return reply is not None and plain_tag(reply.meta.get("e_tag")) == reference.text


def _reference(named: _Named, key: str, meta: Any, version: str | None) -> Reference:
    uri, tag = uri_of(named.bucket, key), plain_tag(meta.get("e_tag"))
    return Reference(uri, meta["size"], *((ETAG, tag) if tag else (URI, uri)), version or meta.get("version") or None)

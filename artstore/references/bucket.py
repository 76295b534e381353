"""References to objects in buckets: `s3://BUCKET/KEY`, or all below a prefix; `gs://`, `az://`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import obstore

from artstore.errors import InvalidValue, MissingReference, SourceError
from artstore.names import printable
from artstore.references import Reference, Target, changed
from artstore.storage.bucket import bucket_errors, called, store_of
from artstore.tree import ETAG, URI

_TOGETHER = 8
"""Requests on their way at once."""


class _Place:
    """A bucket, and a key or prefix in it, as a URI names them. Where the service is, the environment alone says: who could
    name it in a version could have credentials sent there.
    """

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        query = parse_qs(parts.query)
        self.version: str | None = query.pop("versionId", [None])[0]
        if query:
            raise InvalidValue(
                f"'{printable(min(query))}' is no option of a reference to a bucket: versionId is",
                hint="AWS_ENDPOINT_URL and AWS_REGION in the environment say where the service is",
            )
        self.bucket = f"{parts.scheme.lower()}://{parts.netloc}"
        self.key = unquote(parts.path).lstrip("/")
        self.store = store_of(self.bucket)

    def uri(self, key: str) -> str:
        return f"{self.bucket}/{quote(key)}"

    def head(self, key: str, version: str | None = None) -> Any:
        with bucket_errors(self.bucket, f"look at {key}"):
            if version is None:
                return called(obstore.head, self.store, key)
            return called(obstore.get, self.store, key, options={"version": version, "head": True}).meta

    def below(self, prefix: str) -> list[Any]:
        def ask() -> list[Any]:
            return list(called(lambda: obstore.list(self.store, prefix or None, chunk_size=1000).collect()))

        with bucket_errors(self.bucket, f"list {prefix}"):
            return sorted((item for item in ask() if not item["path"].endswith("/")), key=lambda item: item["path"])


class BucketHandler:
    """Content is told by the ETag, and by the version's id where the bucket keeps versions. Credentials come from the
    environment or the service's own login.
    """

    def find(self, uri: str, *, checksum: bool) -> Iterator[Target]:
        place = _Place(uri)
        for target in self._found(place, uri):
            where = target.reference.uri
            yield target if checksum else Target(target.path, Reference(where, None, URI, where, None))

    def _found(self, place: _Place, uri: str) -> Iterator[Target]:
        if place.key and not place.key.endswith("/"):
            try:
                meta = place.head(place.key, place.version)
            except FileNotFoundError:
                pass  # then it is a prefix, or nothing
            else:
                yield Target("", _reference(place, place.key, meta, place.version))
                return
        prefix = place.key.rstrip("/") + "/" if place.key else ""
        found = place.below(prefix.rstrip("/"))
        found = [item for item in found if item["path"].startswith(prefix)]
        if not found:
            raise SourceError(f"{printable(uri)} names no object", problems=[(uri, "nothing is there")])
        yield from self._targets(place, prefix, found)

    def _targets(self, place: _Place, prefix: str, found: list[Any]) -> Iterator[Target]:
        """A listing tells no versions: where the first object has one, each is asked for."""
        if place.head(found[0]["path"]).get("version"):
            with ThreadPoolExecutor(_TOGETHER) as pool:
                found = list(pool.map(lambda item: {**place.head(item["path"]), "path": item["path"]}, found))
        for item in found:
            yield Target(item["path"].removeprefix(prefix), _reference(place, item["path"], item, None))

    def read(self, reference: Reference) -> Iterator[bytes]:
        place = _Place(reference.uri)
        options: dict[str, Any] = {"version": reference.version} if reference.version else {}
        try:
            with bucket_errors(place.bucket, f"read {place.key}"):
                reply = called(obstore.get, place.store, place.key, options=options or None)
        except FileNotFoundError as error:
            raise MissingReference(f"{printable(reference.uri)} is not there any more") from error
        with bucket_errors(place.bucket, f"read {place.key}"):
            tag = _tag(reply.meta)
            if reference.check == ETAG and tag != reference.text:
                raise changed(reference, f"its ETag is {printable(tag)} now")
            pieces = iter(reply.stream(min_chunk_size=1 << 20))
            while (piece := called(next, pieces, None)) is not None:
                yield bytes(piece)


def _tag(meta: Any) -> str:
    tag = str(meta.get("e_tag") or "")
    return tag[1:-1] if tag.startswith('"') and tag.endswith('"') and len(tag) > 1 else tag


def _reference(place: _Place, key: str, meta: Any, version: str | None) -> Reference:
    uri, tag = place.uri(key), _tag(meta)
    return Reference(uri, meta["size"], *((ETAG, tag) if tag else (URI, uri)), version or meta.get("version") or None)

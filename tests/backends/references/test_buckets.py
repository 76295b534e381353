"""References to objects in buckets: ETags, versions, prefixes, and keys with any character."""

import os
import time
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import artstore as wandb
from artstore.backends.references.keys import name_in, uri_of
from artstore.errors import (
    ArtstoreError,
    ChangedReference,
    InvalidValue,
    SourceError,
    StorageError,
)
from tests.support.artifacts import draft, log, paths
from tests.support.commands import Cli
from tests.support.references import files, logged, referring, stored_bytes
from tests.support.servers import SeaweedFS, ask_signed, authorization
from tests.support.web import MIB


class Bucket:
    def __init__(self, server: SeaweedFS, name: str) -> None:
        self.server, self.name = server, name
        server.make_bucket(name)

    def put(self, key: str, data: bytes) -> None:
        import obstore

        obstore.put(self._store(), key, data)

    def delete(self, key: str) -> None:
        import obstore

        obstore.delete(self._store(), key)

    def _store(self) -> Any:
        from obstore.store import S3Store

        return S3Store(
            self.name, endpoint=self.server.endpoint, region=self.server.region,
            access_key_id=self.server.access_key, secret_access_key=self.server.secret_key,
            client_options={"allow_http": True},
        )  # fmt: skip

    def uri(self, key: str = "") -> str:
        return f"s3://{self.name}/{key}"


@pytest.fixture
def bucket(server: SeaweedFS, here: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket that the environment leads to."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    return Bucket(server, f"b{os.urandom(6).hex()}")


def test_an_object_is_known_by_its_etag(bucket: Bucket) -> None:
    bucket.put("deep/below/f.bin", b"x" * 3 * MIB)
    artifact = logged(bucket.uri("deep/below/f.bin"))
    entry = artifact.get_entry("f.bin")
    assert (entry.size, entry.ref) == (3 * MIB, bucket.uri("deep/below/f.bin")) and entry.extra["etag"] == entry.digest
    assert files(artifact.download("out")) == {"f.bin": b"x" * 3 * MIB}


def test_all_below_a_prefix_keeps_its_path_there(bucket: Bucket) -> None:
    names = ["a", "sub/b", "sub/deep/c", "with space", "ü", "100%.txt", "q?x#y", "sub.txt"]
    for name in names:
        bucket.put(f"pre/{name}", name.encode())
    bucket.put("prefix/not", b"not below it")
    expected = {name: name.encode() for name in names}
    for number, uri in enumerate([bucket.uri("pre"), bucket.uri("pre/")]):
        artifact = logged(uri, name=f"data{number}")
        assert files(artifact.download(f"out{number}")) == expected
    assert len(referring().add_reference(bucket.uri())) == len(names) + 1
    with pytest.raises(ValueError, match="more than 3 objects"):
        referring().add_reference(bucket.uri("pre"), max_objects=3)


def test_a_bucket_or_key_that_is_not_there_is_refused(bucket: Bucket) -> None:
    artifact = draft()
    for key in ("none", "none/"):
        with pytest.raises(SourceError, match="names no object"):
            artifact.add_reference(bucket.uri(key))
    with pytest.raises(ArtstoreError):
        artifact.add_reference("s3://no-such-bucket-here/f")
    assert paths(artifact) == ["f"]


def test_an_object_that_changed_or_went_is_an_error(bucket: Bucket, here: Path) -> None:
    bucket.put("f", b"1")
    artifact = logged(bucket.uri("f"))
    bucket.put("f", b"2")
    with pytest.raises(ChangedReference, match="ETag is"):
        artifact.download("out")
    bucket.delete("f")
    with pytest.raises(FileNotFoundError, match="is not there any more"):
        artifact.download("out")
    assert not (here / "out").exists()
    with pytest.warns(UserWarning):
        assert files(artifact.download("out", allow_missing_references=True)) == {}


def test_a_version_of_an_object_is_fetched_when_it_is_not_the_newest_any_more(bucket: Bucket) -> None:
    if not _keep_versions(bucket):
        pytest.skip("this server keeps no versions")
    bucket.put("f", b"first")
    bucket.put("pre/g", b"below")
    artifact = logged(bucket.uri("f"))
    below = logged(bucket.uri("pre"), name="below")
    bucket.put("f", b"second")
    bucket.put("pre/g", b"another")
    assert "versionID" in artifact.get_entry("f").extra and "versionID" in below.get_entry("g").extra
    assert files(artifact.download("out")) == {"f": b"first"} and files(below.download("out2")) == {"g": b"below"}
    old = artifact.get_entry("f").extra["versionID"]
    named = logged(bucket.uri(f"f?versionId={old}"), name="named")
    assert named.get_entry("f").extra["versionID"] == old and files(named.download("out3")) == {"f": b"first"}


def _keep_versions(bucket: Bucket) -> bool:
    """Switch versioning on; whether the server does."""
    import hashlib
    import http.client

    body = b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>'  # fmt: skip
    host = bucket.server.endpoint.removeprefix("http://")
    path = f"/{bucket.name}?versioning"
    headers = {
        "host": host,
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
    }
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("PUT", path, body, headers | {"authorization": authorization("PUT", path, headers)})
        if connection.getresponse().status != 200:
            return False
    finally:
        connection.close()
    return b"Enabled" in ask_signed(bucket.server.endpoint, "GET", path)[1]


def test_wrong_credentials_are_a_sentence_without_them_and_are_stored_nowhere(
    bucket: Bucket, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("f", b"1")
    artifact = logged(bucket.uri("f"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-is-wrong")
    with pytest.raises(StorageError, match="refused to let us") as error:
        artifact.download("out", allow_missing_references=True)
    with pytest.raises(StorageError, match="refused to let us"):
        draft("other").add_reference(bucket.uri("f"))
    assert "hunter2" not in f"{error.value} {error.value.hint}"
    everything = stored_bytes(here / ".artifacts")
    assert b"hunter2" not in everything and b"access" not in everything.replace(b"accessed", b"")


def test_an_empty_object_that_marks_a_folder_is_that_folder(bucket: Bucket) -> None:
    bucket.put("marked", b"")
    bucket.put("alone", b"")
    bucket.put("full", b"1")
    for key in ("marked/f", "full/f"):
        bucket.put(key, b"22")
    assert paths(referring(bucket.uri("marked"))) == ["f"]
    assert paths(referring(bucket.uri("alone"))) == ["alone"] and paths(referring(bucket.uri("full"))) == ["full"]


KEYS = [
    "a b.txt", "a%20b.txt", "a#b", "a?b", "a+b", "ü/é", "100%", "%zz", "a%2Fb", "a&b=c", " lead", "trail ", "[x]{y}", "ab:c@d",
    "d/a%20b", "d/a b", "n?versionId=7", "n?endpoint=x", "n?region=x?y", "n#12", "a'b\"c`d", "~", "a;b,c", "😀",
]  # fmt: skip


def test_a_key_is_what_stands_behind_the_bucket_and_comes_back_as_it_is(bucket: Bucket) -> None:
    for key in KEYS:
        bucket.put(key, key.encode())
    single, whole = wandb.Artifact("single"), logged(bucket.uri(), name="whole")
    for number, key in enumerate(KEYS):
        uri = whole.get_entry(key).ref_target()
        (entry,) = single.add_reference(uri, f"{number}")
        assert entry.ref == entry.ref_target() == uri and entry.size == len(key.encode())
        assert uri.removesuffix("?versionId=") == bucket.uri(key)
        (own,) = referring().add_reference(uri)
        assert own.path == key.rpartition("/")[2]
    assert files(log(single).download("single")) == {f"{number}": key.encode() for number, key in enumerate(KEYS)}
    assert files(whole.download("whole")) == {key: key.encode() for key in KEYS}


def test_only_keys_that_look_like_ones_with_options_are_spelled_otherwise_than_they_are(bucket: Bucket) -> None:
    for key in KEYS:
        bucket.put(f"p/{key}", b"1")
    uris = [entry.ref_target() for entry in referring().add_reference(bucket.uri("p/"))]
    plain = {bucket.uri(f"p/{key}") for key in KEYS}
    assert {uri.removesuffix("?versionId=") for uri in uris} == plain
    assert sorted(uri.rpartition("/p/")[2] for uri in set(uris) - plain) == [
        "n?endpoint=x?versionId=", "n?region=x?y?versionId=", "n?versionId=7?versionId=",
    ]  # fmt: skip


@given(st.sampled_from(["s3", "gs", "az"]), st.text("ab/#?%=&:1 ü", max_size=12) | st.sampled_from(KEYS), st.lists(st.sampled_from(["?versionId=", "?region=", "#1", "?endpoint=x&versionid=y"]), max_size=3))  # fmt: skip
def test_every_key_has_a_uri_that_names_it(scheme: str, key: str, endings: list[str]) -> None:
    key = key + "".join(endings)
    place, found, options = name_in(uri_of(f"{scheme}://bucket", key))
    assert (place, found) == (f"{scheme}://bucket", key) and options in ({}, {"versionid": ""})


def test_a_generation_is_named_behind_a_key_in_google_storage_alone() -> None:
    assert name_in("gs://b/a#1234")[1:] == ("a", {"versionid": "1234"})
    assert name_in("s3://b/a#1234")[1:] == ("a#1234", {}) and name_in("gs://b/a#x")[1:] == ("a#x", {})
    assert name_in("s3://b/a%20b?versionId=x")[1:] == name_in("az://b/a%20b?versionid=x")[1:] == ("a%20b", {"versionid": "x"})  # fmt: skip


def test_the_command_line_and_paths_take_keys_as_they_are(bucket: Bucket, here: Path, cli: Cli) -> None:
    import fsspec

    leading = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    for key in ("a b.txt", "a%20b.txt", "a#b", "a?b"):
        bucket.put(key, key.encode())
        assert cli("put", bucket.uri(key), "-n", "data", cwd=here, **leading).code == 0
        assert cli("cat", "data", key, cwd=here, **leading).out == key
        assert cli("get", "data", "--root", key, cwd=here, **leading).code == 0
        assert files(key) == {key: key.encode()}
        with fsspec.open(f"artstore://data:latest/{key}") as file:
            assert file.read() == key.encode()
    assert bucket.uri("a?b") in cli("ls", "data:latest", "--json", cwd=here).out


def test_a_key_that_was_stored_percent_encoded_is_still_fetched(tmp_path: Path, forged: Any, bucket: Bucket) -> None:
    bucket.put("d/a b.txt", b"1")
    tag = referring(bucket.uri("d/a b.txt")).manifest.entries["a b.txt"].digest
    older = (b"f", 4, 1, bucket.uri("d/a%20b.txt"), "etag", tag, None)
    with forged(older) as repository:
        assert files(repository.get(repository.find("bad"), str(tmp_path / "out")).root) == {"f": b"1"}
        bucket.put("d/a%20b.txt", b"2")
        assert files(repository.get(repository.find("bad"), str(tmp_path / "out2")).root) == {"f": b"1"}


def test_a_key_that_was_referenced_is_never_taken_for_its_decoded_neighbour(bucket: Bucket) -> None:
    bucket.put("a%20b", b"1")
    bucket.put("a b", b"2")
    known, unknown = logged(bucket.uri("a%20b")), logged(bucket.uri("a%20b"), name="unknown", checksum=False)
    bucket.delete("a%20b")
    for artifact in (known, unknown):
        with pytest.raises(FileNotFoundError, match="is not there any more"):
            artifact.download("out")


def test_marks_of_folders_are_no_objects_and_empty_objects_are(bucket: Bucket) -> None:
    bucket.put("d/f", b"1")
    bucket.put("d/empty", b"")
    for mark in ("d/", "d/sub/", "only/"):
        status, _ = ask_signed(bucket.server.endpoint, "PUT", f"/{bucket.name}/{mark}")
        assert status == 200
    assert files(logged(bucket.uri("d/")).download("out")) == {"f": b"1", "empty": b""}
    with pytest.raises(SourceError, match="names no object"):
        referring(bucket.uri("only/"))


@pytest.mark.parametrize("key", ["a//b", "/a", "a/../b", "./a", "a//"])
def test_a_key_that_can_not_be_asked_for_is_refused_and_no_other_taken(bucket: Bucket, key: str) -> None:
    for other in ("a", "b", "a/b"):
        bucket.put(other, b"1")
    with pytest.raises(InvalidValue, match=r"the key '.*' can't be referenced: it has an empty part"):
        referring(bucket.uri(key))


def test_a_version_of_what_is_not_there_is_not_the_newest_of_all_below_it(bucket: Bucket) -> None:
    bucket.put("pre/a", b"1")
    for key in ("pre", "pre/"):
        with pytest.raises(SourceError, match="names no object"):
            referring(bucket.uri(f"{key}?versionId=x"))


@pytest.mark.parametrize("name", ["b#x", "b x", "b%20"])
def test_what_is_no_name_of_a_bucket_is_refused(here: Path, name: str) -> None:
    with pytest.raises(InvalidValue, match="can't be in a bucket's name"):
        draft().add_reference(f"s3://{name}/key")

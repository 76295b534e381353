"""References to pages of web servers: ETags, redirects, refusals, broken replies, credentials."""

import gc
import time
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from artstore.backends.references import Reference, http
from artstore.domain.tree import URI
from artstore.errors import (
    ArtstoreError,
    ChangedReference,
    Damage,
    InvalidValue,
    SourceError,
    StorageError,
)
from tests.support.artifacts import again, draft, log, paths
from tests.support.references import files, leftovers, logged, referring, stored_bytes
from tests.support.web import MIB, Web
from tests.support.wire import BODIES, HEADS, wire

ENDLESS = {"a body without an end", "a huge length", "a length below zero", "a length that is none", "chunks without an end"} | {
    "a chunk below zero", "a chunk further below zero", "a chunk of a huge size",
}  # fmt: skip


def test_a_page_is_known_by_its_etag_and_length(here: Path, web: Web) -> None:
    url = web.serve("/data/model.bin?v=1", b"weights", '"tag"')
    artifact = logged(url)
    entry = artifact.get_entry("model.bin")
    assert (entry.size, entry.digest, entry.ref, entry.extra) == (7, "tag", url, {"etag": "tag"})
    assert web.requests == ["HEAD /data/model.bin?v=1"]
    assert files(artifact.download("out")) == {"model.bin": b"weights"}
    assert b"weights" not in stored_bytes(here / ".artifacts")


def test_a_page_without_etag_is_known_by_its_url(here: Path, web: Web) -> None:
    url = web.serve("/plain.txt", b"plain")
    artifact = logged(url, name="data")
    entry = artifact.get_entry("plain.txt")
    assert (entry.size, entry.digest, entry.extra) == (5, url, {})
    assert files(artifact.download("out")) == {"plain.txt": b"plain"}


def test_a_weak_etag_is_kept_as_it_stands(here: Path, web: Web) -> None:
    artifact = logged(web.serve("/f", b"1", 'W/"abc"'))
    assert artifact.get_entry("f").digest == 'W/"abc"'
    assert files(artifact.download("out")) == {"f": b"1"}
    web.pages["/f"].etag = 'W/"other"'
    with pytest.raises(ChangedReference, match='ETag is W/"other" now'):
        artifact.download("out2")


def test_a_page_of_unknown_length_has_no_size(here: Path, web: Web) -> None:
    artifact = logged(web.serve("/f", b"1" * 2 * MIB, '"t"', length=False))
    assert artifact.get_entry("f").size is None
    assert files(artifact.download("out")) == {"f": b"1" * 2 * MIB}
    artifact.verify("out")


def test_without_checksum_a_page_is_not_asked_for(here: Path, web: Web) -> None:
    artifact = logged(web.serve("/f", b"1", '"t"'), checksum=False)
    assert (artifact.get_entry("f").size, web.requests) == (None, [])
    web.serve("/f", b"changed", '"u"')
    assert files(artifact.download("out")) == {"f": b"changed"}


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_server_that_refuses_head_is_asked_by_get_and_its_body_is_not_read(here: Path, web: Web, status: int) -> None:
    url = web.serve("/f", b"1" * 64 * MIB, '"t"', head=status)
    (entry,) = referring().add_reference(url)
    assert (entry.size, entry.digest) == (64 * MIB, "t")
    assert web.requests[-1] == "GET /f" and web.sent == 0


def test_redirects_to_web_servers_are_followed_and_the_uri_stays(here: Path, web: Web) -> None:
    web.serve("/there", b"there", '"t"')
    url = web.serve("/here", status=302, headers={"Location": f"{web.url}/there"})
    artifact = logged(url)
    assert (artifact.get_entry("here").ref, artifact.get_entry("here").digest) == (url, "t")
    assert files(artifact.download("out")) == {"here": b"there"}


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1:1/f", "data:,x", "gopher://h/"])
def test_redirects_elsewhere_are_refused(here: Path, web: Web, target: str) -> None:
    url = web.serve("/f", b"1", '"t"')
    artifact = logged(url)
    logged(url, name="loose", checksum=False)
    web.serve("/f", status=302, headers={"Location": target})
    for refused in (artifact, again("loose")):
        with pytest.raises(StorageError, match="cannot read http://"):
            refused.download("out")
    with pytest.raises(StorageError):
        draft().add_reference(url)
    assert not (here / "out").exists()


def test_a_circle_of_redirects_ends_in_a_sentence(here: Path, web: Web) -> None:
    url = web.serve("/f", status=302, headers={"Location": "/f"})
    with pytest.raises(StorageError, match="cannot read http://"):
        draft().add_reference(url)


def test_a_page_that_is_not_there_is_refused_and_nothing_added(here: Path, web: Web) -> None:
    artifact = draft()
    with pytest.raises(SourceError, match="is not there: the server answers 404"):
        artifact.add_reference(f"{web.url}/none")
    web.serve("/gone", status=410)
    with pytest.raises(SourceError, match="410"):
        artifact.add_reference(f"{web.url}/gone")
    assert paths(artifact) == ["f"]


def test_a_page_that_went_is_a_missing_reference(here: Path, web: Web) -> None:
    artifact = logged(web.serve("/f", b"1", '"t"'), web.serve("/g", b"2", '"t"'))
    del web.pages["/f"]
    with pytest.raises(FileNotFoundError, match="is not there: the server answers 404"):
        artifact.download("out")
    assert not (here / "out").exists()
    with pytest.warns(UserWarning, match="'f' of data:v0"):
        assert files(artifact.download("out", allow_missing_references=True)) == {"g": b"2"}


def test_a_refusal_is_an_error_and_not_a_missing_reference(here: Path, web: Web) -> None:
    artifact = logged(web.serve("/f", b"1", '"t"'))
    for status in (401, 403):
        web.serve("/f", status=status)
        with pytest.raises(StorageError, match=f"the server answers {status}") as error:
            artifact.download("out", allow_missing_references=True)
        assert "login" in (error.value.hint or "")
    assert not (here / "out").exists()


def test_a_server_that_fails_for_a_moment_is_asked_again(here: Path, web: Web) -> None:
    artifact = logged(web.serve("/f", b"1", '"t"', failures=2))
    web.pages["/f"].failures = 2
    assert files(artifact.download("out")) == {"f": b"1"}
    web.pages["/f"].failures = 99
    with pytest.raises(StorageError, match="the server answers 500"):
        artifact.download("out2")


def test_a_body_that_is_cut_short_is_an_error_and_leaves_nothing(here: Path, web: Web) -> None:
    for etag in ('"t"', None):
        for length in (True, False):
            url = web.serve("/f", b"1" * 3 * MIB, etag)
            artifact = logged(url, name=f"data{length}{etag is None}")
            web.serve("/f", b"1" * 3 * MIB, etag, cut=MIB, length=length)
            with pytest.raises((StorageError, ChangedReference)):
                artifact.download("out")
            assert not (here / "out").exists() and leftovers(here) == []


def test_a_changed_etag_and_a_changed_size_are_errors(here: Path, web: Web) -> None:
    tagged, plain = logged(web.serve("/f", b"1", '"t"')), logged(web.serve("/g", b"1"), name="plain")
    web.serve("/f", b"2", '"u"')
    web.serve("/g", b"22")
    with pytest.raises(ChangedReference, match="the server's ETag is u now"):
        tagged.download("out")
    web.serve("/f", b"1")
    with pytest.raises(ChangedReference, match="the server's ETag is missing now"):
        tagged.download("out")
    with pytest.raises(ChangedReference, match="it has more than 1 bytes now"):
        plain.download("out")
    assert not (here / "out").exists()


def test_a_body_longer_than_was_said_is_not_read_to_its_end(here: Path, web: Web) -> None:
    """A server that never stops must not fill the disk."""
    artifact = logged(web.serve("/f", b"1", '"t"'))
    web.serve("/f", b"1", '"t"', endless=True)
    with pytest.raises(ChangedReference):
        artifact.download("out")
    assert web.sent < 16 * MIB and not (here / "out").exists()


def test_silence_is_an_error_after_the_time_that_is_set(here: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = logged(web.serve("/f", b"1", '"t"'))
    monkeypatch.setattr("artstore.backends.references.http._TIMEOUT", 0.1)
    web.pages["/f"].silent = True
    began = time.monotonic()
    with pytest.raises(StorageError, match="cannot read http://.*timed out"):
        artifact.download("out")
    assert time.monotonic() - began < 20 and leftovers(here) == []


def test_a_server_that_is_not_there_is_a_sentence(here: Path, web: Web) -> None:
    with pytest.raises(StorageError, match="connection refused") as error:
        draft().add_reference("http://127.0.0.1:1/f")
    assert error.value.hint == "check the network, and the address"


@pytest.mark.parametrize("scheme", ["http", "HTTPS", "s3", "ftp", "sftp"])
def test_credentials_in_a_uri_are_refused_and_stand_nowhere(here: Path, scheme: str) -> None:
    artifact = draft()
    for more in ({}, {"checksum": False}):
        with pytest.raises(InvalidValue, match="credentials") as error:
            artifact.add_reference(f"{scheme}://user:hunter2@host.invalid/f", "g", **more)
        assert "hunter2" not in f"{error.value} {error.value.hint}"
    log(artifact)
    assert paths(again()) == ["f"] and b"hunter2" not in stored_bytes(here / ".artifacts")


def test_a_page_without_a_name_of_its_own_needs_one(here: Path, web: Web) -> None:
    url = web.serve("/", b"index")
    with pytest.raises(InvalidValue, match="has no name of its own"):
        draft().add_reference(url)
    assert [entry.path for entry in draft("d").add_reference(url, "index.html")] == ["index.html"]


def test_a_url_that_is_none_is_refused_at_once(here: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artstore.backends.references.http._WAITS", (30.0, 0.0))
    began = time.monotonic()
    for url in ["http://", "http://h:port/f", "http:///f"]:
        with pytest.raises(InvalidValue):
            draft().add_reference(url, "f")
    assert time.monotonic() - began < 20


def test_replies_that_refuse_are_closed(here: Path, web: Web) -> None:
    artifact = logged(web.serve("/f", b"1", '"t"', failures=1))

    def refused() -> None:
        for status in (403, 404, 500):
            web.serve("/f", status=status)
            with pytest.raises(ArtstoreError):
                artifact.download("out")

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        refused()
        gc.collect()
    assert [str(warning.message) for warning in seen] == []


@pytest.mark.parametrize("kind", [*HEADS, *BODIES])
def test_an_answer_that_http_does_not_allow_is_an_error_or_ends_in_small_pieces(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_WAITS", ())
    with wire() as server:
        server.answers["/f"] = (HEADS | BODIES)[kind]
        uri, size = f"{server.url}/f", 0
        with suppress(StorageError, Damage, InvalidValue):
            for piece in http.HttpHandler().read(Reference(uri, None, URI, uri, None)):
                assert len(piece) <= MIB
                size += len(piece)
                if size > 20 * MIB:
                    break  # as whoever reads does, who knows the size
    assert (size > 20 * MIB) == (kind in ENDLESS), size

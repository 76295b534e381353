"""References: entries whose bytes stay where they are, in files, on web servers, in buckets and in other versions."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import given

import artstore as wandb
from artstore.backends import references
from artstore.backends.confined import create_file
from artstore.backends.references import Reference, Target
from artstore.backends.references.keys import name_in, uri_of
from artstore.errors import (
    ArtstoreError,
    ChangedReference,
    Conflict,
    InvalidValue,
    MissingReference,
    NotFound,
    SourceError,
    StorageError,
)
from artstore.operations.restoring import fetching
from artstore.operations.restoring.fetching import Fetcher
from artstore.progress import Monitor
from artstore.repository import Repository
from tests.conftest import Cli, check, make_tree, snapshot
from tests.support.artifacts import again, draft, log, log_files, paths
from tests.support.forge import Forger
from tests.support.servers import SeaweedFS, ask_signed, authorization
from tests.support.trouble import UNPRIVILEGED, finish, small_disk, start
from tests.support.trouble import run as run_command
from tests.support.web import MIB, Page, Web, web_server

PLAIN = {"a": "1", "sub/b": "22"}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks a web server again hardly waits."""
    monkeypatch.setattr("artstore.backends.references.http._WAITS", (0.01, 0.02))


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


def referring(*uris: str, name: str = "data", **more: Any) -> wandb.Artifact:
    """A draft that refers to them."""
    artifact = wandb.Artifact(name)
    for uri in uris:
        artifact.add_reference(uri, **more)
    return artifact


def logged(*uris: str, name: str = "data", **more: Any) -> wandb.Artifact:
    return log(referring(*uris, name=name, **more))


def files(folder: str | Path) -> dict[str, bytes]:
    """Content of all files below a folder."""
    return {path: found[1] for path, found in snapshot(Path(folder)).items() if found is not None}


def leftovers(folder: Path) -> list[str]:
    """Temporary names below a folder, the repository aside."""
    found = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    return [path for path in found if "artstore-" in path and not path.startswith(".artifacts")]


def stored_bytes(root: Path) -> bytes:
    """All that a repository's folder holds, packs included."""
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


def blobs(root: Path) -> int:
    """Bytes under objects/, without trees and versions of a few hundred bytes."""
    return sum(path.stat().st_size for path in (root / "objects").rglob("*") if path.is_file())


# -- files of this host --------------------------------------------------------------------------


def test_a_file_is_referenced_by_its_digest_and_its_bytes_stay_where_they_are(here: Path) -> None:
    source = here / "big.bin"
    source.write_bytes(b"x" * (2 * MIB))
    draft = wandb.Artifact("data")
    (entry,) = draft.add_reference(source.as_uri())
    assert (entry.path, entry.size, entry.ref, entry.ref_target()) == ("big.bin", 2 * MIB, source.as_uri(), source.as_uri())  # fmt: skip
    artifact = log(draft)
    stored = artifact.get_entry("big.bin")
    with artifact.get_entry("big.bin").open() as file:
        assert file.read() == source.read_bytes()
    assert stored.ref == source.as_uri() and stored.extra == {} and len(stored.digest) == 64
    assert blobs(here / ".artifacts") < 5000
    assert files(artifact.download("out")) == {"big.bin": source.read_bytes()}
    copied = log_files({"big.bin": source.read_bytes()}, "copied").get_entry("big.bin")
    assert copied.digest == stored.digest


def test_a_folder_is_referenced_with_all_below_it_whatever_the_names_are(here: Path) -> None:
    names = ["a b.txt", "häßlich/ü.txt", "100%25.txt", "q?x#y.txt", "n\nl", os.fsdecode(b"\xff\xfe.bin"), "d/e/f/g"]
    source = make_tree(here / "my folder", {name: name.encode(errors="surrogateescape") for name in names})
    (source / "link").symlink_to("a b.txt")
    (source / "linked").symlink_to("d/e")
    uri = source.as_uri()
    artifact = logged(uri)
    expected = {name: name.encode(errors="surrogateescape") for name in names}
    expected |= {"link": b"a b.txt", "linked/f/g": b"d/e/f/g"}
    assert files(artifact.download("out")) == expected and sorted(paths(artifact)) == sorted(expected)
    for entry in artifact.manifest.entries.values():
        assert entry.ref is not None and entry.ref.isascii() and entry.ref.startswith(uri)
    assert logged(uri, name="below").digest == artifact.digest
    below = referring()
    assert [entry.path for entry in below.add_reference(uri + "/", "x/y")] == [f"x/y/{path}" for path in paths(artifact)]  # fmt: skip


def test_without_checksum_the_uri_alone_is_kept(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = logged(source.as_uri(), checksum=False)
    entry = artifact.get_entry("sub/b")
    assert (entry.size, entry.digest, entry.ref) == (None, entry.ref, (source / "sub/b").as_uri())
    (source / "a").write_text("another content")
    assert files(artifact.download("out")) == {"a": b"another content", "sub/b": b"22"}
    assert logged(source.as_uri(), checksum=False).version == "v0"


def test_the_exec_bit_of_what_is_referenced_does_not_matter(here: Path) -> None:
    source = make_tree(here / "in", {"run.sh*": "x"})
    artifact = logged(source.as_uri())
    artifact.download("out")
    artifact.verify("out")


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20b", "100%", "d#/e?/f%41", "ü b"])
def test_a_raw_path_behind_file_is_found_where_its_uri_names_nothing(here: Path, name: str) -> None:
    make_tree(here / "in", {name: "right", "a": "wrong", "d": "wrong"} if "/" not in name else {name: "right"})
    artifact = draft()
    (entry,) = artifact.add_reference(f"file://{here}/in/{name}", "x")
    assert entry.ref == (here / "in" / name).as_uri()
    assert files(log(artifact).download("out"))["x"] == b"right"
    (own,) = referring().add_reference(f"file://{here}/in/{name}")
    assert own.path == name.rpartition("/")[2]


def test_a_uri_of_a_file_is_its_uri_before_it_is_a_path(here: Path) -> None:
    make_tree(here / "in", {"a b": "decoded", "a%20b": "raw"})
    assert [entry.path for entry in referring().add_reference(f"file://{here}/in/a%20b")] == ["a b"]
    assert [entry.path for entry in referring().add_reference(f"file://{here}/in/a%2520b")] == ["a%20b"]


def test_a_reference_to_a_file_that_is_gone_does_not_become_its_neighbour(here: Path) -> None:
    source = make_tree(here / "in", {"a b": "1"})
    artifact = logged((source / "a b").as_uri(), checksum=False)
    (source / "a b").rename(source / "a%20b")
    with pytest.raises(MissingReference):
        artifact.download("out")


@pytest.mark.parametrize("name", ["a?v=1", "a#b", "a%20b"])
def test_what_follows_a_files_name_is_not_dropped_and_the_refusal_says_how_it_is_spelled(here: Path, name: str) -> None:
    make_tree(here / "in", {"a": "another file"})
    with pytest.raises(SourceError, match="must be a valid file") as error:
        referring(f"file://{here}/in/{name}")
    assert error.value.hint is not None and "`#` is `%23`, `?` is `%3F`" in error.value.hint


def test_a_name_that_is_not_unicode_is_kept_of_a_single_file_too(here: Path) -> None:
    source = make_tree(here / "in", {os.fsdecode(b"\xff.bin"): "1"})
    (entry,) = referring().add_reference((source / os.fsdecode(b"\xff.bin")).as_uri())
    assert entry.path == os.fsdecode(b"\xff.bin")


def test_the_hint_for_a_path_is_a_uri_that_names_it(here: Path) -> None:
    make_tree(here, {"a%20b #1": "1"})
    with pytest.raises(InvalidValue) as error:
        draft().add_reference("a%20b #1")
    assert error.value.hint is not None
    assert [entry.path for entry in referring().add_reference(error.value.hint)] == ["a%20b #1"]


def test_what_names_nothing_is_refused_with_the_place(here: Path) -> None:
    artifact = draft()
    for uri in ["file:///nowhere/at/all", (here / "missing").as_uri(), "file:///dev/null", "file:///a%00b"]:
        with pytest.raises(ValueError, match="must be a valid file or directory path") as error:
            artifact.add_reference(uri)
        assert isinstance(error.value, SourceError) and error.value.problems
    with pytest.raises(ValueError, match="References must be URIs") as error:
        artifact.add_reference("in/data.txt")
    assert error.value.hint == f"file://{here}/in/data.txt"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="is no URI: it has control characters"):
        artifact.add_reference("file:///a\nb")
    assert paths(artifact) == ["f"]


def test_fifos_dangling_links_and_loops_are_all_listed_and_nothing_is_added(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    os.mkfifo(source / "fifo")
    (source / "sub/dangling").symlink_to("nowhere")
    (source / "sub/up").symlink_to("..")
    artifact = draft()
    with pytest.raises(SourceError, match="holds what can't be referenced") as error:
        artifact.add_reference(source.as_uri())
    at_fault = {str(Path(path).relative_to(source)) for path, _ in error.value.problems}
    assert at_fault == {"fifo", "sub/dangling", "sub/up"}
    assert paths(artifact) == ["f"] and paths(log(artifact)) == ["f"]


def test_a_link_to_itself_is_a_problem_as_any_other(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    (source / "self").symlink_to("self")
    artifact = draft()
    with pytest.raises(SourceError) as error:
        artifact.add_reference(source.as_uri())
    assert [Path(path).name for path, _ in error.value.problems] == ["self"] and paths(artifact) == ["f"]


def test_files_that_cannot_be_read_are_listed_beside_all_other_problems(here: Path) -> None:
    """/proc/self/mem opens, and fails to be read, for root too."""
    source = make_tree(here / "in", PLAIN)
    (source / "0").symlink_to("/proc/self/mem")
    (source / "1").symlink_to("/proc/self/mem")
    os.mkfifo(source / "z")
    artifact = draft()
    with pytest.raises(SourceError) as error:
        artifact.add_reference(source.as_uri())
    assert {Path(path).name for path, _ in error.value.problems} == {"0", "1", "z"} and paths(artifact) == ["f"]


def test_more_than_max_objects_is_an_error_and_adds_nothing(here: Path) -> None:
    source = make_tree(here / "in", {str(n): "x" for n in range(5)})
    artifact = draft()
    for most in (4, 1, 0):
        with pytest.raises(ValueError, match=f"names more than {most} objects"):
            artifact.add_reference(source.as_uri(), max_objects=most)
    assert paths(artifact) == ["f"]
    assert len(artifact.add_reference(source.as_uri(), max_objects=5)) == 5


def test_a_max_objects_below_zero_is_refused(here: Path) -> None:
    source = make_tree(here / "in", {str(n): "x" for n in range(5)})
    artifact = draft()
    with pytest.raises(ValueError):
        artifact.add_reference(source.as_uri(), max_objects=-1)
    assert paths(artifact) == ["f"]


def test_a_name_that_has_other_content_refuses_all_of_a_call(here: Path) -> None:
    source = make_tree(here / "in", {"a": "1", "m": "2", "z": "3"})
    for taken in ("m", "m/below"):
        artifact = wandb.Artifact("data")
        with artifact.new_file(taken) as file:
            file.write("own")
        with pytest.raises(ValueError):
            artifact.add_reference(source.as_uri())
        assert paths(artifact) == [taken] and files(log(artifact).download(f"out-{len(taken)}")) == {taken: b"own"}


def test_adding_the_same_reference_twice_is_fine(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = referring(source.as_uri(), source.as_uri())
    assert paths(artifact) == ["a", "sub/b"]


@pytest.mark.parametrize("name", ["../x", "/x", "", ".", ".git/config", "a/../../x", "a\0b"])
def test_a_name_that_leads_out_is_refused(here: Path, name: str) -> None:
    make_tree(here / "in", PLAIN)
    artifact = draft()
    with pytest.raises(ValueError, match="Invalid artifact path"):
        artifact.add_reference((here / "in").as_uri(), name)
    assert paths(artifact) == ["f"]


def test_a_folder_that_holds_git_adds_nothing_of_it_or_says_so(here: Path) -> None:
    source = make_tree(here / "in", {"a": "1", ".git/config": "x"})
    artifact = draft()
    with pytest.raises(ValueError, match=r"protected"):
        artifact.add_reference(source.as_uri())
    assert paths(artifact) == ["f"]


# -- files that went, or changed -----------------------------------------------------------------


def test_what_is_gone_is_a_file_not_found_error_and_may_be_left_out(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = logged(source.as_uri())
    (source / "sub/b").unlink()
    with pytest.raises(FileNotFoundError, match="sub/b is not there any more") as error:
        artifact.download("out")
    assert isinstance(error.value, MissingReference) and isinstance(error.value, ArtstoreError)
    assert not (here / "out").exists() and leftovers(here) == []
    with pytest.warns(UserWarning, match="'sub/b' of data:v0 is left out"):
        artifact.download("out", allow_missing_references=True)
    assert files("out") == {"a": b"1"}
    with pytest.raises(FileNotFoundError):
        artifact.download("out")
    assert files("out") == {"a": b"1"} and leftovers(here) == []
    (source / "sub/b").write_text("22")
    assert files(artifact.download("out")) == {"a": b"1", "sub/b": b"22"}


def test_a_folder_that_is_gone_can_be_left_out_with_all_its_files(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = logged(source.as_uri())
    (source / "sub/b").unlink()
    (source / "sub").rmdir()
    (source / "sub").write_text("a file now")
    with pytest.warns(UserWarning, match="sub/b"):
        assert files(artifact.download("out", allow_missing_references=True)) == {"a": b"1"}


def test_what_changed_is_an_error_even_where_missing_ones_are_allowed(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = logged(source.as_uri())
    for now in ("3", "333"):
        (source / "a").write_text(now)
        for allowed in (False, True):
            with pytest.raises(ChangedReference, match="is not what was referenced: it has"):
                artifact.download("out", allow_missing_references=allowed)
            with pytest.raises(ChangedReference):
                artifact.get_entry("a").open()
    assert not (here / "out").exists() and leftovers(here) == []


def test_what_became_a_fifo_or_a_folder_is_an_error_and_never_waits(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = logged(source.as_uri(), checksum=False)
    (source / "a").unlink()
    os.mkfifo(source / "a")
    with pytest.raises(ArtstoreError):
        artifact.download("out")
    (source / "a").unlink()
    (source / "a").mkdir()
    with pytest.raises(ArtstoreError):
        artifact.download("out")
    assert not (here / "out").exists() and leftovers(here) == []


# -- web servers ---------------------------------------------------------------------------------


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
    assert time.monotonic() - began < 3 and leftovers(here) == []


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
    monkeypatch.setattr("artstore.backends.references.http._WAITS", (1.0, 0.0))
    began = time.monotonic()
    for url in ["http://", "http://h:port/f", "http:///f"]:
        with pytest.raises(InvalidValue):
            draft().add_reference(url, "f")
    assert time.monotonic() - began < 1


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


# -- buckets -------------------------------------------------------------------------------------


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


def test_without_checksum_what_lies_below_a_prefix_is_still_told_apart(bucket: Bucket) -> None:
    for name in PLAIN:
        bucket.put(f"pre/{name}", PLAIN[name].encode())
    artifact = logged(bucket.uri("pre/"), checksum=False)
    assert files(artifact.download("out")) == {"a": b"1", "sub/b": b"22"}


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
    uris = [entry.ref_target() for entry in referring().add_reference(bucket.uri("p"), checksum=False)]
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


# -- schemes that nobody knows, and own handlers -------------------------------------------------


def test_an_unknown_scheme_needs_a_name_and_is_not_fetched(here: Path, cli: Cli) -> None:
    artifact = draft()
    with pytest.raises(ValueError, match='You must pass name="<entry_name>" when tracking references with unknown schemes'):  # fmt: skip
        artifact.add_reference("mars://base/far.bin")
    (entry,) = artifact.add_reference("mars://base/far.bin", "far.bin")
    assert (entry.size, entry.digest, entry.ref) == (None, "mars://base/far.bin", "mars://base/far.bin")
    log(artifact)
    with pytest.raises(NotFound, match="mars://base/far.bin can't be fetched"):
        again().download("out")
    assert not (here / "out").exists()
    done = cli("get", "data", "--root", "out", cwd=here)
    assert done.code == 4 and "nothing here knows 'mars://'" in done.err and "--exclude" in done.err
    assert cli("get", "data", "--root", "out", "--exclude", "far.bin", cwd=here).code == 0
    assert files("out") == {"f": b"1"}
    assert files(again().download("out2", exclude=["*.bin"])) == {"f": b"1"}


class Planets:
    """A place that is a dict: bytes by URI."""

    bodies: ClassVar[dict[str, bytes]] = {}

    def find(self, uri: str, *, checksum: bool) -> Iterator[Target]:
        for known, body in sorted(self.bodies.items()):
            if known.startswith(uri):
                below = known.removeprefix(uri).lstrip("/")
                yield Target(below, Reference(known, len(body) if checksum else None, "uri", known, "7"))

    def read(self, reference: Reference) -> Iterator[bytes]:
        if reference.uri not in self.bodies:
            raise MissingReference(f"{reference.uri} is not there any more")
        yield self.bodies[reference.uri]


@pytest.fixture
def planets(monkeypatch: pytest.MonkeyPatch) -> type[Planets]:
    monkeypatch.setattr(Planets, "bodies", {"mars://base/a": b"1", "mars://base/sub/b": b"22"})
    monkeypatch.setattr(references, "_handlers", dict(references._handlers))
    return Planets


def test_a_handler_of_ones_own_is_asked_for_its_scheme(here: Path, planets: type[Planets]) -> None:
    references.register("MARS", planets)
    artifact = logged("mars://base")
    assert paths(artifact) == ["a", "sub/b"] and artifact.get_entry("a").extra == {"versionID": "7"}
    assert files(artifact.download("out")) == {"a": b"1", "sub/b": b"22"}
    assert logged("Mars://base/a".replace("Mars", "mars"), name="one").get_entry("a").size == 1


def test_a_handler_is_found_as_an_entry_point(
    here: Path, planets: type[Planets], monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("mars", "tests.backends.references.test_references:Planets", "artstore.references")

    def entry_points(group: str, name: str) -> list[EntryPoint]:
        return [point] if (group, name) == ("artstore.references", "mars") else []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    artifact = logged("mars://base")
    assert files(artifact.download("out")) == {"a": b"1", "sub/b": b"22"}


def test_a_handler_whose_paths_lead_out_adds_nothing(here: Path, planets: type[Planets]) -> None:
    planets.bodies["mars://base/../../etc/passwd"] = b"x"
    references.register("mars", planets)
    artifact = draft()
    with pytest.raises(ValueError, match="Invalid artifact path"):
        artifact.add_reference("mars://base")
    assert paths(artifact) == ["f"]


# -- entries of other versions -------------------------------------------------------------------


def source_entry(name: str = "source", path: str = "sub/big") -> Any:
    return log_files({path: b"x" * 2 * MIB, "own": "1"}, name).get_entry(path)


@pytest.mark.parametrize("by", ["entry", "url", "add"])
def test_an_entry_of_another_version_shares_its_bytes_and_says_where_it_is_from(here: Path, by: str) -> None:
    entry = source_entry()
    before = blobs(here / ".artifacts")
    artifact = wandb.Artifact("collage")
    if by == "add":
        artifact.add(entry, "x/big")
    else:
        artifact.add_reference(entry if by == "entry" else entry.ref_url(), "x/big")
    artifact.add_reference(entry) if by == "entry" else artifact.add_reference(entry.ref_url())
    log(artifact)
    found = again("collage").get_entry("x/big")
    assert (found.digest, found.size) == (entry.digest, 2 * MIB) and paths(artifact) == ["big", "x/big"]
    assert found.ref == found.ref_target() == entry.ref_url() and found.ref_url() != entry.ref_url()
    assert blobs(here / ".artifacts") - before < 5000
    assert files(artifact.download("out")) == {"big": b"x" * 2 * MIB, "x/big": b"x" * 2 * MIB}
    plain = log_files({"x/big": b"x" * 2 * MIB, "big": b"x" * 2 * MIB}, "plain")
    assert plain.digest == artifact.digest


def test_an_entry_outlives_the_version_that_it_is_from(here: Path, cli: Cli) -> None:
    entry = source_entry()
    artifact = wandb.Artifact("collage")
    artifact.add_reference(entry)
    log(artifact)
    url = entry.ref_url()
    again("source").delete()
    done = cli("gc", "--now", cwd=here)
    assert done.code == 0, done
    kept = again("collage").get_entry("big")
    assert kept.ref == url and files(again("collage").download("out")) == {"big": b"x" * 2 * MIB}
    with pytest.raises(ArtstoreError):
        referring().add_reference(url)


def test_where_an_entry_is_from_travels_and_is_kept_by_the_next_version(here: Path) -> None:
    entry = source_entry()
    artifact = wandb.Artifact("collage")
    artifact.add_reference(entry, "big")
    log(artifact)
    url = entry.ref_url()
    changed = again("collage").new_draft()
    with changed.new_file("more") as file:
        file.write("more")
    assert changed.get_entry("big").ref == url
    assert log(changed).version == "v1"
    with Repository(".artifacts") as repository:
        repository.remotes.add("origin", str(here / "remote"), make=True)
        repository.push()
    clone, _ = Repository.clone(str(here / "remote"), str(here / "clone/.artifacts"))
    with clone:
        for spec in ("collage:v0", "collage:v1"):
            origins = clone.lookup.origins(clone.find(spec))
            assert {path: (place["name"], place["path"], place["id"]) for path, place in origins.items()} == {
                "big": ("source", "sub/big", again("source").id)
            }
    check(here / "clone/.artifacts")


def test_what_replaces_an_entry_in_a_draft_is_not_said_to_be_from_elsewhere(here: Path) -> None:
    entry = source_entry()
    artifact = wandb.Artifact("collage")
    artifact.add_reference(entry, "big")
    artifact.remove("big")
    with artifact.new_file("big") as file:
        file.write("my own")
    assert artifact.get_entry("big").ref is None
    log(artifact)
    assert again("collage").get_entry("big").ref is None


def test_what_replaces_an_entry_in_the_next_version_is_not_said_to_be_from_elsewhere(here: Path) -> None:
    entry = source_entry()
    artifact = wandb.Artifact("collage")
    artifact.add_reference(entry, "x/big")
    log(artifact)
    changed = again("collage").new_draft()
    with changed.new_file("x/big", mode="w") as file:
        file.write("my own")
    log(changed)
    assert again("collage").get_entry("x/big").ref is None


@pytest.mark.parametrize("path", ["a b@c:d.txt", "ü/ß%20.txt", "n\nl", os.fsdecode(b"\xff/\xfe"), "q?x#y"])
def test_ref_url_names_an_entry_whatever_its_path_is(here: Path, path: str) -> None:
    entry = log_files({path: "1"}, "my source").get_entry(path)
    artifact = referring(entry.ref_url())
    (found,) = artifact.manifest.entries.values()
    assert entry.ref_url().isascii() and found.digest == entry.digest and found.ref == entry.ref_url()


def test_an_entry_that_is_a_reference_is_referred_to_where_its_bytes_are(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    entry = logged(source.as_uri()).get_entry("sub/b")
    artifact = referring(entry.ref_url(), name="collage")
    artifact.add_reference(entry, "again")
    assert {path: found.ref for path, found in artifact.manifest.entries.items()} == {"again": entry.ref, "b": entry.ref}  # fmt: skip
    assert files(log(artifact).download("out")) == {"again": b"22", "b": b"22"}


def test_an_entry_of_a_draft_or_of_nothing_is_refused(here: Path) -> None:
    first, other = draft(), draft("other")
    with pytest.raises(ArtstoreError, match="before artifact 'data' is logged"):
        other.add_reference(first.get_entry("f"))
    url = log(first).get_entry("f").ref_url()
    for wrong in (url + "x", url.replace("data@", "gone@"), "artstore-artifact://a/b", url.partition("@")[0]):
        with pytest.raises(ArtstoreError):
            other.add_reference(wrong)
    assert paths(other) == ["f"]


def test_an_entry_whose_name_is_taken_is_refused_and_leaves_what_is_there(here: Path) -> None:
    entry = source_entry()
    artifact = draft()
    with pytest.raises(Conflict):
        artifact.add_reference(entry, "f")
    assert artifact.get_entry("f").ref is None and artifact.get_entry("f").size == 1


def test_add_with_overwrite_puts_an_entry_where_something_else_was(here: Path) -> None:
    entry = source_entry()
    artifact = draft()
    artifact.add(entry, "f", overwrite=True)
    assert artifact.get_entry("f").ref == entry.ref_url()


# -- into folders --------------------------------------------------------------------------------


def three(web: Web, **more: Any) -> wandb.Artifact:
    for name in ("a", "b", "sub/c"):
        web.serve(f"/{name}", name.encode() * 10, f'"{name}"')
    artifact = wandb.Artifact("data")
    for name in ("a", "b", "sub/c"):
        artifact.add_reference(f"{web.url}/{name}", name, **more)
    return log(artifact)


THREE = {"a": b"a" * 10, "b": b"b" * 10, "sub/c": b"sub/c" * 10}


@pytest.mark.disk  # in memory no stat is believed
def test_what_is_right_already_is_not_fetched_again(here: Path, web: Web) -> None:
    artifact = three(web)
    assert files(artifact.download("out")) == THREE and web.gets() == 3
    for _ in range(2):
        artifact.download("out")
        artifact.checkout("out")
        artifact.verify("out")
    assert web.gets() == 3


@pytest.mark.disk  # in memory no stat is believed
def test_a_changed_or_missing_file_is_fetched_alone_and_only_once(here: Path, web: Web) -> None:
    artifact = three(web)
    artifact.download("out")
    Path("out/a").write_text("changed")
    Path("out/sub/c").unlink()
    assert files(artifact.download("out")) == THREE and web.gets() == 5
    artifact.download("out")
    artifact.download("out")
    assert (files("out"), web.gets()) == (THREE, 5)


@pytest.mark.disk  # in memory no stat is believed
def test_a_file_that_was_edited_while_another_was_fetched_is_repaired_by_the_next_download(
    here: Path, web: Web
) -> None:
    artifact = three(web)
    artifact.download("out")
    Path("out/a").unlink()
    web.pages["/a"].seconds = 0.5
    web.asked.clear()
    download = threading.Thread(target=artifact.download, args=("out",))
    download.start()
    assert web.asked.wait(20)
    Path("out/b").write_bytes(b"z" * 10)
    download.join()
    assert files("out") == {**THREE, "b": b"z" * 10}
    assert files(artifact.download("out")) == THREE


def test_a_file_that_was_edited_to_the_same_size_is_repaired(here: Path, web: Web) -> None:
    artifact = three(web)
    artifact.download("out")
    Path("out/a").write_bytes(b"z" * 10)
    assert files(artifact.download("out")) == THREE


@pytest.mark.disk  # in memory no stat is believed
def test_a_page_whose_content_cannot_be_told_is_fetched_again_into_a_folder_that_nobody_knows(
    here: Path, web: Web
) -> None:
    artifact = three(web)
    make_tree(here / "out", {name: b"?" * len(body) for name, body in THREE.items()})
    assert files(artifact.download("out")) == THREE and web.gets() == 3
    artifact.download("out")
    assert web.gets() == 3


def test_a_digest_tells_that_a_local_file_is_right_without_its_source(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = logged(source.as_uri())
    make_tree(here / "out", {**PLAIN, "foreign": "x"})
    before = os.stat("out/a").st_ino
    (source / "a").unlink()
    (source / "sub/b").unlink()
    artifact.download("out")
    assert os.stat("out/a").st_ino == before and files("out") == {"a": b"1", "sub/b": b"22", "foreign": b"x"}
    artifact.checkout("out")
    assert files("out") == {"a": b"1", "sub/b": b"22"}


def test_a_prefix_or_glob_fetches_only_what_it_takes(here: Path, web: Web) -> None:
    artifact = three(web)
    assert files(artifact.download("out", path_prefix="sub/")) == {"sub/c": THREE["sub/c"]} and web.gets() == 1
    assert files(artifact.download("out2", include=["a"])) == {"a": THREE["a"]} and web.gets() == 2
    entry = artifact.get_entry("b")
    assert Path(entry.download("out3")).read_bytes() == THREE["b"] and web.gets() == 3
    with artifact.get_entry("b").open("r") as file:
        assert file.read() == "b" * 10


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_references_are_copied_whatever_link_says(here: Path, web: Web, link: Any) -> None:
    url = web.serve("/f", b"1" * 2 * MIB, '"t"', length=False)
    artifact = logged(url, web.serve("/g", b"2", '"t"'))
    for _ in range(2):
        artifact.download("out", link=link)
        assert files("out") == {"f": b"1" * 2 * MIB, "g": b"2"} and not Path("out/f").is_symlink()
    Path("out/f").write_text("changed")
    artifact.download("out", link=link)
    assert files("out") == {"f": b"1" * 2 * MIB, "g": b"2"}


def test_a_link_in_the_way_is_replaced_and_not_written_through(here: Path, web: Web) -> None:
    artifact = three(web)
    make_tree(here / "out", {})
    Path("victim").write_text("mine")
    os.symlink("../victim", "out/a")
    artifact.download("out")
    assert files("out") == THREE and not Path("out/a").is_symlink() and Path("victim").read_text() == "mine"


def test_verify_tells_files_of_references_by_what_is_known(here: Path, web: Web) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = referring(source.as_uri())
    artifact.add_reference(web.serve("/page", b"page", '"t"'))
    log(artifact)
    artifact.download("out")
    artifact.verify("out")
    Path("out/a").write_text("9")
    Path("out/page").write_text("longer")
    Path("out/sub/b").unlink()
    Path("out/extra").write_text("x")
    with pytest.raises(ValueError) as error:
        artifact.verify("out")
    found: Any = error.value
    assert (found.missing, found.changed, found.extra) == (["sub/b"], ["a", "page"], ["extra"])


def slow(web: Web, number: int) -> wandb.Artifact:
    """Refers to so many pages of a server that takes 20 ms for each."""
    artifact = wandb.Artifact("data")
    for path in [f"/{n:03}" for n in range(number)]:
        artifact.add_reference(web.serve(path, path.encode(), '"t"', seconds=0.02), checksum=False)
    return log(artifact)


def test_three_hundred_pages_are_fetched_together(here: Path, web: Web) -> None:
    artifact = slow(web, 300)
    began = time.monotonic()
    artifact.download("out")
    assert time.monotonic() - began < 3
    assert files("out") == {f"{n:03}": f"/{n:03}".encode() for n in range(300)}


@pytest.mark.parametrize("selected", [False, True], ids=["into a folder that exists", "by a glob"])
def test_pages_are_fetched_together_wherever_they_go(here: Path, web: Web, selected: bool) -> None:
    artifact = slow(web, 100)
    if not selected:
        make_tree(here / "out", {"foreign": "x"})
    began = time.monotonic()
    artifact.download("out", include=["0*"] if selected else None)
    assert time.monotonic() - began < 1.2
    assert len(files("out")) == (100 if selected else 101)


def test_a_failure_among_many_leaves_no_files_and_no_descriptors(here: Path, web: Web) -> None:
    draft = wandb.Artifact("data")
    for number in range(100):
        url = web.serve(f"/{number:03}", b"1", '"t"')
        draft.add_reference(url)
        web.pages[f"/{number:03}"].seconds = 0.01
    artifact = log(draft)
    web.serve("/003", status=403)
    make_tree(here / "there", {"foreign": "x"})
    with pytest.raises(StorageError, match="403"):
        artifact.download("out")  # from now on the repository is open
    for _ in range(2):
        before = len(os.listdir("/proc/self/fd"))
        for root in ("out", "there"):
            with pytest.raises(StorageError, match="403"):
                artifact.download(root)
        deadline = time.monotonic() + 5
        while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
            time.sleep(0.01)  # what was on its way has not ended yet
        assert len(os.listdir("/proc/self/fd")) <= before
    assert not (here / "out").exists() and leftovers(here) == []
    web.serve("/003", b"1", '"t"')
    assert len(files(artifact.download("out"))) == 100


@pytest.mark.parametrize("root", ["new", "there"])
def test_an_interrupt_while_fetching_ends_at_once_and_leaves_no_temporary_files(
    tmp_path: Path, web: Web, root: str
) -> None:
    with Repository.init(str(tmp_path / ".artifacts")) as repository, repository.draft() as draft:
        for number in range(20):
            url = web.serve(f"/{number}", b"1", '"t"')
            draft.add_references(str(number), references.find(url))
            web.pages[f"/{number}"].silent = True
        draft.save(repository.path_of("data")[0])
    make_tree(tmp_path / "there", {"foreign": "x"})
    web.asked.clear()
    process = start(tmp_path, "get", "data", "--root", root)
    try:
        assert web.asked.wait(20)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        done = finish(process, 4)
    finally:
        process.kill()
    assert done.code in (130, -signal.SIGINT) and not (tmp_path / "new").exists(), done
    assert leftovers(tmp_path) == [] and files(tmp_path / "there") == {"foreign": b"x"}
    check(tmp_path / ".artifacts")


def test_a_full_disk_and_a_closed_folder_are_sentences(tmp_path: Path, cli: Cli) -> None:
    make_tree(tmp_path / "in", {"big": b"x" * 4 * MIB})
    assert cli("put", (tmp_path / "in").as_uri(), "-n", "data").code == 0
    with small_disk(tmp_path / "disk", "2m"):
        (tmp_path / "disk/there").mkdir()
        for root in ("disk/out", "disk/there"):
            done = cli("get", "data", "--root", root)
            assert done.code == 9 and "no space left" in done.err and f"disk/{root.rpartition('/')[2]}" in done.err
            assert len(done.err.splitlines()) <= 2
        assert sorted(path.name for path in (tmp_path / "disk").rglob("*")) == ["there"]
    closed = make_tree(tmp_path / "closed", {"in": None})
    for path in (closed / "in", closed):
        path.chmod(0o555)
    for root in ("closed/in", "closed/new"):
        done = run_command(tmp_path, "get", "data", "--root", root, setup=UNPRIVILEGED)
        assert done.code == 9 and "permission denied" in done.err and len(done.err.splitlines()) <= 2, done
    check(tmp_path / ".artifacts")


def test_a_source_that_may_not_be_read_is_named_and_not_the_target(tmp_path: Path, cli: Cli) -> None:
    source = make_tree(tmp_path / "in", {"f": "1"})
    assert cli("put", source.as_uri(), "-n", "data").code == 0
    (source / "f").chmod(0)
    done = run_command(tmp_path, "get", "data", "--root", "out", setup=UNPRIVILEGED)
    assert done.code == 9 and f"cannot read {source}/f: permission denied" in done.err and not (tmp_path / "out").exists()  # fmt: skip
    (source / "g").write_text("2")
    (source / "g").chmod(0)
    done = run_command(tmp_path, "put", source.as_uri(), "-n", "more", setup=UNPRIVILEGED)
    assert done.code == 8 and "in/f" in done.err and "in/g" in done.err, done


# -- what never asks a URI -----------------------------------------------------------------------


def test_nothing_but_a_download_asks_a_uri(here: Path, web: Web, cli: Cli) -> None:
    three(web)
    web.requests.clear()
    with Repository(".artifacts") as repository:
        repository.remotes.add("origin", str(here / "remote"), make=True)
    for command in [
        ("fsck",), ("gc", "--now"), ("push",), ("pull",), ("fetch",), ("clone", "remote", "clone"), ("du",),
        ("ls", "data"), ("show", "data"), ("log", "data"), ("status",), ("diff", "data", "data"),
        ("cp", "data", "copy"), ("mv", "copy", "moved"), ("rm", "moved:v0", "--force"), ("gc", "--now"), ("fsck",),
    ]:  # fmt: skip
        done = cli(*command, cwd=here)
        assert done.code == 0, (command, done)
    new = again().new_draft()
    with new.new_file("more") as file:
        file.write("1")
    log(new)
    again().diff(again("data:v0"))
    assert web.requests == []
    assert cli("get", "data:v0", "--root", here / "got", cwd=here / "clone").code == 0
    assert files("got") == THREE and web.gets() == 3


def test_push_and_pull_to_a_third_place_keep_references_as_they_are(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = logged(source.as_uri())
    with Repository(".artifacts") as repository:
        repository.remotes.add("origin", str(here / "remote"), make=True)
        repository.push()
    with Repository.init(str(here / "other/.artifacts")) as other:
        other.remotes.add("origin", str(here / "remote"))
        other.pull()
        found = other.find("data")
        assert found.version["digest"] == artifact.digest
        assert files(other.get(found, str(here / "out")).root) == {"a": b"1", "sub/b": b"22"}
    check(here / "other/.artifacts")
    check(here / "remote")


# -- the command line ----------------------------------------------------------------------------


def test_put_get_ls_cat_diff_and_status_of_references(tmp_path: Path, cli: Cli) -> None:
    source = make_tree(tmp_path / "in", PLAIN)
    done = cli("put", source.as_uri(), "-n", "data")
    assert done.code == 0 and "saved data:v0: 2 files, 3 B" in done.out, done
    listed = cli("ls", "data", "--json").out
    assert f'"uri": "{source.as_uri()}/a"' in listed and '"kind": "reference"' in listed
    assert cli("ls", "data").out.splitlines()[0].split() == ["1", "B", "a@"]
    assert cli("cat", "data/sub/b").out == "22" or cli("cat", "data", "sub/b").out == "22"
    assert cli("get", "data", "--root", "out").code == 0 and files(tmp_path / "out") == {"a": b"1", "sub/b": b"22"}
    status = cli("status")
    assert status.code == 0 and "out: data:v0 (the newest), unchanged" in status.out, status
    (source / "a").write_text("9")
    assert "v1" in cli("put", source.as_uri(), "-n", "data").out
    diff = cli("diff", "data:v0", "data:v1")
    assert "a" in diff.out and "sub/b" not in diff.out, diff
    assert "v1 is newer" in cli("status").out
    done = cli("get", "data:v0", "--root", "old")
    assert done.code == 5 and "is not what was referenced" in done.err and not (tmp_path / "old").exists(), done
    assert cli("verify", "data:v0", "out").code == 0
    check(tmp_path / ".artifacts")


def test_get_leaves_out_what_is_missing_when_it_may(tmp_path: Path, cli: Cli) -> None:
    source = make_tree(tmp_path / "in", PLAIN)
    cli("put", source.as_uri(), "-n", "data")
    (source / "a").unlink()
    done = cli("get", "data", "--root", "out")
    assert done.code == 4 and "is not there any more" in done.err and not (tmp_path / "out").exists(), done
    done = cli("get", "data", "--root", "out", "--allow-missing-references")
    assert done.code == 0 and "warning: skipped a: the content that it refers to is gone" in done.err
    assert files(tmp_path / "out") == {"sub/b": b"22"} and "1 file" in done.out, done
    status = cli("status")
    assert "1 deleted" in status.out or "missing" in status.out, status
    done = cli("get", "data", "--root", "out", "--allow-missing-references", "--json")
    assert '"missing": [\n    "a"\n  ]' in done.out, done


def test_put_of_what_cannot_be_referenced_is_a_sentence(tmp_path: Path, cli: Cli) -> None:
    for uri, code in {
        "file:///nowhere": 8, "mars://base/x": 3, "https://u:hunter2@h/x": 3,
        "file://": 3, "s3://": 3,
    }.items():  # fmt: skip
        done = cli("put", uri, "-n", "data")
        assert done.code == code and "hunter2" not in done.err + done.out, (uri, done)
        assert len(done.err.splitlines()) <= 2, (uri, done)
    assert cli("ls").out == ""


def test_get_does_not_overwrite_an_edited_file_of_a_reference_without_force(tmp_path: Path, cli: Cli) -> None:
    source = make_tree(tmp_path / "in", PLAIN)
    cli("put", source.as_uri(), "-n", "data")
    cli("get", "data", "--root", "out")
    (tmp_path / "out/a").write_text("my own work")
    done = cli("get", "data", "--root", "out")
    assert done.code == 6 and "--force" in done.err and (tmp_path / "out/a").read_text() == "my own work", done
    assert cli("get", "data", "--root", "out", "--force").code == 0 and files(tmp_path / "out")["a"] == b"1"


def test_get_of_a_newer_version_keeps_the_last_copy_of_what_an_older_one_referenced(tmp_path: Path, cli: Cli) -> None:
    """The file in the folder is what v0 says, and no version has its bytes."""
    source = make_tree(tmp_path / "in", PLAIN)
    cli("put", source.as_uri(), "-n", "data")
    cli("get", "data", "--root", "out")
    (source / "a").write_text("9")
    cli("put", source.as_uri(), "-n", "data")
    done = cli("get", "data", "--root", "out")
    assert done.code == 6 and "files that no version here holds would be overwritten: a" in done.err
    assert files(tmp_path / "out") == {"a": b"1", "sub/b": b"22"}
    assert cli("get", "data", "--root", "out", "--force").code == 0
    assert files(tmp_path / "out") == {"a": b"9", "sub/b": b"22"}


# -- trees that others made ----------------------------------------------------------------------


def reference(name: bytes, uri: str, kind: str = "uri", text: str | None = None, size: Any = None) -> tuple[Any, ...]:
    return (name, 4, size, uri, kind, uri if text is None else text, None)


@pytest.fixture
def forged(root: Path, tmp_path: Path) -> Callable[..., Repository]:
    """A repository whose version `bad` has these entries, as a remote's owner could make it; it was pulled."""

    def forge(*entries: Any) -> Repository:
        remote = tmp_path / "remote"
        Repository.init(str(remote)).close()
        forger = Forger(remote)
        size = sum(entry[2] or 0 for entry in entries)
        forger.version("bad", forger.tree(*entries), size, len(entries))
        with Repository.init(str(root)) as repository:
            repository.remotes.add("origin", str(remote))
            repository.pull()
        return Repository(str(root))

    return forge


@pytest.mark.damaged
@pytest.mark.parametrize("name", [b".git", b".artifacts", b".GIT", b"..", b"a/b", b"a\\..\\b", b""])
def test_a_reference_whose_name_is_not_one_writes_nothing(tmp_path: Path, forged: Any, name: bytes) -> None:
    secret = make_tree(tmp_path / "secret", {"f": "hooks"})
    out = tmp_path / "deep/out"
    with pytest.raises(ArtstoreError), forged(reference(name, (secret / "f").as_uri())) as repository:
        repository.get(repository.find("bad"), str(out))
    assert not out.exists() and list(tmp_path.rglob("*.git")) == []


@pytest.mark.damaged
def test_a_stored_uri_with_control_characters_is_never_printed_raw(tmp_path: Path, forged: Any, cli: Cli) -> None:
    forged(reference(b"f", "file:///no\x1b]0;x\x07where\n"), reference(b"g", "x\x1b:\r//y")).close()
    for command in [("get", "bad", "--root", "out"), ("get", "bad", "--include", "g", "--root", "out"), ("ls", "bad"), ("cat", "bad", "f"), ("cat", "bad/f"), ("show", "bad")]:  # fmt: skip
        done = cli(*command)
        assert not set("\x1b\x07\r") & set(done.out + done.err), (command, done)
    assert not (tmp_path / "out").exists()


@pytest.mark.damaged
@pytest.mark.parametrize("uri", ["", "f", "://", "http://", "http://[", "http://h:x/", "s3://", "file:", "a" * 70_000])
def test_a_stored_uri_that_is_none_is_one_of_our_errors(tmp_path: Path, forged: Any, uri: str) -> None:
    with forged(reference(b"f", uri)) as repository, pytest.raises(ArtstoreError):
        repository.get(repository.find("bad"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.damaged
def test_content_under_a_check_that_nobody_knows_is_not_taken_for_checked(tmp_path: Path, forged: Any) -> None:
    """Every byte is verified, says the contract: what can't be is refused, not waved through."""
    source = make_tree(tmp_path / "in", {"f": "1"})
    with forged(reference(b"f", (source / "f").as_uri(), "sha3", "00", 1)) as repository, pytest.raises(ArtstoreError):
        repository.get(repository.find("bad"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.damaged
def test_an_etag_check_of_a_place_that_has_none_is_not_waved_through(tmp_path: Path, forged: Any) -> None:
    source = make_tree(tmp_path / "in", {"f": "1"})
    with forged(reference(b"f", (source / "f").as_uri(), "etag", "00", 1)) as repository, pytest.raises(ArtstoreError):
        repository.get(repository.find("bad"), str(tmp_path / "out"))


@pytest.mark.damaged
def test_a_local_file_that_a_remotes_version_names_goes_nowhere_but_the_target(tmp_path: Path, forged: Any) -> None:
    """It is copied as a link would show it: into the folder that was asked for, and into no store."""
    secret = make_tree(tmp_path / "home", {"key": "my private key"})
    with forged(reference(b"f", (secret / "key").as_uri())) as repository:
        assert files(repository.get(repository.find("bad"), str(tmp_path / "out")).root) == {"f": b"my private key"}
        repository.push()
    for root in (".artifacts", "remote"):
        assert b"my private key" not in stored_bytes(tmp_path / root)


@pytest.mark.damaged
def test_our_credentials_go_to_no_endpoint_that_a_remotes_version_names(
    tmp_path: Path, forged: Any, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "hunter2")
    uri = f"s3://bucket/key?endpoint={web.url}"
    with forged(reference(b"f", uri)) as repository, pytest.raises(ArtstoreError):
        repository.get(repository.find("bad"), str(tmp_path / "out"))
    assert "hunter2" not in str(web.headers)


@pytest.mark.damaged
def test_a_stored_size_that_is_absurd_reserves_nothing(tmp_path: Path, forged: Any) -> None:
    source = make_tree(tmp_path / "in", {"f": "1"})
    with (
        forged(reference(b"f", (source / "f").as_uri(), size=(1 << 62))) as repository,
        pytest.raises(ChangedReference),
    ):
        repository.get(repository.find("bad"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_page_that_says_its_length_in_a_strange_way_has_no_size(here: Path, web: Web) -> None:
    for length in ("-1", "1e3", "²", "9" * 40):
        web.pages["/f"] = Page(b"1", '"t"', length=False, headers={"Content-Length": length})
        artifact = wandb.Artifact("data")
        try:
            (entry,) = artifact.add_reference(f"{web.url}/f", "f")
        except ArtstoreError:
            continue  # a sentence will do
        assert entry.size is None, length


def test_nothing_appears_any_more_in_a_folder_that_was_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gives up removes the folder next: a file that came now would keep it there."""
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.write_text("1")
    folder.mkdir()
    begun, go_on, stopped, appeared = threading.Event(), threading.Event(), threading.Event(), list[bool]()

    def slow(*args: Any) -> int:
        begun.set()
        go_on.wait(30)
        appeared.append(stopped.is_set())
        return create_file(*args)

    monkeypatch.setattr(fetching, "create_file", slow)
    fetcher = Fetcher(Monitor(), allow_missing=False)
    place = os.open(folder, os.O_RDONLY)
    try:
        fetcher.begin(place, b"a", Reference(source.as_uri(), 1, "uri", source.as_uri(), None).entry(b"a"), b".a", b"a")
        assert begun.wait(30)
        threading.Timer(0.2, go_on.set).start()
        fetcher.stop()
        stopped.set()
        fetcher._pool.shutdown()
    finally:
        os.close(place)
    assert appeared == [False] and os.listdir(folder) == []


def test_a_reference_to_a_bucket_without_obstore_says_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['obstore'] = None\n"
        "from artstore.backends import references\n"
        "from artstore.errors import StorageError\n"
        "try:\n"
        "    references.find('s3://bucket/key')\n"
        "except StorageError as error:\n"
        "    print(f'{error}; {error.hint}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == (
        "buckets need the package obstore, which is not installed here; `pip install 'artstore[cloud]'` adds it\n"
    )

"""References in trees that others made: hostile URIs, checks, sizes and credentials."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.backends.confined import create_file
from artstore.backends.references import Reference
from artstore.errors import (
    ArtstoreError,
    ChangedReference,
)
from artstore.operations.restoring import fetching
from artstore.operations.restoring.fetching import Fetcher
from artstore.progress import Monitor
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.references import files, stored_bytes
from tests.support.web import Page, Web


def reference(name: bytes, uri: str, kind: str = "uri", text: str | None = None, size: Any = None) -> tuple[Any, ...]:
    return (name, 4, size, uri, kind, uri if text is None else text, None)


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

"""Fetching references into folders: only what is missing, many at once, and what never asks a URI."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.backends import references
from artstore.errors import (
    StorageError,
)
from artstore.repository import Repository
from tests.support.artifacts import again, log
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.references import PLAIN, files, leftovers, logged, referring
from tests.support.trouble import UNPRIVILEGED, finish, small_disk, start
from tests.support.trouble import run as run_command
from tests.support.web import MIB, Web

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
    """Refers to so many pages of a server that takes 50 ms for each."""
    artifact = wandb.Artifact("data")
    for path in [f"/{n:03}" for n in range(number)]:
        artifact.add_reference(web.serve(path, path.encode(), '"t"', seconds=0.05), checksum=False)
    return log(artifact)


def test_three_hundred_pages_are_fetched_together(here: Path, web: Web) -> None:
    artifact = slow(web, 300)
    began = time.monotonic()
    artifact.download("out")
    assert time.monotonic() - began < 7  # s; one by one they take 15
    assert files("out") == {f"{n:03}": f"/{n:03}".encode() for n in range(300)}


@pytest.mark.parametrize("selected", [False, True], ids=["into a folder that exists", "by a glob"])
def test_pages_are_fetched_together_wherever_they_go(here: Path, web: Web, selected: bool) -> None:
    artifact = slow(web, 100)
    if not selected:
        make_tree(here / "out", {"foreign": "x"})
    began = time.monotonic()
    artifact.download("out", include=["0*"] if selected else None)
    assert time.monotonic() - began < 3  # s; one by one they take 5
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

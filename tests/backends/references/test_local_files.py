"""References to files of this host: what is referenced, what is refused, and files that went or changed."""

import json
import os
import socket
import time
from pathlib import Path

import pytest

import artstore as wandb
from artstore.errors import (
    ArtstoreError,
    ChangedReference,
    InvalidValue,
    MissingReference,
    SourceError,
)
from artstore.operations.restoring import fetching
from tests.support.artifacts import draft, log, log_files, paths
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.references import PLAIN, blobs, files, leftovers, logged, referring
from tests.support.web import MIB

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
    with pytest.raises(ValueError, match="is not a URI: it has control characters"):
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


def test_ignore_rules_come_first_in_a_referenced_folder_too(here: Path, cli: Cli) -> None:
    source = make_tree(here / "in", {**PLAIN, "sub/c.tmp": "3", "sub/kept.tmp": "4", ".git/config": "x", "big/x": "5"})
    os.mkfifo(source / "fifo")
    os.mkfifo(source / "sub/fifo")
    make_tree(source, {".artifactsignore": "fifo\n*.tmp\n.git\nbig/\n", "sub/.artifactsignore": "!kept.tmp\n"})
    names = [".artifactsignore", "a", "sub/.artifactsignore", "sub/b", "sub/kept.tmp"]
    assert paths(referring(source.as_uri())) == names
    assert len(draft().add_reference(source.as_uri(), max_objects=5)) == 5, "what is ignored does not count"
    assert cli("put", source.as_uri(), "-n", "data", "--exclude", "kept.tmp", "--exclude", "/a", cwd=here).code == 0
    listed = json.loads(cli("ls", "-r", "data", "--json", cwd=here).out)
    assert [row["path"] for row in listed] == [".artifactsignore", "sub/.artifactsignore", "sub/b"]


def test_what_can_not_be_referenced_is_named_with_the_way_out_and_can_be_excluded(here: Path, cli: Cli) -> None:
    source = make_tree(here / "in", PLAIN)
    os.mkfifo(source / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("in/z-socket")
    uri = source.as_uri()
    done = cli("put", uri, "-n", "data", cwd=here)
    assert done.code == 8 and done.err == (
        f"error: {source} holds what can't be referenced: {source}/fifo: it is a FIFO and 1 more\n"
        f"  {source}/fifo: it is a FIFO\n  {source}/z-socket: it is a socket\n"
        "hint: mend or remove them, or leave them out with .artifactsignore; nothing was added\n"
    ), done
    done = cli("put", uri, "-n", "data", "--exclude", "fifo", "--exclude", "z-*", "--exclude", "in/a", cwd=here)
    assert done.code == 0 and "warning: --exclude 'in/a' matches nothing; globs are relative to " in done.err, done
    done = cli("put", f"{uri}/fifo", "-n", "data", cwd=here)
    assert done.code == 8 and "must be a valid file or directory path: it is a FIFO\n" in done.err, done
    done = cli("put", f"{uri}/a", "-n", "data", "--exclude", "a", cwd=here)
    assert done.code == 3 and f"{uri}/a is not a folder: there is nothing in it to exclude\n" in done.err, done
    make_tree(source, {"sub/x": "1"})
    os.mkfifo(source / "sub/.artifactsignore")
    with pytest.raises(SourceError, match=r"sub/\.artifactsignore: it is a FIFO"):
        draft().add_reference((source / "sub").as_uri())


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


def test_a_folder_that_holds_git_adds_nothing_of_it(here: Path) -> None:
    source = make_tree(here / "in", {"a": "1", ".git/config": "x"})
    artifact = draft()
    artifact.add_reference(source.as_uri())
    assert paths(artifact) == ["a", "f"]


# -- files that went, or changed -----------------------------------------------------------------


def test_what_is_gone_is_a_file_not_found_error_and_may_be_left_out(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    artifact = logged(source.as_uri())
    (source / "sub/b").unlink()
    with pytest.raises(FileNotFoundError, match="sub/b is not there any more") as error:
        artifact.download("out")
    assert isinstance(error.value, MissingReference) and isinstance(error.value, ArtstoreError)
    assert not (here / "out").exists() and leftovers(here) == []
    with pytest.warns(UserWarning, match="skipped 'sub/b' of data:v0"):
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


def test_a_failed_download_leaves_nothing_though_other_files_are_being_fetched(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight threads create files in as many folders, on a slow disk, while the first file fails and all is removed."""
    source = make_tree(here / "in", {"a": b"1"} | {f"{number:02}/b": b"2" for number in range(20)})
    artifact = logged(source.as_uri())
    (source / "a").write_text("3")
    create_file, rmdir = fetching.create_file, os.rmdir

    def create_slowly(folder: int, name: bytes, executable: bool) -> int:
        time.sleep(0.002)
        return create_file(folder, name, executable)

    def rmdir_slowly(path: str, *, dir_fd: int | None = None) -> None:
        time.sleep(0.002)
        rmdir(path, dir_fd=dir_fd)

    monkeypatch.setattr(fetching, "create_file", create_slowly)
    monkeypatch.setattr(os, "rmdir", rmdir_slowly)
    for _ in range(5):
        with pytest.raises(ChangedReference):
            artifact.download("out")
        assert leftovers(here) == []


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

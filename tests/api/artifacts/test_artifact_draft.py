"""Artifacts before they are logged: what may be added, replaced and taken out, and what the next version begins with."""

import datetime
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import artstore as wandb
from artstore.errors import ArtifactFinalizedError, ArtifactNotLoggedError, ArtstoreError, NoEntry, SourceError
from tests.support.artifacts import log, paths, stored, write
from tests.support.folders import make_tree, snapshot

MIB = 1 << 20


# -- files ---------------------------------------------------------------------------------------


def test_a_file_is_added_under_its_own_name_or_the_one_given_and_its_entry_tells_of_it(here: Path) -> None:
    make_tree(here, {"in/f.txt": "abc"})
    artifact = wandb.Artifact("data")
    entry = artifact.add_file("in/f.txt")
    other = artifact.add_file(here / "in/f.txt", name="sub/g.txt")
    assert (entry.path, entry.size, entry.ref, entry.local_path) == ("f.txt", 3, None, "in/f.txt")
    assert entry.digest == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85", "what b3sum prints"
    assert (other.path, other.digest, other.parent_artifact()) == ("sub/g.txt", entry.digest, artifact)
    assert (paths(artifact), artifact.size) == (["f.txt", "sub/g.txt"], 6)
    assert artifact.get_added_local_path_name("in/f.txt") == "f.txt"
    assert artifact.get_added_local_path_name("elsewhere") is None


def test_the_content_at_the_moment_of_adding_is_what_is_stored(here: Path) -> None:
    make_tree(here, {"small": "before", "large": b"x" * (2 * MIB), "gone": "before", "dir/f": "before"})
    artifact = wandb.Artifact("data")
    for name in ("small", "large", "gone"):
        artifact.add_file(name)
    artifact.add_dir("dir", name="dir")
    (here / "gone").unlink()
    make_tree(here, {"small": "after", "large": b"y" * (2 * MIB), "dir/f": "after", "dir/new": "after"})
    assert stored(artifact) == {
        "small": (False, b"before"), "large": (False, b"x" * (2 * MIB)), "gone": (False, b"before"),
        "dir": None, "dir/f": (False, b"before"),
    }  # fmt: skip


@pytest.mark.parametrize("size", [6, 2 * MIB], ids=["small", "large"])
@pytest.mark.parametrize("known", [False, True], ids=["new content", "content stored before"])
def test_an_immutable_file_that_differs_at_the_save_is_an_error_that_names_it(
    here: Path, size: int, known: bool
) -> None:
    make_tree(here, {"fine": b"a" * size, "edited": b"b" * size})
    if known:
        before = wandb.Artifact("before")
        before.add_file("edited")
        log(before)
    artifact = wandb.Artifact("data")
    for name in ("fine", "edited"):
        artifact.add_file(name, policy="immutable")
    (here / "edited").write_bytes(b"c" * size)
    with pytest.raises(SourceError) as error:
        log(artifact)
    assert str(error.value) == f"{here / 'edited'} was changed after it was added"
    assert error.value.problems == [(str(here / "edited"), "it was changed after it was added")]
    assert artifact.is_draft() and not wandb.Api().artifact_exists("data")
    (here / "edited").write_bytes(b"b" * size)
    assert stored(artifact) == {"edited": (False, b"b" * size), "fine": (False, b"a" * size)}


def test_an_immutable_file_that_is_gone_at_the_save_is_an_error_that_names_it(here: Path) -> None:
    make_tree(here, {"f": "1"})
    artifact = wandb.Artifact("data")
    artifact.add_file("f", policy="immutable")
    (here / "f").unlink()
    with pytest.raises(SourceError, match=f"cannot read {here / 'f'}: no such file or directory"):
        log(artifact)


def test_a_policy_is_mutable_or_immutable_or_none_for_the_default(here: Path) -> None:
    make_tree(here, {"in/f": "1"})
    artifact = wandb.Artifact("data")
    for add in (lambda: artifact.add_file("in/f", policy="fixed"), lambda: artifact.add_dir("in", policy="fixed")):
        with pytest.raises(ValueError, match="policy 'fixed' is not 'mutable' or 'immutable'"):
            add()
    assert paths(artifact) == []
    artifact.add_file("in/f", name="g", policy=None)
    artifact.add_dir("in", policy=None)
    assert stored(artifact) == {"f": (False, b"1"), "g": (False, b"1")}


def test_what_is_no_regular_file_is_refused_and_nothing_hangs(here: Path) -> None:
    make_tree(here, {"dir": None})
    os.mkfifo(here / "fifo")
    (here / "dangling").symlink_to("nowhere")
    artifact = wandb.Artifact("data")
    for name, problem in {"missing": "does not exist", "dir": "is a folder", "fifo": "is not a file", "dangling": "is not a file"}.items():  # fmt: skip
        for policy in ("mutable", "immutable"):
            with pytest.raises(ValueError, match=f"Path is not a file: {name} {problem}"):
                artifact.add_file(name, policy=policy)
    with pytest.raises(ValueError, match="Path is not a directory: missing does not exist"):
        artifact.add_dir("missing")
    assert paths(artifact) == []


def test_a_symlink_to_a_file_is_added_as_the_file(here: Path) -> None:
    make_tree(here, {"f": "1"})
    (here / "link").symlink_to("f")
    artifact = wandb.Artifact("data")
    artifact.add_file("link")
    assert stored(artifact) == {"link": (False, b"1")} and not (here / "out/link").is_symlink()


def test_the_same_path_with_the_same_content_is_fine_and_with_other_content_refused(here: Path) -> None:
    make_tree(here, {"f": "1", "same": "1", "other": "2"})
    artifact = wandb.Artifact("data")
    artifact.add_file("f")
    artifact.add_file("same", name="f")
    with pytest.raises(ValueError, match="^Cannot add the same path twice: 'f' is a file with other content") as error:
        artifact.add_file("other", name="f")
    assert isinstance(error.value, ArtstoreError) and "overwrite=True" in (error.value.hint or "")
    assert artifact.get_entry("f").size == 1 and artifact.get_entry("f").local_path == "same"
    artifact.add_file("other", name="f", overwrite=True)
    assert stored(artifact) == {"f": (False, b"2")}


ADDS: dict[str, Callable[[wandb.Artifact], object]] = {
    "folder": lambda artifact: artifact.add_dir("dir", name="data", merge=True),
    "folder in a folder": lambda artifact: artifact.add_dir("nest", merge=True),
    "file below": lambda artifact: artifact.add_file("dir/g", name="data/g", overwrite=True),
    "folder below": lambda artifact: artifact.add_dir("dir", name="data/sub/deep", merge=True),
}


@pytest.mark.parametrize("folder", ADDS)
@pytest.mark.parametrize("file_first", [True, False], ids=["after the file", "before the file"])
def test_a_file_and_a_folder_of_one_path_exclude_each_other(here: Path, folder: str, file_first: bool) -> None:
    make_tree(here, {"f": "1", "dir/g": "2", "nest/data/g": "3"})
    adds = [lambda artifact: artifact.add_file("f", name="data", overwrite=True), ADDS[folder]]
    first, second = adds if file_first else reversed(adds)
    artifact = wandb.Artifact("data")
    first(artifact)
    before = paths(artifact)
    with pytest.raises(ValueError, match="^Cannot add the same path twice: 'data' is a file" if file_first else "^Cannot add the same path twice: 'data' is a folder here"):  # fmt: skip
        second(artifact)
    assert paths(artifact) == before


def test_is_tmp_replaces_the_name_up_to_its_first_dot_by_20_digits_of_the_digest(here: Path) -> None:
    make_tree(here, {"f.tar.gz": "abc"})
    artifact = wandb.Artifact("data")
    assert artifact.add_file("f.tar.gz", is_tmp=True).path == "6437b3ac38465133ffb6.tar.gz"
    assert artifact.add_file("f.tar.gz", name="sub/x.y", is_tmp=True).path == "sub/6437b3ac38465133ffb6.y"


def test_local_path_is_the_file_that_was_added_last_under_a_path_and_of_a_written_file_none(here: Path) -> None:
    make_tree(here, {"dir/a": "1", "f": "2"})
    artifact = wandb.Artifact("data")
    artifact.add_dir("dir")
    assert artifact.get_entry("a").local_path == os.path.join("dir", "a")
    artifact.add_file("f", name="a", overwrite=True)
    assert artifact.get_entry("a").local_path == "f"
    with artifact.new_file("made") as file:
        file.write("3")
    with artifact.new_file("a", mode="w") as file:
        file.write("4")
    assert (artifact.get_entry("made").local_path, artifact.get_entry("a").local_path) == (None, None)


# -- new_file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 2 * MIB], ids=["empty", "small", "large"])
def test_new_file_adds_the_bytes_or_the_text_that_was_written_and_may_lie_below_folders(here: Path, size: int) -> None:
    artifact = wandb.Artifact("data")
    with artifact.new_file("a/b.txt", encoding="utf-16") as text:
        text.write("ä")
    with artifact.new_file("data", "wb") as data:
        data.write(b"x" * size)
        assert paths(artifact) == ["a/b.txt"]
    assert stored(artifact) == {"a": None, "a/b.txt": (False, "ä".encode("utf-16")), "data": (False, b"x" * size)}


def test_new_file_refuses_a_name_that_is_taken_unless_its_mode_is_w(here: Path) -> None:
    artifact = write(wandb.Artifact("data"), f="1")
    for mode in ("x", "xb"):
        with pytest.raises(ValueError, match="File with name 'f' already exists"), artifact.new_file("f", mode):
            pass
    with (
        pytest.raises(ValueError, match="mode 'r' is not x, w or a"),
        artifact.new_file("g", "r"),
    ):
        pass
    with artifact.new_file("f", "w") as file:
        file.write("2")
    assert stored(artifact) == {"f": (False, b"2")}


def test_of_a_new_file_whose_block_fails_nothing_is_added(here: Path) -> None:
    artifact = write(wandb.Artifact("data"), kept="1")
    for name, mode in (("half", "x"), ("kept", "w")):
        with pytest.raises(ZeroDivisionError), artifact.new_file(name, mode) as file:
            file.write("half")
            file.flush()
            raise ZeroDivisionError
    assert stored(artifact) == {"kept": (False, b"1")}


# -- removing and looking ------------------------------------------------------------------------


def test_remove_takes_out_a_file_a_folder_or_an_entry(here: Path) -> None:
    make_tree(here / "in", {"a": "1", "b": "2", "sub/c": "3", "sub/deep/d": "4", "subway": "5"})
    artifact = wandb.Artifact("data")
    artifact.add_dir("in")
    artifact.remove("a")
    artifact.remove(Path("sub"))
    artifact.remove(artifact.get_entry("b"))
    assert paths(artifact) == ["subway"]
    for absent in ("a", "sub", "sub/c", "subway/x"):
        with pytest.raises(FileNotFoundError, match=f"there is no '{absent}' in this draft"):
            artifact.remove(absent)
    with pytest.raises(FileNotFoundError):
        wandb.Artifact("empty").remove("a")
    assert stored(artifact) == {"subway": (False, b"5")}


def test_with_the_last_file_below_it_a_folder_that_nobody_added_goes_too(here: Path) -> None:
    artifact = write(wandb.Artifact("data"), f="1")
    before = artifact.digest
    with artifact.new_file("sub/deep/g") as file:
        file.write("2")
    artifact.remove("sub/deep/g")
    assert artifact.digest == before


def test_the_digest_tells_of_paths_and_content_only(here: Path) -> None:
    make_tree(here / "in", {"a": "1", "sub/b": "2"})
    one, other = wandb.Artifact("one", type="a", description="x"), wandb.Artifact("other", metadata={"k": 1})
    one.add_dir("in")
    write(other, a="1")
    assert one.digest != other.digest
    other.add_file("in/sub/b", name="sub/b")
    assert one.digest == other.digest == log(one).digest == log(other).digest


def test_an_absent_path_is_a_key_error_with_near_names(here: Path) -> None:
    artifact = write(wandb.Artifact("data"), train="1", test="2")
    for look in (artifact.get_entry, artifact.get_path):
        with pytest.raises(KeyError) as error:
            look("trian")
        assert isinstance(error.value, NoEntry) and str(error.value) == "data has no file 'trian'"
        assert error.value.hint == "did you mean 'train'?"
    with pytest.raises(KeyError, match="data has no 'trian'"):
        artifact.manifest.entries["trian"]
    assert artifact.manifest.get_entry_by_path("trian") is None and "trian" not in artifact.manifest.entries


def test_looking_at_an_empty_draft_finds_nothing_and_makes_no_repository(here: Path) -> None:
    artifact = wandb.Artifact("data")
    assert (artifact.size, paths(artifact), len(artifact.manifest), artifact.state) == (0, [], 0, "PENDING")
    assert repr(artifact) == "<Artifact data (draft)>" and artifact.id is None and "data" in artifact._repr_html_()
    assert len(artifact.digest) == 64
    with pytest.raises(KeyError):
        artifact.get_entry("f")
    assert list(here.iterdir()) == []


def test_entries_of_a_draft_can_not_be_read_yet(here: Path) -> None:
    entry = write(wandb.Artifact("data"), f="1").get_entry("f")
    for read in (entry.open, entry.download):
        with pytest.raises(ArtifactNotLoggedError, match="entry 'f' can't .* before artifact 'data' is logged"):
            read()


# -- finalizing, threads -------------------------------------------------------------------------


def test_a_finalized_draft_takes_no_more_files_but_can_be_described_and_logged(here: Path) -> None:
    artifact = write(wandb.Artifact("data"), f="1")
    artifact.finalize()
    actions: list[Callable[[], object]] = [
        lambda: artifact.add_file("f"), lambda: artifact.add_dir("."), lambda: artifact.remove("f"),
        lambda: artifact.new_file("g").__enter__(),
    ]  # fmt: skip
    make_tree(here, {"f": "1"})
    for action in actions:
        with pytest.raises(ArtifactFinalizedError, match="Can't modify finalized artifact 'data'") as error:
            action()
        assert isinstance(error.value, AttributeError) and "make another Artifact" in (error.value.hint or "")
    artifact.metadata["k"] = 1
    assert (log(artifact).metadata, artifact.is_draft(), artifact.state) == ({"k": 1}, False, "COMMITTED")


def test_several_threads_may_add_to_one_draft(here: Path) -> None:
    make_tree(here / "in", {f"f{n}": str(n) for n in range(40)})
    artifact = wandb.Artifact("data")
    threads = [
        threading.Thread(target=lambda low=low: [artifact.add_file(f"in/f{n}") for n in range(low, 40, 4)])
        for low in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored(artifact) == snapshot(here / "in")


def test_a_forked_child_is_refused_and_leaves_the_draft_as_it_was(here: Path) -> None:
    code = """
import os
import artstore as wandb
artifact = wandb.Artifact("data")
def add(name):
    with artifact.new_file(name) as file:
        file.write(name)
add("before")
if not os.fork():
    try:
        add("child")
    except ValueError as error:
        print(error, "|", error.hint, flush=True)
    os._exit(0)
os.wait()
add("after")
artifact.save()
print(list(artifact.manifest.entries), sorted(os.listdir(artifact.download("out"))))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, timeout=60)
    refused, saved = done.stdout.splitlines()
    assert re.fullmatch(
        r"artifact 'data' was started in process \d+, and this is a forked child of it \| add files in .*", refused
    )
    assert saved == "['after', 'before'] ['after', 'before']"


# -- the next version ----------------------------------------------------------------------------


def test_an_incremental_artifact_is_merged_onto_the_latest_version(here: Path) -> None:
    first = log(write(wandb.Artifact("data", incremental=True), kept="1", changed="1"))
    log(write(wandb.Artifact("data"), kept="1", changed="2", more="2"))
    artifact = write(wandb.Artifact("data", incremental=True), changed="3", new="3")
    assert artifact.incremental and paths(artifact) == ["changed", "new"]
    assert stored(artifact) == {
        "kept": (False, b"1"), "more": (False, b"2"), "changed": (False, b"3"), "new": (False, b"3"),
    }  # fmt: skip
    assert (first.version, artifact.version) == ("v0", "v2")
    assert paths(artifact) == ["changed", "kept", "more", "new"]


def test_a_new_draft_has_tree_type_description_and_metadata_and_neither_aliases_tags_nor_ttl(here: Path) -> None:
    origin = write(wandb.Artifact("data", "dataset", "about", {"k": {"n": 1}}), a="1", b="1")
    origin.ttl = datetime.timedelta(days=3)
    log(origin, aliases=["best"], tags=["t"])
    log(write(wandb.Artifact("data"), other="2"))
    draft = origin.new_draft()
    assert (draft.is_draft(), draft.name, draft.type, draft.description) == (True, "data", "dataset", "about")
    assert (draft.metadata, paths(draft), draft.digest) == ({"k": {"n": 1}}, ["a", "b"], origin.digest)
    with pytest.raises(ArtifactNotLoggedError):
        _ = draft.ttl
    draft.metadata["k"]["n"] = 2
    draft.remove("a")
    write(draft, c="3")
    assert stored(draft) == {"b": (False, b"1"), "c": (False, b"3")}
    assert (draft.version, draft.aliases, draft.tags, draft.ttl) == ("v2", ["latest"], [], None)
    assert (origin.metadata, origin.tags, paths(origin)) == ({"k": {"n": 1}}, ["t"], ["a", "b"])
    with wandb.Repository(str(here / ".artifacts")) as repository:
        assert repository.find("data:v2").version["parents"] == [origin.id]
        assert repository.find("data:v1").version["parents"] == []


def test_a_new_draft_is_saved_in_the_project_of_its_origin(here: Path) -> None:
    origin = write(wandb.Artifact("data"), a="1")
    origin.save(project="theirs")
    draft = write(origin.new_draft(), b="2")
    draft.save()
    assert draft.qualified_name == "local/theirs/data:v1"


def test_wandbs_other_arguments_are_accepted(here: Path) -> None:
    make_tree(here / "in", {"f": "1"})
    artifact = wandb.Artifact("data", "t", use_as="x", storage_region="eu")
    artifact.add_file("in/f", None, False, True, "mutable", False)
    artifact.add_dir("in", "d", True, "immutable", False)
    assert paths(artifact) == ["d/f", "f"]
    with artifact.new_file("g", "w", None, "immutable"):
        pass
    assert wandb.Artifact("data", "t", digest_algorithm="XXH128").type == "t"

"""Folders added to an artifact: what of them is kept, left out and chosen, what is merged, and all that can't be added at once."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import SourceError
from tests.support.artifacts import log, paths, stored, write
from tests.support.commands import environment
from tests.support.folders import make_tree, snapshot
from tests.support.trouble import UNPRIVILEGED

MIB = 1 << 20


def test_a_folder_is_added_with_empty_folders_and_executable_bits_at_the_root_or_below_a_name(here: Path) -> None:
    tree = {"a": "1", "run.sh*": "#!", "sub/deep/b": b"x" * (2 * MIB), "sub/empty": None, "none": None}
    source = make_tree(here / "in", tree)
    (source / "link").symlink_to("sub/deep")
    at_root, below, slash = (wandb.Artifact(name) for name in ("at-root", "below", "slash"))
    at_root.add_dir("in")
    below.add_dir(source, name="x/y")
    slash.add_dir("in/", name="x/y/")
    assert stored(at_root) == snapshot(source) | {"link": None, "link/b": (False, b"x" * (2 * MIB))}
    assert paths(below) == [f"x/y/{path}" for path in paths(at_root)] and below.digest == slash.digest
    assert snapshot(Path(log(below).download("other"), "x/y")) == snapshot(here / "out")


def test_a_folder_added_twice_is_fine_unchanged_and_refused_whole_when_changed_unless_merged(here: Path) -> None:
    make_tree(here / "in", {"a": "1", "gone": "1", "sub/b": "1"})
    artifact = wandb.Artifact("data")
    artifact.add_dir("in")
    artifact.add_dir("in")
    (here / "in/gone").unlink()
    make_tree(here / "in", {"a": "1", "sub/b": "2", "0new": "2"})
    before = paths(artifact)
    with pytest.raises(ValueError, match="^Cannot add the same path twice: 'sub/b' is a file with other") as error:
        artifact.add_dir("in")
    assert "merge=True" in (error.value.hint or "")  # type: ignore[attr-defined]
    assert paths(artifact) == before
    artifact.add_dir("in", merge=True)
    assert stored(artifact) == {
        "0new": (False, b"2"), "a": (False, b"1"), "gone": (False, b"1"), "sub": None, "sub/b": (False, b"2"),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:include '.*' matches nothing")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": "*.png"}, ["a.png", "sub/c.png"]),
        ({"include": ["*.png", "*.txt"]}, ["a.png", "b.txt", "sub/c.png"]),
        ({"include": "sub/"}, ["sub/c.png", "sub/d.csv"]),
        ({"exclude": "sub"}, ["a.png", "b.txt"]),
        ({"include": ["*.png"], "exclude": ["sub/**"]}, ["a.png"]),
        ({"include": "*.none"}, []),
    ],
)
def test_include_and_exclude_choose_by_globs(here: Path, options: dict[str, Any], expected: list[str]) -> None:
    make_tree(here / "in", {"a.png": "1", "b.txt": "2", "sub/c.png": "3", "sub/d.csv": "4"})
    artifact = wandb.Artifact("data")
    artifact.add_dir("in", name="x", **options)
    assert paths(artifact) == [f"x/{path}" for path in expected]


def test_artifactsignore_leaves_out_as_gitignore_does(here: Path) -> None:
    make_tree(here / "in", {".artifactsignore": "*.log\n/build/\n!keep.log\n", "a.log": "1", "keep.log": "2"})
    make_tree(here / "in", {"build/x": "3", "sub/build/y": "4", "sub/.artifactsignore": "y\n", "sub/b.log": "5"})
    artifact = wandb.Artifact("data")
    artifact.add_dir("in", exclude=[".artifactsignore"])
    assert paths(artifact) == ["keep.log"]
    again = wandb.Artifact("data")
    again.add_dir("in")
    assert paths(again) == [".artifactsignore", "keep.log", "sub/.artifactsignore"]


def test_the_repository_and_git_folders_are_never_added(here: Path) -> None:
    make_tree(here, {"f": "1", ".git/config": "2", "sub/.git/hooks/x": "3", "sub/g": "4"})
    artifact = wandb.Artifact("data")
    artifact.add_dir(".")
    assert paths(artifact) == ["f", "sub/g"]
    for name in (".artifacts/x", "sub/.git/hooks/post"):
        with pytest.raises(ValueError, match="^Invalid artifact path: .* is in a protected folder"):
            artifact.add_file("f", name=name)
    with pytest.raises(ValueError, match="is in the repository itself"):
        artifact.add_dir(".artifacts")


def test_everything_that_can_not_be_added_is_listed_and_nothing_is_half_added(here: Path) -> None:
    source = make_tree(here / "in", {"fine": "1", "sub/fine": "2"})
    os.mkfifo(source / "fifo")
    (source / "sub/dangling").symlink_to("nowhere")
    (source / "sub/loop").symlink_to("../sub")
    (source / "itself").symlink_to("itself")
    artifact = write(wandb.Artifact("data"), before="1")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("in/socket")
        with pytest.raises(SourceError) as error:
            artifact.add_dir("in")
    assert sorted(error.value.problems) == [
        ("fifo", "is a FIFO, not a file"),
        ("itself", "symlink loop"),
        ("socket", "is a socket, not a file"),
        ("sub/dangling", "dangling symlink to nowhere"),
        ("sub/loop", "is a symlink to a folder that holds it: a loop"),
    ]
    assert str(error.value).startswith(f"5 of the files in {source} can't be added: ")
    assert isinstance(error.value, ValueError) and ".artifactsignore" in (error.value.hint or "")
    assert stored(artifact) == {"before": (False, b"1")}


def test_files_and_folders_without_permission_are_all_listed_and_nothing_is_half_added(
    here: Path, tmp_path: Path
) -> None:
    source = make_tree(here / "in", {"fine": "1", "secret": "2", "sub/secret": b"x" * MIB, "closed/f": "3"})
    for name in ("secret", "sub/secret", "closed"):
        (source / name).chmod(0)
    code = f"""{UNPRIVILEGED}
import artstore as wandb
artifact = wandb.Artifact("data")
for add in (lambda: artifact.add_dir("in"), lambda: artifact.add_file("in/secret")):
    try:
        add()
    except wandb.errors.SourceError as error:
        print(sorted(error.problems))
print(list(artifact.manifest.entries))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    (source / "closed").chmod(0o755)
    denied = "permission denied"
    assert done.stdout.splitlines() == [
        str([("closed", denied), ("secret", denied), ("sub/secret", denied)]), str([(str(source / "secret"), denied)]), "[]",
    ], done.stderr  # fmt: skip

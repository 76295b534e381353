"""Ignore rules come first: what they name is left out of a save, whatever it is."""

import os
import socket
from pathlib import Path

import pytest

import artstore
from artstore.errors import SourceError
from artstore.repository import Repository
from tests.support.folders import make_tree


def _troubles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FIFO, a socket, a link that leads nowhere, one that leads to itself, and one to a device."""
    os.mkfifo(folder / "fifo")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "device").symlink_to("/dev/null")
    monkeypatch.chdir(folder)  # a socket's path has at most 108 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    monkeypatch.undo()


def test_what_can_not_be_stored_is_left_out_where_a_rule_names_it(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_tree(tmp_path / "src", {"a": "1", "sub/b": "2"})
    _troubles(source / "sub", monkeypatch)
    with pytest.raises(SourceError) as error:
        repo.put(str(source), "data")
    assert {path for path, _ in error.value.problems} == {
        f"sub/{name}" for name in ("fifo", "dangling", "loop", "device", "socket")
    }
    (source / ".artifactsignore").write_text("fifo\ndangling\nloop\ndevice\nsocket\n")
    assert repo.put(str(source), "data").files == 3
    (source / ".artifactsignore").write_text("sub/\n")
    assert repo.put(str(source), "data").files == 2


def test_a_rule_that_keeps_a_fifo_brings_the_problem_back(repo: Repository, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"a": "1", ".artifactsignore": "*\n!.artifactsignore\n!a\n!fifo\n"})
    os.mkfifo(source / "fifo")
    os.mkfifo(source / "other")
    with pytest.raises(SourceError) as error:
        repo.put(str(source), "data")
    assert error.value.problems == [("fifo", "is a FIFO, not a file")]


def test_globs_of_a_script_leave_out_what_can_not_be_stored(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_tree(here / "src", {"a.csv": "1", "b.csv": "2"})
    _troubles(source, monkeypatch)
    monkeypatch.chdir(here)
    chosen = artstore.Artifact("chosen", "dataset")
    chosen.add_dir(str(source), include="*.csv")
    rest = artstore.Artifact("rest", "dataset")
    rest.add_dir(str(source), exclude=["fifo", "dangling", "loop", "device", "socket"])
    assert len(chosen.manifest.entries) == len(rest.manifest.entries) == 2


def test_a_repository_link_that_leads_nowhere_is_left_out_as_a_protected_folder_is(
    repo: Repository, tmp_path: Path
) -> None:
    source = make_tree(tmp_path / "src", {"a": "1"})
    (source / ".git").symlink_to("nowhere")
    assert repo.put(str(source), "data").left_out == (".git",)

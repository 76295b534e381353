"""Folders in which files come and go while they are saved: what only came and went is not missed, all else is."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.errors import SourceError
from artstore.operations.saving import reading
from artstore.repository import Repository
from tests.support.folders import make_tree, snapshot

WRITER = """
import itertools, os, time
print("ready", flush=True)
for n in itertools.count():
    with open(f"tmp.{n}", "wb") as file:
        file.write(b"x" * 20000)
    time.sleep(PAUSE)
    os.replace(f"tmp.{n}", "state.json") if n % 2 else os.unlink(f"tmp.{n}")
    time.sleep(PAUSE)
"""


@pytest.mark.parametrize("pause", ["0", "0.01"], ids=["at once", "slowly"])
def test_saves_beside_a_writer_of_temporary_files_have_all_other_files(
    repo: Repository, tmp_path: Path, pause: str
) -> None:
    source = make_tree(tmp_path / "src", {f"f{n}": f"content {n}" for n in range(100)})
    expected = snapshot(source)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER.replace("PAUSE", pause)], cwd=source, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    try:
        writer.stdout.readline()
        for _ in range(8):
            repo.put(str(source), "data")
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    repo.get(repo.find("data"), str(tmp_path / "out"))
    saved = snapshot(tmp_path / "out")
    assert expected.items() <= saved.items()
    assert all(name in expected or name == "state.json" or name.startswith("tmp.") for name in saved)


def _before_reading(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[bytes], object], times: int = 10**9
) -> list[list[str]]:
    """Run `act` with the path of each folder before its files are read. Returns the names that are read each time."""
    real, read = reading.FileReader.read, list[list[str]]()

    def hooked(self: Any, fd: int, path: bytes, todo: Any, linked: Any) -> Any:
        if len(read) < times:
            act(path)
        read.append(sorted(todo))
        return real(self, fd, path, todo, linked)

    monkeypatch.setattr(reading.FileReader, "read", hooked)
    return read


@pytest.mark.disk
def test_a_file_that_is_deleted_while_its_folder_is_read_is_left_out_after_a_second_look(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_tree(tmp_path / "src", {"sub/a": "first", "sub/victim": "second", "z": "third"})
    time.sleep(0.1)  # files that are older than a tick of the clock needn't be read twice
    read = _before_reading(
        monkeypatch, lambda path: path == b"sub/" and (source / "sub/victim").unlink(missing_ok=True)
    )
    saved = repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)
    assert set(snapshot(source)) == {"sub", "sub/a", "z"}
    assert read == [["sub", "z"], ["a", "victim"], [], []]
    read.clear()
    monkeypatch.undo()
    assert repo.put(str(source), "data").id == saved.id


def test_a_file_that_moves_to_a_folder_that_was_read_before_is_found_there(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_tree(tmp_path / "src", {"f": "1", "sub/moved": "2"})

    def act(path: bytes) -> None:
        if path == b"sub/" and (source / "sub/moved").exists():
            (source / "sub/moved").rename(source / "moved")

    _before_reading(monkeypatch, act)
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)
    assert set(snapshot(source)) == {"f", "moved", "sub"}


def test_a_folder_that_is_deleted_while_it_is_read_is_left_out(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_tree(tmp_path / "src", {"gone/deep/f": "1", "stays/f": "2"})

    def act(path: bytes) -> None:
        if path == b"gone/" and (source / "gone").exists():
            (source / "gone/deep/f").unlink()
            (source / "gone/deep").rmdir()
            (source / "gone").rmdir()

    _before_reading(monkeypatch, act)
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert set(snapshot(tmp_path / "out")) == {"stays", "stays/f"}


def test_a_file_that_is_there_at_each_look_and_gone_at_each_read_fails_the_save(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_tree(tmp_path / "src", {"a": "first", "victim": "second"})
    real = reading.FileReader.read

    def hooked(self: Any, *args: Any) -> Any:
        (source / "victim").unlink()
        try:
            return real(self, *args)
        finally:
            (source / "victim").write_text("again")

    monkeypatch.setattr(reading.FileReader, "read", hooked)
    with pytest.raises(SourceError) as error:
        repo.put(str(source), "data")
    assert error.value.problems == [("victim", "vanished while the folder was read")]
    assert list(repo.collections()) == [] and os.listdir(Path(repo.root) / "tmp") == []

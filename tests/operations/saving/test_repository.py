"""Saving and restoring, as a user of `Repository` sees it."""

from pathlib import Path

from artstore.repository import Repository
from tests.support.folders import make_tree, snapshot


def test_what_was_saved_comes_back_with_executable_bits_and_empty_folders(repo: Repository, tmp_path: Path) -> None:
    source = make_tree(
        tmp_path / "data",
        {"a.txt": "a", "sub/run.sh*": "#!/bin/sh\n", "sub/empty": None, "big": b"x" * (3 << 20), "zero": b""},
    )
    saved = repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)
    assert (saved.number, saved.files, saved.is_new) == (0, 4, True)

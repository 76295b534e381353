"""Names that the target's file system forbids are all listed, and nothing is written. `places.py` tries exFAT and NTFS."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.ignore import PathFilter
from artstore.domain.selection import Selection
from artstore.errors import Conflict
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from tests.support.folders import make_tree, snapshot

FILES: dict[str, str | bytes | None] = {"q?": "1", "sub/aa:b": "2", "plain": "3", "sub/con": "4"}


@pytest.fixture
def windows_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """New names are refused as by ntfs-3g, and those of devices get another name, as on FAT."""
    real, listed = os.open, os.listdir

    def opened(path: Any, flags: int, *args: Any, **more: Any) -> int:
        name = os.path.basename(os.fsencode(path))
        if flags & os.O_CREAT and {b"?", b":"} & {bytes([byte]) for byte in name}:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(path, flags, *args, **more)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "listdir", lambda path=".": ["con_" if name == "con" else name for name in listed(path)])


@pytest.mark.usefixtures("windows_names")
@pytest.mark.parametrize("there", [False, True], ids=["a new folder", "a folder that is there"])
def test_names_that_are_forbidden_are_all_listed_and_nothing_is_written(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.undo()
        source = make_tree(tmp_path / "src", FILES)
    repo.put(str(source), "data")
    (tmp_path / "to").mkdir()
    if there:
        make_tree(tmp_path / "to/out", {"plain": "old"})
    before = snapshot(tmp_path / "to")
    with pytest.raises(Conflict, match=r"'q\?', 'sub/aa:b', 'sub/con' can't be written") as refused:
        repo.get(repo.find("data"), str(tmp_path / "to/out"), Restore(force=True))
    assert "--exclude" in (refused.value.hint or "") and snapshot(tmp_path / "to") == before
    others = Selection("", PathFilter(None, ("q*", "sub/aa*", "sub/con")))
    repo.get(repo.find("data"), str(tmp_path / "to/out"), Restore(others, force=True))
    assert (tmp_path / "to/out/plain").read_text() == "3"


def test_where_names_are_free_odd_ones_are_written(repo: Repository, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", FILES | {"n" * 250: "5", "end.": "6"})
    repo.put(str(source), "data")
    for _ in range(2):
        repo.get(repo.find("data"), str(tmp_path / "out"))
    (tmp_path / "out/q?").unlink()
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)

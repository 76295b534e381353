"""Restoring into places that are not empty, and what becomes of the store when restored files are edited."""

import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.selection import Selection
from artstore.errors import ArtstoreError, NotFound, Refused
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from tests.support.folders import make_tree, snapshot, touched
from tests.support.trouble import run

pytestmark = pytest.mark.disk

MIB = 1 << 20
WANTED = {"f": "wanted", "d/x": "inside", "large": b"L" * MIB}


def _occupy(place: Path, what: str, outside: Path) -> None:
    place.unlink(missing_ok=True) if not place.is_dir() else None
    {
        "other file": lambda: place.write_text("other"), "longer": lambda: place.write_text("wanted and more"), "read-only": lambda: (place.write_text("other"), place.chmod(0o400)),
        "executable": lambda: (place.write_text("wanted"), place.chmod(0o755)), "symlink": lambda: place.symlink_to(outside), "dangling": lambda: place.symlink_to("nowhere"),
        "link to itself": lambda: place.symlink_to(place.name), "fifo": lambda: os.mkfifo(place), "hard link": lambda: os.link(outside, place),
        "device": lambda: os.mknod(place, 0o666 | stat.S_IFCHR, os.makedev(1, 5)),
    }[what]()  # fmt: skip


@pytest.mark.parametrize(
    "what",
    [
        "other file",
        "longer",
        "read-only",
        "executable",
        "symlink",
        "dangling",
        "link to itself",
        "fifo",
        "hard link",
        "device",
    ],
)
def test_what_stands_at_a_files_place_is_replaced_and_never_written_through(
    repo: Repository, tmp_path: Path, what: str
) -> None:
    """Case 84: by a rename; the API does so at once, the command line asks for --force where no version here holds the content."""
    if what == "device" and os.geteuid() != 0:
        pytest.skip("only root makes devices")
    source = make_tree(tmp_path / "src", WANTED)
    repo.put(str(source), "data")
    outside = make_tree(tmp_path / "outside", {"precious": "precious"}) / "precious"
    target = make_tree(tmp_path / "target", {})
    _occupy(target / "f", what, outside)
    result = run(tmp_path, "get", "data", "--root", target, timeout=60)
    if what not in ("executable",):
        assert (result.code, result.err) == (
            6, f"error: in {target}, files that no version here holds would be overwritten: f\nhint: save them first, or use --force\n",
        ), result  # fmt: skip
        assert os.listdir(target) == ["f"]
    assert run(tmp_path, "get", "data", "--root", target, "--force", timeout=60).code == 0
    assert snapshot(target) == snapshot(source)
    (target / "f").unlink()
    _occupy(target / "f", what, outside)
    repo.get(repo.find("data"), str(target))
    assert snapshot(target) == snapshot(source)
    assert outside.read_text() == "precious"


def test_right_files_stay_untouched_and_foreign_ones_are_left_alone(repo: Repository, tmp_path: Path) -> None:
    """Case 84: same content, same inode; what is not in the version stays."""
    repo.put(str(make_tree(tmp_path / "src", WANTED)), "data")
    target = make_tree(tmp_path / "target", {**WANTED, "mine": "1", "d/mine": "2"})
    before = {path: touched(path) for path in target.rglob("*") if path.is_file()}
    result = repo.get(repo.find("data"), str(target), Restore(force=False))
    assert (result.written, result.files) == (0, 3)
    assert {path: touched(path) for path in target.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("selected", ["", "d/"])
def test_a_restore_writes_what_verify_calls_missing_or_changed_and_removes_what_it_calls_extra(
    repo: Repository, tmp_path: Path, selected: str
) -> None:
    saved = {"f": "1", "d/right": "2", "d/changed": "3", "d/gone": "4", "away/x": "5", "d/away/y": "6"}
    source = make_tree(tmp_path / "src", saved)
    repo.put(str(source), "data")
    found, out = repo.find("data"), tmp_path / "out"
    repo.get(found, str(out))
    for gone in ("d/gone", "away/x", "d/away/y"):
        (out / gone).unlink()
    for gone in ("away", "d/away"):
        (out / gone).rmdir()
    make_tree(out, {"d/changed": "other", "d/new": "7", "more/deep/z": "8", "a/b": "9"})
    changed, missing, extra = ["d/changed"], ["away", "d/away", "d/gone"], ["a", "d/new", "more"]
    (status,) = repo.status(str(out))
    for result in (repo.verify(found, str(out)), status.verified):
        assert result is not None and (result.changed, result.missing, result.extra) == (changed, missing, extra)
    if selected:
        done = repo.get(found, str(out), Restore(Selection(selected)))
        assert (done.files, done.written) == (4, 3)
        left = repo.verify(found, str(out))
        assert (left.changed, left.missing, left.extra) == ([], ["away"], extra)
    else:
        done = repo.get(found, str(out), Restore(delete=True))
        assert (done.files, done.written, done.removed) == (6, 4, 3)
        assert snapshot(out) == snapshot(source)


def test_a_selection_that_matches_nothing_is_refused_where_a_folder_is_too(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", WANTED)), "data")
    target = make_tree(tmp_path / "target", {"d/x": "inside"})
    with pytest.raises(NotFound, match="no file matches the path prefix 'd/y'"):
        repo.get(repo.find("data"), str(target), Restore(Selection("d/y")))
    assert repo.get(repo.find("data"), str(target), Restore(Selection("d/x"))).written == 0


@pytest.mark.parametrize("forced", [False, True])
def test_a_folder_at_a_files_place_and_a_file_at_a_folders_are_refused_before_anything_is_written(
    repo: Repository, tmp_path: Path, forced: bool
) -> None:
    """Case 84: also a symlink where a folder is needed; the target is as it was."""
    repo.put(str(make_tree(tmp_path / "src", {"a": "first", "d/x": "1", "f": "2"})), "data")
    outside = make_tree(tmp_path / "outside", {"x": "precious"})
    for name, make in {
        "f/mine": lambda p: make_tree(p, {"f/mine": "unsaved"}),
        "d": lambda p: make_tree(p, {"d": "file"}),
        "link": lambda p: (p / "d").symlink_to(outside),
    }.items():
        target = make_tree(tmp_path / f"target-{name.replace('/', '-')}", {"kept": "k"})
        make(target)
        before = snapshot(target)
        with pytest.raises(Refused):
            repo.get(repo.find("data"), str(target), Restore(force=forced))
        assert snapshot(target) == before, name
    assert snapshot(outside) == {"x": (False, b"precious")}


def test_a_root_that_is_no_folder_is_refused(repo: Repository, tmp_path: Path) -> None:
    """Case 84: a file, a dangling symlink, a FIFO; a symlink to a folder is the user's own choice of place."""
    source = make_tree(tmp_path / "src", WANTED)
    repo.put(str(source), "data")
    (tmp_path / "file").write_text("1")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    for name, kind in {"file": "file", "dangling": "symlink", "fifo": "FIFO"}.items():
        with pytest.raises(Refused) as error:
            repo.get(repo.find("data"), str(tmp_path / name))
        assert str(error.value) == f"{tmp_path / name} is a {kind}, not a folder"
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    repo.get(repo.find("data"), str(tmp_path / "link"))
    assert snapshot(tmp_path / "real") == snapshot(source)


def test_verify_reports_whatever_stands_at_a_files_place(repo: Repository, tmp_path: Path) -> None:
    """Case 84, 85: dangling and looping symlinks, FIFOs, sockets, folders and unreadable files are changed files, not the end of it."""
    names = ["dangling", "loop", "fifo", "folder", "edited", "fine", "gone", "sub"]
    source = make_tree(tmp_path / "src", {name: name for name in names[:-1]} | {"sub/f": "1"})
    repo.put(str(source), "data")
    for name in ("dangling", "loop", "fifo", "folder", "gone"):
        (source / name).unlink()
    (source / "dangling").symlink_to("nowhere")
    (source / "loop").symlink_to("loop")
    os.mkfifo(source / "fifo")
    (source / "folder").mkdir()
    (source / "edited").write_text("EDITED")
    (source / "sub/f").unlink()
    (source / "sub").rmdir()
    (source / "sub").symlink_to("sub")
    (source / "new").write_text("new")
    result = run(tmp_path, "verify", "data", source, timeout=60)
    assert result.code == 1, result
    *listed, last = result.out.splitlines()
    assert last == "differs from data:v0: 6 changed, 1 extra, 1 missing"
    lines = sorted(re.split(r" +", line)[:2] for line in listed)
    assert lines == [["changed", name] for name in ("dangling", "edited", "fifo", "folder", "loop", "sub")] + [
        ["extra", "new"],
        ["missing", "gone"],
    ]


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_an_edit_of_a_restored_file_never_spreads(
    repo: Repository, root: Path, tmp_path: Path, link: Any, request: pytest.FixtureRequest
) -> None:
    """Case 85: copies are the user's own; linked files are read-only, and who forces an edit damages one stored copy, which is found out before it is given to anybody and healed by a save."""
    source = make_tree(tmp_path / "src", {"large": b"L" * (2 * MIB), "small": "s"})
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"), Restore(link=link))
    edited = tmp_path / "out/large"
    assert bool(edited.stat().st_mode & 0o222) == (link == "copy")
    if link == "copy":
        edited.write_bytes(b"edited")
        (tmp_path / "out/small").write_bytes(b"edited")
    else:
        request.node.add_marker(pytest.mark.damaged)
        times = edited.stat()
        edited.resolve().chmod(0o644)
        with edited.open("r+b") as file:
            file.write(b"edited")
        edited.resolve().chmod(0o444)
        os.utime(edited, ns=(times.st_atime_ns, times.st_mtime_ns))
        with pytest.raises(ArtstoreError, match=r"^data:v0: blob \w{12} is damaged"):
            repo.get(repo.find("data"), str(tmp_path / "again"))
        assert not (tmp_path / "again").exists()
        repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "again"))
    assert snapshot(tmp_path / "again") == snapshot(source)

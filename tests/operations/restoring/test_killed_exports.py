"""A killed export, bundle or get leaves a part beside its target, and the next save, gc or get removes it."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from artstore.backends import owner
from artstore.repository import Repository
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree, snapshot
from tests.support.maintenance import dead_owner

COMMANDS = {"export": ["export", "data", "-o"], "bundle": ["bundle", "create"]}
GET = ["get", "data", "--root"]


def _killed(tmp_path: Path, command: list[str], target: Path) -> Path:
    """The part that a command left beside its target when it was killed."""
    target.parent.mkdir(exist_ok=True)
    for _ in range(50):
        process = subprocess.Popen(
            [sys.executable, "-m", "artstore", *command, str(target)], cwd=tmp_path, env=environment(tmp_path),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and not list(target.parent.glob(".*artstore-*")):
            time.sleep(0.0005)
        process.kill()
        process.wait()
        if left := list(target.parent.glob(".*artstore-*")):
            return left[0]
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    raise AssertionError("it was never caught at work")


@pytest.mark.parametrize("what", COMMANDS)
def test_the_next_save_removes_what_a_killed_command_left_outside(tmp_path: Path, cli: Cli, what: str) -> None:
    make_tree(tmp_path / "data", {"big": os.urandom(32 << 20)})
    assert cli("put", "data").code == 0
    left = _killed(tmp_path, COMMANDS[what], tmp_path / "elsewhere/target")
    assert left.exists()
    (tmp_path / "data/small").write_text("1")
    assert cli("put", "data").code == 0
    assert os.listdir(left.parent) == []
    assert os.listdir(tmp_path / ".artifacts/tmp") == []


def test_without_a_repository_the_next_export_to_the_folder_removes_it(tmp_path: Path, cli: Cli) -> None:
    make_tree(tmp_path / "data", {"f": "1"})
    assert cli("put", "data").code == 0
    out = tmp_path / "out"
    out.mkdir()
    for name in (f".artstore-{dead_owner()}", f".artstore-{owner.this_process()}", ".artstore-mine"):
        (out / name).write_text("part")
    apart = tmp_path / "apart"
    apart.mkdir()
    place = tmp_path / ".artifacts"
    assert cli("export", "data", "--from", place, "-o", out / "x.tar", cwd=apart).code == 0
    assert len(list(out.iterdir())) == 3 and (out / ".artstore-mine").exists(), "those of living processes stay"


def test_a_note_in_tmp_removes_no_file_but_the_part_of_its_own_process(repo: Repository, tmp_path: Path) -> None:
    mine = tmp_path / "precious"
    mine.write_text("mine")
    other = tmp_path / f".artstore-{dead_owner()}"
    other.write_text("another process's")
    for target in (mine, other, Path("relative")):
        name = dead_owner()
        (Path(repo.root) / "tmp" / name).write_bytes(b"outside:" + os.fsencode(target))
    shared = dead_owner()
    part = tmp_path / f".artstore-{shared}"
    part.write_text("a part")
    (Path(repo.root) / "tmp" / shared).write_bytes(b"outside:" + os.fsencode(part))
    (Path(repo.root) / "tmp" / shared).chmod(0o666)
    repo.put(str(make_tree(tmp_path / "src", {"f": "1"})), "data")
    assert mine.exists() and other.exists() and part.exists(), "a note that others can have written isn't followed"


def test_the_clone_from_which_a_killed_bundle_was_made_is_removed_too(tmp_path: Path, cli: Cli) -> None:
    make_tree(tmp_path / "data", {"f": "1"})
    assert cli("put", "data").code == 0
    out = make_tree(tmp_path / "out", {f".artstore-{dead_owner()}/.artifacts/objects/p": "part"})
    assert cli("bundle", "create", out / "b.bundle", "data").code == 0
    assert os.listdir(out) == ["b.bundle"]


@pytest.mark.parametrize("after", ["gc", "get"])
def test_what_a_killed_get_left_stays_for_the_next_get_until_a_gc(tmp_path: Path, cli: Cli, after: str) -> None:
    source = make_tree(tmp_path / "data", {"big": os.urandom(32 << 20), "small": "1"})
    assert cli("put", "data").code == 0
    target = tmp_path / "elsewhere/target"
    left = _killed(tmp_path, GET, target)
    assert left.is_dir() and len(os.listdir(tmp_path / ".artifacts/tmp")) == 1
    (tmp_path / "note").write_text("2")
    assert cli("put", "note").code == 0
    assert left.is_dir(), "a save leaves it: the next get goes on with it"
    if after == "get":
        assert cli(*GET, target).code == 0
        assert snapshot(target) == snapshot(source)
        assert cli("put", "note", "--tag", "t").code == 0
    else:
        assert cli("gc").code == 0
    assert os.listdir(left.parent) == (["target"] if after == "get" else [])
    assert os.listdir(tmp_path / ".artifacts/tmp") == []


def test_a_gc_removes_no_build_of_a_living_process_and_follows_no_other_note(repo: Repository, tmp_path: Path) -> None:
    dead, other = dead_owner(), dead_owner()
    builds = {
        dead: tmp_path / f".b.artstore-{other}",
        other: tmp_path / "precious",
        dead_owner(): Path("relative"),
    }
    alive = str(owner.this_process())
    builds[alive] = tmp_path / f".c.artstore-{alive}"
    for name, build in builds.items():
        make_tree(tmp_path / build, {"f": "1"})
        (Path(repo.root) / "tmp" / name).write_bytes(b"building:" + os.fsencode(build))
    repo.gc()
    assert all((tmp_path / build / "f").exists() for build in builds.values())
    assert builds[alive].exists() and (Path(repo.root) / "tmp" / alive).exists(), "it is being written"
    for name in builds:
        (Path(repo.root) / "tmp" / name).unlink(missing_ok=True)

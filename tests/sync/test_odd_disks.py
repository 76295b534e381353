"""Remotes, clones and bundles on disks of odd kinds: everything is writable by everybody, read-only, mounted and empty."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from artstore.errors import Refused
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot
from tests.support.trouble import image, read_only, run, small_disk

pytestmark = pytest.mark.disk


@contextmanager
def open_to_all(folder: Path) -> Iterator[Path]:
    """A file system in which every file belongs to its user and everybody may write to it, like FAT's and NTFS's."""
    if os.geteuid() != 0 or shutil.which("bindfs") is None:
        pytest.skip("bindfs is not installed, or may not be mounted")
    (behind := folder.with_name("behind")).mkdir()
    folder.mkdir()
    if subprocess.run(["bindfs", "-p", "0777", behind, folder], capture_output=True).returncode:
        pytest.skip("FUSE can't be used here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def saved(repo: Repository, tmp_path: Path) -> Path:
    source = make_tree(tmp_path / "src", {"a": "1", "large": b"2" * (1 << 20)})
    repo.put(str(source), "data")
    return source


def test_a_clone_where_everybody_may_write_gets_all_and_then_asks_before_it_contacts_a_remote(
    repo: Repository, tmp_path: Path
) -> None:
    saved(repo, tmp_path)
    with open_to_all(tmp_path / "open") as disk:
        cloned = run(tmp_path, "clone", repo.root, disk / "c")
        assert cloned.code == 0 and "data: got v0" in cloned.out, cloned.err
        where = {"ARTSTORE_DIR": str(disk / "c/.artifacts")}
        refused = run(tmp_path, "pull", **where)
        assert refused.code == 6 and "`artstore remote allow`" in refused.err
        assert run(tmp_path, "remote", "allow", **where).code == run(tmp_path, "pull", **where).code == 0
        check(disk / "c/.artifacts")


def test_a_remote_that_this_process_added_may_be_contacted_where_everybody_may_write(
    repo: Repository, tmp_path: Path
) -> None:
    with open_to_all(tmp_path / "open") as disk, Repository.init(str(disk / ".artifacts")) as here:
        here.put(str(make_tree(tmp_path / "src", {"a": "1"})), "data")
        here.remotes.add("origin", repo.root)
        assert [str(moved.path) for moved in here.push().collections] == ["local/uncategorized/data"]
        with open(disk / ".artifacts/config", "a") as config:
            config.write(f'[remote "other"]\nurl = {repo.root}\n')
        with Repository(str(disk / ".artifacts")) as again, pytest.raises(Refused, match="others may write"):
            again.push("other")


def test_a_bundle_is_made_of_a_repository_that_may_only_be_read(
    repo: Repository, root: Path, tmp_path: Path, cli: Cli
) -> None:
    source = saved(repo, tmp_path)
    repo.settings.set("core.project", "vision")
    (source / "a").write_text("2")
    repo.put(str(source), "net")
    (tmp_path / "to").mkdir()
    with read_only(root):
        made = run(tmp_path, "bundle", "create", "to/all", ARTSTORE_DIR=str(root))
        assert (made.code, made.err) == (0, ""), made.err
        one = run(tmp_path, "bundle", "create", "to/one", "net:v0", ARTSTORE_DIR=str(root))
        assert one.code == 0 and "net: bundled v0" in one.out, one.err
    assert sorted(os.listdir(tmp_path / "to")) == ["all", "one"]
    other = {"ARTSTORE_DIR": str(tmp_path / "other/.artifacts")}
    assert cli("bundle", "apply", "to/all", **other).code == 0
    assert cli("get", "vision/net", "--root", "back", **other).code == 0
    assert snapshot(tmp_path / "back") == snapshot(source)


def test_a_damaged_bundle_is_damage_and_another_file_is_no_bundle(repo: Repository, tmp_path: Path, cli: Cli) -> None:
    saved(repo, tmp_path)
    repo.create_bundle(str(tmp_path / "whole"))
    data = (tmp_path / "whole").read_bytes()
    half = len(data) // 2
    for name, content, code in (
        ("cut", data[:half], 7), ("flipped", data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :], 7), ("text", b"no", 3),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        done = cli("bundle", "apply", name, ARTSTORE_DIR=str(tmp_path / "other/.artifacts"))
        assert (done.code, name in done.err) == (code, True), done.err


def test_a_remote_is_made_on_an_empty_disk_with_what_its_file_system_put_there(
    repo: Repository, tmp_path: Path
) -> None:
    saved(repo, tmp_path)
    with image(tmp_path, "ext4", 16 << 20, "-q") as disk:
        assert os.listdir(disk) == ["lost+found"]
        repo.remotes.add("r", str(disk), make=True)
        assert repo.remotes.all()["r"].url == f"{disk}/.artifacts"
        repo.push("r")
        check(disk / ".artifacts")
    with small_disk(tmp_path / "empty") as disk:
        repo.remotes.add("e", str(disk), make=True)
        repo.push("e")
        (disk / "mine").write_text("1")
    full = make_tree(tmp_path / "full", {"mine": "1"})
    with pytest.raises(Refused, match="is not empty") as refused:
        repo.remotes.add("f", str(full), make=True)
    assert f"{full}/store" in (refused.value.hint or "")

"""An error of an operation with two sides names the side that failed."""

import os
from pathlib import Path

import pytest

from artstore.errors import NoSpace
from artstore.repository import Repository
from tests.support.folders import make_tree
from tests.support.trouble import fill, run, small_disk

pytestmark = pytest.mark.disk


def test_a_full_target_is_named_and_not_what_is_read(repo: Repository, root: Path, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"a": "1", "large": os.urandom(3 << 20)})
    repo.put(str(source), "data")
    with small_disk(tmp_path / "disk", "2m") as disk:
        repo.remotes.add("r", str(disk / "r"), make=True)
        for use in (
            lambda: repo.push("r"),
            lambda: repo.get(repo.find("data"), str(disk / "out")),
            lambda: repo.create_bundle(str(disk / "bundle")),
            lambda: Repository.clone(repo.root, str(disk / "c/.artifacts")),
        ):
            with pytest.raises(NoSpace) as failed:
                use()
            assert str(disk) in failed.value.message and f"{root}/objects" not in failed.value.message


def test_a_bundle_of_a_repository_on_a_full_disk_goes_to_another(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        with Repository.init(str(disk / ".artifacts")) as repo:
            repo.put(str(make_tree(tmp_path / "src", {"large": os.urandom(2 << 20)})), "data")
        fill(disk)
        made = run(tmp_path, "bundle", "create", "all", ARTSTORE_DIR=str(disk / ".artifacts"))
        assert made.code == 0 and "data: bundled v0" in made.out, made.err
        here = run(tmp_path, "bundle", "create", disk / "all", ARTSTORE_DIR=str(disk / ".artifacts"))
        assert here.code == 9 and f"{disk}" in here.err
    applied = run(tmp_path, "bundle", "apply", "all", ARTSTORE_DIR=str(tmp_path / "other/.artifacts"))
    assert applied.code == 0 and "data: got v0" in applied.out

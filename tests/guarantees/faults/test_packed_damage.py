"""The damage matrix of packs of frames: what is damaged is noticed, reported, never given out, and repaired from a copy."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from artstore.domain.digest import BLOB, RECIPE
from artstore.errors import ArtstoreError, Damage, NoSpace
from artstore.repository import Repository
from artstore.store.framed import COUNT
from artstore.store.packs import FOOTER, ROW
from artstore.store.settings import RemoteSettings, Settings
from tests.operations.upkeep.test_packing import out, weights
from tests.support.checks import check
from tests.support.commands import environment
from tests.support.damages import DAMAGES, Region
from tests.support.folders import make_tree, snapshot
from tests.support.trouble import small_disk

pytestmark = pytest.mark.damaged


class Packed(NamedTuple):
    """Two versions of `data`, each with a large file of which one segment is its own; and `other`, in another pack."""

    root: Path
    folder: Path

    def get(self, spec: str) -> ArtstoreError | None:
        """Get it: exactly right (None), or an error of ours."""
        place = self.folder / "out" / spec.replace(":", "-")
        shutil.rmtree(place, ignore_errors=True)
        with Repository(str(self.root)) as repository:
            try:
                found = out(repository, spec, place)
            except ArtstoreError as error:
                return error
        assert found == snapshot(self.folder / spec.replace(":", "-")), f"{spec} came back wrong"
        return None


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    with Repository.init(str(folder / ".artifacts")) as repository:
        repository.put(str(make_tree(folder / "other-v0", {"model": weights(7, 8)})), "other")
        repository.pack()
        for number in range(2):
            repository.put(str(make_tree(folder / f"data-v{number}", {"model": weights(1, 2 + number)})), "data")
        repository.pack()
        repository.remotes.add("origin", str(folder / "remote"), make=True)
        repository.push()
    return folder


@pytest.fixture
def packed(template: Path, tmp_path: Path) -> Packed:
    shutil.copytree(template, tmp_path / "copy", copy_function=shutil.copy)
    for path in (tmp_path / "copy").rglob("*"):
        path.chmod(path.stat().st_mode | 0o200)
    Settings(str(tmp_path / "copy/.artifacts")).set_remote("origin", RemoteSettings(str(tmp_path / "copy/remote")))
    return Packed(tmp_path / "copy/.artifacts", tmp_path / "copy")


def _of_frame(kind: int) -> Callable[[Packed], Region]:
    """The frame with the recipe of v1, or with the segment that only v1 has."""

    def find(packed: Packed) -> Region:
        with Repository(str(packed.root)) as repository:
            blobs = [repository.entry(repository.find(f"data:v{number}"), "model").digest for number in range(2)]
            segments = [repository.objects.large.packed.find(blob).places for blob in blobs]  # type: ignore[union-attr]
            name, row = max(
                (segments[1][digest] for digest in segments[1].keys() - segments[0].keys()), key=lambda p: p[1].size
            )
            if kind == RECIPE:
                row = next(row for row in repository.objects.packs.open(name).index.rows() if row.digest == blobs[1])
            return Region(packed.root / "objects/packs" / f"{name}.pack", row.offset, row.length)

    return find


def _of_index(part: str) -> Callable[[Packed], Region]:
    def find(packed: Packed) -> Region:
        path = _of_frame(BLOB)(packed).path
        with Repository(str(packed.root)) as repository:
            index = repository.objects.packs.open(path.stem).index
        rows = COUNT.size + index.count * ROW.size
        places = {
            "count": (0, COUNT.size),
            "rows": (COUNT.size, rows - COUNT.size),
            "frames": (rows, len(index.whole) - rows),
            "footer": (len(index.whole), FOOTER.size),
        }
        at, length = places[part]
        return Region(path, index.objects_end + at, length)

    return find


TARGETS = {
    "segment": _of_frame(BLOB),
    "recipe": _of_frame(RECIPE),
    **{part: _of_index(part) for part in ("count", "rows", "frames", "footer")},
}


@pytest.mark.diagonal("target", "damage")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("target", TARGETS)
def test_damage_of_a_pack_of_frames_is_noticed_survives_gc_and_is_repaired(
    packed: Packed, target: str, damage: str
) -> None:
    DAMAGES[damage](TARGETS[target](packed))
    # 1. Nothing wrong is given out, what isn't damaged is given, and fsck reports the damage.
    assert packed.get("other:v0") is None
    before = {spec: packed.get(spec) for spec in ("data:v0", "data:v1")}
    assert all(error is None or isinstance(error, Damage) for error in before.values())
    with Repository(str(packed.root)) as repository:
        assert repository.fsck().problems
    # 2. A collection takes nothing that could be read before it.
    with Repository(str(packed.root)) as repository:
        try:
            repository.gc(now=True)
        except ArtstoreError as error:
            assert isinstance(error, Damage)
    assert packed.get("other:v0") is None
    assert [spec for spec, error in before.items() if error is None and packed.get(spec) is not None] == []
    # 3. A remote has a copy: a repair brings all back.
    with Repository(str(packed.root)) as repository:
        repository.fsck(repair=True)
    with Repository(str(packed.root)) as repository:
        assert repository.fsck().problems == []
    assert [packed.get(spec) for spec in ("other:v0", "data:v0", "data:v1")] == [None] * 3


def test_a_repository_without_write_permission_gives_what_is_packed(packed: Packed) -> None:
    """Also to a process that may not write its notes."""
    for path in (packed.root, *packed.root.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for spec in ("data:v0", "data:v1", "other:v0"):
            assert packed.get(spec) is None
    finally:
        for path in (packed.root, *packed.root.rglob("*")):
            os.chmod(path, 0o755 if path.is_dir() else 0o644)


def test_a_full_disk_ends_packing_without_a_loss(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "in", {"model": weights(1, 2)})
    with small_disk(tmp_path / "disk", "6m") as disk, Repository.init(str(disk / ".artifacts")) as repository:
        repository.put(str(source), "data")
        with pytest.raises(NoSpace):
            repository.pack()
        assert list((disk / ".artifacts/tmp").iterdir()) == []
        assert out(repository, "data", tmp_path / "out") == snapshot(source)
        subprocess.run(["mount", "-o", "remount,size=12m", str(disk)], check=True)
        assert repository.pack().blobs == 1
        assert out(repository, "data", tmp_path / "again") == snapshot(source)
        check(disk / ".artifacts")


def test_without_numpy_packs_are_made_and_read(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "in", {"model": weights(1, 2)})
    program = f"""
import sys
sys.modules["numpy"] = None
from artstore.repository import Repository
with Repository.init({str(tmp_path / ".artifacts")!r}) as repository:
    repository.put({str(source)!r}, "data")
    assert repository.pack().blobs == 1
    repository.get(repository.find("data"), {str(tmp_path / "out")!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True, env=environment(tmp_path), timeout=60)
    assert snapshot(tmp_path / "out") == snapshot(source)
    check(tmp_path / ".artifacts")

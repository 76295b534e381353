"""`artstore pack`: large blobs become segments in packs, and everything reads them as before."""

import errno
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from artstore.domain.digest import BLOB
from artstore.errors import DamagedObject
from artstore.operations.restoring.options import Restore
from artstore.operations.upkeep import packing
from artstore.repository import Repository
from artstore.store.framed import FRAME
from artstore.store.packs import FOOTER, ROW
from artstore.store.paths import blob_path
from tests.support.folders import make_tree, snapshot
from tests.support.maintenance import gc, spoil_packed
from tests.support.packing import MIB, out, stored_bytes, stored_files


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def weights(*seeds: int) -> bytes:
    """A safetensors file of BF16 numbers, 2 MiB for each seed: equal seeds give equal tensors. Its exponents shrink."""
    parts = [
        bytes(b for pair in zip(noise(MIB, seed), bytes([0x3F]) * MIB, strict=True) for b in pair) for seed in seeds
    ]
    header, at = {}, 0
    for number, part in enumerate(parts):
        header[f"layer{number}"] = {"dtype": "BF16", "shape": [MIB], "data_offsets": [at, at + len(part)]}
        at += len(part)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


@pytest.fixture
def packed(repo: Repository, tmp_path: Path) -> Repository:
    """Three checkpoints that share half of their tensors, packed."""
    for number in range(3):
        repo.put(
            str(make_tree(tmp_path / f"in{number}", {"model.safetensors": weights(1, 2, 10 + number), "a": "small"})),
            "model",
        )
    assert repo.pack().blobs == 3
    return repo


def test_checkpoints_with_equal_tensors_take_little_more_than_one(packed: Repository) -> None:
    assert not stored_files(packed)
    assert stored_bytes(packed) < 0.62 * 10 * MIB, "5 different tensors of 2 MiB, of which half the bytes are exponents"


def test_every_file_comes_back_as_it_was(packed: Repository, tmp_path: Path) -> None:
    for number in range(3):
        assert out(packed, f"model:v{number}", tmp_path / f"out{number}") == snapshot(tmp_path / f"in{number}")
        assert packed.verify(packed.find(f"model:v{number}"), str(tmp_path / f"out{number}")).ok


def test_a_file_can_be_read_from_any_place(packed: Repository, tmp_path: Path) -> None:
    found = packed.find("model:v1")
    content = (tmp_path / "in1/model.safetensors").read_bytes()
    with packed.open(packed.entry(found, "model.safetensors")) as file:
        for at in (0, 1, 2 * MIB - 5, 2 * MIB + 150, 5 * MIB, len(content) - 1, len(content), len(content) + 9):
            file.seek(at)
            assert file.read(70_000) == content[at : at + 70_000]
        assert file.seek(-3, os.SEEK_END) == len(content) - 3 and file.read() == content[-3:]


def test_digests_and_ids_stay(repo: Repository, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "in", {"model.safetensors": weights(1, 2)})
    repo.put(str(source), "model")
    before = repo.find("model").version
    repo.pack()
    assert repo.find("model").version == before
    assert not repo.put(str(source), "model").is_new


def test_a_file_that_is_packed_is_not_stored_again(packed: Repository, tmp_path: Path) -> None:
    before = stored_bytes(packed)
    copy = make_tree(tmp_path / "copy", {"other.bin": weights(1, 2, 10)})
    saved = packed.put(str(copy), "copy")
    assert saved.is_new and stored_bytes(packed) - before < 4096 and not stored_files(packed)


def test_packing_again_changes_nothing(packed: Repository) -> None:
    before = snapshot(Path(packed.root) / "objects")
    assert packed.pack().blobs == 0
    assert snapshot(Path(packed.root) / "objects") == before


def test_what_does_not_get_smaller_stays_a_file(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", {"noise.bin": noise(3 * MIB, 1)})), "data")
    done = repo.pack()
    assert (done.blobs, done.problems, len(stored_files(repo))) == (0, (), 1)


def test_incompressible_files_that_share_most_bytes_are_packed(repo: Repository, tmp_path: Path) -> None:
    common = noise(12 * MIB, 1)
    for number in range(3):
        changed = common[: 6 * MIB] + noise(65536, 5 + number) + common[6 * MIB :]
        repo.put(str(make_tree(tmp_path / f"in{number}", {"noise.bin": changed})), "data")
    repo.pack()
    assert not stored_files(repo) and stored_bytes(repo) < 25 * MIB
    assert out(repo, "data:v2", tmp_path / "out") == snapshot(tmp_path / "in2")


def test_a_blob_of_one_segment_has_no_recipe(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", {"zeros.bin": bytes(MIB)})), "data")
    assert repo.pack().blobs == 1
    assert out(repo, "data", tmp_path / "out") == snapshot(tmp_path / "in")


def test_a_dry_run_tells_about_what_packing_does(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", {"model.safetensors": weights(1, 2, 3)})), "model")
    foreseen = repo.pack(dry_run=True)
    assert stored_files(repo), "nothing was changed"
    done = repo.pack()
    assert (foreseen.blobs, foreseen.blob_bytes) == (done.blobs, done.blob_bytes)
    assert abs(foreseen.stored_bytes - done.stored_bytes) < 0.05 * done.blob_bytes


def test_a_file_that_is_linked_to_stays(repo: Repository, tmp_path: Path) -> None:
    for name, link in (("hard", "hardlink"), ("soft", "symlink")):
        repo.put(str(make_tree(tmp_path / name, {"model.safetensors": weights(1, len(name), ord(name[0]))})), name)
        repo.get(repo.find(name), str(tmp_path / f"out-{name}"), Restore(link=link))  # type: ignore[arg-type]
    done = repo.pack()
    assert (done.blobs, done.linked) == (0, 2)
    for name in ("hard", "soft"):
        assert (tmp_path / f"out-{name}/model.safetensors").read_bytes() == (
            tmp_path / f"{name}/model.safetensors"
        ).read_bytes()


def test_linking_gives_a_copy_of_what_is_packed(packed: Repository, tmp_path: Path) -> None:
    for link in ("hardlink", "symlink"):
        place = tmp_path / link
        assert out(packed, "model:v0", place, link=link) == snapshot(tmp_path / "in0")
        assert not (place / "model.safetensors").is_symlink()


def test_gc_keeps_the_segments_that_live_versions_share(packed: Repository, tmp_path: Path) -> None:
    packed.delete("model:v0")
    packed.delete("model:v2")
    packed.gc(now=True)
    assert out(packed, "model:v1", tmp_path / "out") == snapshot(tmp_path / "in1")


def test_gc_frees_what_only_deleted_versions_had(packed: Repository, tmp_path: Path) -> None:
    packed.put(str(make_tree(tmp_path / "next", {"a": "other"})), "model")
    before = stored_bytes(packed)
    for number in range(3):
        packed.delete(f"model:v{number}")
    packed.gc(now=True)
    assert stored_bytes(packed) < before / 100


def test_gc_frees_the_file_of_what_is_packed_too(packed: Repository, tmp_path: Path) -> None:
    """A pack run that was killed before it removed the file leaves both."""
    blob = packed.entry(packed.find("model:v0"), "model.safetensors").digest
    content = (tmp_path / "in0/model.safetensors").read_bytes()
    path = Path(packed.storage.path(blob_path(blob)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    packed.gc(now=True)
    assert not path.exists()
    assert out(packed, "model:v0", tmp_path / "out") == snapshot(tmp_path / "in0")


@pytest.mark.damaged
def test_a_damaged_segment_is_told_and_repaired_from_the_folder(packed: Repository, tmp_path: Path) -> None:
    packed.get(packed.find("model:v0"), str(tmp_path / "in0"))  # a checkout from which it can be repaired
    spoil_packed(Path(packed.root), 100_000)
    packed.close()
    with Repository(str(packed.root)) as again:
        with pytest.raises(DamagedObject, match="segment"):
            for number in range(3):
                again.get(again.find(f"model:v{number}"), str(tmp_path / f"out{number}"))
        assert again.fsck().problems
        report = again.fsck(repair=True)
        assert [problem for problem in report.problems if "v0" in problem] == []
    with Repository(str(packed.root)) as repaired:
        assert out(repaired, "model:v0", tmp_path / "after") == snapshot(tmp_path / "in0")


def test_zips_are_packed_by_their_members(repo: Repository, tmp_path: Path) -> None:
    """As `torch.save` makes them: stored, not compressed."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        with zipfile.ZipFile(folder / f"{number}.pt", "w", zipfile.ZIP_STORED) as zipped:
            zipped.writestr("model/data/0", noise(4 * MIB, 1))
            zipped.writestr("model/data/1", noise(MIB, 10 + number))
    repo.put(str(folder), "data")
    assert repo.pack().blobs == 2
    assert stored_bytes(repo) < 7 * MIB
    assert out(repo, "data", tmp_path / "out") == snapshot(folder)


def test_a_save_that_began_before_is_whole_after_packing(repo: Repository, tmp_path: Path) -> None:
    """It relied on the file, which is in packs when it looks again."""
    source = make_tree(tmp_path / "in", {"model.safetensors": weights(1, 2)})
    repo.put(str(source), "model")
    with Repository(str(repo.root)) as other, other.draft() as draft:
        draft.add_folder(str(source))
        draft.add_bytes(b"more", "more.txt")
        assert repo.pack().waits_for, "the file waits in the trash while somebody may rely on it"
        saved = draft.save(repo.find("model").state.path._replace(name="other"), type="model")
    assert saved.is_new
    gc(repo)
    assert (tmp_path / "in/model.safetensors").read_bytes() == out(repo, "other", tmp_path / "out")[
        "model.safetensors"
    ][1]  # type: ignore[index]


@pytest.mark.damaged
def test_a_pack_whose_index_is_damaged_still_gives_back_what_its_right_rows_name(
    repo: Repository, tmp_path: Path
) -> None:
    for name in ("0", "1"):
        repo.put(str(make_tree(tmp_path / name, {"text": f"{name} a line\n" * 200_000})), f"data{name}")
    repo.pack()
    shutil.rmtree(tmp_path / "0")
    shutil.rmtree(tmp_path / "1")
    spoil_packed(Path(repo.root), -FOOTER.size - 2 * FRAME.size - ROW.size)  # the digest of the last row
    repo.close()
    with Repository(str(repo.root)) as again:
        problems = again.fsck(repair=True).problems
        assert [any(f"data{n}" in problem for problem in problems) for n in (0, 1)].count(True) == 1
        assert len(stored_files(again)) == 1, "it is a file again"


def test_a_blob_of_more_segments_than_a_recipe_has_stays_a_file(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_SEGMENTS", 2)
    repo.put(str(make_tree(tmp_path / "in", {"three": weights(1, 2, 3), "one": bytes(MIB)})), "data")
    assert repo.pack().blobs == 1
    assert stored_files(repo) == [repo.entry(repo.find("data"), "three").digest.hex()]


def test_a_file_that_cannot_be_looked_at_is_a_problem_and_one_that_is_gone_is_none(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.put(str(make_tree(tmp_path / "in", {"model.safetensors": weights(1, 2)})), "model")
    stat, wrong = os.stat, [errno.EIO]

    def failing(path: object, **how: object) -> object:
        if "/objects/blobs/" in str(path):
            raise OSError(wrong[0], os.strerror(wrong[0]))
        return stat(path, **how)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "stat", failing)
    failed = repo.pack()
    assert failed.linked == failed.blobs == 0
    assert [problem.partition(":")[2] for problem in failed.problems] == [" input/output error"]
    wrong[0] = errno.ENOENT
    assert repo.pack().problems == ()
    monkeypatch.undo()
    assert repo.pack().blobs == 1


def test_a_link_in_a_checkout_to_no_blob_is_passed_over(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", {"zeros.bin": bytes(MIB)})), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    blobs = Path(repo.storage.path("objects/blobs"))
    for number, target in enumerate((blobs, blobs / "ab", blobs / "ab/notes.txt", blobs / "ab" / ("z" * 64))):
        (tmp_path / f"out/{number}").symlink_to(target)
    assert repo.pack().blobs == 1


def test_a_blob_that_is_a_segment_of_another_needs_no_pack(repo: Repository, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zipped", "w", zipfile.ZIP_STORED) as zipped:
        zipped.writestr("first", noise(MIB, 1).hex())
        zipped.writestr("second", noise(MIB, 2).hex())
    repo.put(str(make_tree(tmp_path / "in0", {"zipped": (tmp_path / "zipped").read_bytes()})), "data")
    repo.pack()
    segment = next(row for pack in repo.objects.packs.refresh() if repo.objects.packs.has_frames(pack)
                   for row in repo.objects.packs.open(pack).index.rows() if row.kind == BLOB and row.size >= MIB)  # fmt: skip
    (name,) = [name for name in repo.objects.packs.names() if repo.objects.packs.has_frames(name)]
    content = repo.objects.packs.open(name).object(segment)
    assert content is not None
    repo.put(str(make_tree(tmp_path / "in1", {"part": bytes(content), "other": noise(MIB + 1, 3)})), "part")
    before = repo.objects.packs.refresh()
    repo.pack()
    assert repo.objects.packs.refresh() == before and len(stored_files(repo)) == 1
    assert out(repo, "part", tmp_path / "out") == snapshot(tmp_path / "in1")


@pytest.mark.damaged
def test_a_repair_that_was_killed_leaves_no_damaged_pack_that_gc_brings_back(
    packed: Repository, tmp_path: Path
) -> None:
    """The pack was written anew without its damaged segment, and waits in the trash of the process that died."""
    packed.get(packed.find("model:v0"), str(tmp_path / "in0"))
    path = spoil_packed(Path(packed.root), 100_000)
    packed.close()
    killed = "from artstore.operations.upkeep.removal import Removal; Removal.finish = lambda *_, **__: os._exit(9)"
    script = f"import os, sys; {killed}; from artstore.cli import main; sys.argv[1:] = ['fsck', '--repair']; main()"
    ended = subprocess.run([sys.executable, "-c", script], env=os.environ | {"ARTSTORE_DIR": str(packed.root)})
    assert ended.returncode == 9 and list((Path(packed.root) / "trash").rglob("*.pack"))
    with Repository(str(packed.root)) as again:
        again.gc(now=True)
        assert not path.exists()
        assert not [problem for problem in again.fsck(repair=True).problems if "v0" in problem]

"""Large blobs whose segments, recipes and packs are also something else's, or are in the trash: nothing takes one for the other."""

import os
import zipfile
from pathlib import Path

from artstore.domain.digest import BLOB, RECIPE
from artstore.domain.properties import Properties
from artstore.repository import Repository
from tests.operations.upkeep.test_packing import out, stored_files, weights
from tests.support.folders import make_tree, snapshot

MIB = 1 << 20


def text(of: int, size: int = 2 * MIB) -> bytes:
    return "".join(f"{line} of {of}\n" for line in range(300_000)).encode()[:size]


def file_and_zip(folder: Path, of: int) -> tuple[Path, Path]:
    """A folder with a text, which is cut by its content, and one with a zip, of which the whole text is one segment."""
    plain = make_tree(folder / f"plain{of}", {"text": text(of)})
    zipped = folder / f"zip{of}"
    zipped.mkdir()
    with zipfile.ZipFile(zipped / "text.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("text", text(of))
    return plain, zipped


def test_gc_keeps_a_segment_that_is_another_blob_with_a_recipe(repo: Repository, tmp_path: Path) -> None:
    """The recipe has the digest of the segment, and is no copy of it. By chance its pack's name is the first one."""
    saved = {}
    for of in range(6):
        for folder in file_and_zip(tmp_path, of):
            repo.put(str(folder), folder.name)
            assert repo.pack().blobs == 1
            saved[folder.name] = folder
    repo.gc(now=True)
    for name, folder in saved.items():
        assert out(repo, name, tmp_path / "out" / name) == snapshot(folder)


def test_a_blob_that_is_a_segment_in_its_pack_has_no_recipe_there(repo: Repository, tmp_path: Path) -> None:
    plain, zipped = file_and_zip(tmp_path, 1)
    repo.put(str(plain), "plain")
    repo.put(str(zipped), "zip")
    assert repo.pack().blobs == 2
    (pack,) = [pack for name in repo.objects.packs.names() if (pack := repo.objects.packs.open(name)).index.has_frames]
    kinds = {row.digest: row.kind for row in pack.index.rows()}
    assert len(kinds) == pack.index.count
    blobs = [repo.entry(repo.find(*of), *path).digest for of, *path in ((("plain",), "text"), (("zip",), "text.zip"))]
    assert [kinds[blob] for blob in blobs] == [BLOB, RECIPE]
    for name, folder in (("plain", plain), ("zip", zipped)):
        assert out(repo, name, tmp_path / "out" / name) == snapshot(folder)


def test_what_is_packed_and_in_the_trash_can_be_undeleted(repo: Repository, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "in", {"model.safetensors": weights(1, 2)})
    repo.put(str(source), "model")
    repo.put(str(make_tree(tmp_path / "next", {"a": "b"})), "model")
    repo.pack()
    repo.delete("model:v0")
    repo.gc()
    assert not any(repo.objects.packs.open(name).index.has_frames for name in repo.objects.packs.refresh())
    repo.undelete("model:v0")
    repo.gc(now=True)
    assert out(repo, "model:v0", tmp_path / "out") == snapshot(source)


def test_a_packed_description_of_a_copied_version_is_relied_on_with_its_segments(
    repo: Repository, tmp_path: Path
) -> None:
    described = text(3, 3 * MIB).decode()
    repo.put(str(make_tree(tmp_path / "in", {"a": "a"})), "data")
    repo.edit("data:v0", Properties(description=described))
    repo.put(str(make_tree(tmp_path / "next", {"a": "b"})), "data")
    assert repo.pack().blobs == 1 and not stored_files(repo)
    repo.copy("data:v0", "copy")
    repo.delete("data:v0")
    repo.delete_collection("copy")
    repo.gc()
    repo.undelete("data:v0")
    repo.gc(now=True)
    assert repo.properties(repo.find("data:v0"))[0] == described


def test_what_is_packed_can_be_read_while_a_collector_has_its_packs(repo: Repository, tmp_path: Path) -> None:
    """It moves them before it reads the logs again, and then gives back what is needed."""
    source = make_tree(tmp_path / "in", {"model.safetensors": weights(1, 2)})
    repo.put(str(source), "model")
    repo.pack()
    packs, trash = Path(repo.root) / "objects/packs", Path(repo.root) / "trash/gc.left.123456789abc"
    trash.mkdir(parents=True)
    moved = [path.name for path in packs.iterdir()]
    for name in moved:
        os.rename(packs / name, trash / name)
    with Repository(str(repo.root)) as reader:
        assert out(reader, "model", tmp_path / "out") == snapshot(source)
        blob = reader.entry(reader.find("model"), "model.safetensors")
        assert reader.objects.large.readable({blob.digest}) == {blob.digest: blob.size}
    for name in moved:
        os.rename(trash / name, packs / name)
    trash.rmdir()

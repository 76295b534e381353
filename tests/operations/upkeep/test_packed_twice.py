"""Large blobs whose segments, recipes and packs are also something else's, or are in the trash: nothing takes one for the other."""

import zipfile
from pathlib import Path

from artstore.domain.digest import BLOB, RECIPE
from artstore.repository import Repository
from tests.operations.upkeep.test_packing import out
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

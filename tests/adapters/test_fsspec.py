"""`artstore://` paths: what fsspec, and the packages that read by it, find in a repository."""

import os
import pickle
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
import zarr
from fsspec.implementations.local import LocalFileSystem
from fsspec.tests.abstract import AbstractFixtures, AbstractGetTests

from artstore.adapters.fsspec import ArtstoreFileSystem
from artstore.errors import Damage, InvalidValue
from artstore.repository import Repository
from tests.support.folders import make_tree

MIB = 1 << 20
LARGE = bytes(range(256)) * (3 * MIB // 256)


@pytest.fixture
def fs(repo: Repository, here: Path) -> ArtstoreFileSystem:
    make_tree(here / "src", {"a.csv": "x,y\n1,2\n", "deep/er/b.txt": "b", "deep/large.bin": LARGE, "none": None})
    repo.put("src", "data", type="dataset")
    return fsspec.filesystem("artstore")


def test_paths_name_what_specs_name(fs: ArtstoreFileSystem, repo: Repository) -> None:
    digest = repo.find("data").version["digest"]
    repo.set_aliases("data", ("prod",))
    for spec in (
        "data:latest",
        "data:v0",
        "data:prod",
        f"data@{digest[:8]}",
        "uncategorized/data:v0",
        "local/uncategorized/data:v0",
    ):
        assert fs.cat(f"artstore://{spec}/deep/er/b.txt") == fs.cat(f"{spec}/deep/er/b.txt") == b"b", spec
    with fsspec.open("artstore://data:latest/a.csv", "r") as file:
        assert file.read() == "x,y\n1,2\n"


def test_folders_are_listed_as_everywhere_in_fsspec(fs: ArtstoreFileSystem) -> None:
    assert fs.ls("") == [{"name": "local", "size": 0, "type": "directory"}]
    assert fs.ls("local", detail=False) == ["local/uncategorized"]
    assert fs.ls("artstore://local/uncategorized", detail=False) == ["local/uncategorized/data:v0"]
    assert fs.ls("data:v0", detail=False) == ["data:v0/a.csv", "data:v0/deep", "data:v0/none"]
    assert fs.ls("data:v0/a.csv", detail=False) == ["data:v0/a.csv"]
    assert fs.find("data:v0") == ["data:v0/a.csv", "data:v0/deep/er/b.txt", "data:v0/deep/large.bin"]
    assert fs.find("") == [f"local/uncategorized/{path}" for path in fs.find("data:v0")]
    assert fs.glob("data:v0/**/*.txt") == ["data:v0/deep/er/b.txt"]
    assert fs.glob("local/*/data:v0/*.csv") == ["local/uncategorized/data:v0/a.csv"]
    assert fs.isdir("data:v0/none") and fs.isdir("data:v0") and not fs.isdir("data:v0/a.csv")
    assert fs.du("data:v0") == 8 + 1 + len(LARGE)
    assert [len(files) for _, _, files in fs.walk("data:v0")] == [1, 1, 1, 0]


@pytest.mark.parametrize("path", ["data", "data:v7", "data:none", "nothing:v0"])
def test_what_names_no_version_is_an_error_and_not_an_empty_answer(fs: ArtstoreFileSystem, path: str) -> None:
    for search in (lambda: fs.glob(f"{path}/*.csv"), lambda: fs.find(path), lambda: list(fs.walk(path))):
        with pytest.raises(FileNotFoundError):
            search()
    assert fs.glob("data:v0/*.txt") == fs.find("data:v0/none") == []


def test_info_tells_size_digest_and_time(fs: ArtstoreFileSystem, repo: Repository) -> None:
    info, version = fs.info("data:v0/deep/large.bin"), repo.find("data").version
    assert (info["name"], info["size"], info["type"]) == ("data:v0/deep/large.bin", len(LARGE), "file")
    assert info["digest"] == repo.entry(repo.find("data"), "deep/large.bin")[3].hex()
    assert (
        fs.created("data:v0/a.csv") == datetime.fromtimestamp(version["created"] / 1e9, UTC) == fs.modified("data:v0")
    )
    assert fs.checksum("data:v0/a.csv") != fs.checksum("data:v0/deep/er/b.txt")


@pytest.mark.parametrize(
    "path",
    ["data:v0/missing", "data:v7/a.csv", "nothing:v0", "data", "other/project", "data:v0/a.csv/x", "data:v0/\ud800"],
)
def test_what_is_not_there_is_not_found(fs: ArtstoreFileSystem, path: str) -> None:
    assert not fs.exists(path) and not fs.isfile(path) and not fs.isdir(path)
    for ask in (fs.info, fs.ls, fs.cat_file, fs.open):
        with pytest.raises(FileNotFoundError):
            ask(path)


def test_a_forgotten_alias_is_never_an_empty_answer(fs: ArtstoreFileSystem) -> None:
    for path in ("data", "data/", "data/*.csv", "data/**", "local/vision/data/*", "data/a.csv"):
        with pytest.raises(FileNotFoundError, match="a path begins with a version"):
            fs.glob(f"artstore://{path}")
    assert fs.glob("data:v0/miss*") == fs.glob("data:v0/missing") == []


def test_what_is_no_path_says_so(fs: ArtstoreFileSystem) -> None:
    with pytest.raises(FileNotFoundError, match="a path begins with a version"):
        fs.cat("data/a.csv")
    with pytest.raises(InvalidValue, match="alias"):
        fs.info("data:/a.csv")
    for path in ("data:v0/deep", "data:v0", "", "local"):
        with pytest.raises(IsADirectoryError):
            fs.cat_file(path)
        with pytest.raises(IsADirectoryError):
            fs.open(path)


def test_pieces_are_those_of_the_same_local_file(fs: ArtstoreFileSystem, here: Path) -> None:
    local = LocalFileSystem()
    for name in ("a.csv", "deep/large.bin"):
        for start, end in (
            (None, None),
            (2, 5),
            (None, 3),
            (-3, None),
            (1, -1),
            (3, 10**9),
            (2 * MIB, 2 * MIB + 7),
        ):
            assert fs.cat_file(f"data:v0/{name}", start, end) == local.cat_file(str(here / "src" / name), start, end), (
                name,
                start,
                end,
            )
        with fs.open(f"data:v0/{name}") as file:
            assert file.size == fs.size(f"data:v0/{name}")
            file.seek(-4, os.SEEK_END)
            assert file.read() == (here / "src" / name).read_bytes()[-4:]
            assert file.seek(1) == 1 and file.read(2) == (here / "src" / name).read_bytes()[1:3]
    assert fs.read_block("data:v0/a.csv", 1, 2) == b",y"
    assert fs.cat_ranges(["data:v0/a.csv"] * 2, [0, 4], [1, 5]) == [b"x", b"1"]


def test_an_alias_names_what_it_names_now(fs: ArtstoreFileSystem, repo: Repository, here: Path) -> None:
    assert fs.cat("data:latest/a.csv") == b"x,y\n1,2\n"
    (here / "src/a.csv").write_text("new")
    repo.put("src", "data")
    assert fs.cat("data:latest/a.csv") == b"new" and fs.cat("data:v0/a.csv") == b"x,y\n1,2\n"
    repo.rename("data", "renamed")
    assert fs.cat("data:latest/a.csv") == b"new", "an old name leads to the new one"
    repo.delete("renamed:v0")
    assert not fs.exists("renamed:v0/a.csv")


def test_nothing_can_be_written(fs: ArtstoreFileSystem, here: Path) -> None:
    calls = [
        lambda: fs.open("data:v0/new", "wb"), lambda: fs.open("data:v0/a.csv", "ab"), lambda: fs.touch("data:v0/a.csv"),
        lambda: fs.pipe("data:v0/x", b"1"), lambda: fs.rm("data:v0/a.csv"), lambda: fs.mkdir("data:v0/d"),
        lambda: fs.makedirs("data:v0/d"), lambda: fs.rmdir("data:v0/none"), lambda: fs.mv("data:v0/a.csv", "data:v0/b"),
        lambda: fs.cp("data:v0/a.csv", "data:v0/b"), lambda: fs.put(str(here / "src/a.csv"), "data:v0/c"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(OSError, match="versions never change"):
            call()
    assert fs.find("data:v0") == ["data:v0/a.csv", "data:v0/deep/er/b.txt", "data:v0/deep/large.bin"]


def test_a_repository_is_named_by_its_folder_or_a_url(
    fs: ArtstoreFileSystem, repo: Repository, root: Path, here: Path, tmp_path: Path
) -> None:
    repo.remotes.add("far", str(tmp_path / "far"), make=True)
    repo.push()
    os.chdir("/")
    with pytest.raises(LookupError, match="there is no repository"):
        fsspec.filesystem("artstore")
    for place in (str(here), root, str(tmp_path / "far"), (tmp_path / "far").as_uri()):
        there = fsspec.filesystem("artstore", root=place)
        assert there.cat("data:v0/deep/large.bin") == LARGE and there.cat("data:v0/a.csv") == b"x,y\n1,2\n"
        again = pickle.loads(pickle.dumps(there))
        assert again == there and hash(again) == hash(there) and again.cat("data:v0/a.csv") == b"x,y\n1,2\n"
    assert pd.read_csv("artstore://data:v0/a.csv", storage_options={"root": str(here)}).to_dict("list") == {
        "x": [1],
        "y": [2],
    }


def test_any_thread_may_read(fs: ArtstoreFileSystem) -> None:
    wrong: list[int] = []

    def read(number: int) -> None:
        for _ in range(50):
            ok = fs.cat_file("data:latest/deep/large.bin", number, number + 9) == LARGE[number : number + 9]
            if not ok or fs.cat("data:latest/deep/er/b.txt") != b"b":
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_reference_is_read_where_it_is(fs: ArtstoreFileSystem, repo: Repository, here: Path) -> None:
    far = make_tree(here / "far", {"x": "far away"})
    repo.put((far / "x").as_uri(), "refs")
    assert fs.info("refs:v0/x")["uri"] == (far / "x").as_uri() and fs.cat_file("refs:v0/x", 4) == b"away"
    (far / "x").unlink()
    with pytest.raises(FileNotFoundError):
        fs.cat("refs:v0/x")


@pytest.mark.damaged
def test_damage_is_told_and_never_read(fs: ArtstoreFileSystem, root: Path) -> None:
    assert fs.cat_file("data:v0/deep/large.bin", 0, 3) == LARGE[:3]
    blob = next(path for path in (root / "objects/blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.seek(2 * MIB)
        file.write(b"!!")
    pack = next((root / "objects/packs").glob("*.pack"))
    data = bytearray(pack.read_bytes())
    at = data.index(b"x,y\n1,2\n")
    data[at] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(data)
    for path in ("data:v0/deep/large.bin", "data:v0/a.csv"):
        with pytest.raises(Damage):
            fs.cat_file(path, 0, 1)
        with pytest.raises(Damage):
            fs.open(path)


# -- the packages that read by it --


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {"n": range(1000), "text": [f"row {number}" for number in range(1000)], "x": np.linspace(0, 1, 1000)}
    )


@pytest.fixture
def tables(repo: Repository, here: Path, frame: pd.DataFrame) -> Iterator[None]:
    (here / "tables/parts").mkdir(parents=True)
    frame.to_csv(here / "tables/t.csv", index=False)
    frame.to_parquet(here / "tables/t.parquet")
    frame[:500].to_parquet(here / "tables/parts/0.parquet")
    frame[500:].to_parquet(here / "tables/parts/1.parquet")
    zarr.create_array(str(here / "tables/z.zarr"), data=np.arange(10_000).reshape(100, 100), chunks=(10, 100))
    repo.put("tables", "tables")
    yield


@pytest.mark.usefixtures("tables")
def test_pandas_reads_artstore_paths(frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(pd.read_csv("artstore://tables:latest/t.csv"), frame)
    pd.testing.assert_frame_equal(pd.read_parquet("artstore://tables:v0/t.parquet"), frame)


@pytest.mark.usefixtures("tables")
def test_pyarrow_reads_artstore_paths(frame: pd.DataFrame) -> None:
    fs = fsspec.filesystem("artstore")
    table = pa.parquet.read_table("tables:latest/t.parquet", filesystem=fs, columns=["n"])
    assert table["n"].to_pylist() == list(range(1000))
    parts = pa.dataset.dataset("tables:latest/parts", filesystem=fs, format="parquet")
    assert parts.count_rows() == 1000 and parts.to_table(filter=pa.dataset.field("n") >= 990)["n"].to_pylist() == list(
        range(990, 1000)
    )


@pytest.mark.usefixtures("tables")
def test_polars_reads_artstore_paths(frame: pd.DataFrame) -> None:
    with fsspec.open("artstore://tables:latest/t.parquet") as file:
        assert pl.read_parquet(file)["n"].to_list() == list(range(1000))
    lazy = pl.scan_pyarrow_dataset(
        pa.dataset.dataset("tables:latest/parts", filesystem=fsspec.filesystem("artstore"), format="parquet")
    )
    assert lazy.filter(pl.col("n") > 997).collect()["text"].to_list() == ["row 998", "row 999"]


@pytest.mark.usefixtures("tables")
def test_zarr_reads_artstore_paths() -> None:
    array = zarr.open_array("artstore://tables:latest/z.zarr", mode="r")
    assert array.shape == (100, 100) and array[42].tolist() == list(range(4200, 4300))


# -- fsspec's own tests: those of filesystems that are read --


class Scenarios(AbstractFixtures):
    """Its scenarios, made as local folders, saved, and read as versions."""

    @pytest.fixture
    def fs(self, repo: Repository, here: Path) -> ArtstoreFileSystem:
        return fsspec.filesystem("artstore")

    @pytest.fixture
    def fs_path(self) -> str:
        return "target:latest"

    def _saved(self, repo: Repository, here: Path, make: Any) -> str:
        (here / "made").mkdir()
        folder = Path(make(LocalFileSystem(auto_mkdir=True), os.path.join, str(here / "made")))
        repo.put(str(folder), "made")
        repo.put(str(here / "made"), "around")
        return f"around:latest/{folder.name}"

    @pytest.fixture
    def fs_bulk_operations_scenario_0(self, repo: Repository, here: Path) -> str:
        return self._saved(repo, here, self._bulk_operations_scenario_0)

    @pytest.fixture
    def fs_glob_edge_cases_files(self, repo: Repository, here: Path) -> str:
        return self._saved(repo, here, self._glob_edge_cases_files)

    @pytest.fixture
    def fs_dir_and_file_with_same_name_prefix(self, repo: Repository, here: Path) -> str:
        return self._saved(repo, here, self._dir_and_file_with_same_name_prefix)

    @pytest.fixture
    def fs_10_files_with_hashed_names(self, repo: Repository, here: Path) -> str:
        return self._saved(repo, here, self._10_files_with_hashed_names)


class TestFsspecsOwn(Scenarios, AbstractGetTests):
    def test_get_directory_recursive(  # type: ignore[override]  # as theirs, which makes its folder by what it tests
        self, fs: Any, repo: Repository, here: Path, local_target: str
    ) -> None:
        repo.put(str(make_tree(here / "target", {"src/file": ""})), "target")
        target = Path(local_target)
        fs.get("target:latest/src/", str(target), recursive=True)
        fs.get("target:latest/src/", str(target), recursive=True)
        assert [path.name for path in target.iterdir()] == ["file"]
        fs.get("target:latest/src", str(target), recursive=True)
        assert sorted(str(path.relative_to(target)) for path in target.rglob("*")) == ["file", "src", "src/file"]

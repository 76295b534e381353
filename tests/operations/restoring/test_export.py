"""`export`: one archive of a version, the same bytes each time, and what `get` would give when it is unpacked."""

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from artstore.repository import Repository
from artstore.view import view_of
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree, snapshot

MIB = 1 << 20
FILES = {
    "a.txt": "1",
    "run.sh*": "#!/bin/sh\n",
    "empty": "",
    "nothing": None,
    "deep/er/b": "2",
    "deep/large.bin": b"0123456789" * (3 * MIB // 10),
    "deep/" + "long" * 50 + ".txt": "a name of more than 100 bytes",
    "ünï": "é",
}


def _unpacked(path: Path, into: Path) -> dict[str, tuple[bool, bytes] | None]:
    """By the system's own tools."""
    into.mkdir()
    if path.suffix == ".tar":
        subprocess.run(["tar", "-xf", str(path), "-C", str(into)], check=True)
    else:
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            for info in archive.infolist():
                unpacked = Path(archive.extract(info, into))
                unpacked.chmod(info.external_attr >> 16 & 0o777)
    return snapshot(into)


@pytest.mark.parametrize("kind", ["tar", "zip", "dir"])
def test_what_is_exported_is_what_get_gives(repo: Repository, cli: Cli, tmp_path: Path, kind: str) -> None:
    source = make_tree(tmp_path / "src", FILES)
    repo.put(str(source), "data")
    done = cli("export", "data", "--format", kind)
    out = "data-v0" if kind == "dir" else f"data-v0.{kind}"
    assert done.code == 0 and done.out == f"exported data:v0: 7 files, 3.0 MiB, to {out}\n"
    found = snapshot(tmp_path / out) if kind == "dir" else _unpacked(tmp_path / out, tmp_path / "out")
    assert found == snapshot(source)
    assert cli("status").out.count("data") <= 1, "an export is not looked after"


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_the_same_version_gives_the_same_bytes_anywhere_and_in_a_pipe(
    repo: Repository, cli: Cli, tmp_path: Path, kind: str
) -> None:
    repo.put(str(make_tree(tmp_path / "src", FILES)), "data")
    assert cli("export", "data", "-o", f"one.{kind}").code == 0
    with Repository.init(str(tmp_path / "other" / ".artifacts")) as other:
        for name in sorted(FILES, reverse=True):  # other packs, other times
            if FILES[name] is not None:
                other.put(str(tmp_path / "src" / name.removesuffix("*")), "parts")
        other.put(str(make_tree(tmp_path / "again", FILES)), "copy")
    os.umask(0o077)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "artstore", "export", "copy", "-o", "-", "--format", kind],
            cwd=tmp_path / "other", env=environment(tmp_path, TZ="Asia/Tokyo"), capture_output=True, check=True,
        )  # fmt: skip
    finally:
        os.umask(0o022)
    assert done.stdout == (tmp_path / f"one.{kind}").read_bytes() and done.stderr == b""


def test_an_archive_holds_what_was_asked_for(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", FILES)), "data")
    assert cli("export", "data", "-o", "some.zip", "--path-prefix", "deep/", "--exclude", "*.bin").code == 0
    with zipfile.ZipFile(tmp_path / "some.zip") as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    assert names == ["deep/er/b", "deep/" + "long" * 50 + ".txt"]
    done = cli("export", "data", "--path-prefix", "none")
    assert done.code == 4 and not (tmp_path / "data-v0.tar").exists()


def test_a_name_that_is_no_text_fits_a_tar_and_is_refused_by_a_zip(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / os.fsdecode(b"caf\xe9")).write_text("1")
    repo.put(str(source), "data")
    assert cli("export", "data").code == 0
    assert _unpacked(tmp_path / "data-v0.tar", tmp_path / "out") == snapshot(source)
    done = cli("export", "data", "--format", "zip")
    assert done.code == 3 and "is not UTF-8" in done.err and "--format tar" in done.err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".artstore-") or path.suffix == ".zip"]


def test_a_reference_is_exported_as_the_bytes_it_names(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    far = make_tree(tmp_path / "far", {"x": "far away"})
    repo.put((far / "x").as_uri(), "refs")
    assert cli("export", "refs", "-o", "refs.tar").code == 0
    with tarfile.open(tmp_path / "refs.tar") as archive:
        member = archive.extractfile("x")
        assert member is not None and member.read() == b"far away"


def test_what_stands_there_is_replaced_only_when_asked(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"f": "1"})), "data")
    (tmp_path / "data-v0.tar").write_text("mine")
    make_tree(tmp_path / "data-v0", {"mine": "1"})
    for more in ([], ["--format", "dir"], ["-o", "data-v0", "--force"]):
        done = cli("export", "data", *more)
        assert done.code == 6 and "exists already" in done.err, done
    assert (tmp_path / "data-v0.tar").read_text() == "mine"
    assert cli("export", "data", "--force").code == 0
    assert tarfile.is_tarfile(tmp_path / "data-v0.tar")
    assert cli("export", "data", "-o", "-", "--format", "dir").code == 3


@pytest.mark.damaged
def test_a_damaged_file_leaves_no_archive(repo: Repository, root: Path, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"a": "1", "large": b"x" * (2 * MIB)})), "data")
    blob = next(path for path in (root / "objects/blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.write(b"y")
    done = cli("export", "data")
    assert done.code == 7 and "data:v0" in done.err
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tar" or path.name.startswith(".artstore-")]


@pytest.mark.damaged
def test_what_fails_in_a_pipe_does_not_look_whole(repo: Repository, root: Path, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"a": "1", "large": b"x" * (2 * MIB)})), "data")
    blob = next(path for path in (root / "objects/blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.write(b"y")
    for kind, check in (("tar", ["tar", "-tf"]), ("zip", [sys.executable, "-m", "zipfile", "-t"])):
        with (tmp_path / "piped").open("wb") as out:
            done = subprocess.run(
                [sys.executable, "-m", "artstore", "export", "data", "-o", "-", "--format", kind],
                cwd=tmp_path, env=environment(tmp_path), stdout=out, stderr=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        assert done.returncode == 7
        assert subprocess.run([*check, str(tmp_path / "piped")], capture_output=True, check=False).returncode != 0, kind


def test_names_that_promise_something_else_are_refused(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"f": "1"})), "data")
    assert "artstore compresses only .tar.gz, .tar.bz2 and .tar.xz" in cli("export", "data", "-o", "x.zst").err
    assert cli("export", "data", "-o", "x/").code == 3


def test_a_remotes_version_is_exported_without_a_copy_here(repo: Repository, cli: Cli, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", FILES)), "data")
    repo.remotes.add("origin", str(tmp_path / "remote"), make=True)
    repo.push()
    out = io.BytesIO()
    with view_of(str(tmp_path / "remote"), None) as view:
        told = view.export(view.find("data"), out, "tar")
    assert (told.files, told.bytes) == (7, repo.find("data").version["size"])
    assert cli("export", "data", "--from", "origin", "-o", "there.tar").code == 0
    assert (tmp_path / "there.tar").read_bytes() == out.getvalue()

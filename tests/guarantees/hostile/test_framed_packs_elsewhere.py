"""Packs of frames that lie, in a bucket, in a bundle and behind a server: nobody gets or stores a wrong byte."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from artstore.backends.credentials import TOKEN
from artstore.backends.storage import Storage
from artstore.domain.roles import Role
from artstore.errors import ArtstoreError, Damage, InvalidValue
from artstore.repository import Repository
from artstore.store.layout import storage_at
from artstore.store.paths import blob_path, pack_path
from tests.guarantees.hostile.test_framed_packs import DIGEST, LIES, halves, name_of, put_into
from tests.support.hostile_remotes import LARGE, Two, state_of
from tests.support.marks import mostly_long
from tests.support.served import Server, serving
from tests.support.servers import SeaweedFS

SOME = mostly_long(
    LIES, "frames that overlap", "zstd that never ends", "other bytes", "a recipe of a part", "a recipe of another blob"
)


# -- in a bucket --


@pytest.fixture
def bucket(two: Two, server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket to which `author` pushed, and from which `reader` pulls."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    url = f"s3://{server.bucket}/{os.urandom(8).hex()}?endpoint={server.endpoint}&region=us-east-1"
    for root in (two.author, two.reader):
        with Repository(root) as repository:
            repository.remotes.remove("origin")
            repository.remotes.add("origin", url, make=root == two.author)
    two.push(two.author)
    return url


def lose(storage: Storage, path: str) -> None:
    trash = f"trash/gc.left.{os.urandom(6).hex()}"
    storage.claim(trash)
    assert storage.take(path, trash)
    storage.purge(f"{trash}/{path.rpartition('/')[2]}")
    storage.remove_folder(trash)


def add(storage: Storage, pack: bytes, folder: Path) -> str:
    (folder / "pack").write_bytes(pack)
    storage.publish(str(folder / "pack"), pack_path(name_of(pack)))
    return pack_path(name_of(pack))


@pytest.mark.parametrize("lie", SOME)
def test_a_bucket_whose_only_copy_of_a_large_blob_lies_is_refused(
    two: Two, bucket: str, lie: str, tmp_path: Path
) -> None:
    storage = storage_at(bucket, None)
    lose(storage, blob_path(DIGEST))
    forged = add(storage, LIES[lie](), tmp_path)
    two.refuses_to_pull(Damage)
    lose(storage, forged)
    add(storage, halves().made(), tmp_path)
    two.pulls()


# -- in a bundle --


def rewritten(bundle: Path, target: Path, pack: bytes) -> str:
    """A bundle in which a pack has the place of the large blob."""
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
        for name in source.namelist():
            if name != blob_path(DIGEST):
                out.writestr(zipfile.ZipInfo(name), source.read(name))
        out.writestr(zipfile.ZipInfo(pack_path(name_of(pack))), pack)
    return str(target)


@pytest.mark.parametrize("lie", SOME)
def test_a_bundle_whose_only_copy_of_a_large_blob_lies_brings_nothing(two: Two, lie: str, tmp_path: Path) -> None:
    with Repository(two.author) as author:
        author.create_bundle(str(tmp_path / "bundle.zip"), ["good"])
    with Repository(two.reader) as reader:
        before = state_of(two.reader)
        with pytest.raises((Damage, InvalidValue)):
            reader.apply_bundle(
                rewritten(tmp_path / "bundle.zip", tmp_path / "lies.zip", LIES[lie]())
            ).exchanged.whole()
        assert state_of(two.reader) == before
        reader.apply_bundle(rewritten(tmp_path / "bundle.zip", tmp_path / "right.zip", halves().made()))
        reader.get(reader.find("good:v0"), str(tmp_path / "out"))
    assert (tmp_path / "out/large").read_bytes() == LARGE


# -- behind a server, and pushed to one --


@pytest.fixture
def served(two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of the remote, which `author` and `reader` know by its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    os.rename(two.remote, folder / ".artifacts")
    two.remote = folder / ".artifacts"
    with serving(folder) as server:
        monkeypatch.setenv(TOKEN, server.token("writer", Role.WRITER).secret or "")
        for root in (two.author, two.reader):
            with Repository(root) as repository:
                repository.remotes.remove("origin")
                repository.remotes.add("origin", server.url)
        yield server


@pytest.mark.parametrize("lie", SOME)
def test_a_server_whose_only_copy_of_a_large_blob_lies_gives_nothing_wrong(
    two: Two, served: Server, lie: str, capfd: pytest.CaptureFixture[str]
) -> None:
    two.blob.unlink()
    forged = put_into(two.remote, LIES[lie]())
    two.refuses_to_pull(ArtstoreError)
    forged.unlink(missing_ok=True)
    put_into(two.remote, halves().made())
    two.pulls()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.damaged
@pytest.mark.parametrize("lie", SOME)
def test_a_large_blob_whose_only_copy_here_lies_is_pushed_nowhere(
    two: Two, served: Server, lie: str, tmp_path: Path
) -> None:
    with Repository(two.author) as author:
        author.copy("good:v0", "copied")
    (Path(two.author) / blob_path(DIGEST)).unlink()
    put_into(Path(two.author), LIES[lie]())
    (two.remote / blob_path(DIGEST)).unlink()
    with pytest.raises(ArtstoreError), Repository(two.author) as author:
        author.push().whole()
    assert not (two.remote / "refs/local/uncategorized/copied").exists()

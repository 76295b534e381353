"""What a collector moves between two looks of a reader or a saver is found all the same."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.folder import FolderStorage
from artstore.domain.digest import BLOB, Digest
from artstore.repository import Repository
from artstore.store.paths import blob_path
from tests.support.folders import make_tree, snapshot
from tests.support.processes import LARGE

RUN = "trash/gc.left.000000000000"


@pytest.fixture
def large(repo: Repository, tmp_path: Path) -> Digest:
    """A large blob of `data:v0`."""
    repo.put(str(make_tree(tmp_path / "data", {"small": "small", "large": LARGE})), "data")
    entry = repo.entry(repo.find("data"), "large")
    assert entry.digest is not None
    return entry.digest


def _take(repo: Repository, path: str) -> None:
    os.makedirs(repo.storage.path(RUN), exist_ok=True)
    assert repo.storage.take(path, RUN)


def _once(
    monkeypatch: pytest.MonkeyPatch, method: str, act: Callable[[FolderStorage], None], *, when: str = "", skip: int = 0
) -> None:
    """A call of a method of a storage, whose path begins with `when`, finds `act` done just before.

    It is the first such call after `skip` others.
    """
    before: Callable[..., Any] = getattr(FolderStorage, method)
    calls = 0

    def called(self: FolderStorage, path: str, *arguments: Any) -> Any:
        nonlocal calls
        if path.startswith(when):
            calls += 1
            if calls == skip + 1:
                act(self)
        return before(self, path, *arguments)

    monkeypatch.setattr(FolderStorage, method, called)


def _read_size(repo: Repository, digest: Digest) -> int:
    return repo.objects.large.readable({digest})[digest]


def _read(repo: Repository, digest: Digest) -> int:
    return len(repo.objects.read(BLOB, digest))


def _open(repo: Repository, digest: Digest) -> int:
    with repo.objects.large.open(digest, len(LARGE)) as content:
        return content.size


def _copied(repo: Repository, digest: Digest, there: int | None) -> int:
    target = os.memfd_create("copy")
    try:
        return repo.objects.large.copy(digest, len(LARGE), target, lambda _: None, there=there)[1]
    finally:
        os.close(target)


def _copy(repo: Repository, digest: Digest) -> int:
    return _copied(repo, digest, None)


READERS = [_read_size, _read, _open, _copy]


@pytest.mark.parametrize("skip", range(5))
@pytest.mark.parametrize("reader", READERS)
def test_a_blob_given_back_between_a_look_into_objects_and_one_into_the_trash_is_read(
    repo: Repository,
    large: Digest,
    monkeypatch: pytest.MonkeyPatch,
    reader: Callable[[Repository, Digest], int],
    skip: int,
) -> None:
    _take(repo, blob_path(large))
    trashed, path = f"{RUN}/{large.hex()}", blob_path(large)
    _once(monkeypatch, "below", lambda at: at.give_back(trashed, path), when="trash", skip=skip)
    assert reader(repo, large) == len(LARGE)


@pytest.mark.parametrize("reader", READERS)
def test_a_blob_packed_by_another_process_since_the_last_listing_is_read(
    repo: Repository, large: Digest, reader: Callable[[Repository, Digest], int]
) -> None:
    repo.objects.packs.names()
    with Repository(repo.root) as packer:
        packer.pack()
        packer.gc(now=True)
    assert not os.path.exists(repo.storage.path(blob_path(large)))
    assert reader(repo, large) == len(LARGE)


@pytest.mark.parametrize("skip", range(2))
def test_a_pack_given_back_between_two_looks_is_opened(
    repo: Repository, large: Digest, monkeypatch: pytest.MonkeyPatch, skip: int
) -> None:
    repo.pack()
    (name,) = repo.objects.packs.refresh() - {repo.objects.packs.holding(repo.find("data").tree)}
    assert name is not None
    path, trashed = f"objects/packs/{name}.pack", f"{RUN}/{name}.pack"
    _take(repo, path)
    _once(monkeypatch, "below", lambda at: at.give_back(trashed, path), when="trash", skip=skip)
    repo.objects.packs.reader(name)[1]()


def test_a_blob_taken_between_a_look_and_its_copy_is_copied(
    repo: Repository, large: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _once(monkeypatch, "copy_out", lambda _: _take(repo, blob_path(large)))
    assert _copied(repo, large, len(LARGE)) == len(LARGE)
    repo.storage.give_back(f"{RUN}/{large.hex()}", blob_path(large))


def test_a_small_blob_given_back_between_two_looks_is_there(
    repo: Repository, large: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = repo.entry(repo.find("data"), "small").digest
    assert small is not None
    (pack,) = (f"objects/packs/{name}.pack" for name in repo.objects.packs.names())
    _take(repo, pack)
    repo.objects.packs.refresh()
    _once(monkeypatch, "below", lambda at: at.give_back(f"{RUN}/{os.path.basename(pack)}", pack), when="trash")
    assert repo.objects.readable({small}) == {small: 5}


@pytest.mark.parametrize("method", ["size", "stat"])
def test_a_blob_taken_while_the_same_content_is_published_is_published_again(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The name was taken when the saver wanted it, and free when it looked at what is there."""
    source = make_tree(tmp_path / "twice", {"large": LARGE})
    with repo.draft() as draft:
        draft.add_folder(str(source))
        repo.put(str(source), "first")
        (path,) = (path for path, _ in repo.storage.below("objects/blobs"))
        if method == "stat":
            monkeypatch.setattr(FolderStorage, "size", _wrong_once(path))
        _once(monkeypatch, method, lambda _: _take(repo, path), when=path)
        draft.save(repo.path_of("second")[0])
    monkeypatch.undo()
    repo.get(repo.find("second"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)


def _wrong_once(path: str) -> Callable[[FolderStorage, str], int | None]:
    """`FolderStorage.size`, which once gives a wrong size of a file: it is damaged, and healed before the next look."""
    right, todo = FolderStorage.size, [path]

    def size(self: FolderStorage, asked: str) -> int | None:
        if asked in todo:
            todo.remove(asked)
            return 1
        return right(self, asked)

    return size

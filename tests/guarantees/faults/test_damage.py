"""The damage matrix: whatever is deleted, cut, flipped or zeroed, no command gives a wrong answer, and nothing else is lost.

A command gives exactly what was stored, or an error of ours; a damaged cache changes no answer; saving the same content
again heals what was found damaged.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.digest import BLOB
from artstore.errors import ArtstoreError, Damage
from artstore.store.logs import decode_entry
from tests.support.damages import CACHES, DAMAGES, LOGS, OBJECTS, Region, Stored, _get, _object, _whole
from tests.support.reader import Reader

pytestmark = pytest.mark.damaged


# -- what is damaged, and how --------------------------------------------------------------------

FILES: dict[str, Callable[[Stored], Region]] = {
    "format": lambda stored: _whole(stored.root / "format"),
    "config": lambda stored: _whole(stored.root / "config"),
}
TARGETS = OBJECTS | LOGS | CACHES | FILES


# -- the repository ------------------------------------------------------------------------------


def _readable(root: Path) -> set[tuple[str, str]]:
    """(kind, digest) of all objects that the independent reader can read right."""
    reader = Reader(root)
    good = set()
    for kind, digest in reader.copies:
        try:
            reader.read(digest, kind)
            good.add((kind, digest))
        except (LookupError, OSError):
            continue
    return good


def _run(stored: Stored, command: str) -> Any:
    with stored.open() as repository:
        if command == "put":
            return repository.put(str(stored.sources["data:v1"]), "data")
        return repository.gc(now=True) if command == "gc" else repository.fsck()


def _codes(target: str, damage: str) -> set[int]:
    """Exit codes that may stand for this damage."""
    if target == "format":
        return {4} if damage == "delete" else {10}
    return {3} if target == "config" else set() if target in CACHES else {7}


# -- the matrix ----------------------------------------------------------------------------------


@pytest.mark.diagonal("target", "damage", "command")
@pytest.mark.parametrize("command", ["get", "put", "gc", "fsck"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("target", TARGETS)
def test_after_damage_every_command_is_right_or_says_what_is_wrong(
    stored: Stored, target: str, damage: str, command: str, tmp_path: Path
) -> None:
    """Deleting the last entry of a log can't be noticed here, by design (nothing local names it; a remote or a copy does):
    then all that is expected is that earlier versions read right and nothing crashes.
    """
    unnoticed = target == "last entry" and damage == "delete"
    DAMAGES[damage](TARGETS[target](stored))
    codes = _codes(target, damage)
    good = _readable(stored.root) if target not in FILES else set()
    if command != "get":
        try:
            report = _run(stored, command)
        except ArtstoreError as error:
            assert error.exit_code in codes, repr(error)
        else:
            if command == "fsck" and target not in ("config", "format", "stat cache", "objects.idx", "verified notes"):
                assert report.problems or unnoticed or (target, damage) == ("checkpoint", "delete")
            assert target != "format"
    if command != "put" and good:
        assert unnoticed or good <= _readable(stored.root), "something else was lost"
    lost = unnoticed and command != "put"
    for spec in ("data:v0", "other:v0") if unnoticed else ("data:v0", "data:v1", "other:v0"):
        wrong = _get(stored, spec, tmp_path / "out" / spec, "data:v0" if lost else "data:v1")
        assert wrong is None or wrong.exit_code in codes, f"{spec}: {wrong!r}"
        assert wrong is None or spec != "other:v0" or target in FILES, f"other:v0 was not damaged: {wrong!r}"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("target", [target for target in OBJECTS if target != "version"])
@pytest.mark.parametrize("found_by", ["get", "fsck"])
def test_saving_the_same_content_again_heals_what_was_found_damaged(
    stored: Stored, target: str, damage: str, found_by: str, tmp_path: Path
) -> None:
    region = OBJECTS[target](stored)
    DAMAGES[damage](region)
    if found_by == "fsck":
        assert _run(stored, "fsck").problems
    else:
        assert isinstance(_get(stored, "data:v1", tmp_path / "before"), Damage)
    _run(stored, "put")
    assert _get(stored, "data:v1", tmp_path / "after") is None
    if target == "large blob" and damage != "delete":
        assert list((stored.root / "bad").glob(f"{region.path.name}.*")), "the damaged file is kept as evidence"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("target", ["pack index", "large blob", "tree"])
def test_a_save_is_not_acknowledged_over_content_that_is_not_there(
    stored: Stored, target: str, damage: str, tmp_path: Path
) -> None:
    """Nobody has noticed it yet. A save may rely on what looks whole; its first reader notices, and the next save heals."""
    DAMAGES[damage](OBJECTS[target](stored))
    for attempt in ("first", "second"):
        try:
            _run(stored, "put")
        except Damage:
            continue
        error = _get(stored, "data:v1", tmp_path / attempt)
        assert error is None or (isinstance(error, Damage) and attempt == "first" and damage in ("flip", "zero")), (
            f"{attempt}: {error!r}"
        )


# -- beyond the matrix ---------------------------------------------------------------------------


@pytest.mark.parametrize("which", LOGS)
def test_a_flipped_bit_anywhere_in_a_log_is_noticed(stored: Stored, which: str) -> None:
    """Also in the newest entry, behind which no other one stands."""
    path = LOGS[which](stored).path
    data, unnoticed = path.read_bytes(), []
    for at in range(len(data)):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            decode_entry(flipped, int(path.stem), path.name)
        except ArtstoreError:
            continue
        path.chmod(0o644)
        path.write_bytes(flipped)
        with stored.open() as repository:
            try:
                repository.refs.read_folder("refs/local/uncategorized/data", checkpoints=False)
                unnoticed.append(at)
            except ArtstoreError:
                pass
    assert unnoticed == [], (
        f"{len(unnoticed)} of {len(data)} bytes can change unnoticed, such as {data[unnoticed[0] - 20 : unnoticed[0] + 20]!r}"
    )


def test_gc_does_not_take_the_good_one_of_two_copies(stored: Stored, tmp_path: Path) -> None:
    """The same content was stored twice (two savers at once), and one copy has rotted since, which nobody has noticed."""
    with stored.open() as repository:
        blob = repository.entry(repository.find("other"), "other.txt")[3]
    first = _object(stored, BLOB, blob)
    away = tmp_path / "away"
    first.path.rename(away)
    _run_put(stored, "twin")
    away.rename(first.path)
    packs = sorted(path for path in (stored.root / "objects/packs").iterdir() if blob in path.read_bytes())
    assert len(packs) == 2
    data = packs[0].read_bytes()
    packs[0].write_bytes(data.replace(b"otherother", b"otherOther", 1))
    assert ("blob", blob.hex()) in _readable(stored.root)
    _run(stored, "gc")
    assert ("blob", blob.hex()) in _readable(stored.root)


def _run_put(stored: Stored, name: str) -> None:
    shutil.rmtree(stored.root / "cache")
    with stored.open() as repository:
        repository.put(str(stored.sources["other:v0"]), name)


def test_a_stray_file_in_a_log_does_not_stop_gc(stored: Stored) -> None:
    """Such as a file synchroniser leaves."""
    (stored.root / "refs/local/uncategorized/data/00000003 (copy of laptop).json").write_text("{}")
    (stored.root / "refs/local/uncategorized/data/notes.json").write_text("{}")
    assert _run(stored, "gc").problems == ()


def test_an_object_asked_for_as_another_kind_is_not_noted_as_damaged(stored: Stored, tmp_path: Path) -> None:
    """A tree may list another tree's digest as a file: refused, and the good copy stays in use."""
    with stored.open() as repository:
        tree = repository.find("data:v1").tree
        with pytest.raises(Damage):
            repository.objects.read(BLOB, tree)
    assert _get(stored, "data:v1", tmp_path / "out") is None

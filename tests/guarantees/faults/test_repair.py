"""`fsck --repair`: what was lost here and lies elsewhere is whole again, checked, and nothing that tells of the damage is unlinked."""

import errno
import os
import shutil
from pathlib import Path

import pytest

import artstore as wandb
from artstore.backends.storage import FolderStorage
from artstore.domain.digest import KIND_NAMES, Digest
from artstore.domain.selection import Selection
from artstore.domain.tree import DIRECTORY, FILE
from artstore.errors import StorageError
from artstore.operations.restoring.options import Restore
from artstore.operations.upkeep.fsck import Fsck
from artstore.repository import Repository
from artstore.store.large import LargeBlobs
from artstore.store.logs import Log
from artstore.store.packfile import salvage
from artstore.store.packs import HEADER
from tests.support.artifacts import log
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.damages import CACHES, DAMAGES, LOGS, OBJECTS, Region, Stored, _get
from tests.support.folders import make_tree, snapshot
from tests.support.forge import Forger

pytestmark = pytest.mark.damaged

MIB = 1 << 20
TARGETS = OBJECTS | {"checkpoint": CACHES["checkpoint"]}


def forget_folders(stored: Stored) -> None:
    shutil.rmtree(stored.root / "checkouts")


def add_remote(stored: Stored) -> None:
    with stored.open() as repository:
        repository.remotes.add("nas", str(stored.root.parent / "nas"), make=True)
        repository.push()


def leave_only(stored: Stored, place: str) -> None:
    if place == "remote":
        add_remote(stored)
    if place != "folder":
        forget_folders(stored)


def repair(stored: Stored) -> list[str]:
    """What was mended. After it all reads right, and gc has nothing to say."""
    with stored.open() as repository:
        report = repository.fsck(repair=True)
        assert report.problems == []
    check(stored.root)
    for spec in stored.sources:
        assert _get(stored, spec, stored.root.parent / "repaired" / spec) is None
    with stored.open() as repository:
        assert repository.gc(now=True).problems == ()
    check(stored.root)
    return report.mended


def evidence(stored: Stored) -> list[bytes]:
    return [path.read_bytes() for path in (stored.root / "bad").iterdir()]


@pytest.mark.diagonal("target", "damage", "place")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("place", ["folder", "remote"])
def test_what_was_lost_is_stored_again_from_a_folder_or_a_remote(
    stored: Stored, place: str, target: str, damage: str
) -> None:
    leave_only(stored, place)
    region = TARGETS[target](stored)
    DAMAGES[damage](region)
    bytes_before = region.path.read_bytes() if region.path.exists() else None
    mended = repair(stored)
    assert mended or (target, damage) == ("checkpoint", "delete")
    if bytes_before is not None:
        assert bytes_before in evidence(stored), "the damaged file is kept"


@pytest.mark.parametrize("target", ["pack footer", "pack index", "version"])
def test_what_lies_unharmed_beside_the_damage_needs_no_other_place(stored: Stored, target: str) -> None:
    """The objects of a pack whose index is damaged are right; a version's record is what its log entry says."""
    leave_only(stored, "nowhere")
    DAMAGES["flip"](OBJECTS[target](stored))
    assert any("bad/" in line or "the log" in line for line in repair(stored))


def test_a_pack_of_which_nothing_is_right_is_replaced(stored: Stored) -> None:
    leave_only(stored, "remote")
    pack = OBJECTS["pack object"](stored).path
    with stored.open() as repository:
        end = repository.objects.packs.open(pack.stem).index.objects_end
    data = pack.read_bytes()
    pack.write_bytes(data[:HEADER] + bytes(byte ^ 0x55 for byte in data[HEADER:end]) + data[end:])
    repair(stored)
    assert not pack.exists()


def test_what_is_nowhere_stays_a_problem_and_nothing_else_suffers(stored: Stored, tmp_path: Path) -> None:
    leave_only(stored, "nowhere")
    DAMAGES["flip"](OBJECTS["pack object"](stored))
    DAMAGES["flip"](OBJECTS["large blob"](stored))
    with stored.open() as repository:
        first = repository.fsck(repair=True)
        again = repository.fsck(repair=True)
    assert len(first.problems) == len(again.problems) == 3, "a.txt of v1, and big of both versions"
    assert again.mended == []
    assert _get(stored, "other:v0", tmp_path / "other") is None
    with stored.open() as repository:
        repository.put(str(stored.sources["data:v1"]), "data")
    check(stored.root)


def test_a_damaged_blob_that_could_not_be_moved_away_when_it_was_met_is_replaced_all_the_same(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name would stay taken, and a check that hashes no blob again would call it right."""
    leave_only(stored, "remote")
    DAMAGES["flip"](OBJECTS["large blob"](stored))
    set_aside, failed = LargeBlobs.set_aside, list[Digest]()

    def failing_once(self: LargeBlobs, digest: Digest, read: os.stat_result) -> None:
        if failed:
            set_aside(self, digest, read)
        failed.append(digest)  # as where a stat fails once

    monkeypatch.setattr(LargeBlobs, "set_aside", failing_once)
    assert any("stored again" in line for line in repair(stored))


def test_a_blob_that_can_not_be_moved_away_at_all_stays_a_problem_and_the_rest_is_mended(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_only(stored, "remote")
    DAMAGES["flip"](OBJECTS["large blob"](stored))
    DAMAGES["flip"](OBJECTS["pack object"](stored))
    move = FolderStorage.move

    def refusing(self: FolderStorage, path: str, target: str) -> bool:
        if path.startswith("objects/blobs"):
            raise StorageError("permission denied")
        return move(self, path, target)

    with monkeypatch.context() as patched, stored.open() as repository:
        patched.setattr(FolderStorage, "move", refusing)
        report = repository.fsck(repair=True)
    assert any("in objects/blobs is damaged" in problem for problem in report.problems)
    assert any("1 blob stored again" in line for line in report.mended)
    repair(stored)


def test_a_right_blob_that_could_not_be_read_stays_where_it_is(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is another user's: for others it may be readable."""
    leave_only(stored, "nowhere")
    blob = OBJECTS["large blob"](stored).path
    opened = FolderStorage.open

    def refusing(self: FolderStorage, path: str) -> int:
        if path.endswith(blob.name):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(self, path)

    with monkeypatch.context() as patched, stored.open() as repository:
        patched.setattr(FolderStorage, "open", refusing)
        assert repository.fsck(repair=True).problems
    assert blob.exists()
    check(stored.root)


@pytest.mark.parametrize("target", ["pack object", "large blob"])
def test_what_another_saves_again_during_a_check_is_no_problem_of_a_version(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    DAMAGES["flip"](OBJECTS[target](stored))
    check_log, saved = Fsck._check_log, list[int]()

    def after_a_save(self: Fsck, folder: str) -> None:
        if not saved:
            with stored.open() as repository:
                saved.append(repository.put(str(stored.sources["data:v1"]), "data").number)
        check_log(self, folder)

    monkeypatch.setattr(Fsck, "_check_log", after_a_save)
    with stored.open() as repository:
        (problem,) = repository.fsck().problems
    assert "v1" not in problem, "the damaged copy only"
    assert _get(stored, "data:v1", stored.root.parent / "out") is None


def test_what_could_not_be_read_at_first_is_hashed_again_before_all_is_called_well(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later checks hash no blob again: they would have passed over one whose first look met a passing fault."""
    leave_only(stored, "remote")
    DAMAGES["flip"](OBJECTS["large blob"](stored))
    DAMAGES["flip"](OBJECTS["pack object"](stored))  # something that is mended, so that there is a later check
    check, failed = LargeBlobs.check, list[Digest]()

    def failing_once(self: LargeBlobs, digest: Digest, size: int) -> None:
        if not failed:
            failed.append(digest)
            raise StorageError("input/output error")
        check(self, digest, size)

    monkeypatch.setattr(LargeBlobs, "check", failing_once)
    assert sum("stored again" in line for line in repair(stored)) == 2


@pytest.mark.parametrize("target", LOGS)
def test_a_damaged_log_is_no_matter_for_a_repair(stored: Stored, target: str) -> None:
    """Entries are written once, by one repository: nobody else has them."""
    DAMAGES["flip"](LOGS[target](stored))
    before = snapshot(stored.root / "refs")
    with stored.open() as repository:
        (problem,) = repository.fsck(repair=True).problems
    assert problem.endswith("; no other repository has this log: bring the file back from a backup")
    assert snapshot(stored.root / "refs") == before


def test_a_folder_that_was_changed_gives_back_the_files_that_were_not(stored: Stored, tmp_path: Path) -> None:
    source = Path(shutil.copytree(stored.sources["data:v1"], tmp_path / "changing"))
    with stored.open() as repository:
        repository.put(str(source), "data")
    shutil.rmtree(stored.root / "checkouts")
    with stored.open() as repository:
        repository.get(repository.find("data:v1"), str(source))
    make_tree(source, {"sub/c.txt": "changed", "a.txt": "changed"})
    DAMAGES["delete"](OBJECTS["large blob"](stored))
    (source / "sub/b.txt").unlink()
    os.mkfifo(source / "sub/b.txt")
    assert any("1 blob stored again" in line for line in repair(stored))


def test_a_version_whose_folder_tree_was_lost_is_whole_after_one_repair(stored: Stored) -> None:
    """The pack is gone with all that was in it: what is below a tree shows only when the tree is back."""
    leave_only(stored, "remote")
    for path in (stored.root / "objects/packs").iterdir():
        path.unlink()
    mended = repair(stored)
    assert any("tree" in line and "remote 'nas'" in line for line in mended)


def test_a_remote_that_cant_be_reached_or_lies_is_told_and_passed_over(stored: Stored) -> None:
    leave_only(stored, "remote")
    nas = stored.root.parent / "nas"
    target = OBJECTS["large blob"](stored)
    DAMAGES["flip"](target)
    there = nas / target.path.relative_to(stored.root)
    there.chmod(0o644)
    there.write_bytes(b"X" * target.length)
    with stored.open() as repository:
        assert repository.fsck(repair=True).problems
    nas.rename(nas.parent / "unmounted")
    with stored.open() as repository:
        report = repository.fsck(repair=True)
    assert report.problems and any("remote 'nas' could not be searched" in note for note in report.notes)


def test_a_remote_is_repaired_from_the_repository_here(stored: Stored, cli: Cli) -> None:
    add_remote(stored)
    nas = stored.root.parent / "nas"
    blob = OBJECTS["large blob"](stored).path.relative_to(stored.root)
    DAMAGES["zero"](Region(nas / blob, 0, (nas / blob).stat().st_size))
    pack = next((nas / "objects/packs").iterdir())
    DAMAGES["flip"](Region(pack, HEADER, 9000))
    done = cli("fsck", "--repair", "nas", cwd=stored.root.parent)
    assert done.code == 0, done
    assert "stored again, from the repository here" in done.out and done.out.splitlines()[-1].startswith(
        "no problems found"
    )
    check(nas)


def test_a_repair_says_what_it_mended_and_one_without_need_says_nothing(stored: Stored, cli: Cli) -> None:
    at = stored.root.parent
    DAMAGES["flip"](OBJECTS["pack object"](stored))
    assert cli("fsck", cwd=at).code == 7
    done = cli("fsck", "--repair", cwd=at)
    assert done.code == 0 and done.out.startswith("repaired: 1 blob stored again, from "), done
    again = cli("fsck", "--repair", cwd=at)
    assert again.code == 0 and "repaired" not in again.out and "no problems found" in again.out


def test_a_partial_clone_s_promised_blobs_are_not_brought_by_a_repair(stored: Stored, cli: Cli, tmp_path: Path) -> None:
    add_remote(stored)
    assert cli("clone", "--no-blobs", stored.root.parent / "nas", tmp_path / "clone").code == 0
    done = cli("fsck", "--repair", cwd=tmp_path / "clone")
    assert done.code == 0 and "repaired" not in done.out, done


@pytest.mark.parametrize("field", range(0, 48, 7))
@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_salvage_finds_what_a_damaged_row_hides(stored: Stored, which: str, field: int) -> None:
    """Guesses only, each proved by its digest. A row that lies about its place is known by its neighbours."""
    pack = OBJECTS["pack footer"](stored).path
    with stored.open() as repository:
        opened = repository.objects.packs.open(pack.stem).index
        objects = {(row.kind, row.digest) for row in opened.rows()}
        order = sorted(range(opened.count), key=lambda number: opened.row(number).offset)
        number = order[{"first": 0, "middle": opened.count // 2, "last": -1}[which]]
    data = bytearray(pack.read_bytes())
    data[-1] ^= 1
    data[opened.objects_end + number * 48 + field] ^= 0x40

    def read(offset: int, length: int) -> bytes:
        return bytes(data[offset : offset + length])

    found = {(kind, digest) for kind, digest, _ in salvage(len(data), read)}
    assert objects <= found


def test_salvage_of_what_is_no_pack_ends(tmp_path: Path) -> None:
    noise = os.urandom(3 << 20)
    assert len(list(salvage(len(noise), lambda offset, length: noise[offset : offset + length]))) <= 2 * len(KIND_NAMES)
    assert list(salvage(10, lambda offset, length: b"")) == []


# -- folders that are not what they were ---------------------------------------------------------


def test_files_that_changed_since_they_were_saved_are_no_copies(repo: Repository, root: Path, tmp_path: Path) -> None:
    """Whatever changed: the size, the bytes of a small file, the bytes of a large one. What is right beside them is taken."""
    files: dict[str, str | bytes | None] = {"same": "s" * 5000, "longer": "l", "other": "o" * 5000, "big": b"B" * MIB}
    source = make_tree(tmp_path / "src", files)
    repo.put(str(source), "data")
    make_tree(source, {"longer": "ll", "other": "x" * 5000, "big": b"X" * MIB})
    for path in (root / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    with Repository(str(root)) as again:
        report = again.fsck(repair=True)
        assert any(line.startswith("1 version stored again, from the log") for line in report.mended)
        assert any("is missing" in problem for problem in report.problems)
        make_tree(source, files)
        report = again.fsck(repair=True)
        assert report.problems == [] and any(str(source) in line for line in report.mended)
    check(root)


def test_a_folder_that_is_no_whole_copy_gives_files_and_no_trees(repo: Repository, root: Path, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"a/f": "f" * 5000, "b/g": "g"})
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "some"), Restore(Selection("a/")))
    shutil.rmtree(source)
    for path in (root / "objects/packs").iterdir():
        path.unlink()
    with Repository(str(root)) as again:
        report = again.fsck(repair=True)
    assert any("tree" in problem and "is missing" in problem for problem in report.problems)


def test_files_beside_references_are_stored_again(here: Path) -> None:
    """What a reference names is somewhere else, and nothing that a repair could store."""
    artifact = wandb.Artifact("mixed", "dataset")
    artifact.add_reference((make_tree(here / "far", {"x": "1"}) / "x").as_uri())
    artifact.add_dir(str(make_tree(here / "in", {"f": "f" * 5000, "big": b"B" * MIB})))
    log(artifact).download("out")
    root = here / ".artifacts"
    (blob,) = (path for path in (root / "objects/blobs").rglob("*") if path.is_file())
    blob.unlink()
    with Repository(str(root)) as repository:
        assert repository.fsck(repair=True).problems == []
    check(root)


def test_a_right_blob_among_the_evidence_is_given_back(repo: Repository, root: Path, tmp_path: Path) -> None:
    """Somebody moved it away by mistake; its name says what it was."""
    source = make_tree(tmp_path / "src", {"big": b"B" * MIB})
    repo.put(str(source), "data")
    (blob,) = (path for path in (root / "objects/blobs").rglob("*") if path.is_file())
    blob.rename(root / "bad" / f"{blob.name}.0123abcd")
    shutil.rmtree(source)
    with Repository(str(root)) as again:
        report = again.fsck(repair=True)
    assert report.problems == [] and report.mended == ["1 blob stored again, from bad/"]
    check(root)


# -- what fsck has to say ------------------------------------------------------------------------


def test_what_was_called_damaged_and_is_right_is_forgotten(repo: Repository, root: Path, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"f": "f" * 5000})), "data")
    digest = Digest(repo.entry(repo.find("data"), "f")[3])
    pack = repo.objects.packs.holding(digest)
    assert pack is not None
    repo.objects.damage.note(pack, digest)
    assert repo.fsck(quick=True).problems[0].endswith("is damaged")
    assert repo.fsck().problems == [] == repo.fsck(quick=True).problems


def test_files_that_are_not_ours_are_notes(repo: Repository, root: Path, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"f": "1", "big": b"B" * MIB})), "data")
    make_tree(root / "objects", {"packs/README": "mine", "blobs/ab/notes.txt": "mine"})
    notes = repo.fsck().notes
    assert "objects/packs/README is not a pack; it is left alone" in notes
    assert "objects/blobs/ab/notes.txt is not a blob; it is left alone" in notes


def test_a_run_under_another_runs_name_is_a_problem(here: Path) -> None:
    with wandb.init(id="one") as run:
        run.log({"loss": 1})
    root = here / ".artifacts"
    shutil.copytree(root / "runs/local/uncategorized/one", root / "runs/local/uncategorized/two")
    with Repository(str(root)) as repository:
        assert any("two belongs to local/uncategorized/one" in problem for problem in repository.fsck().problems)


def test_a_checkpoint_that_tells_something_else_is_a_problem_and_repaired(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"f": "1"})), "data")
    state = repo.collection("data")
    plain = state.plain()
    state.description = "another"
    Log(repo.storage, state.path.folder).save_checkpoint(state.number, state.digest or "", state.plain())
    assert plain != state.plain()
    with Repository(str(root)) as again:
        assert any("doesn't match its entries" in problem for problem in again.fsck().problems)
        report = again.fsck(repair=True)
        assert report.problems == [] and again.collection("data").description is None
    check(root)


def test_one_folder_that_is_claimed_with_two_sizes_is_a_problem(repo: Repository, root: Path) -> None:
    forger = Forger(root)
    inner = forger.tree((b"f", FILE, 1, forger.blob(b"x")))
    both = forger.tree((b"a", DIRECTORY, 1, inner, 1), (b"b", DIRECTORY, 2, inner, 1))
    forger.version("data", both, size=3, files=2)
    with Repository(str(root)) as again:
        assert any("totals" in problem for problem in again.fsck().problems)


def test_a_tree_that_is_gone_is_lost_though_this_process_has_read_it(repo: Repository, tmp_path: Path) -> None:
    saved = repo.put(str(make_tree(tmp_path / "source", {"deep/f": "1"})), "data")
    assert [path for path, _ in repo.walk(repo.find("data").tree)]
    for pack in Path(repo.root).glob("objects/packs/*.pack"):
        pack.unlink()
    assert any("tree" in problem for problem in repo.fsck().problems), saved

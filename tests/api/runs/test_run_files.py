"""Files of runs: there at once, sealed into trees, kept by gc, sent to remotes, and found lost by fsck."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.api.recording import Recording, start
from artstore.domain.digest import BLOB, digest_of
from artstore.errors import InvalidValue, NoEntry, NoSpace
from artstore.operations.restoring.runfiles import restore_run_file
from artstore.operations.saving import sealing
from artstore.repository import Repository
from artstore.store.packs import PackWriter
from artstore.sync.transfer import NOTHING
from artstore.view import view_of
from tests.support.checks import check
from tests.support.runs import folder, root
from tests.support.servers import SeaweedFS

SMALL, LARGE = {"a.txt": b"one", "media/images/b.png": b"two"}, {"model.bin": bytes(range(256)) * 8192}


def recording(id: str = "r", files: dict[str, bytes] = SMALL) -> Recording:
    made = start(root(), id=id)
    for path, data in files.items():
        made.add_file(path, data)
    return made


def files(repository: Any, id: str = "r") -> dict[str, bytes]:
    """The files of a run, by the list of them and each read by its path."""
    state = next(state for state in repository.runs.all() if state.path.id == id)
    found = {}
    for path, file in repository.run_files(state).items():
        with repository.open_run_file(state, path) as opened_file:
            found[path] = opened_file.read()
        assert file.size == len(found[path])
    return found


def left_open(id: str = "r") -> list[str]:
    return [name for name in os.listdir(folder(id)) if name.startswith("files.")]


def test_files_of_a_run_are_there_at_once_and_in_one_tree_when_it_has_ended(here: Path) -> None:
    run = recording()
    repository = opened(root())
    assert files(repository) == SMALL
    run.seal()
    run.add_file("later.txt", b"three")
    assert files(repository) == SMALL | {"later.txt": b"three"}
    run.finish(0, {})
    assert files(repository) == SMALL | {"later.txt": b"three"}
    assert left_open() == [] and len(repository.runs.find(run.path).folders()) == 1


def test_a_later_file_replaces_one_at_its_path_and_gc_frees_that_when_the_run_has_ended(here: Path) -> None:
    run = recording(files=LARGE)
    run.seal()
    run.add_file("model.bin", b"small now")
    assert files(opened(root())) == {"model.bin": b"small now"}
    opened(root()).gc(now=True)
    run.seal()
    run.finish(0, {})
    assert opened(root()).gc(now=True).freed_bytes >= len(LARGE["model.bin"])
    assert files(opened(root())) == {"model.bin": b"small now"}


def test_a_local_file_is_copied_and_later_edits_of_it_dont_matter(here: Path) -> None:
    Path("notes.txt").write_bytes(b"as it was")
    run = recording(files={})
    run.add_file("notes.txt", "notes.txt")
    Path("notes.txt").write_bytes(b"edited")
    assert files(opened(root())) == {"notes.txt": b"as it was"}
    run.finish(0, {})
    assert files(opened(root())) == {"notes.txt": b"as it was"}


def test_many_files_are_sealed_before_the_run_ends(here: Path) -> None:
    run = recording(files={f"f/{number:04}": b"%d" % number for number in range(1001)})
    assert len(opened(root()).runs.find(run.path).files) == 1
    assert len(files(opened(root()))) == 1001
    run.finish(0, {})
    assert len(files(opened(root()))) == 1001


def test_files_that_a_killed_process_added_are_there_and_are_sealed_when_the_run_goes_on(
    here: Path, started: Any
) -> None:
    process = started("""
run = wandb.init(id="r")
run._recording.add_file("first", b"1")
run._recording.seal()
run._recording.add_file("second", b"2")
print("added", flush=True)
sys.stdin.readline()
""")
    process.line()
    process.kill()
    opened(root()).gc(now=True)
    assert files(opened(root())) == {"first": b"1", "second": b"2"}
    assert len(left_open()) == 1
    start(root(), id="r", resume="must").finish(0, {})
    assert files(opened(root())) == {"first": b"1", "second": b"2"}
    assert left_open() == []


def test_a_file_and_a_folder_of_one_name_in_two_trees_are_both_kept(here: Path) -> None:
    run = recording(files={"x": b"a file"})
    run.seal()
    run.add_file("x/y", b"below a folder")
    run.finish(0, {})
    assert files(opened(root())) == {"x": b"a file", "x/y": b"below a folder"}


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", ".git/config", "a/../../b", "sub/.artifacts/x"])
def test_a_path_that_no_version_could_hold_is_refused(here: Path, path: str) -> None:
    run = recording(files={})
    with pytest.raises(InvalidValue):
        run.add_file(path, b"")
    run.finish(0, {})


def test_a_file_that_a_run_doesnt_have_is_no_entry(here: Path) -> None:
    run = recording()
    with pytest.raises(NoEntry, match=r"run local/uncategorized/r has no file 'c'"):
        opened(root()).open_run_file(opened(root()).runs.find(run.path), "c")
    run.finish(0, {})


def test_gc_frees_the_files_of_a_deleted_run(here: Path) -> None:
    recording(files=LARGE).finish(0, {})
    recording("kept", SMALL).finish(0, {})
    opened(root()).gc(now=True)
    wandb.Api().run("r").delete()
    assert opened(root()).gc(now=True).freed_bytes >= len(LARGE["model.bin"])
    assert files(opened(root()), "kept") == SMALL


def test_files_of_runs_go_to_a_remote_and_into_a_clone(here: Path, tmp_path: Path) -> None:
    recording(files=SMALL | LARGE).finish(0, {})
    repository, nas, clone = opened(root()), tmp_path / "nas", tmp_path / "clone/.artifacts"
    repository.remotes.add("nas", str(nas), make=True)
    assert repository.push("nas").runs == 1 and repository.push("nas").runs == 0
    check(nas)
    Repository.clone(str(nas), str(clone))[0].close()
    check(clone)
    with Repository(str(clone)) as cloned:
        cloned.gc(now=True)
        assert files(cloned) == SMALL | LARGE
    going_on = start(root(), id="r", resume="must")
    going_on.add_file("a.txt", b"another")
    going_on.finish(0, {})
    assert repository.push("nas").runs == 1
    with Repository(str(clone)) as cloned:
        assert cloned.pull().runs == 1
        assert files(cloned) == SMALL | LARGE | {"a.txt": b"another"}
    check(nas)
    check(clone)


def test_files_of_runs_go_to_a_bucket_and_are_read_there(
    here: Path, server: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    url = f"s3://{server.bucket}/{os.urandom(8).hex()}?endpoint={server.endpoint}&region={server.region}"
    recording(files=SMALL | LARGE).finish(0, {})
    opened(root()).remotes.add("s3", url, make=True)
    assert opened(root()).push("s3").runs == 1
    with view_of(url, None) as there:
        assert files(there) == SMALL | LARGE
        assert there.fsck().problems == []


def test_a_partial_clone_leaves_the_files_of_runs_where_they_are_until_they_are_read(
    here: Path, tmp_path: Path
) -> None:
    recording(files=SMALL | LARGE).finish(0, {})
    nas, clone = tmp_path / "nas", tmp_path / "clone/.artifacts"
    opened(root()).remotes.add("nas", str(nas), make=True)
    opened(root()).push("nas")
    with Repository.clone(str(nas), str(clone), selection=NOTHING)[0] as cloned:
        large = digest_of(BLOB, LARGE["model.bin"])
        assert cloned.objects.large.sizes([large]) == {}
        assert cloned.fsck().problems == []
        assert files(cloned) == SMALL | LARGE
        assert cloned.objects.large.sizes([large]) == {large: len(LARGE["model.bin"])}


@pytest.mark.damaged
def test_fsck_names_a_lost_file_of_a_run_and_repairs_it_from_a_remote(here: Path, tmp_path: Path) -> None:
    recording(files=SMALL | LARGE).finish(0, {})
    repository = opened(root())
    repository.remotes.add("nas", str(tmp_path / "nas"), make=True)
    repository.push("nas")
    for blob in Path(root(), "objects/blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    assert [problem for problem in repository.fsck().problems if "the files of run local/uncategorized/r" in problem]
    repository.fsck(repair=True)
    check(Path(root()))
    assert files(repository) == SMALL | LARGE


def test_a_folder_that_was_left_over_after_it_was_sealed_means_nothing_and_is_removed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recording()
    with monkeypatch.context() as patched:
        patched.setattr(sealing, "_remove", lambda storage, path: None)  # as if killed after the log entry
        run.seal()
        run.add_file("a.txt", b"newer")
        run.finish(0, {})
    assert len(left_open()) == 2
    assert files(opened(root())) == SMALL | {"a.txt": b"newer"}
    start(root(), id="r", resume="must").finish(0, {})
    assert left_open() == []
    assert files(opened(root())) == SMALL | {"a.txt": b"newer"}


def test_files_that_a_signal_handler_seals_while_the_run_ends_are_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recording()
    run.seal()
    run.add_file("later.txt", b"three")
    read = sealing.staged_in

    def read_late(place: str) -> Any:
        monkeypatch.setattr(sealing, "staged_in", read)
        run.seal()
        return read(place)

    monkeypatch.setattr(sealing, "staged_in", read_late)
    run.finish(0, {})
    assert files(opened(root())) == SMALL | {"later.txt": b"three"}


def test_what_only_somebody_else_can_have_put_beside_a_run_is_not_among_its_files(here: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("of the user")
    run = recording()
    staged = Path(folder("r"), left_open()[0])
    (staged / "link").symlink_to(secret / "key")
    (staged / "folder").symlink_to(secret)
    (staged / ".git").mkdir()
    (staged / ".git" / "config").write_text("[core]")
    os.mkfifo(staged / "fifo")
    Path(folder("r"), staged.name + "0").symlink_to(secret)
    repository = opened(root())
    assert files(repository) == SMALL
    for path in ("link", "folder/key", ".git/config", "fifo", "key"):
        with pytest.raises(NoEntry):
            repository.open_run_file(run.state(), path)
    run.finish(0, {})
    assert files(repository) == SMALL and (secret / "key").exists()


def test_a_runs_file_below_a_protected_name_is_not_restored(here: Path) -> None:
    run = recording(files={"git/config": b"[core]"})
    run.finish(0, {})
    repository = opened(root())
    with pytest.raises(InvalidValue, match="protected name"):
        restore_run_file(repository.open_run_file(run.state(), "git/config"), "out", "sub/.GIT/config", None)
    assert not Path("out").exists()


def test_a_disk_that_is_full_while_the_run_ends_is_an_error_of_ours_and_the_end_can_be_tried_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recording()
    run.seal()
    run.add_file("later.txt", b"three")

    def full(writer: PackWriter, number: int) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(NoSpace):
        patched.setattr(PackWriter, "object", full)
        run.finish(0, {})
    run.finish(0, {})
    assert files(opened(root())) == SMALL | {"later.txt": b"three"} and left_open() == []

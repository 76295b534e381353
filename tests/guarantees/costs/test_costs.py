"""What operations cost, counted in system calls from outside: no test here looks at a clock."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3

import artstore as wandb
from artstore.api.handles import opened
from artstore.backends.storage import FolderStorage
from artstore.domain.tree import SPLIT_ABOVE
from artstore.repository import Repository
from tests.support.artifacts import draft
from tests.support.folders import make_tree, touched
from tests.support.tracing import age, opened_below, trace

pytestmark = [pytest.mark.disk, pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")]


def noted_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the small files of repositories that are read from now on."""
    read: list[str] = []
    reading = FolderStorage.read

    def noting(storage: FolderStorage, path: str, *args: int, **options: bool) -> bytes:
        read.append(path)
        return reading(storage, path, *args, **options)

    monkeypatch.setattr(FolderStorage, "read", noting)
    return read


def test_a_second_save_of_an_unchanged_folder_opens_no_file_of_it_and_writes_nothing(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {f"d{n % 5}/f{n}": f"{n}" for n in range(50)} | {"large": b"x" * (2 << 20)})
    age(source)
    assert len(opened_below(trace(tmp_path, "openat", "put", source, "--name", "a"), source)) == 51
    lines = trace(tmp_path, "openat,link,linkat,write,writev,pwrite64,rename,renameat", "put", source, "--name", "a")
    assert opened_below(lines, source) == []
    store = tmp_path / ".artifacts"
    assert [line for line in lines if f"<{store}" in line and re.search(r" (write|writev|pwrite64)\(", line)] == []
    assert [
        line for line in lines if re.search(r" (link|linkat|rename|renameat)\(", line) and ".artifacts" in line
    ] == []


def test_a_second_save_of_an_unchanged_file_does_not_open_it(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"big": b"x" * (3 << 20)}) / "big"
    age(source)
    trace(tmp_path, "openat", "put", source, "--name", "a")
    assert opened_below(trace(tmp_path, "openat", "put", source, "--name", "a"), source) == []


def test_one_changed_file_in_a_split_folder_is_all_that_is_opened(repo: Repository, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {f"f{n}": str(n) for n in range(SPLIT_ABOVE + 10)})
    age(source)
    repo.put(str(source), "a")
    (source / "f7").write_text("changed")
    lines = trace(tmp_path, "openat", "put", source, "--name", "a")
    (opened,) = opened_below(lines, source)
    assert '"f7"' in opened
    found = repo.find("a")
    assert (
        repo.entry(found, "f7")[3] == blake3(b"changed").digest()
        and repo.find("a:v1").version["files"] == SPLIT_ABOVE + 10
    )


def test_a_small_save_syncs_four_times_and_a_first_one_its_new_folders(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {f"f{n}": str(n) for n in range(300)})
    trace(tmp_path, "fsync", "put", source, "--name", "a")
    for folder in [tmp_path / ".artifacts", *(tmp_path / ".artifacts").rglob("*")]:
        if folder.is_dir():
            os.utime(folder, (1, 1))  # as if nothing had been added for a minute
    (source / "f0").write_text("changed")
    lines = trace(tmp_path, "fsync,syncfs,fdatasync", "put", source, "--name", "a")
    synced = [line.partition("<")[2].partition(">")[0] for line in lines if "sync(" in line]
    kinds = [re.sub(r".*/\.artifacts/", "", path) for path in synced]
    assert [re.sub(r"tmp/.*", "tmp/…", kind) for kind in kinds] == [
        "tmp/…",
        "objects/packs",
        "tmp/…",
        "refs/local/uncategorized/a",
    ]


def test_a_second_download_into_the_same_folder_opens_no_file_of_it(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {f"d{n % 5}/f{n}": f"{n}" for n in range(50)} | {"large": b"x" * (2 << 20)})
    trace(tmp_path, "openat", "put", source, "--name", "a")
    out = tmp_path / "out"
    trace(tmp_path, "openat", "get", "a", "--root", out)
    assert opened_below(trace(tmp_path, "openat", "get", "a", "--root", out), out) == []


def test_a_download_that_deletes_and_a_status_list_each_folder_once(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {f"d{n % 5}/f{n}": f"{n}" for n in range(50)})
    trace(tmp_path, "openat", "put", source, "--name", "a")
    out = tmp_path / "out"
    trace(tmp_path, "openat", "get", "a", "--root", out)
    for command in (["get", "a", "--root", out, "--delete"], ["status", out]):
        lines = trace(tmp_path, "getdents64", *command)
        listed = [found[1] for line in lines if (found := re.search(rf"<{out}(/d\d)?>", line))]
        ends = 2  # a call that tells the names, and one that tells that there are no more
        assert sorted(listed, key=str) == sorted([None, *(f"/d{n}" for n in range(5))] * ends, key=str), command


def test_a_list_of_deleted_versions_looks_for_all_of_them_at_once(repo: Repository, tmp_path: Path) -> None:
    for number in range(10):
        repo.put(str(make_tree(tmp_path / f"src{number}", {"f": f"{number}"})), "a")
    repo.put(str(make_tree(tmp_path / "other", {"f": "other"})), "b")
    repo.delete_collection("a")
    repo.gc(now=True)
    lines = trace(tmp_path, "getdents64", "ls", "--deleted")
    assert sum("/objects/packs>" in line or "/trash>" in line for line in lines) < 10


def test_a_download_over_many_files_looks_for_all_of_them_at_once(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {f"f{number}": f"{number}" for number in range(20)})), "a")
    make_tree(tmp_path / "out", {f"f{number}": f"other {number}" for number in range(20)})
    lines = trace(tmp_path, "getdents64", "get", "a", "--root", tmp_path / "out", code=6)
    assert sum("/trash>" in line for line in lines) < 10


def test_a_download_over_things_of_another_kind_reads_each_file_once(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "one", {"file": "f", "folder/x": "x", "folder/in/y": "y"})), "a")
    repo.put(str(make_tree(tmp_path / "two", {"file/inside": "i", "folder": "now a file"})), "a")
    out = tmp_path / "out"
    repo.get(repo.find("a:v0"), str(out))
    lines = opened_below(trace(tmp_path, "openat", "get", "a:v1", "--root", out), out)
    read = [line.rpartition(f"<{out}/")[2].rstrip(">") for line in lines if "O_CREAT" not in line]
    assert sorted(read) == ["file", "folder", "folder/in/y", "folder/x"], "it is found out that folder is one"
    assert (out / "file/inside").read_text() == "i" and (out / "folder").read_text() == "now a file"


def test_a_blob_is_named_as_b3sum_names_it(repo: Repository, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    repo.put(str(make_tree(tmp_path / "src", {"f": content}) / "f"), "a")
    digest = blake3(content).hexdigest()
    assert repo.entry(repo.find("a"), "f")[3].hex() == digest
    assert (Path(repo.root) / "objects" / "blobs" / digest[:2] / digest).read_bytes() == content
    if shutil.which("b3sum"):
        printed = subprocess.run(
            ["b3sum", str(tmp_path / "src" / "f")], capture_output=True, text=True, check=True
        ).stdout
        assert printed.split()[0] == digest


@pytest.mark.long
def test_one_changed_file_among_many_writes_no_megabytes_and_is_never_forgotten(
    repo: Repository, tmp_path: Path
) -> None:
    source = make_tree(tmp_path / "src", {f"f{n}": str(n) for n in range(SPLIT_ABOVE + 10)})
    age(source)
    repo.put(str(source), "a")
    (cache,) = (Path(repo.root) / "cache" / "stat").iterdir()
    before = touched(cache)
    assert cache.stat().st_size > 1 << 20
    for number in range(3):
        (source / "f7").write_text(f"changed {number}")
        assert repo.put(str(source), "a").number == number + 1
        assert touched(cache) == before
        found = repo.find("a")
        assert repo.entry(found, "f7")[3] == blake3(f"changed {number}".encode()).digest()
    repo.delete("a:v0")
    repo.gc(now=True)
    (source / "f8").write_text("after its base was deleted")
    repo.put(str(source), "a")
    assert b"".join(repo.content(repo.entry(repo.find("a"), "f7"))) == b"changed 2"


def test_folders_above_a_log_are_synced_once_by_a_process_and_the_log_with_each_entry(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"f": "x"})), "a")
    with Repository(repo.root) as anew:
        synced: list[str] = []
        sync = os.fsync

        def noting_sync(fd: int) -> None:
            synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), os.path.realpath(repo.root)))
            sync(fd)

        monkeypatch.setattr(os, "fsync", noting_sync)
        for number in range(5):
            anew.set_aliases("a", (f"alias-{number}",))
    project = "refs/local/uncategorized"
    assert [synced.count(folder) for folder in (project, "refs/local", "refs", ".")] == [1, 1, 1, 1]
    assert synced.count(f"{project}/a") == 5


def test_fsck_reads_each_entry_once_though_a_checkpoint_says_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wandb.init(id="r") as run:
        run.log({"loss": 1})
    repository = opened(str(here / ".artifacts"))
    read = noted_reads(monkeypatch)
    assert not repository.fsck().problems
    logs = [path for path in read if path.startswith("runs/")]
    assert any(path.endswith("/checkpoint") for path in logs) and sorted(logs) == sorted(set(logs))


def test_a_save_upon_an_earlier_version_reads_its_log_once(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To know whether that version lives, and to append: it looks whether an entry came meanwhile."""
    source = make_tree(tmp_path / "src", {"d/f": "1", "g": "1"})
    age(source)
    repo.put(str(source), "a")
    (source / "g").write_text("2")
    monkeypatch.setattr(
        "artstore.operations.automation.announcing.is_firing_loaded", lambda: False
    )  # another test may have loaded automations
    read = noted_reads(monkeypatch)
    assert repo.put(str(source), "a").number == 1
    assert [path.rpartition("/")[2] for path in read if path.startswith("refs/")] == ["00000001.json"]


def test_logging_an_artifact_reads_its_log_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The save tells which version it made."""
    monkeypatch.setattr(
        "artstore.operations.automation.announcing.is_firing_loaded", lambda: False
    )  # another test may have loaded automations
    with wandb.init() as run:
        run.log_artifact(draft("a", "1"))
        second = draft("a", "2")
        read = noted_reads(monkeypatch)
        assert run.log_artifact(second).version == "v1" and second.aliases == ["latest"]
        assert [path.rpartition("/")[2] for path in read if path.startswith("refs/")] == ["00000001.json"]


def test_a_run_that_logs_steps_and_ends_has_an_entry_for_its_start_and_one_for_all_else(here: Path) -> None:
    with wandb.init(id="r", config={"lr": 0.1}) as run:
        run.log({"loss": 1})
    (folder,) = (here / ".artifacts" / "runs").glob("*/*/r")
    assert sorted(os.listdir(folder)) == ["00000001.json", "00000002.json", "checkpoint"]
    (again,) = wandb.Api().runs()
    assert (again.state, again.summary["loss"], [row["loss"] for row in again.scan_history()]) == ("finished", 1, [1])


def test_a_run_that_logs_many_artifacts_has_few_packs_and_reads_few_entries_for_each(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each artifact has a handle of its own: they share what they know of a log, and packs are merged as they come."""
    with wandb.init(id="r") as run:
        for number in range(80):
            run.log_artifact(draft("a", str(number)))
        read = noted_reads(monkeypatch)
        for number in range(80, 88):
            run.log_artifact(draft("a", str(number)))
    entries = [path for path in read if path.startswith("refs/") and path.endswith(".json")]
    assert not [path for path in read if path.endswith(".checkpoint")] and len(entries) <= 8 * 17
    assert len(list((here / ".artifacts/objects/packs").iterdir())) < 16

"""The doctor on file systems of many kinds, and in set-ups that are not sane: every line is a finding, none a traceback."""

import errno
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.mounts import UNKNOWN, mount_of
from artstore.backends.owner import this_process
from artstore.operations.doctor import filesystem, fitness
from artstore.operations.doctor.filesystem import Copying, Locking, Modes, Names, Naming, Space, Syncing, Times
from artstore.operations.doctor.fitness import Finding
from artstore.operations.restoring.obstacles import Spelling
from artstore.repository import Repository
from tests.support.commands import Cli, Result
from tests.support.folders import make_tree
from tests.support.trouble import (
    MIB,
    UNPRIVILEGED,
    fill,
    image,
    injected,
    limited,
    mounted,
    read_only,
    run,
    small_disk,
    start,
)

pytestmark = pytest.mark.disk


class Told:
    """What the doctor told, by the name of each finding (the last one of a name counts)."""

    def __init__(self, result: Result) -> None:
        told = json.loads(result.out)
        self.all = [Finding(**finding) for finding in told["findings"]]
        self.by_name = {finding.what: finding for finding in self.all}
        problems = any(finding.mark == "problem" for finding in self.all)
        assert (result.code, told["ok"], result.err) == (int(problems), not problems, "")

    def __getitem__(self, what: str) -> Finding:
        return self.by_name[what]

    def marked(self, mark: str) -> set[str]:
        """What has this mark; not the kind of the file system, which may be memory where tests run."""
        return {finding.what for finding in self.all if finding.mark == mark} - {"file system", "free space"}


def told(tmp_path: Path, **options: Any) -> Told:
    return Told(run(tmp_path, "doctor", "--json", **options))


def everything(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


# -- file systems --------------------------------------------------------------------------------


@pytest.fixture(params=["none", "repository"])
def inside(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "repository")


def examined(disk: Path, inside: bool) -> Told:
    """With or without a repository there; nothing is left behind."""
    if inside:
        Repository.init(str(disk / ".artifacts")).close()
    before = everything(disk)
    found = told(disk)
    assert everything(disk) == before
    assert ("none yet" in found["repository"].found) == (not inside)
    return found


def test_on_ext4_all_is_sane(tmp_path: Path, inside: bool) -> None:
    with image(tmp_path, "ext4", 400 * MIB, "-q") as disk:
        found = examined(disk, inside)
        assert [finding for finding in found.all if finding.mark != "ok"] == []
        assert found["file system"].found == f"ext4, mounted on {disk}"
        assert found["hard links"].found == "yes" and found["clones"].found == "none"
        assert found["timestamps"].found.startswith("kept to 1 ns, stamped every ")


@pytest.mark.parametrize(
    ("kind", "options"), [("xfs", ("-q", "-m", "reflink=1")), ("btrfs", ("-q",))], ids=["xfs", "btrfs"]
)
def test_where_extents_can_be_shared_large_files_are_cloned(
    tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    with image(tmp_path, kind, 600 * MIB, *options) as disk:
        found = examined(disk, inside=True)
        assert found["clones"] == Finding("ok", "clones", "yes", "large files share their blocks with the store: hashed, but not copied")  # fmt: skip
        assert found["file system"].found == f"{kind}, mounted on {disk}"
        assert found.marked("problem") == set()


def test_a_folder_of_a_btrfs_subvolume_has_its_mount(tmp_path: Path) -> None:
    """Its device is no mount's."""
    with image(tmp_path, "btrfs", 200 * MIB, "-q") as disk:
        subprocess.run(["btrfs", "subvolume", "create", str(disk / "sub")], check=True, capture_output=True)
        assert mount_of(str(disk / "sub"))[:2] == ("btrfs", str(disk))


def test_whole_seconds_are_told_and_reckoned_with(tmp_path: Path) -> None:
    with image(tmp_path, "ext4", 200 * MIB, "-q", "-I", "128") as disk:
        line = examined(disk, inside=False)["timestamps"]
        assert (line.mark, line.found) == ("note", "kept to 1 s")
        assert line.effect == "files that changed within 2 s of a save are read again by the next"


def test_on_fat_what_is_missing_is_told_and_done_without(tmp_path: Path, inside: bool) -> None:
    """Seen in a kernel that has it: all of these."""
    with image(tmp_path, "vfat", 400 * MIB, mount="loop,utf8") as disk:
        found = examined(disk, inside)
        assert found.marked("note") == {"hard links", "sparse files", "case", "names", "executable bits", "read-only files", "timestamps"}  # fmt: skip
        assert found.marked("problem") == set()
        assert found["case"].found == "'a' and 'A' are the same name"
        assert found["timestamps"].found == "kept to 2 s"
        source = make_tree(tmp_path / "src", {"x": "1", "large": os.urandom(2 * MIB)})
        for words in (["put", source, "--name", "data"], ["get", "data", "--root", "out"], ["fsck"]):
            assert run(disk, *words).code == 0, words


def test_folded_case_and_merged_forms_are_told(tmp_path: Path) -> None:
    with image(tmp_path, "ext4", 400 * MIB, "-q", "-O", "casefold") as disk:
        subprocess.run(["chattr", "+F", str(disk)], check=False)
        folder = disk / "folded"
        folder.mkdir()
        subprocess.run(["chattr", "+F", str(folder)], check=True)
        found = told(folder)
        assert found["case"].mark == found["Unicode"].mark == "note"


def test_memory_is_no_place_for_work(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        found = examined(disk, inside=True)
        assert (found["file system"].mark, found["file system"].effect) == ("problem", "all files are lost when the machine stops")  # fmt: skip
        assert found["timestamps"].effect == "all files, whatever their times, are read again by the next"
        assert (found["free space"].mark, found["hard links"].mark) == ("note", "ok")


def test_a_full_disk_is_a_finding(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        Repository.init(str(disk / ".artifacts")).close()
        fill(disk)
        found = told(disk)
        assert found["free space"].mark == "problem" and found["free space"].found.startswith("0 B of 2.0 MiB, ")
        assert "failed when it was tried: no space left on device" in {finding.found for finding in found.all}
        assert list((disk / ".artifacts/tmp").iterdir()) == []


def test_without_write_barriers_syncs_are_worth_less(tmp_path: Path) -> None:
    with image(tmp_path, "ext4", 200 * MIB, "-q", mount="loop,nobarrier") as disk:
        assert told(disk)["barriers"] == Finding("problem", "barriers", "off (nobarrier)", "a power cut may lose data that was synced")  # fmt: skip


def test_a_read_only_place_is_a_finding(repo: Repository, root: Path, tmp_path: Path) -> None:
    with read_only(root):
        found = told(tmp_path)
        assert found["writing"] == Finding(
            "problem", "writing", f"cannot write to {root}: read-only file system", "it is read-only here: get, ls, show and fsck still work"
        )  # fmt: skip
        assert found["cache"].found == "can't be written: read-only file system"
        assert "hard links" not in found.by_name


def test_a_folder_that_is_another_users_is_a_finding(tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    sealed.mkdir(mode=0o555)
    found = told(sealed, setup=UNPRIVILEGED)
    assert found["writing"].found == f"cannot write to {sealed}: permission denied"


def test_locks_that_fail_are_told_and_change_nothing(repo: Repository, tmp_path: Path) -> None:
    found = told(tmp_path, prefix=injected("flock:error=ENOLCK"))
    assert (found["locks"].mark, found["locks"].found) == ("note", "fail: no locks available")
    assert found["locks"].effect.startswith("nothing relies on locks")
    assert found.marked("problem") == set()


def test_locks_that_keep_nobody_out_are_told(repo: Repository, tmp_path: Path) -> None:
    found = told(tmp_path, prefix=injected("flock:retval=0"))
    assert (found["locks"].mark, found["locks"].found) == ("note", "two processes can hold one at the same time")


def test_without_hard_links_names_come_by_exclusive_renames(repo: Repository, tmp_path: Path) -> None:
    found = told(tmp_path, prefix=injected("linkat:error=EPERM"))
    assert (found["hard links"].mark, found["hard links"].found) == ("note", "none")
    assert found["exclusive create"].found == "works"
    assert found.marked("problem") == set()


def test_with_neither_links_nor_exclusive_renames_names_come_under_a_claim(repo: Repository, tmp_path: Path) -> None:
    prefix = (*injected("linkat:error=EPERM")[:-4], "-e", "trace=linkat,renameat2", "-e", "inject=linkat:error=EPERM", "-e", "inject=renameat2:error=EINVAL")  # fmt: skip
    found = told(tmp_path, prefix=prefix)
    assert "by a plain rename, under a claim" in found["hard links"].effect
    assert found["exclusive create"].found == "works" and found.marked("problem") == set()


def test_where_every_way_to_give_a_name_fails_nothing_can_be_stored(repo: Repository, tmp_path: Path) -> None:
    prefix = (*injected("linkat:error=EPERM")[:-4], "-e", "trace=linkat,renameat2", "-e", "inject=linkat,renameat2:error=EPERM")  # fmt: skip
    line = told(tmp_path, prefix=prefix)["names of files"]
    assert (line.mark, line.found) == ("problem", "failed when it was tried: operation not permitted")


def test_a_sync_that_fails_is_a_finding(repo: Repository, tmp_path: Path) -> None:
    line = told(tmp_path, prefix=injected("fsync:error=EIO"))["sync"]
    assert (line.mark, line.found) == ("problem", "failed when it was tried: input/output error")


def test_a_killed_doctor_leaves_what_the_next_save_sweeps(repo: Repository, root: Path, tmp_path: Path) -> None:
    process = start(tmp_path, "doctor", setup="import os, time\nos.link = lambda *_, **__: time.sleep(60)")
    while not any(entry.is_dir() for entry in (root / "tmp").iterdir()):  # a file there only asks for the time
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert told(tmp_path)["leftovers"].found == "1 dead process"
    repo.put(str(make_tree(tmp_path / "src", {"x": "1"})), "data")
    assert os.listdir(root / "tmp") == []


def test_a_place_that_is_not_there_yet_is_told_and_not_made(tmp_path: Path) -> None:
    found = told(tmp_path, WANDB_DIR=str(tmp_path / "not/there"))
    assert found["repository"].found == f"none yet: it would be {tmp_path}/not/there/.artifacts"
    assert found["variable"].found == f"WANDB_DIR={tmp_path}/not/there"
    assert os.listdir(tmp_path) == []
    assert mount_of(str(tmp_path / "not")) == UNKNOWN


# -- what no file system here shows ----------------------------------------------------------------

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("judged", "mark", "words"),
    [
        (fitness._naming(Naming(True, True, False, True), "."), "problem", "of two writers one loses its work"),
        (fitness._naming(Naming(True, False, True, False), "."), "note", "gc may report a wrong number"),
        (fitness._naming(Naming(True, True, True, False), "."), "note", "is renamed under a claim"),
        (fitness._copying(Copying(True, True, True), "."), "ok", "share their blocks"),
        (fitness._copying(Copying(False, False, False), "."), "ok", "by reads and writes"),
        (fitness._copying(Copying(False, True, False), "."), "note", "holes of large files take space here"),
        (fitness._modes(Modes(True, False, True), "."), "ok", "kept"),
        (fitness._modes(Modes(False, True, False), "."), "note", "stored files can be changed by mistake"),
        (fitness._modes(Modes(False, False, True), "."), "note", "saved here, no file is executable"),
        (fitness._names(Names(Spelling(True, False), True, True, 255), "."), "note", "'a' and 'A' are the same name"),
        (fitness._names(Names(Spelling(False, False), True, False, 255), "."), "note", "must be UTF-8"),
        (fitness._locking(Locking(False, False, "Not implemented"), "."), "note", "fail: not implemented"),
        (fitness._syncing(Syncing(0.01, None, None), "."), "problem", "folders can't be synced"),
        (fitness._syncing(Syncing(0.01, 0.002, None), "."), "ok", "waits for two of each: 24 ms"),
        (fitness._syncing(Syncing(0.01, 0.002, None), "."), "ok", "one by one"),
        (fitness._names(Names(Spelling(False, True), True, True, 255), "."), "note", "decomposed names are the same"),
        (fitness._names(Names(Spelling(False, False), False, True, 255), "."), "note", "in another form"),
        (fitness._names(Names(Spelling(False, False), True, True, 143), "."), "note", "up to 143 bytes"),
        (fitness._times(Times(SECOND // 5, None, None, 0), "."), "problem", "kept to 200 ms"),
        (fitness._times(Times(SECOND, SECOND, SECOND, 0), "."), "note", "kept to 1 s: files that changed"),
        (fitness._times(Times(1, SECOND, SECOND, 0), "."), "problem", "kept to 1 ns, stamped every 1 s"),
        (fitness._times(Times(1, 100, 100, 3 * 3600 * SECOND), "."), "note", "3 hours ahead of this machine's"),
        (fitness._times(Times(1, 100, 100, -5 * SECOND), "."), "problem", "5 s behind this machine's"),
        (fitness._times(Times(2 * SECOND, None, None, -2 * SECOND), "."), "ok", "within a second"),
        (fitness._ahead(-5 * SECOND, 60 * SECOND, SECOND), "note", "saves allow for this much"),
        (fitness._space(Space(1 << 40, 1 << 41, 0), "."), "problem", "0 more files"),
        (fitness._space(Space(1 << 40, 1 << 41, 5), "."), "note", "5 more files"),
        (fitness._space(Space(1 << 40, 1 << 41, None), "."), "ok", "1.0 TiB of 2.0 TiB"),
    ],
)  # fmt: skip
def test_what_was_measured_is_judged(judged: Iterator[Finding], mark: str, words: str) -> None:
    assert [mark] == [found.mark for found in judged if words in f"{found.found}: {found.effect}"]


@pytest.mark.parametrize(
    ("kind", "local", "mark", "words"),
    [
        ("overlay", True, "note", "is deleted with the container"),
        ("nfs4", False, "note", "treated as a network file system"),
        ("ext4", True, "ok", "treated as local"),
    ],
)
def test_the_kind_of_a_file_system_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, local: bool, mark: str, words: str
) -> None:
    monkeypatch.setattr(fitness, "mount_of", lambda folder: mount_of(folder)._replace(type=kind))
    monkeypatch.setattr(fitness, "is_local", lambda folder: local)
    found = next(finding for finding in fitness.mounted(str(tmp_path)) if finding.what == "file system")
    assert found.mark == mark and words in f"{found.found}: {found.effect}"


def test_a_time_below_a_minute_has_no_unit() -> None:
    assert [fitness.age(seconds) for seconds in (5, 60, 7200, 200_000)] == [
        "less than a minute", "1 minute", "2 hours", "2 days",
    ]  # fmt: skip


def _refusing(number: int) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return refuse


def test_what_a_file_system_can_not_do_is_no_and_what_fails_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each probe in a fresh folder, with one answer of the kernel's that no file system here gives."""

    def folder() -> str:
        made = tmp_path / os.urandom(4).hex()
        made.mkdir()
        return str(made)

    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "rename_new", _refusing(errno.EINVAL))
        assert not filesystem.naming(folder()).renames
        patch.setattr(filesystem, "rename_new", _refusing(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            filesystem.naming(folder())
    with monkeypatch.context() as patch:
        patch.setattr(os, "copy_file_range", _refusing(errno.EXDEV))
        assert not filesystem.copying(folder()).in_kernel
        patch.setattr(os, "copy_file_range", _refusing(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            filesystem.copying(folder())
        patch.delattr(os, "copy_file_range")
        assert not filesystem.copying(folder()).in_kernel
    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "clone", lambda source, target: True)
        assert filesystem.copying(folder()).clones
    with monkeypatch.context() as patch:
        patch.setattr(filesystem, "_TRY_LOCK", "import sys; sys.exit('no locks on the moon')")
        assert filesystem.locking(folder()) == Locking(False, False, "no locks on the moon")
    with monkeypatch.context() as patch:
        where, real = folder(), os.open
        spoiled = lambda path, *more, **kw: (  # noqa: E731
            _refusing(number)() if os.fsencode(path).endswith(b"caf\xe9") else real(path, *more, **kw)
        )
        number = errno.EILSEQ
        patch.setattr(os, "open", spoiled)
        assert not filesystem.names(where).any_bytes
        number = errno.EIO
        with pytest.raises(OSError, match="Input/output error"):
            filesystem.names(folder())


# -- the repository --------------------------------------------------------------------------------


def test_a_sane_repository_has_only_ok_lines(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"x": "1"})), "data")
    found = told(tmp_path)
    assert (found.marked("problem"), found.marked("note")) == (set(), set())
    assert found["repository"].found == repo.root


def test_what_everybody_may_write_is_a_problem(repo: Repository, root: Path, tmp_path: Path) -> None:
    (root / "objects/packs").chmod(0o777)
    line = told(tmp_path)["owner"]
    assert line.mark == "problem" and line.found.endswith("writable by everybody: objects/packs")
    assert line.effect == "anybody on this host can delete stored data: chmod -R o-w"


@pytest.mark.parametrize(
    ("by", "bad", "good"), [("bindfs", "-p0777", "-pgo-w"), ("ntfs-3g", "-oumask=0", "-oumask=022")]
)
def test_where_chmod_has_no_effect_a_mount_option_is_named_that_has(
    tmp_path: Path, by: str, bad: str, good: str
) -> None:
    behind = tmp_path / "behind"
    if by == "bindfs":
        behind.mkdir()
    elif shutil.which("mkfs.ntfs") and shutil.which(by):
        with behind.open("wb") as file:
            file.truncate(8 * MIB)
        subprocess.run(["mkfs.ntfs", "-F", "-Q", str(behind)], check=True, capture_output=True)
    else:
        pytest.skip("ntfs-3g is not installed")
    with mounted(tmp_path / "disk", bad, str(behind), by=by) as disk:
        Repository.init(str(disk / ".artifacts")).close()
        before = everything(disk)
        line = told(disk)["owner"]
        assert line.mark == "problem" and line.effect.endswith("; bindfs: -p go-w)") and everything(disk) == before
        assert "chmod has no effect on this file system, so mount it with the option umask=022" in line.effect
    with mounted(tmp_path / "disk", good, str(behind), by=by) as disk:
        assert told(disk)["owner"].mark == "ok"


def test_a_group_that_may_write_but_does_not_share_is_a_note(repo: Repository, root: Path, tmp_path: Path) -> None:
    root.chmod(0o775)
    assert told(tmp_path)["owner"].mark == "note"
    root.chmod(0o2775)
    assert ", shared with group " in told(tmp_path)["owner"].found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_repository_of_somebody_elses_is_a_note_and_its_remotes_are_left_alone(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    (root / "config").write_text('[remote "there"]\nurl = /not/there\n')
    os.chown(root, 12345, -1)
    found = told(tmp_path, ARTSTORE_DIR=str(root))
    assert found["owner"].effect == "its remotes are contacted only after `artstore remote allow`"
    assert "remote there" not in found.by_name


def test_folders_that_are_missing_or_mounted_elsewhere_are_problems(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    (root / "refs").rename(root / "away")
    (root / ".gitignore").unlink()
    found = told(tmp_path)
    assert (found["folders"].mark, found["folders"].found) == ("problem", "missing: refs")
    assert (found[".gitignore"].mark, found[".gitignore"].found) == ("note", "missing")
    (root / "away").rename(root / "refs")
    with small_disk(root / "objects/blobs"):
        assert told(tmp_path)["folders"].found == "on another file system: objects/blobs"


def test_who_is_at_work_is_told_with_host_and_age(repo: Repository, root: Path, tmp_path: Path) -> None:
    mine = this_process()
    elsewhere = mine._replace(host="far_away-0123456789ab")
    for name in (mine, elsewhere, "stranger"):
        (root / "tmp" / str(name)).mkdir()
        os.utime(root / "tmp" / str(name), (time.time() - 90_000, time.time() - 90_000))
    lines = [finding for finding in told(tmp_path).all if finding.what == "at work"]
    assert {(line.mark, line.found) for line in lines} == {
        ("ok", f"process {mine.pid} on this host, for 1 day"),
        ("note", f"process {mine.pid} on far_away, for 1 day"),
        ("note", "stranger, for 1 day"),
    }
    assert [line.effect for line in lines if "far_away" in line.found] == [
        f"gc frees nothing while it may be alive: `artstore gc --abandon {elsewhere}` declares it dead"
    ]


def test_known_damage_is_a_problem_and_kept_evidence_a_note(repo: Repository, root: Path, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "src", {"x": "1"})), "data")
    (pack,) = (root / "objects/packs").iterdir()
    (root / f"bad/{'a' * 64}.0123abcd").touch()
    assert told(tmp_path)["damage"].found == "1 damaged file kept in bad/"
    (root / f"bad/{pack.stem}.{'0' * 64}").touch()
    (root / f"bad/{'b' * 64}.{'0' * 64}").touch()  # of a pack that is gone
    line = told(tmp_path)["damage"]
    assert (line.mark, line.found) == ("problem", "1 note of damaged copies in bad/")


def test_settings_and_formats_that_are_refused_are_problems(repo: Repository, root: Path, tmp_path: Path) -> None:
    (root / "config").write_text("[gc]\ngrace = soon\n")
    assert told(tmp_path)["settings"].found == f"gc.grace in {root}/config: 'soon' is not a time such as 12h or 7d"
    (root / "config").unlink()
    assert told(tmp_path, WANDB_PROJECT="a/b")["settings"].mark == "problem"
    format = (root / "format").read_bytes()
    (root / "format").chmod(0o644)
    (root / "format").write_bytes(format.replace(b'"artstore":1', b'"artstore":2'))
    assert told(tmp_path)["repository"] == Finding("problem", "repository", f"{root} has format 2; this artstore knows format 1", "update artstore")  # fmt: skip
    (root / "format").write_bytes(format)


def test_remotes_that_are_gone_are_problems_and_buckets_are_not_asked(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    Repository.init(str(tmp_path / "share/.artifacts")).close()
    urls = {"share": tmp_path / "share", "gone": tmp_path / "gone", "cloud": "s3://bucket/path?region=x"}
    (root / "config").write_text("".join(f'[remote "{name}"]\nurl = {url}\n' for name, url in urls.items()))
    found = told(tmp_path)
    assert found["remote share"].mark == "ok"
    assert found["remote gone"].found == f"no repository in {tmp_path}/gone"
    assert (found["remote gone"].mark, found["remote cloud"].mark) == ("problem", "note")
    told_of = told(tmp_path, AWS_ACCESS_KEY_ID="mine", AWS_SECRET_ACCESS_KEY="hidden")
    assert told_of["remote cloud"] == Finding("ok", "remote cloud", "s3://bucket/path", "not contacted; the environment has credentials")  # fmt: skip
    without = told(tmp_path, setup="import sys\nsys.modules['obstore'] = None")["remote cloud"]
    assert (without.mark, without.effect) == ("problem", "`pip install 'artstore[cloud]'` adds it")


def test_a_write_from_the_future_is_told(repo: Repository, root: Path, tmp_path: Path) -> None:
    os.utime(root / "tmp", (time.time() + 7300, time.time() + 7300))
    assert told(tmp_path)["clock"].found == "the last write here was 2 hours in the future"


def test_a_format_file_that_can_not_be_looked_at_is_a_problem(repo: Repository, root: Path, tmp_path: Path) -> None:
    root.chmod(0)
    line = told(tmp_path, setup=UNPRIVILEGED, ARTSTORE_DIR=str(root))["repository"]
    root.chmod(0o755)
    assert (line.mark, line.found) == ("problem", f"{root} can't be read: permission denied")


def test_an_unmounted_share_is_told(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    line = told(tmp_path, ARTSTORE_DIR=str(tmp_path / "share"))["repository"]
    assert line == Finding("note", "repository", f"none: {tmp_path}/share has no format file", "an unmounted share looks like this")  # fmt: skip


# -- the machine -----------------------------------------------------------------------------------


def test_secrets_are_named_and_not_shown(process_cli: Cli, tmp_path: Path) -> None:
    secrets = {
        "WANDB_API_KEY": "a" * 40, "ARTSTORE_HOOK": "https://me:hidden@example.org", "WANDB_X": "0123456789abcdef" * 2,
        "WANDB_Y": "hf_" + "hidden" * 6,
    }  # fmt: skip
    result = process_cli("doctor", WANDB_MODE="offline", **secrets)
    shown = [line.split("variable")[1].strip() for line in result.out.splitlines() if "variable" in line]
    assert shown == ["ARTSTORE_HOOK (not shown)", "WANDB_API_KEY (not shown)", "WANDB_MODE=offline", "WANDB_X (not shown)", "WANDB_Y (not shown)"]  # fmt: skip


def test_a_package_that_is_too_old_is_a_problem(tmp_path: Path) -> None:
    make_tree(tmp_path / "old/filelock-3.16.0.dist-info", {"METADATA": "Name: filelock\nVersion: 3.16.0\n"})
    found = [finding for finding in told(tmp_path, PYTHONPATH=str(tmp_path / "old")).all if finding.what == "packages"]
    assert "filelock 3.16.0" in found[0].found
    assert found[1:] == [Finding("problem", "packages", "filelock 3.16.0 is older than 3.20.3", "pip install 'filelock>=3.20.3'")]  # fmt: skip


@pytest.mark.parametrize(
    ("setup", "what", "mark"),
    [
        (limited("RLIMIT_NOFILE", 256), "open files", "note"),
        (limited("RLIMIT_NOFILE", 50), "open files", "problem"),
        ("import os\nos.umask(0)", "umask", "note"),
        ("import os\nos.umask(0o277)", "umask", "problem"),
        ("import time\ntime.time = lambda: 1e9", "clock", "problem"),
        ("import os\nos.environ['TMPDIR'] = '/not/there'", "temporary files", "note"),
    ],
    ids=["few files", "too few files", "umask 0", "umask 277", "clock", "TMPDIR"],
)
def test_what_the_machine_lacks_is_told(tmp_path: Path, setup: str, what: str, mark: str) -> None:
    assert told(tmp_path, setup=setup)[what].mark == mark


# -- how it is shown -------------------------------------------------------------------------------


def test_lines_are_aligned_and_end_with_a_verdict(repo: Repository, root: Path, cli: Cli) -> None:
    (root / ".gitignore").unlink()
    *lines, verdict = cli("doctor").out.splitlines()
    assert {line[:9].rstrip() for line in lines} <= {"ok", "note", "problem"}
    assert len({line.index(found) for line in lines for found in ("root", "missing", "kept to") if f"  {found}" in line}) == 1  # fmt: skip
    assert (
        "note     .gitignore        missing: git would add the repository to your commits: write `*` into it" in lines
    )
    assert verdict.endswith("1 note")

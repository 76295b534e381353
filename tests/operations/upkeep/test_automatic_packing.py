"""Packing in the background: when a save starts it, what it waits for, and that nobody has to wait for it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from artstore.errors import NotFound
from artstore.operations.restoring.options import Restore
from artstore.operations.upkeep import automatic
from artstore.operations.upkeep.automatic import ends_all, why_not, would_free
from artstore.operations.upkeep.packing_notes import PackingNotes
from artstore.repository import Repository
from tests.support.background import SIZE, held, noted, packers, plain_files, save, wait_for_packers, wait_until
from tests.support.checks import check
from tests.support.commands import Cli, environment
from tests.support.trouble import small_disk

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_a_save_of_a_large_file_is_packed_without_a_command(root: Path, tmp_path: Path) -> None:
    assert "saved data:v0" in save(tmp_path, 0)
    wait_until(lambda: not plain_files(root), "the file is packed")
    wait_for_packers(root)
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < SIZE / 20
    assert not list((root / "tmp").iterdir()) and not list((root / "trash").iterdir())
    check(root)


def test_small_saves_start_no_packer_until_they_add_up(root: Path, tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path, number, size=30 << 20)
        assert not packers(root)
    save(tmp_path, 2, size=30 << 20)
    wait_until(lambda: not plain_files(root), "all three are packed")
    wait_for_packers(root)
    check(root)


def test_nobody_waits_for_the_packer_by_a_pipe(root: Path, tmp_path: Path) -> None:
    """As `ssh` and `check_output` read: until nobody has the other end. A descriptor that only the caller knows too."""
    with held(root):
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        (tmp_path / "file").write_bytes(bytes(SIZE))
        process = subprocess.Popen(
            [sys.executable, "-m", "artstore", "put", "file"], cwd=tmp_path, env=environment(tmp_path, CI=""),
            stdout=subprocess.PIPE, close_fds=False,
        )  # fmt: skip
        os.close(writing)
        out, _ = process.communicate(timeout=60)
        assert b"saved file:v0" in out
        packer = noted(root)
        assert os.read(reading, 1) == b"", "the packer has closed it"
        os.close(reading)
        streams = {os.readlink(f"/proc/{packer}/fd/{number}") for number in range(3)}
        assert streams == {os.devnull} and os.readlink(f"/proc/{packer}/cwd") == "/"
    wait_for_packers(root)


def test_the_packer_gives_way_and_outlives_whoever_saved(root: Path, tmp_path: Path) -> None:
    with held(root):
        (tmp_path / "file").write_bytes(bytes(SIZE))
        command = f"{sys.executable} -m artstore put file; sleep 60"
        saver = subprocess.Popen(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environment(tmp_path, CI="", SECRET_TOKEN="s"),
            start_new_session=True,
        )
        packer = noted(root)
        os.killpg(saver.pid, signal.SIGKILL)
        saver.wait()
        assert os.getsid(packer) != saver.pid and os.getpriority(os.PRIO_PROCESS, packer) == 19
        assert b"SECRET_TOKEN" not in Path(f"/proc/{packer}/environ").read_bytes()
    wait_until(lambda: not plain_files(root), "the file is packed")
    wait_for_packers(root)
    check(root)


@pytest.mark.parametrize("variable", ["CI", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "KUBERNETES_SERVICE_HOST"])
def test_in_a_job_nothing_is_packed_in_the_background(root: Path, tmp_path: Path, variable: str) -> None:
    save(tmp_path, 0, **{variable: "1"})
    assert not packers(root) and len(plain_files(root)) == 1


def test_where_nothing_is_packed_much_that_would_be_freed_is_told_once(root: Path, tmp_path: Path) -> None:
    assert "hint" not in save(tmp_path, 0, CI="1")
    told = re.search(
        r"hint: `artstore pack` would free about (\d+\.\d) MiB\n$", save(tmp_path, 1, size=260 << 20, CI="1")
    )
    assert told is not None and 320 < float(told[1]) <= 325
    assert "hint" not in save(tmp_path, 2, CI="1")


def test_with_the_setting_off_nothing_is_packed_and_nothing_told(root: Path, cli: Cli, tmp_path: Path) -> None:
    cli("init")
    assert cli("config", "core.pack").out == "auto, off if shared or served\n"
    cli("config", "core.pack", "off")
    assert "hint" not in save(tmp_path, 0, size=260 << 20)
    assert not packers(root) and len(plain_files(root)) == 1


def test_the_setting_is_auto_or_off(cli: Cli) -> None:
    cli("init")
    assert cli("config", "core.pack", "on").err.splitlines()[0] == "error: core.pack: 'on' is neither auto nor off"


def test_a_shared_repository_is_left_alone_unless_the_setting_says_auto(root: Path, cli: Cli, tmp_path: Path) -> None:
    cli("init", "--shared")
    save(tmp_path, 0)
    assert not packers(root) and plain_files(root)
    cli("config", "core.pack", "auto")
    save(tmp_path, 1)
    wait_until(lambda: not plain_files(root), "both are packed")
    wait_for_packers(root)


def test_a_repository_that_is_served_is_left_alone(root: Path, cli: Cli, tmp_path: Path) -> None:
    """A reader of a part of it can tell what is packed, and thereby what files of others have in common with its own."""
    cli("init")
    assert cli("token", "create", "reader", "--role", "reader").code == 0
    save(tmp_path, 0)
    assert not packers(root) and plain_files(root)


@as_root
def test_the_first_process_of_a_container_starts_none(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(SIZE))
    for command in ("exec artstore put file", "artstore put file; true"):  # itself, then a child of process 1
        script = command.replace("artstore", f"{sys.executable} -m artstore")
        done = subprocess.run(
            ["unshare", "-pf", "--mount-proc", "sh", "-c", script], cwd=tmp_path, env=environment(tmp_path, CI=""),
            capture_output=True, text=True,
        )  # fmt: skip
        if "unshare" in done.stderr:
            pytest.skip(done.stderr)
        assert done.returncode == 0, done.stderr
        assert not packers(root) and plain_files(root)
        with open(tmp_path / "file", "ab") as file:
            file.write(b"another version")


@as_root
def test_on_a_full_disk_everything_stays_as_it_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "150m") as disk:
        place = Path(disk)
        (tmp_path / "data").write_bytes(bytes(SIZE))
        command = [sys.executable, "-m", "artstore", "put", str(tmp_path / "data")]
        subprocess.run(command, cwd=place, env=environment(place, CI=""), check=True, capture_output=True)
        wait_for_packers(place / ".artifacts")
        assert len(plain_files(place / ".artifacts")) == 1, "85 MiB are free, and twice the file is 130 MiB"
        check(place / ".artifacts")


def test_two_saves_at_once_have_one_packer(root: Path, tmp_path: Path) -> None:
    with held(root):
        commands = []
        for number in range(2):
            (tmp_path / f"file{number}").write_bytes(b"%d" % number + bytes(SIZE))
            commands.append(
                subprocess.Popen(
                    [sys.executable, "-m", "artstore", "put", f"file{number}"], cwd=tmp_path,
                    env=environment(tmp_path, CI=""), stdout=subprocess.DEVNULL,
                )
            )  # fmt: skip
        assert [command.wait(60) for command in commands] == [0, 0]
        noted(root)
        wait_until(lambda: len(packers(root)) == 1, "one packer is left")
    wait_until(lambda: not plain_files(root), "both files are packed")
    wait_for_packers(root)
    check(root)


def test_after_two_kills_packers_wait_until_the_user_packs(root: Path, cli: Cli, tmp_path: Path) -> None:
    with held(root):
        for number in range(2):
            save(tmp_path, number)
            os.kill(noted(root), signal.SIGKILL)
            wait_for_packers(root)
        assert "hint: `artstore pack` would free about 45" in save(tmp_path, 2, size=SIZE * 5)
        assert not packers(root)
    assert cli("pack").out.startswith("packed 3 large files")
    save(tmp_path, 3)
    wait_until(lambda: not plain_files(root), "the file is packed")
    wait_for_packers(root)
    check(root)


def test_a_packer_ends_after_its_time_and_the_next_save_starts_another(root: Path, tmp_path: Path) -> None:
    program = "from artstore.operations.upkeep.packer_process import main; main()"
    with held(root):
        save(tmp_path, 0, CI="1")
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", program, "", str(root), "1"], check=True, timeout=60)
        assert time.monotonic() - started >= 1 and plain_files(root)
    save(tmp_path, 1, size=2 << 20)
    wait_until(lambda: not plain_files(root), "both files are packed")
    wait_for_packers(root)
    check(root)


@pytest.mark.damaged
def test_a_repository_that_is_deleted_under_a_packer_does_not_come_back(root: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound), held(root):
        save(tmp_path, 0)
        noted(root)
        shutil.rmtree(root)
        wait_for_packers(root)
        assert not root.exists()
        raise NotFound("the draft has nowhere to go")
    assert not (root / "cache").exists() and not (root / "objects").exists()


def test_gc_ends_the_packer_instead_of_waiting_for_its_work(root: Path, cli: Cli, tmp_path: Path) -> None:
    with held(root):
        save(tmp_path, 0)
        noted(root)
        assert cli("gc").code == 0
        assert not packers(root)
    save(tmp_path, 1, size=2 << 20)
    wait_until(lambda: not plain_files(root), "the next save has started another packer")
    wait_for_packers(root)
    check(root)


def test_a_packer_that_others_keep_waiting_leaves_no_transaction_open(root: Path, tmp_path: Path) -> None:
    with held(root):
        save(tmp_path, 0)
        packer = noted(root)
        owners = [name for name in os.listdir(root / "tmp") if f".{packer}." in name]
        assert not owners, "gc would wait for it"
    wait_for_packers(root)


def test_saves_reads_pushes_and_collections_go_on_beside_the_packer(root: Path, cli: Cli, tmp_path: Path) -> None:
    cli("init", tmp_path / "remote")
    for number in range(4):
        save(tmp_path, number, size=SIZE + (number << 20))
        assert cli("remote", "add", "origin", tmp_path / "remote").code in (0, 5)
        for command in (("get", f"data:v{number}"), ("push",), ("gc", "--now"), ("verify", f"data:v{number}")):
            done = cli(*command)
            assert done.code == 0, done
    save(tmp_path, 4)
    wait_until(lambda: not plain_files(root), "all files are packed")
    wait_for_packers(root)
    check(root)
    assert cli("get", "data:v2", "--root", "again").code == 0
    assert (tmp_path / "again/file2").read_bytes() == (tmp_path / "file2").read_bytes()


def test_what_was_packed_in_the_background_is_copied_where_a_link_is_asked_for(root: Path, tmp_path: Path) -> None:
    save(tmp_path, 0)
    wait_until(lambda: not plain_files(root), "the file is packed")
    wait_for_packers(root)
    with Repository(str(root)) as repository:
        repository.get(repository.find("data"), str(tmp_path / "out"), Restore(link="hardlink"))
    assert (tmp_path / "out/file0").read_bytes() == (tmp_path / "file0").read_bytes()


RUN = """
import os, threading, artstore
os.close(0)
run = artstore.init(project="p")
run.log_artifact("file", name="data", type="dataset")
end = threading.Thread(target=run.finish)
end.start()
end.join()
"""


@pytest.mark.parametrize("program", [RUN, RUN.partition("end =")[0]], ids=["in a thread", "at exit"])
def test_the_end_of_a_run_starts_a_packer(root: Path, tmp_path: Path, program: str) -> None:
    (tmp_path / "file").write_bytes(bytes(SIZE))
    variables = environment(tmp_path, CI="", WANDB_CONSOLE="off", WANDB_X_DISABLE_META="true")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    wait_until(lambda: not plain_files(root), "the file is packed")
    wait_for_packers(root)
    check(root)


def test_a_run_that_goes_on_starts_none(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(SIZE))
    program = RUN.partition("end =")[0] + "import time; print('logged', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(tmp_path, CI="", WANDB_CONSOLE="off"),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == b"logged\n"
    assert not packers(root)
    process.kill()
    process.communicate()


def test_reasons_against_packing_are_told(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = repo._folder
    for name in ("CI", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(automatic, "memory_left", lambda: None)
    monkeypatch.setattr(os, "getppid", lambda: 1234)
    assert why_not(storage) is None
    monkeypatch.setattr(automatic, "memory_left", lambda: (1 << 30) - 1)
    assert why_not(storage) == "memory is short in this control group"
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert why_not(storage) == "the container may end with this process"
    monkeypatch.setenv("PBS_JOBID", "7")
    assert why_not(storage) == "PBS_JOBID is set"
    storage.local = False
    assert why_not(storage) == "the repository is on a network file system"


@pytest.mark.parametrize(("pid", "parent", "ends"), [(1, 0, True), (7, 1, True), (7, 5, False)])
def test_a_container_may_end_with_process_1_and_with_its_children(pid: int, parent: int, ends: bool) -> None:
    assert (ends_all(pid, parent) is not None) == ends


def test_without_a_python_to_start_the_user_is_told_instead(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automatic, "why_not", lambda storage: None)
    monkeypatch.setattr(sys, "executable", "/usr/bin/blender")
    monkeypatch.setattr(sys, "exec_prefix", "/nowhere")
    with repo.draft() as draft:
        draft.add_bytes(bytes(300 << 20), "large")
        saved = draft.save(repo.path_of("data")[0])
    repo.tidy(saved.new_bytes)
    assert repo.pack_later() > 290 << 20 and not packers(Path(repo.root))
    assert repo.pack_later() == 0, "it is told once"


def test_an_estimate_counts_once_what_files_have_in_common(repo: Repository) -> None:
    noise = os.urandom(3 << 20)
    for number in range(4):
        with repo.draft() as draft:
            draft.add_bytes(b"%d" % number + noise, "large")
            draft.save(repo.path_of("data")[0])
    assert would_free(repo.objects) == pytest.approx(3 * len(noise), rel=0.2)


def test_notes_that_others_could_write_are_not_believed(repo: Repository, root: Path) -> None:
    notes = PackingNotes(repository := repo._folder)
    notes.add(5)
    notes.add(6)
    assert notes.saved == 11 and PackingNotes(repository).saved == 11
    (root / "cache/packing.saved").chmod(0o666)
    assert notes.saved == 0
    (root / "cache/packing.packer").write_text("nonsense")
    assert notes.packer is None and not notes.was_killed_often

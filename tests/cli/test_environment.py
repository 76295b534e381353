"""What commands say of a folder that is gone, a store that one may not enter, and a `~` that no shell has expanded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import artstore
from artstore.errors import NotFound
from artstore.repository import Repository
from artstore.store import settings
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree
from tests.support.trouble import MAIN, UNPRIVILEGED


@pytest.mark.parametrize("variable", ["ARTSTORE_ARTIFACT_DIR", "WANDB_ARTIFACT_DIR"])
def test_a_tilde_in_a_variable_is_the_home_folder(cli: Cli, tmp_path: Path, variable: str) -> None:
    make_tree(tmp_path / "work/src", {"a": "1"})
    assert cli("put", "src", "--name", "data", cwd=tmp_path / "work", ARTSTORE_DIR="~/store").code == 0
    assert (tmp_path / "store/format").is_file()
    done = cli("get", "data", cwd=tmp_path / "work", ARTSTORE_DIR="~/store", **{variable: "~/arts"})
    assert done.code == 0 and (tmp_path / "arts/data-v0/a").is_file() and os.listdir(tmp_path / "work") == ["src"]


def test_a_tilde_in_wandb_dir_is_the_home_folder_for_the_python_interface(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DIR", "~/logs")
    with artstore.init() as run:
        run.log({"a": 1})
    assert (tmp_path / "logs/.artifacts/format").is_file() and os.listdir(here) == []


GONE = "import os, shutil, sys\nos.makedirs('gone')\nos.chdir('gone')\nos.rmdir('../gone')\n"
"""A process whose working folder was deleted."""


def _in_deleted_folder(tmp_path: Path, code: str, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", GONE + code, *arguments], cwd=tmp_path, env=environment(tmp_path, **more),
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["ls", "put {src}", "get data", "clone {src} c", "status", "import dvc {src}"])
def test_a_deleted_working_folder_is_told_as_that(tmp_path: Path, command: str) -> None:
    make_tree(tmp_path / "src", {"a": "1"})
    done = _in_deleted_folder(tmp_path, MAIN, *command.format(src=tmp_path / "src").split())
    assert done.returncode == 4
    assert done.stderr == "error: the working folder was deleted\nhint: `cd` to a folder that exists\n"


def test_what_needs_no_working_folder_works_without_one(tmp_path: Path, root: Path) -> None:
    make_tree(tmp_path / "src", {"a": "1"})
    for command in (f"put {tmp_path}/src --name data", "ls", f"get data --root {tmp_path}/out", "status"):
        done = _in_deleted_folder(tmp_path, MAIN, *command.split(), ARTSTORE_DIR=str(root))
        assert done.returncode == 0 and done.stderr == "", done
    assert (tmp_path / "out/a").read_text() == "1"
    done = _in_deleted_folder(tmp_path, MAIN, "get", "data", ARTSTORE_DIR=str(root))
    assert done.stderr.startswith("error: the working folder was deleted")


def test_a_script_in_a_deleted_folder_gets_an_error_of_ours(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "gone").mkdir()
    monkeypatch.chdir(here / "gone")
    (here / "gone").rmdir()
    with pytest.raises(NotFound, match="the working folder was deleted"):
        artstore.init()
    monkeypatch.chdir(here)


@pytest.mark.skipif(os.geteuid() != 0, reason="others' capabilities can't be dropped")
@pytest.mark.parametrize("command", ["ls", "put src", "init", "status", "ls --from {root}", "clone {root} c", "gc"])
def test_a_store_that_one_may_not_enter_is_not_taken_for_none(
    tmp_path: Path, root: Path, cli: Cli, command: str
) -> None:
    make_tree(tmp_path / "src", {"a": "1"})
    assert cli("put", "src").code == 0
    root.chmod(0)
    try:
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED + MAIN, *command.format(root=root).split()],
            cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        root.chmod(0o755)
    assert done.returncode == 9 and done.stderr.startswith(f"error: cannot read {root}/"), done
    assert done.stderr.endswith(": permission denied\nhint: check who owns it and its permissions\n"), done


def test_a_repository_that_another_process_makes_just_now_is_ours(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_yet(*_: object) -> None:
        Repository.init(str(here / ".artifacts")).close()

    monkeypatch.setattr(settings, "find_root", nothing_yet)
    assert settings.root_to_create() == str(here / ".artifacts")

"""Every command and all that it prints, as text and as JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from artstore import __version__
from artstore.cli import _HOMES
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree, snapshot
from tests.support.transcripts import TRANSCRIPTS, assert_played, sample


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder to work in: `src` to save, and a repository that records nobody's name."""
    sample(tmp_path)
    with Repository.init(str(tmp_path / ".artifacts")) as repository:
        repository.settings.set("core.identity", "off")
    return tmp_path


def test_help_of_the_program_and_of_every_command(cli: Cli, tmp_path: Path) -> None:
    assert_played(cli, tmp_path, "help")


def test_every_command_stands_in_the_help_that_is_compared(cli: Cli) -> None:
    asked = (TRANSCRIPTS / "help.txt").read_text()
    assert [name for name in _HOMES if f"$ artstore {name} --help\n" not in asked] == []


OF_EACH_FAMILY = {
    "saving": "put src -n data", "exporting": "export data -o -", "locking": "lock --check", "looking": "ls -r data",
    "ui": "ui --help", "comparing": "diff data:v0 data", "changing": "alias data:v0", "linking": "registry ls",
    "running": "run no-such-command", "runs": "runs ls", "lineage": "lineage data", "automation": "automation ls", "pending": "pending ls",
    "remotes": "fetch", "bundling": "bundle create", "importing": "import dvc nowhere", "keeping": "fsck",
    "settings": "config", "artifact": "artifact ls", "tokens": "token ls", "login": "logout https://host.example",
    "serve": "serve --help",
}  # fmt: skip
"""One command of each family of the command line, which says the same each time."""


@pytest.mark.parametrize("family", dict.fromkeys(_HOMES.values()))
def test_a_command_ends_alike_in_a_process_and_in_the_tests_own(
    cli: Cli, process_cli: Cli, saved: Path, family: str
) -> None:
    words = OF_EACH_FAMILY[family].split()
    here, alone = cli(*words), process_cli(*words)
    assert (here.code, here.out, here.err) == (alone.code, alone.out, alone.err)
    assert here.out or here.err


def test_the_installed_program_is_the_module(process_cli: Cli, saved: Path) -> None:
    """Also in its exit code and on both streams."""
    program = Path(sys.executable).with_name("artstore")
    for words in (["ls"], ["get", "none"], ["fsck", "--json"]):
        done = subprocess.run([program, *words], cwd=saved, env=environment(saved), capture_output=True, text=True)
        module = process_cli(*words)
        assert (done.returncode, done.stdout, done.stderr) == (module.code, module.out, module.err)


def test_version_is_one_line(process_cli: Cli) -> None:
    result = process_cli("--version")
    assert (result.code, result.out, result.err) == (0, f"artstore {__version__}\n", "")


def test_init_makes_a_repository_once(cli: Cli, tmp_path: Path) -> None:
    sample(tmp_path)
    assert_played(cli, tmp_path, "init")


def test_the_first_put_makes_a_repository_and_says_where(cli: Cli, tmp_path: Path) -> None:
    sample(tmp_path)
    assert_played(cli, tmp_path, "first")
    check(tmp_path / ".artifacts")


def test_put_says_what_it_saved_and_how_to_get_it_back(cli: Cli, work: Path) -> None:
    make_tree(work / "-dash", {"x": "1"})
    assert_played(cli, work, "put")
    check(work / ".artifacts")


def test_put_mentions_the_folders_that_it_left_out(cli: Cli, work: Path) -> None:
    make_tree(work / "src", {".git/config": "", "d/.git/config": ""})
    result = cli("put", "src", "-n", "data")
    assert result.err == "skipped .git\nskipped d/.git\n"
    assert json.loads(cli("put", "src", "-n", "data", "--json").out)["left_out"] == [".git", "d/.git"]


@pytest.fixture
def saved(work: Path) -> Path:
    """Two versions of `data` (the second with a changed, a new, a renamed and without an executable file), one of p/net."""
    with Repository(str(work / ".artifacts")) as repository:
        about = {"description": "first", "metadata": {"n": 1, "who": "me"}}
        repository.put(str(work / "src"), "data", type="dataset", aliases=("raw", "best"), tags=("clean",), **about)
        make_tree(work / "src", {"a.csv": "longer\n", "new.txt": "new\n"})
        (work / "src/run.sh").unlink()
        (work / "src/d/b.txt").rename(work / "src/d/c.txt")
        repository.put(str(work / "src"), "data", aliases=("best",), metadata={"n": 2})
        repository.put(str(work / "src/d"), "p/net", type="model")
    return work


def test_ls_show_log_and_cat(cli: Cli, saved: Path) -> None:
    assert_played(cli, saved, "look")


def test_an_empty_repository_says_how_to_begin(cli: Cli, work: Path) -> None:
    assert_played(cli, work, "empty")


def test_diff_get_verify_and_status(cli: Cli, saved: Path) -> None:
    assert_played(cli, saved, "compare")
    assert snapshot(saved / "out") == snapshot(saved / "artifacts/data-v0")


def test_status_lists_what_was_changed_and_what_was_deleted(cli: Cli, saved: Path) -> None:
    make_tree(saved / "src", {"a.csv": "again\n", "more": ""})
    (saved / "src/new.txt").unlink()
    assert_played(cli, saved, "status")


def test_alias_tag_and_edit(cli: Cli, saved: Path) -> None:
    assert_played(cli, saved, "change")
    check(saved / ".artifacts")


def test_rm_undelete_mv_and_cp(cli: Cli, saved: Path) -> None:
    assert_played(cli, saved, "move")
    check(saved / ".artifacts")


def test_fsck_gc_and_du(cli: Cli, saved: Path) -> None:
    assert_played(cli, saved, "keep")


def test_du_is_a_table_of_all_places(cli: Cli, saved: Path) -> None:
    result = cli("du")
    lines = result.out.splitlines()
    assert [line.split("  ")[0] for line in lines[:8]] == ["WHERE", "packs", "large blobs", "logs", "trash", "bad", "tmp", "cache"]  # fmt: skip
    right = {len(line.removesuffix("files").removesuffix("file").rstrip(" 0123456789")) for line in lines[1:3]}
    assert len(right) == 1 and result.err == ""
    assert lines[8].startswith("3 versions: 29 B of files stored in ")


def test_gc_says_to_the_byte_what_it_frees(cli: Cli, saved: Path) -> None:
    make_tree(saved / "large", {"f": b"x" * (2 << 20)})
    cli("put", "large")
    cli("rm", "large:v0")
    dry = cli("gc", "--now", "--dry-run")
    assert dry.out.startswith("would free 2.0 MiB (2,097,") and dry.err == "", dry
    assert cli("gc", "--now").out == dry.out.replace("would free", "freed")
    again = cli("undelete", "large:v0")
    assert again.code == 7 and again.err.startswith("error: large:v0 can't be brought back"), again


def test_config_shows_sets_and_removes(cli: Cli, saved: Path) -> None:
    assert_played(cli, saved, "config")


def test_artifact_put_get_and_ls(cli: Cli, saved: Path) -> None:
    assert_played(cli, saved, "artifact")


# -- JSON --


def test_json_is_indented_and_ascii(process_cli: Cli, work: Path) -> None:
    """It is for programs, whatever the locale; and people can read it."""
    result = process_cli("put", "src", "-n", "数据", "--json", LC_ALL="C")
    assert result.out.isascii() and result.out.startswith('{\n  "')
    assert json.loads(result.out)["spec"] == "local/uncategorized/数据:v0"


def test_json_that_tells_of_one_version_names_it_alike_in_every_command(cli: Cli, saved: Path) -> None:
    """Under `spec`, whole, so that it can be given to the next command wherever that runs."""
    commands = ["put src -n data", "get data:v1 --root out", "show data:v1", "verify data:v1 out", "alias data:v1", "tag data:v1", "edit data:v1 -d x"]  # fmt: skip
    told = {command: json.loads(cli(*command.split(), "--json").out) for command in commands}
    told["log"], told["status"] = (
        json.loads(cli(*words, "--json").out)[0] for words in (["log", "data"], ["status", "out"])
    )
    assert {name: value.get("spec") for name, value in told.items()} == dict.fromkeys(
        told, "local/uncategorized/data:v1"
    )


def test_json_that_tells_of_an_artifact_names_it_alike_in_every_command(cli: Cli, saved: Path) -> None:
    commands = ["put src -n data", "cp data data2", "mv data2 data3", "edit --collection data3 -d x"]
    told = {command: json.loads(cli(*command.split(), "--json").out) for command in commands}
    told["ls"], told["status"] = (json.loads(cli(*words, "--json").out)[0] for words in (["ls"], ["status", "src"]))
    assert [name for name, value in told.items() if "collection" not in value] == []


def test_json_paths_are_written_alike_in_every_command(cli: Cli, work: Path) -> None:
    """The path itself, not the escaped form that is for terminals: that can't be told from a name with a backslash."""
    make_tree(work / "odd", {"a\nb": "1", "bad\udcff": "2"})
    cli("put", "odd")
    cli("put", "src")
    cli("get", "odd", "--root", "empty")
    listed = {entry["path"] for entry in json.loads(cli("ls", "odd", "--json").out)}
    for name in listed:
        (work / "empty" / name).unlink()
    assert listed == {"a\nb", "bad\udcff"}
    assert {d["path"] for d in json.loads(cli("diff", "src", "odd", "--json").out)["files"]} >= listed
    assert set(json.loads(cli("verify", "odd", "empty", "--json").out)["missing"]) == listed
    assert set(json.loads(cli("status", "empty", "--json").out)[0]["missing"]) == listed


def test_every_command_with_json_prints_json(cli: Cli, saved: Path) -> None:
    for words in (["config", "core.project", "x"], ["config", "--unset", "core.project"]):
        result = cli(*words, "--json")
        assert result.code == 0 and json.loads(result.out) is not None, words

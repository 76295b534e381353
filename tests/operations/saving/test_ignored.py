"""Ignore rules come first: what they name is left out of a save, whatever it is."""

import json
import os
import socket
from functools import partial
from pathlib import Path

import pytest

import artstore
from artstore.errors import SourceError
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot


def _troubles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FIFO, a socket, a link that leads nowhere, one that leads to itself, and one to a device."""
    os.mkfifo(folder / "fifo")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "device").symlink_to("/dev/null")
    monkeypatch.chdir(folder)  # a socket's path has at most 108 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    monkeypatch.undo()


def test_what_can_not_be_stored_is_left_out_where_a_rule_names_it(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_tree(tmp_path / "src", {"a": "1", "sub/b": "2"})
    _troubles(source / "sub", monkeypatch)
    with pytest.raises(SourceError) as error:
        repo.put(str(source), "data")
    assert {path for path, _ in error.value.problems} == {
        f"sub/{name}" for name in ("fifo", "dangling", "loop", "device", "socket")
    }
    (source / ".artifactsignore").write_text("fifo\ndangling\nloop\ndevice\nsocket\n")
    assert repo.put(str(source), "data").files == 3
    (source / ".artifactsignore").write_text("sub/\n")
    assert repo.put(str(source), "data").files == 2


def test_a_rule_that_keeps_a_fifo_brings_the_problem_back(repo: Repository, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"a": "1", ".artifactsignore": "*\n!.artifactsignore\n!a\n!fifo\n"})
    os.mkfifo(source / "fifo")
    os.mkfifo(source / "other")
    with pytest.raises(SourceError) as error:
        repo.put(str(source), "data")
    assert error.value.problems == [("fifo", "is a FIFO, not a file")]


def test_globs_of_a_script_leave_out_what_can_not_be_stored(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_tree(here / "src", {"a.csv": "1", "b.csv": "2"})
    _troubles(source, monkeypatch)
    monkeypatch.chdir(here)
    chosen = artstore.Artifact("chosen", "dataset")
    chosen.add_dir(str(source), include="*.csv")
    rest = artstore.Artifact("rest", "dataset")
    rest.add_dir(str(source), exclude=["fifo", "dangling", "loop", "device", "socket"])
    assert len(chosen.manifest.entries) == len(rest.manifest.entries) == 2


def test_a_repository_link_that_leads_nowhere_is_left_out_as_a_protected_folder_is(
    repo: Repository, tmp_path: Path
) -> None:
    source = make_tree(tmp_path / "src", {"a": "1"})
    (source / ".git").symlink_to("nowhere")
    assert repo.put(str(source), "data").left_out == (".git",)


@pytest.mark.parametrize(
    ("glob", "saved"),
    [("./a", ["d/a", "d/b"]), ("./d/a", ["a", "d/b"]), ("./d/", ["a"]), ("a", ["d/b"]), ("/a", ["d/a", "d/b"])],
)
def test_a_glob_that_begins_with_a_dot_and_a_slash_is_of_that_folder(
    tmp_path: Path, cli: Cli, glob: str, saved: list[str]
) -> None:
    make_tree(tmp_path / "src", {"a": "1", "d/a": "2", "d/b": "3"})
    done = cli("put", "src", "--exclude", glob)
    assert done.code == 0 and done.err == "", done
    assert [row["path"] for row in json.loads(cli("ls", "-r", "src", "--json").out)] == saved
    assert cli("get", "src", "--root", "out", "--include", "./a").code == (0 if "a" in saved else 4)


def test_a_glob_that_leaves_out_nothing_is_reported(tmp_path: Path, cli: Cli) -> None:
    source = make_tree(tmp_path / "src", {"a": "1", "d/b": "2", "skipped": "3", ".artifactsignore": "skipped\n"})
    globs = ["src/a", f"{source}/a", "nope", "b", "skipped", "!kept"]
    for more in (["--dry-run"], []):
        done = cli("put", "src", *more, *(word for glob in globs for word in ("--exclude", glob)))
        assert done.code == 0 and done.err.splitlines() == [
            "warning: --exclude 'src/a' matches nothing; globs are relative to src",
            f"warning: --exclude '{source}/a' matches nothing; globs are relative to src",
            "warning: --exclude 'nope' matches nothing",
            "warning: --exclude '!kept' matches nothing",
        ], done
    done = cli("put", "src", "--exclude", "b", "--exclude", "x/y", "--json")
    assert json.loads(done.out)["unmatched"] == ["x/y"] and done.err == ""


def test_a_glob_that_matches_nothing_is_reported_by_what_restores_too(tmp_path: Path, cli: Cli) -> None:
    make_tree(tmp_path / "src", {"a": "1", "d/b": "2", "d/c": "3"})
    assert cli("put", "src").code == 0
    globs = ("--exclude", "nope", "--exclude", "d/b", "--exclude", "d", "--include", "*.png", "--include", "a")
    told = ["warning: --include '*.png' matches nothing", "warning: --exclude 'nope' matches nothing"]
    for command in (("get", "src", "--root", "out"), ("export", "src", "-o", "out.tar"), ("export", "src", "-o", "-")):
        assert cli(*command, *globs).err.splitlines() == told, command
    for command in (("get", "src", "--root", "out2"), ("export", "src", "-o", "out2.tar")):
        done = cli(*command, *globs, "--json")
        assert (done.err, json.loads(done.out)["unmatched"]) == ("", ["*.png", "nope"])
    assert cli("get", "src", "--root", "out3", "--exclude", "d/*").err == ""


def test_python_warns_of_a_glob_that_matches_nothing(tmp_path: Path, here: Path) -> None:
    source = make_tree(tmp_path / "src", {"a": "1", "d/b": "2"})
    artifact = artstore.Artifact("data", "dataset")
    with pytest.warns(UserWarning, match=r"^exclude 'nope' matches nothing$") as told:
        artifact.add_dir(str(source), exclude=["nope", "b"])
    with artstore.init(mode="offline") as run:
        run.log_artifact(artifact)
    with pytest.warns(UserWarning, match=r"^include '\*\.csv' matches nothing$") as also:
        artifact.download(str(tmp_path / "out"), include=["*.csv", "a"])
    assert {Path(one.filename) for one in (*told, *also)} == {Path(__file__)}


def test_globs_that_leave_no_file_are_refused(tmp_path: Path, cli: Cli) -> None:
    make_tree(tmp_path / "src", {"a.csv": "1", "d/b.csv": "2"})
    for glob in ("*", "*.csv"):
        for more in ([], ["--dry-run"]):
            for path in ("src", f"file://{tmp_path}/src"):
                done = cli("put", path, "-n", "x", "--exclude", glob, *more)
                assert done.code == 3 and done.err == (
                    f"error: no file of {path} is left: all are excluded\nhint: leave out some --exclude\n"
                ), done
    assert cli("ls").out == ""
    make_tree(tmp_path / "empty", {})
    done = cli("put", "empty", "--exclude", "*.csv")
    assert done.code == 0 and "saved empty:v0: 0 files" in done.out, "an empty folder can be saved"


def test_empty_folders_stay_unless_they_are_excluded_as_with_ignore_rules(repo: Repository, tmp_path: Path) -> None:
    files = {"a": "1", "empty/in/": None, "logs/x.tmp": "2", "out/gone": "3"}
    by_glob = make_tree(tmp_path / "glob", files)
    by_rule = make_tree(tmp_path / "rule", {**files, ".artifactsignore": "*.tmp\nout\n.artifactsignore\n"})
    repo.put(str(by_glob), "glob", exclude=("*.tmp", "out"))
    repo.put(str(by_rule), "rule")
    for name in ("glob", "rule"):
        repo.get(repo.find(name), str(tmp_path / f"out-{name}"))
    assert snapshot(tmp_path / "out-glob") == snapshot(tmp_path / "out-rule")
    assert (tmp_path / "out-glob/empty/in").is_dir() and (tmp_path / "out-glob/logs").is_dir()
    (status,) = repo.status(str(by_glob))
    assert status.verified is not None and status.verified.ok


def test_the_gitignore_that_downloads_write_is_not_part_of_a_version(here: Path, cli: Cli) -> None:
    """Neither by `put` nor by `add_dir`, and it is not an extra file. Any other `.gitignore` is the user's."""
    cli = partial(cli, cwd=here)
    (here / ".git").mkdir()
    assert cli("put", make_tree(here / "src", {"a": "1"}), "-n", "data").code == 0 and cli("get", "data").code == 0
    own = here / "artifacts/.gitignore"
    assert own.exists()
    assert cli("put", "artifacts", "-n", "all").code == 0
    assert cli("ls", "-r", "all").out.split()[-1] == "data-v0/a" and ".gitignore" not in cli("ls", "-r", "all").out
    assert cli("verify", "all", "artifacts").code == 0 and ".gitignore" not in cli("status").out
    assert cli("get", "all", "--root", "artifacts", "--delete").code == 0 and own.exists()
    for add in (artstore.Artifact.add_dir, lambda artifact, folder: artifact.add_dir(folder, name="sub")):
        artifact = artstore.Artifact("drafted", type="dataset")
        add(artifact, "artifacts")
        assert [path.rpartition("/")[2] for path in artifact.manifest.entries] == ["a"]
    assert cli("put", here, "-n", "project", "--exclude", "src").code == 0
    assert ".gitignore" not in cli("ls", "-r", "project").out
    for text in ("*\n", own.read_text() + "!x\n", own.read_text().replace("artstore", "artstorf")):
        own.write_text(text)
        assert ".gitignore" in cli("status").out
        assert cli("put", "artifacts", "-n", "all").code == 0 and ".gitignore" in cli("ls", "-r", "all").out


def test_a_version_that_has_the_gitignore_of_downloads_from_before_is_restored_whole(here: Path, cli: Cli) -> None:
    cli = partial(cli, cwd=here)
    text = "# made by artstore: downloads are not for git\n*\n"
    artifact = artstore.Artifact("old", type="dataset")
    artifact.add_file(str(make_tree(here / "src", {"x": text}) / "x"), name=".gitignore")
    with artstore.init() as run:
        run.log_artifact(artifact)
    assert cli("get", "old", "--root", "out").code == 0 and (here / "out/.gitignore").read_text() == text
    assert cli("verify", "old", "out").code == 0
    (here / "out/.gitignore").unlink()
    assert cli("verify", "old", "out").code != 0

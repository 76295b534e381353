"""What a restore leaves alone and what it may replace: ignored files stay, and saved files make room for others."""

import os
from pathlib import Path

import pytest

import artstore
from artstore.errors import Refused
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot

RULES = "*.log\ncache/\n"
FILES = {"a": "1", "sub/b": "2", ".artifactsignore": RULES, "sub/.artifactsignore": "*.tmp\n"}
IGNORED = {"x.log": "l", "cache/x": "c", "sub/y.log": "m", "sub/z.tmp": "t", "old/w.log": "o"}


def _well(cli: Cli, *args: str) -> str:
    """What a command printed that went well."""
    result = cli(*args)
    assert result.code == 0, result
    return result.out


def _files(folder: Path) -> set[str]:
    return {name for name, content in snapshot(folder).items() if content is not None}


@pytest.mark.parametrize("force", [False, True])
def test_a_get_that_deletes_other_files_leaves_ignored_ones_alone(cli: Cli, tmp_path: Path, force: bool) -> None:
    make_tree(tmp_path / "src", FILES)
    _well(cli, "put", "src", "--name", "data")
    (tmp_path / "src/a").write_text("changed")
    _well(cli, "put", "src", "--name", "data")
    make_tree(tmp_path / "src", IGNORED | {"old/a": "1"})
    done = _well(cli, "get", "data:v0", "--root", "src", "--delete", *(["--force"] if force else []))
    assert "1 removed" in done
    assert _files(tmp_path / "src") == FILES.keys() | IGNORED.keys()
    assert (tmp_path / "src/a").read_text() == "1"


@pytest.mark.parametrize("force", [False, True])
def test_a_locked_folder_keeps_its_ignored_files(cli: Cli, tmp_path: Path, force: bool) -> None:
    make_tree(tmp_path / "data", FILES)
    _well(cli, "put", "data")
    _well(cli, "lock")
    make_tree(tmp_path / "data", IGNORED | {"old/a": "1"})
    _well(cli, "get", "--locked", *(["--force"] if force else []))
    assert _files(tmp_path / "data") == FILES.keys() | IGNORED.keys()


def test_a_script_that_replaces_a_folder_keeps_its_ignored_files(here: Path) -> None:
    artifact = artstore.Artifact("data", "dataset")
    artifact.add_dir(str(make_tree(here / "src", FILES)))
    with artstore.init() as run:
        run.log_artifact(artifact)
    make_tree(here / "src", IGNORED | {"extra": "x"})
    artstore.Api().artifact("data:latest").checkout("src")
    assert _files(here / "src") == FILES.keys() | IGNORED.keys()


def test_the_rules_on_disk_count_also_if_the_version_has_others(repo: Repository, tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"a": "1"})
    repo.put(str(source), "data")
    make_tree(source, {".artifactsignore": "*.log\n", "x.log": "mine"})
    repo.put(str(source), "data")
    repo.get(repo.find("data:v0"), str(source), Restore(delete=True))
    assert _files(source) == {"a", "x.log"}


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("force", [False, True])
def test_a_file_that_became_a_folder_and_a_folder_that_became_a_file_are_replaced_if_all_of_them_is_saved(
    cli: Cli, tmp_path: Path, delete: bool, force: bool
) -> None:
    first = snapshot(make_tree(tmp_path / "src", {"x": "file", "y/deep/f": "1", "y/g": "2", "same": "3"}))
    _well(cli, "put", "src", "--name", "data")
    for name in ("x", "y/deep/f", "y/g"):
        (tmp_path / "src" / name).unlink()
    (tmp_path / "src/y/deep").rmdir()
    (tmp_path / "src/y").rmdir()
    second = snapshot(make_tree(tmp_path / "src", {"x/inner/f": "4", "y": "file"}))
    _well(cli, "put", "src", "--name", "data")
    options = ["--delete"] * delete + ["--force"] * force
    for version, expected in (("v0", first), ("v1", second), ("v0", first)):
        _well(cli, "get", f"data:{version}", "--root", "out", *options)
        assert snapshot(tmp_path / "out") == expected
        assert "unchanged" in _well(cli, "status", "out")


@pytest.mark.parametrize(
    ("extra", "what"),
    [("y/mine", "unsaved"), ("y/x.log", "ignored"), ("y/.git/config", "protected")],
    ids=["unsaved", "ignored", "protected"],
)
def test_a_folder_in_the_way_stays_whole_if_something_in_it_must_stay(
    repo: Repository, tmp_path: Path, extra: str, what: str
) -> None:
    repo.put(str(make_tree(tmp_path / "one", {"y/f": "1", "y/z": "2"})), "data")
    repo.put(str(make_tree(tmp_path / "two", {"y": "file"})), "data")
    target = tmp_path / "out"
    repo.get(repo.find("data:v0"), str(target))
    make_tree(target, {".artifactsignore": "*.log\n", extra: what})
    before = snapshot(target)
    with pytest.raises(Refused, match="'y' is a folder, and the version has something else there"):
        repo.get(repo.find("data:v1"), str(target), Restore(force=True))
    if what != "unsaved":
        with pytest.raises(Refused, match="'y' is a folder, and the version has something else there"):
            repo.get(repo.find("data:v1"), str(target), Restore(force=True, delete=True))
    assert snapshot(target) == before


@pytest.mark.parametrize(
    "path", ["build/mine", "build/deep/mine", "build/x/mine"], ids=["beside", "deep", "in the way"]
)
def test_nothing_below_an_ignored_folder_is_extra(cli: Cli, tmp_path: Path, path: str) -> None:
    source = make_tree(tmp_path / "src", {"a": "1", "build/x": "2", "build/deep/y": "3"})
    _well(cli, "put", "src", "--name", "data")
    if path.startswith("build/x/"):
        (source / "build/x").unlink()
    make_tree(source, {".artifactsignore": "build/\n", path: "mine"})
    done = cli("get", "data", "--root", "src", "--delete", "--force")
    assert done.code == (6 if path.startswith("build/x/") else 0), done
    assert (source / path).read_text() == "mine"
    if done.code == 0:
        make_tree(source, {".artifactsignore": "build/\n"})
        for told in (cli("status", "src"), cli("verify", "data", "src")):
            assert "mine" not in told.out + told.err


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
@pytest.mark.parametrize("folder", ["", "sub/"])
def test_rules_that_can_not_be_read_stop_only_a_get_that_deletes(
    cli: Cli, tmp_path: Path, kind: str, folder: str
) -> None:
    make_tree(tmp_path / "src", {"a": "1", "sub/b": "2"})
    _well(cli, "put", "src", "--name", "data")
    _well(cli, "get", "data", "--root", "out")
    rules = tmp_path / "out" / folder / ".artifactsignore"
    if kind == "folder":
        rules.mkdir()
    else:
        rules.symlink_to("nowhere")
    (tmp_path / "out/a").unlink()
    _well(cli, "get", "data", "--root", "out")
    assert (tmp_path / "out/a").read_text() == "1" and os.path.lexists(rules)
    told = cli("get", "data", "--root", "out", "--delete", "--force")
    assert told.code == 9 and f"error: cannot read {folder}.artifactsignore: " in told.err and os.path.lexists(rules)
    assert "hint: mend it or move it away: it says which files stay\n" in told.err
    assert (cli("verify", "data", "out").code, cli("status", "out").code) == (1, 0), "they tell of it, and don't fail"

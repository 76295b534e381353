"""Files that a script saves to its run, and what reads them: `save`, `dir`, `restore`, `Api().run().files()`, `runs files`."""

import os
from pathlib import Path

import pytest

import artstore as wandb
from artstore.errors import Conflict, InvalidValue, NoEntry, NotFound
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.runs import root


def content(run: str = "r") -> dict[str, str]:
    """The files of a run, without those that artstore records."""
    with wandb.Api()._repository as repository:  # its own handle
        state = wandb.Api().run(run)._state
        found = {}
        for path in repository.run_files(state):
            with repository.open_run_file(state, path) as file:
                found[path] = file.read().decode()
    return found


# -- save ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glob", "base", "names"),
    [
        ("a.txt", None, ["a.txt"]),
        ("sub/*.txt", None, ["sub/b.txt"]),
        ("sub/*.txt", "sub", ["b.txt"]),
        ("{here}/sub/*.txt", None, ["sub/b.txt"]),
        ("{here}/sub/deep/c.txt", None, ["deep/c.txt"]),
        ("{here}/sub/deep/c.txt", "{here}", ["sub/deep/c.txt"]),
        ("sub", None, ["sub/b.txt", "sub/deep/c.txt"]),
        ("su*/d*/*", None, ["sub/deep/c.txt"]),
    ],
)
def test_saved_files_have_their_paths_below_the_base_as_in_wandb(
    here: Path, glob: str, base: str | None, names: list[str]
) -> None:
    make_tree(here, {"a.txt": "a", "sub/b.txt": "b", "sub/deep/c.txt": "c"})
    with wandb.init(id="r") as run:
        found = run.save(glob.format(here=here), base and base.format(here=here))
        assert all(map(os.path.isabs, found)) and [os.path.basename(p) for p in found] == list(
            map(os.path.basename, names)
        )
    assert list(content()) == names


@pytest.mark.parametrize(("policy", "at_once", "at_end"), [("now", "1", "1"), ("live", "1", "2"), ("end", None, "2")])
def test_a_policy_says_when_a_file_is_saved(here: Path, policy: str, at_once: str | None, at_end: str) -> None:
    Path("a").write_text("1")
    with wandb.init(id="r") as run:
        run.save("a", policy=policy)
        assert content().get("a") == at_once
        Path("a").write_text("2")
    assert content() == {"a": at_end}


def test_a_file_that_vanished_stays_as_it_was_saved_and_is_a_warning(here: Path) -> None:
    make_tree(here, {"a": "1", "b": "2"})
    with pytest.warns(UserWarning, match="'.*/a' wasn't saved with the run"), wandb.init(id="r") as run:
        run.save("[ab]")
        Path("a").unlink()
        Path("b").write_text("new")
    assert content() == {"a": "1", "b": "new"}


def test_a_glob_without_files_is_a_warning_and_a_name_can_be_taken_as_it_is(here: Path) -> None:
    Path("a[1].txt").write_text("1")
    with wandb.init(id="r") as run:
        with pytest.warns(UserWarning, match=r"save\(\) found no file 'none\*'$"):
            assert run.save("none*") == []
        with pytest.warns(UserWarning, match=r"found no file 'a\[1\].txt'; save\(…, glob=False\)"):
            run.save("a[1].txt")
        run.save("a[1].txt", glob=False)
        with pytest.warns(UserWarning, match="s3://bucket/x is a cloud storage url"):
            assert run.save("s3://bucket/x") == []
    assert content() == {"a[1].txt": "1"}


def test_files_outside_the_base_and_unknown_policies_are_refused(here: Path) -> None:
    make_tree(here, {"a": "1", "sub/b": "2"})
    with wandb.init(id="r") as run:
        with pytest.raises(ValueError, match="'a' is not below '.*/sub'"):
            run.save("a", base_path="sub")
        with pytest.raises(ValueError, match='Only "live", "end" and "now" policies'):
            run.save("a", policy="sometimes")
    with pytest.raises(AttributeError, match="call init"):
        wandb.save("a")


# -- dir -------------------------------------------------------------------------------------------------


def test_files_left_in_the_folder_of_a_run_are_saved_when_it_ends(here: Path) -> None:
    with wandb.init(id="r") as run:
        make_tree(Path(run.dir), {"model.h5": "weights", "sub/x": "y"})
        wandb.save(os.path.join(run.dir, "model.h5"))
        assert content() == {"model.h5": "weights"}
    assert content() == {"model.h5": "weights", "sub/x": "y"}
    with wandb.init(id="r", resume="must") as run:
        Path(run.dir, "sub/x").write_text("z")
    assert content() == {"model.h5": "weights", "sub/x": "z"}


def test_the_folder_of_a_run_is_below_wandb_dir_or_the_dir_of_init(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DIR", str(here / "runs"))
    with wandb.init(id="r") as run:
        assert Path(run.dir) == here / "runs/artifacts/run-r"
    with wandb.init(id="s", dir=here / "other") as run:
        assert Path(run.dir) == here / "other/artifacts/run-s"


def test_runs_that_frameworks_begin_in_folders_of_their_own_share_the_working_folders_repository(here: Path) -> None:
    """Each training of ultralytics has its own `dir`; the next run finds what it logged."""
    with wandb.init(project="p", id="one", dir=here / "out/1") as run:
        run.log_artifact(str(make_tree(here / "data", {"a": "1"})), name="data")
    with wandb.init(project="p", dir=here / "out/2") as run:
        assert run.use_artifact("data:latest").logged_by().id == "one"
    assert [path.parent for path in here.rglob(".artifacts")] == [here]


# -- reading back ----------------------------------------------------------------------------------------


def test_files_of_a_run_have_wandbs_properties(here: Path) -> None:
    make_tree(here, {"a.json": "{}", "sub/b.txt": "hello"})
    with wandb.init(id="r") as run:
        run.save("a.json")
        run.save("sub/*")
    recorded = wandb.Api().run("r")
    files = recorded.files()
    assert [file.name for file in files] == ["a.json", "sub/b.txt"] and len(files) == 2
    file = recorded.file("sub/b.txt")
    assert (file.size, file.mimetype, file.md5) == (5, "text/plain", "XUFAKrxLKna5cZ2REBfFkg==")
    assert file.url == f"file://{here}/.artifacts/runs/local/uncategorized/r/files/sub/b.txt"
    assert file.updated_at.startswith("20")
    assert repr(file) == "<File sub/b.txt (text/plain) 5 B>"
    assert [file.name for file in recorded.files(["a.json", "none"])] == ["a.json"]
    assert [file.name for file in recorded.files(pattern="%.TXT")] == ["sub/b.txt"]
    assert [file.name for file in recorded.files(pattern="a_json")] == ["a.json"]
    with pytest.raises(ValueError, match="names or a pattern"):
        recorded.files(["a"], "%")
    with pytest.raises(NoEntry):
        recorded.file("none")


def test_a_download_replaces_nothing_unless_it_may(here: Path) -> None:
    Path("a").write_text("1")
    with wandb.init(id="r") as run:
        run.save("a")
    file = wandb.Api().run("r").file("a")
    with file.download("out") as text:
        assert text.read() == "1"
    Path("out/a").write_text("mine")
    with pytest.raises(ValueError, match="File already exists"):
        file.download("out")
    with file.download("out", exist_ok=True) as text:
        assert text.read() == "mine"
    with file.download("out", replace=True) as text:
        assert text.read() == "1"


def test_a_download_follows_no_link_out_of_its_folder_and_writes_into_no_repository(here: Path) -> None:
    make_tree(here, {"sub/a": "1", "format": "x"})
    with wandb.init(id="r") as run:
        run.save("sub/a")
    (here / "out").mkdir()
    (here / "elsewhere").mkdir()
    (here / "out/sub").symlink_to(here / "elsewhere")
    with pytest.raises(wandb.CommError, match="symlink"):
        wandb.Api().run("r").file("sub/a").download("out")
    assert list((here / "elsewhere").iterdir()) == []


def test_restore_gets_a_file_of_this_or_another_run_and_keeps_what_is_there(here: Path) -> None:
    Path("a").write_text("1")
    with wandb.init(id="r", project="p") as run:
        run.save("a")
    with wandb.restore("a", "p/r", root="back") as file:
        assert file.read() == "1"
    with pytest.raises(ValueError, match="run_path required"):
        wandb.restore("a")
    with pytest.raises(NotFound):
        wandb.restore("b", "p/none")
    with wandb.init(id="s", project="p") as run:
        with run.restore("a", "r") as file:
            assert file.name == os.path.join(run.dir, "a")
        Path(run.dir, "a").write_text("mine")
        with wandb.restore("a", "local/p/r") as file:
            assert file.read() == "mine"
        with wandb.restore("a", "local/p/r", replace=True) as file:
            assert file.read() == "1"
        assert run.restore("none", "r") is None


def test_a_file_is_added_to_and_deleted_from_a_run_that_ended(here: Path) -> None:
    make_tree(here, {"a": "1", "sub/b": "2"})
    with wandb.init(id="r") as run:
        run.save("a")
    recorded = wandb.Api().run("r")
    assert recorded.upload_file("sub/b", root="sub").name == "b"
    assert recorded.upload_file(here / "sub/b").name == "sub/b"
    assert content() == {"a": "1", "b": "2", "sub/b": "2"}
    recorded.file("b").delete()
    assert content() == {"a": "1", "sub/b": "2"}
    assert wandb.Api().run("r").state == "finished"
    with pytest.raises(InvalidValue):
        recorded.upload_file("sub/b", root="other")


def test_a_file_is_added_to_a_run_that_is_active_here(here: Path) -> None:
    Path("a").write_text("1")
    with wandb.init(id="r") as run:
        run.log({"x": 1})
        file = wandb.Api().run("r").upload_file("a")
        with pytest.raises(Conflict, match="'a' was just added"):
            file.delete()
        run.log({"x": 2})
    assert content() == {"a": "1"}
    assert [row["x"] for row in wandb.Api().run("r").scan_history()] == [1, 2]


# -- the command -----------------------------------------------------------------------------------------


def test_runs_files_lists_and_restores_files(here: Path, cli: Cli) -> None:
    make_tree(here, {"a.log": "1", "sub/b": "22", "sub/c": "333"})
    with wandb.init(id="r") as run:
        run.save("*")
    assert cli("runs", "files", "r", cwd=here).out.splitlines() == [
        "PATH   SIZE", "a.log   1 B", "sub/b   2 B", "sub/c   3 B",
    ]  # fmt: skip
    assert "files      3, 6 B: artstore runs files local/uncategorized/r" in cli("runs", "show", "r", cwd=here).out
    assert cli("runs", "files", "r", "sub/", "*.log", "--root", "out", cwd=here).out == "3 files, 6 B → out\n"
    assert (here / "out/sub/c").read_text() == "333"
    again = cli("runs", "files", "r", "a.log", "--root", "out", cwd=here)
    assert again.code != 0 and "a.log in out would be replaced" in again.err
    assert cli("runs", "files", "r", "a.log", "--root", "out", "--force", "--json", cwd=here).code == 0
    missing = cli("runs", "files", "r", "sub/d", cwd=here)
    assert "run local/uncategorized/r has no file 'sub/d'" in missing.err
    with wandb.init(id="empty"):
        pass
    assert cli("runs", "files", "empty", cwd=here).err == "run local/uncategorized/empty has no files\n"


# -- dry runs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["WANDB_MODE", "WANDB_DISABLED"])
def test_a_dry_run_of_a_pipeline_works_end_to_end_and_leaves_nothing(
    here: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wandb.init(id="real") as run:
        run.log_artifact(str(make_tree(here / "data", {"a": "1"})), name="lasting")
    before = sorted(os.walk(root()))
    monkeypatch.setenv(variable, "true" if variable == "WANDB_DISABLED" else "disabled")
    made = make_tree(here / "made", {"b": "2"})
    with wandb.init(config={"lr": 1}) as run:
        made_one = wandb.Artifact("made", type="dataset")
        made_one.add_dir(str(made))
        run.log_artifact(made_one).wait()
        run.log({"loss": 1, "t": wandb.Table(columns=["x"], data=[[1]])})
        run.save("made/b")
        assert run.use_artifact("lasting:latest").file_count == 1
        assert run.url is None and Path(run.dir).is_dir() and run.disabled
    with wandb.init() as run:
        used = run.use_artifact("made:latest")
        assert Path(used.download("again"), "b").read_text() == "2"
        assert run.link_artifact(used, "registry-m/made").name == "made:v0"
        assert run.link_artifact(run.use_artifact("lasting:latest"), "registry-m/other") is None
    assert wandb.Api().artifact("lasting:latest").name == "lasting:v0"
    assert sorted(os.walk(root())) == before

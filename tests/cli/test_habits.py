"""What people type out of habit: the words and short forms that other tools have taught them."""

import bz2
import datetime
import gzip
import json
import lzma
import os
import sys
import tarfile
from pathlib import Path

import pytest

import artstore as wandb
from artstore._version import __version__
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.terminal import on_terminal


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "data", {"a.csv": "1\n", "d/b.txt": "2\n"})


def test_help_is_a_command_as_well_as_an_option(cli: Cli) -> None:
    assert cli("help").out == cli("--help").out
    assert cli("help", "put").out == cli("put", "--help").out
    assert cli("help", "remote", "add").out == cli("remote", "add", "--help").out
    assert "there is no command 'delete'" in cli("help", "delete").err
    assert "`artstore put` has no commands" in cli("help", "put", "it").err


def test_the_version_has_a_short_option_and_the_word_leads_to_it(cli: Cli) -> None:
    assert cli("-V").out == cli("--version").out == f"artstore {__version__}\n"
    assert "hint: `artstore --version` shows it" in cli("version").err


def test_automations_are_listed_and_removed_as_elsewhere_and_by_the_old_words(cli: Cli, repo: Repository) -> None:
    for remove, words in (("rm", "ls"), ("delete", "list")):
        cli("automation", "create", "note", "--on", "created", "--run", "true")
        assert [rule["name"] for rule in json.loads(cli("automation", words, "--json").out)] == ["note"]
        assert cli("automation", remove, "note").out == "deleted automation note\n"
    assert "list " not in cli("automation", "--help").out


# -- put -----------------------------------------------------------------------------------------


def test_how_to_get_it_back_is_told_the_first_time_alone(cli: Cli, data: Path) -> None:
    assert "get it back with: artstore get data:v0" in cli("put", "data").out
    assert "get it back" not in cli("put", "data").out
    (data / "a.csv").write_text("2\n")
    assert "get it back" not in cli("put", "data").out


def test_put_sets_metadata_by_key_beside_what_a_file_has(cli: Cli, data: Path) -> None:
    cli("put", "data", "--metadata", '{"lr": 1, "kept": true}', "--set", "lr=0.1", "--set", "note=a b")
    metadata = json.loads(cli("show", "data", "--json").out)["metadata"]
    assert metadata == {"lr": 0.1, "kept": True, "note": "a b"}


def test_files_that_put_excludes_are_not_saved_and_not_new_to_status(cli: Cli, data: Path) -> None:
    make_tree(data, {"log.tmp": "x", "d/more.tmp": "y"})
    assert "2 files" in cli("put", "data", "--exclude", "*.tmp").out
    assert "unchanged" in cli("status").out
    make_tree(data, {"new": "z"})
    assert "1 new" in cli("status").out
    assert cli("put", "data/a.csv", "--exclude", "x").err == (
        "error: data/a.csv is not a folder: there is nothing in it to exclude\n"
    )


@pytest.mark.parametrize("wrong", [["--metadata", "{bad"], ["--alias", "v1"], ["--tag", "a/b"], ["--set", "x"]])
def test_a_dry_run_refuses_what_the_put_would_refuse(cli: Cli, data: Path, wrong: list[str]) -> None:
    dry, real = cli("put", "data", *wrong, "--dry-run"), cli("put", "data", *wrong)
    assert dry.code == real.code == 3 and dry.err == real.err


def test_a_dry_run_shows_what_a_put_would_save_and_leaves_nothing(cli: Cli, data: Path, tmp_path: Path) -> None:
    first = cli("put", "data", "--dry-run")
    assert first.out == "A  a.csv\nA  d/b.txt\nwould save data:v0: 2 files, 4 B\n"
    assert not (tmp_path / ".artifacts").exists()
    cli("put", "data")
    assert cli("put", "data", "--dry-run").out == "no changes: same content as data:v0\n"
    (data / "a.csv").write_text("3\n")
    (data / "d/b.txt").rename(data / "new")
    changed = "A  new\nM  a.csv\nD  d/b.txt\nwould save data:v1: 2 files, 4 B\n"
    assert cli("put", "data", "--dry-run").out == changed
    told = json.loads(cli("put", "data", "--dry-run", "--json").out)
    assert told == {
        "spec": "local/uncategorized/data:v1", "dry_run": True, "is_new": True, "files": 2, "size": 4,
        "added": ["new"], "changed": ["a.csv"], "removed": ["d/b.txt"],
        "unmatched": [],
    }  # fmt: skip
    assert len(json.loads(cli("log", "data", "--json").out)) == 1


# -- looking and comparing -----------------------------------------------------------------------


def test_diff_of_one_name_compares_the_newest_version_with_the_one_before(cli: Cli, data: Path) -> None:
    cli("put", "data")
    alone = cli("diff", "data")
    assert (alone.code, alone.err.splitlines()[0]) == (3, "error: data:v0 has no version before it to compare with")
    for text in ("two\n", "three\n"):
        (data / "a.csv").write_text(text)
        cli("put", "data")
    cli("rm", "data:v1")
    assert cli("diff", "data").out == cli("diff", "data:v0", "data:v2").out != ""


def test_diff_says_that_it_compares_versions_where_a_folder_has_the_name(cli: Cli, data: Path) -> None:
    cli("put", "data")
    note = "comparing with version data:latest, not with the folder data; `artstore verify data:v0 data` compares"
    assert note in cli("diff", "data:v0", "data").err
    assert cli("diff", "data:v0", "data:v0").err == ""
    assert cli("verify", "data:v0", "data").code == 0


def test_cat_of_a_version_with_one_file_needs_no_path(cli: Cli, data: Path) -> None:
    cli("put", "data/a.csv", "-n", "one")
    assert cli("cat", "one").out == "1\n"
    cli("put", "data")
    several = cli("cat", "data")
    assert (several.code, several.err) == (
        3, "error: data:v0 has 2 files\nhint: name one; `artstore ls -r data:v0` lists them\n"
    )  # fmt: skip
    assert cli("ls", "-r", "data:v0").code == 0


def test_what_was_deleted_and_can_come_back_is_listed_with_the_way_back(cli: Cli, data: Path, tmp_path: Path) -> None:
    cli("put", "data")
    assert "no deleted version can be brought back" in cli("ls", "--deleted").err
    (data / "a.csv").write_text("other\n")
    cli("put", "data")
    cli("put", "data/d", "-n", "whole")
    cli("rm", "data:v0")
    cli("rm", "--collection", "whole")
    listed = cli("ls", "--deleted")
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == ["data:v0", "whole:v0"]
    assert "artstore undelete data:v0 brings the first one back" in listed.err
    assert [one["spec"] for one in json.loads(cli("ls", "data", "--deleted", "--json").out)] == [
        "local/uncategorized/data:v0"
    ]
    assert "--deleted can be combined with" in cli("ls", "--deleted", "-r").err
    cli("gc", "--now")
    assert cli("ls", "--deleted").out == ""


def test_deleted_versions_are_listed_of_a_type_or_another_place_and_of_nothing_else(cli: Cli, data: Path) -> None:
    cli("put", "data", "-t", "raw")
    cli("rm", "--collection", "data")
    assert "data:v0" in cli("ls", "data", "--deleted", "-t", "raw").out
    assert cli("ls", "data", "--deleted", "-t", "other").out == ""
    assert cli("ls", "data", "--where", "version=v0", "-t", "other").code == 4
    elsewhere = cli("ls", "--deleted", "--from", str(data.parent))
    assert "data:v0" in elsewhere.out and elsewhere.err == ""
    missing = cli("ls", "--deleted", "nosuch")
    assert (missing.code, missing.out) == (4, "") and "there is no artifact 'nosuch'" in missing.err


def test_an_export_to_a_tar_is_compressed_as_its_name_says_and_the_same_each_time(
    cli: Cli, data: Path, tmp_path: Path
) -> None:
    cli("put", "data")
    cli("export", "data", "-o", "z.tar")
    plain = (tmp_path / "z.tar").read_bytes()
    for decompress, names in {
        gzip.decompress: ("a.tar.gz", "b.tgz", "C.TGZ"),
        bz2.decompress: ("a.tar.bz2", "b.tbz2", "c.tbz"),
        lzma.decompress: ("a.tar.xz", "b.txz"),
    }.items():
        for name in names:
            done = cli("export", "data", "-o", name, *(["--format", "tar"] if name.startswith("b") else []))
            assert done.code == 0, done
        first, *others = [(tmp_path / name).read_bytes() for name in names]
        assert decompress(first) == plain and others == [first] * len(others), names
    with tarfile.open(tmp_path / "a.tar.xz") as archive:
        assert archive.getnames() == ["a.csv", "d", "d/b.txt"]
    before = sorted(os.listdir(tmp_path))
    for name in ("x.tar.zst", "x.tzst", "x.gz", "x.7z", "x.TAR.LZ4"):
        for more in ([], ["--format", "tar"], ["--format", "zip"]):
            done = cli("export", "data", "-o", name, *more)
            told = f"error: {name}: artstore compresses only .tar.gz, .tar.bz2 and .tar.xz\n"
            assert done.code == 3 and done.err.startswith(told), done
    for name, kind, promised in (("x.zip", "tar", "zip"), ("x.tar", "zip", "tar"), ("x.txz", "zip", "tar")):
        done = cli("export", "data", "-o", name, "--format", kind)
        assert done.code == 3 and f"{name} is the name of a {promised}, not of a {kind}\n" in done.err, done
    assert sorted(os.listdir(tmp_path)) == before, "refused before anything is written"


def test_a_compression_that_this_python_lacks_is_refused_before_anything_is_written(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("put", "data")
    monkeypatch.setitem(sys.modules, "lzma", None)
    done = cli("export", "data", "-o", "x.tar.xz")
    assert done.code == 3 and "error: x.tar.xz: this Python has no module 'lzma'\nhint: `-o NAME.tar`" in done.err, done
    assert not list(tmp_path.glob("*x.tar*"))


# -- runs ----------------------------------------------------------------------------------------


@pytest.fixture
def trained(here: Path) -> Path:
    """Three runs: a, b and c, with config, a metric and one whose summary keeps the least and the largest value."""
    for id, lr, acc in (("a", 0.1, 0.5), ("b", 0.3, 0.9), ("c", 0.2, 0.7)):
        with wandb.init(id=id, config={"lr": lr, "layers": 2}) as run:
            run.define_metric("loss", summary="min,max")
            run.log({"val/acc": acc, "loss": 1 - acc})
            run.log({"loss": 2 + acc})
    with wandb.init(id="d"):
        pass
    return here


def test_runs_are_listed_with_the_columns_and_in_the_order_that_are_asked_for(cli: Cli, trained: Path) -> None:
    listed = cli("runs", "ls", "--columns", "config.lr,val/acc,state", "--sort", "-val/acc", cwd=trained)
    assert [line.split() for line in listed.out.splitlines()] == [
        ["RUN", "config.lr", "val/acc", "state"], ["b", "0.3", "0.9", "finished"], ["c", "0.2", "0.7", "finished"],
        ["a", "0.1", "0.5", "finished"], ["d", "finished"],
    ]  # fmt: skip
    assert cli("runs", "ls", "--columns", "lr", "--sort", "lr", "--csv", "-n", "2", cwd=trained).out == (
        "run,lr\nlocal/uncategorized/a,0.1\nlocal/uncategorized/c,0.2\n"
    )
    rows = json.loads(cli("runs", "ls", "--columns", "lr", "--sort", "-lr", "--json", cwd=trained).out)
    assert rows[0] == {"run": "local/uncategorized/b", "lr": 0.3} and rows[-1]["lr"] is None
    ids = [
        row["run"].rpartition("/")[2]
        for row in json.loads(cli("runs", "ls", "--sort", "-loss", "--json", cwd=trained).out)
    ]
    assert ids == ["b", "c", "a", "d"]


def test_the_history_of_a_run_is_found_by_the_hint_for_the_word(cli: Cli, trained: Path) -> None:
    assert "`artstore runs show RUN --history` prints" in cli("runs", "history", "a").err
    assert cli("runs", "show", "a", "--history", cwd=trained).out.startswith("_step,")


@pytest.mark.parametrize("option", ["--columns", "--sort"])
def test_a_column_that_no_run_has_is_refused_with_one_that_is_near(cli: Cli, trained: Path, option: str) -> None:
    for name in ("config.layer", "layer"):
        done = cli("runs", "ls", option, name, cwd=trained)
        assert (done.code, done.err) == (3, f"error: no run has a value '{name}'\nhint: did you mean 'layers'?\n")


@pytest.mark.parametrize(("order", "expected"), [("+summary_metrics.loss", "bca"), ("-summary_metrics.loss", "bca")])
def test_runs_are_ordered_by_a_summary_that_keeps_several_values(trained: Path, order: str, expected: str) -> None:
    assert "".join(run.id for run in wandb.Api().runs(order=order)) == f"{expected}d"


def test_an_order_by_what_no_run_has_is_an_error(trained: Path) -> None:
    with pytest.raises(ValueError, match="no run has a value 'config.nothing'"):
        wandb.Api().runs(order="-config.nothing")


def test_two_runs_are_compared(cli: Cli, trained: Path) -> None:
    assert cli("runs", "diff", "a", "c", cwd=trained).out == (
        "config lr: 0.1 → 0.2\n"
        'summary loss: {"max": 2.5, "min": 0.5} → {"max": 2.7, "min": 0.30000000000000004}\n'
        "summary val/acc: 0.5 → 0.7\n"
    )
    assert cli("runs", "diff", "a", "a", cwd=trained).out == "no differences\n"
    assert json.loads(cli("runs", "diff", "a", "d", "--json", cwd=trained).out)["config"] == {
        "lr": {"old": 0.1, "new": None}, "layers": {"old": 2, "new": None},
    }  # fmt: skip


def test_a_second_version_of_an_artifact_that_only_one_run_used_is_a_difference(cli: Cli, trained: Path) -> None:
    with Repository(str(trained / ".artifacts")) as repository:
        for text in ("1", "2"):
            repository.put(str(make_tree(trained / f"data{text}", {"a": text})), "two")
    for id, numbers in (("both", (1, 0)), ("one", (1,))):
        with wandb.init(id=id) as run:
            for number in numbers:
                run.use_artifact(f"two:v{number}")
    spec = "local/uncategorized/two"
    shown = f"used {spec}: {spec}:v0, {spec}:v1 → {spec}:v1\n"
    assert cli("runs", "diff", "both", "one", cwd=trained).out == shown
    assert json.loads(cli("runs", "diff", "both", "one", "--json", cwd=trained).out)["used"] == {
        spec: {"old": [f"{spec}:v0", f"{spec}:v1"], "new": [f"{spec}:v1"]}
    }


def test_times_are_local_on_a_terminal_and_utc_elsewhere(trained: Path) -> None:
    with Repository(str(trained / ".artifacts")) as repository:
        repository.put(str(make_tree(trained / "data", {"a": "1"})), "data")
        (saved,) = repository.collection("data").live()
    utc = datetime.datetime.fromtimestamp(saved["created"] // 10**9, datetime.UTC)
    code, shown = on_terminal(trained, "log", "data", TZ="XYZ-7", columns=120)
    assert code == 0 and "SAVED  " in shown and "UTC" not in shown
    assert (utc + datetime.timedelta(hours=7)).strftime("%Y-%m-%d %H:%M") in shown

"""`artstore runs` and `artstore lineage`, and all that they print."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import QUIET, Cli, environment
from tests.support.transcripts import plain

MAKE = """
import math
import artstore as wandb
def made(name, text):
    artifact = wandb.Artifact(name)
    with artifact.new_file("f") as file:
        file.write(text)
    return artifact
with wandb.init(id="get", job_type="load") as run:
    run.log_artifact(made("raw", "1"))
with wandb.init(
    id="train", name="nice run", group="g", tags=["a", "b"], notes="two\\nlines", job_type="training",
    config={"lr": 0.1, "opt": {"n": "adam"}},
) as run:
    run.use_artifact("raw")
    run.log({"loss": 2.5})
    run.log({"loss": math.nan, "acc": 1, "list": [1, 2]})
    run.log_artifact(made("model", "2"))
wandb.init(id="bad", project="other").finish(3)
"""


def python(here: Path, code: str) -> None:
    (here / "train.py").write_text(code)
    subprocess.run([sys.executable, "train.py"], cwd=here, env=environment(here, **QUIET), check=True, timeout=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, in a repository that records nobody's name. Only for reading."""
    here = tmp_path_factory.mktemp("made")
    with Repository.init(str(here / ".artifacts")) as repository:
        repository.settings.set("core.identity", "off")
    python(here, MAKE)
    check(here / ".artifacts")
    return here


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The same, to be changed."""
    with Repository.init(str(tmp_path / ".artifacts")) as repository:
        repository.settings.set("core.identity", "off")
    python(tmp_path, MAKE)
    return tmp_path


def said(cli: Cli, here: Path, *words: str, code: int = 0, err: str = "") -> str:
    result = cli(*words, cwd=here)
    assert (result.code, result.err) == (code, err), result
    return plain(result.out, here)


# -- runs ls ---------------------------------------------------------------------------------------------

HEAD = "RUN        NAME      STATE     STARTED (UTC)     JOB TYPE  BY  USED  LOGGED\n"


def test_runs_ls_lists_all_runs_the_latest_first(cli: Cli, made: Path) -> None:
    assert said(cli, made, "runs", "ls") == HEAD + (
        "other/bad            failed    2026-01-01 00:00            -      0       0\n"
        "train      nice run  finished  2026-01-01 00:00  training  -      1       1\n"
        "get                  finished  2026-01-01 00:00  load      -      0       1\n"
    )


def test_runs_ls_says_the_same_with_and_without_a_condition(cli: Cli, made: Path) -> None:
    assert said(cli, made, "runs", "ls", "--where", "name~.") == said(cli, made, "runs", "ls")


def test_runs_ls_of_a_project_and_of_one_that_has_none(cli: Cli, made: Path) -> None:
    listed = (
        "RUN        NAME  STATE   STARTED (UTC)     JOB TYPE  BY  USED  LOGGED\n"
        "other/bad        failed  2026-01-01 00:00            -      0       0\n"
    )
    for project in ("other", "local/other", "local/other/"):
        assert said(cli, made, "runs", "ls", project) == listed
    assert said(cli, made, "runs", "ls", "nowhere", err="no matching runs\n") == ""


def test_runs_ls_shows_as_many_as_asked_and_says_how_many_more_there_are(cli: Cli, made: Path) -> None:
    out = said(cli, made, "runs", "ls", "-n", "1", err="2 more: -n 3 lists all\n")
    assert [line.split()[0] for line in out.splitlines()] == ["RUN", "other/bad"]
    assert len(json.loads(said(cli, made, "runs", "ls", "-n", "2", "--json"))) == 2
    assert len(list(csv.reader(io.StringIO(said(cli, made, "runs", "ls", "-n", "2", "--csv"))))) == 3
    assert cli("runs", "ls", "-n", "0", cwd=made).code == 2


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["state=failed"], ["bad"]), (["state!=failed"], ["train", "get"]), (["config.lr<0.5"], ["train"]),
        (["config.lr>=0.5"], []), (["summary_metrics.acc=1"], ["train"]), (["config.opt.n=adam"], ["train"]),
        (["tags=a", "group=g"], ["train"]), (["tags=a", "state=failed"], []), (["display_name~^nice"], ["train"]),
        (['{"$or": [{"name": "get"}, {"state": "failed"}]}'], ["bad", "get"]), (["created_at>2020-01-01"], ["bad", "train", "get"]),
        (["jobType=load"], ["get"]),
    ],
    ids=str,
)  # fmt: skip
def test_runs_ls_where(cli: Cli, made: Path, where: list[str], expected: list[str]) -> None:
    options = [word for condition in where for word in ("--where", condition)]
    listed = json.loads(said(cli, made, "runs", "ls", "--json", *options))
    assert [run["run"].rpartition("/")[2] for run in listed] == expected


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("nothing", "'nothing' is not a condition"), ("foo=1", "there is no field 'foo' to filter by"),
        ('{"a"', '\'{"a"\' is not JSON'), ("name~(", "'(' is not a regular expression"), ('{"$x": 1}', "'$x' is not an operator"),
    ],
)  # fmt: skip
def test_runs_ls_with_a_wrong_condition_is_one_sentence(cli: Cli, made: Path, where: str, error: str) -> None:
    result = cli("runs", "ls", "--where", where, cwd=made)
    assert result.code == 3 and result.err.startswith(f"error: {error}") and result.out == ""
    as_json = cli("runs", "ls", "--json", "--where", where, cwd=made)
    assert as_json.code == 3 and error in json.loads(as_json.out)["error"]["message"]


def test_runs_ls_as_json_says_all_that_is_known(cli: Cli, made: Path) -> None:
    bad, train, get = json.loads(cli("runs", "ls", "--json", cwd=made).out)
    assert bad["exit_code"] == 3 and get["job_type"] == "load"
    assert train == json.loads(cli("runs", "show", "train", "--json", cwd=made).out)
    assert train | dict.fromkeys(("started", "seen")) | {"used": train["used"][0]["spec"], "logged": train["logged"][0]["spec"]} == {
        "run": "local/uncategorized/train", "name": "nice run", "state": "finished", "started": None, "seen": None, "exit_code": 0,
        "job_type": "training", "group": "g", "tags": ["a", "b"], "notes": "two\nlines", "user": None, "host": None,
        "author": None, "command": ["train.py"], "git": None, "config": {"lr": 0.1, "opt": {"n": "adam"}},
        "summary": {"acc": 1, "loss": "NaN", "list": [1, 2]},
        "used": "local/uncategorized/raw:v0", "logged": "local/uncategorized/model:v0",
    }  # fmt: skip


def test_runs_ls_as_csv_has_a_column_for_each_value(cli: Cli, made: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("runs", "ls", "--csv", cwd=made).out)))
    train = next(row for row in rows if row["run"].endswith("train"))
    assert (train["config.lr"], train["config.opt"], train["summary.acc"]) == ("0.1", '{"n": "adam"}', "1")
    assert (train["notes"], train["used"], train["tags"]) == ("two\nlines", "local/uncategorized/raw:v0", '["a", "b"]')
    assert next(row for row in rows if row["run"].endswith("get"))["config.lr"] == ""


def test_runs_as_csv_have_the_same_order_of_columns_however_many_are_listed(cli: Cli, made: Path) -> None:
    def head(*words: str) -> list[str]:
        return next(csv.reader(io.StringIO(cli(*words, "--csv", cwd=made).out)))

    assert head("runs", "ls") == head("runs", "show", "train")


def test_runs_ls_as_csv_of_no_runs_is_no_blank_line(cli: Cli, made: Path) -> None:
    out = cli("runs", "ls", "--csv", "--where", "state=x", cwd=made).out
    assert out == "run\n"


def test_runs_ls_from_another_place(cli: Cli, own: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    nas, empty = own / "nas", tmp_path_factory.mktemp("empty")
    assert (
        cli("remote", "add", "--init", "nas", nas, cwd=own).code == 0
        or cli("remote", "add", "nas", nas, cwd=own).code == 0
    )
    assert cli("push", "nas", cwd=own).code == 0
    for place, where in (("nas", own), (str(nas), empty)):
        out = cli("runs", "ls", "--from", place, "--json", cwd=where)
        assert [run["run"].rpartition("/")[2] for run in json.loads(out.out)] == ["bad", "train", "get"], out
        assert cli("runs", "ls", "--from", place, cwd=where).out.count("\n") == 4
        history = cli("runs", "show", "train", "--history", "--json", "--from", place, cwd=where)
        assert [row["_step"] for row in json.loads(history.out)] == [0, 1]
        assert "made by run nice run" in cli("lineage", "model", "--from", place, cwd=where).out
    assert list(empty.iterdir()) == []


def test_runs_ls_where_there_is_no_repository(cli: Cli, tmp_path: Path) -> None:
    result = cli("runs", "ls")
    assert result.code == 4 and result.err.startswith("error: ") and result.out == ""


# -- runs show -------------------------------------------------------------------------------------------


def test_runs_show_for_people(cli: Cli, made: Path) -> None:
    assert (
        said(cli, made, "runs", "show", "train").replace('"NaN"', "NaN")
        == """\
run        local/uncategorized/train
name       nice run
state      finished
started    2026-01-01 00:00
last seen  2026-01-01 00:00
job type   training
group      g
tags       a, b
notes      two
           lines
command    train.py
used       local/uncategorized/raw:v0  artifact
logged     local/uncategorized/model:v0  artifact
config     lr = 0.1
           opt = {"n": "adam"}
summary    acc = 1
           list = [1, 2]
           loss = NaN
history    2 steps: artstore runs show --history local/uncategorized/train
"""
    )


def test_runs_show_finds_a_run_of_another_project_by_its_id(cli: Cli, made: Path) -> None:
    shown = said(cli, made, "runs", "show", "bad")
    assert shown.startswith("run        local/other/bad\nstate      failed, exit code 3\n")
    assert said(cli, made, "runs", "show", "other/bad") == said(cli, made, "runs", "show", "local/other/bad") == shown


def test_runs_show_of_none_says_so_with_near_ids(cli: Cli, made: Path) -> None:
    nope = "error: there is no run 'nope' in project local/uncategorized\n"
    assert said(cli, made, "runs", "show", "nope", code=4, err=nope) == ""
    near = "error: there is no run 'tran' in project local/uncategorized\nhint: did you mean 'train'?\n"
    assert said(cli, made, "runs", "show", "tran", code=4, err=near) == ""


def test_runs_show_as_csv_is_one_row(cli: Cli, made: Path) -> None:
    (row,) = csv.DictReader(io.StringIO(cli("runs", "show", "train", "--csv", cwd=made).out))
    assert row["run"] == "local/uncategorized/train" and row["config.lr"] == "0.1" and row["summary.list"] == "[1, 2]"


def test_the_history_as_csv_and_as_json(cli: Cli, made: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("runs", "show", "train", "--history", cwd=made).out)))
    assert list(rows[0]) == ["_step", "_runtime", "_timestamp", "loss", "acc", "list"]
    assert [(row["_step"], row["loss"].lower(), row["acc"], row["list"]) for row in rows] == [
        ("0", "2.5", "", ""), ("1", "nan", "1", "[1, 2]"),
    ]  # fmt: skip
    found = json.loads(cli("runs", "show", "train", "--history", "--json", cwd=made).out)
    assert [(row["_step"], row.get("loss"), row.get("acc")) for row in found] == [(0, 2.5, None), (1, "NaN", 1)]


def test_not_a_number_is_spelled_alike_in_every_csv(cli: Cli, made: Path) -> None:
    history = list(csv.DictReader(io.StringIO(cli("runs", "show", "train", "--history", cwd=made).out)))
    (run,) = csv.DictReader(io.StringIO(cli("runs", "show", "train", "--csv", cwd=made).out))
    assert history[1]["loss"] == run["summary.loss"]


def test_the_history_of_a_run_that_logged_nothing(cli: Cli, made: Path) -> None:
    assert json.loads(cli("runs", "show", "bad", "--history", "--json", cwd=made).out) == []
    assert cli("runs", "show", "bad", "--history", cwd=made).out.strip() == ""


def test_a_crashed_run_shows_its_history_too(cli: Cli, own: Path) -> None:
    code = "import os, artstore\nrun = artstore.init(id='crash')\nrun.log({'a': 1})\nos._exit(0)\n"
    python(own, code)
    shown = said(cli, own, "runs", "show", "crash")
    assert "state      crashed\n" in shown
    assert "history    artstore runs show --history local/uncategorized/crash\n" in shown
    assert len(json.loads(cli("runs", "show", "crash", "--history", "--json", cwd=own).out)) == 1


def test_names_of_runs_can_not_write_to_the_terminal(cli: Cli, own: Path) -> None:
    python(
        own,
        "import artstore\nartstore.init(id='r', name='a\\x1b[31m\\u202eb', notes='\\x07', config={'k\\x1b': '\\x1b'}).finish()\n",
    )
    for words in (["runs", "ls"], ["runs", "show", "r"]):
        out = cli(*words, cwd=own).out
        assert "\x1b" not in out and "\u202e" not in out and "\x07" not in out
        assert "a\\x1b[31m\\u202eb" in out


# -- runs rm ---------------------------------------------------------------------------------------------


def test_a_run_that_is_deleted_is_gone_and_stays_in_the_lineage(cli: Cli, own: Path) -> None:
    assert (
        said(cli, own, "runs", "rm", "train")
        == "deleted run local/uncategorized/train; the versions that it logged stay\n"
    )
    assert "train" not in said(cli, own, "runs", "ls")
    assert [run["run"] for run in json.loads(cli("runs", "ls", "--json", cwd=own).out)] == [
        "local/other/bad",
        "local/uncategorized/get",
    ]
    assert "made by run nice run (deleted)" in said(cli, own, "lineage", "model")
    gone = "error: run local/uncategorized/train was deleted on 2026-01-01\n"
    said(cli, own, "runs", "show", "local/uncategorized/train", code=4, err=_today(gone))
    check(own / ".artifacts")


def test_a_run_that_was_deleted_is_told_as_deleted_by_its_id_alone(cli: Cli, own: Path) -> None:
    cli("runs", "rm", "train", cwd=own)
    for command in ("show", "rm"):
        result = cli("runs", command, "train", cwd=own)
        assert result.code == 4 and re.match(
            r"error: run local/uncategorized/train was deleted on [\d-]{10}\n", result.err
        ), result


def _today(text: str) -> str:
    import datetime

    return text.replace("2026-01-01", datetime.datetime.now(datetime.UTC).date().isoformat())


def test_runs_rm_as_json(cli: Cli, own: Path) -> None:
    assert json.loads(cli("runs", "rm", "other/bad", "--json", cwd=own).out) == {"deleted": "local/other/bad"}


def test_a_run_that_goes_on_is_not_deleted(cli: Cli, own: Path) -> None:
    code = "import sys, artstore\nartstore.init(id='on')\nprint('on', flush=True)\nsys.stdin.read()\n"
    going = subprocess.Popen(
        [sys.executable, "-c", code], cwd=own, env=environment(own), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert going.stdout is not None and going.stdout.readline()
        assert "on                   running" in said(cli, own, "runs", "ls")
        refused = "error: run local/uncategorized/on is running\nhint: finish it first\n"
        said(cli, own, "runs", "rm", "on", code=3, err=refused)
    finally:
        going.communicate(timeout=20)


# -- lineage ---------------------------------------------------------------------------------------------


def test_lineage_as_a_tree(cli: Cli, made: Path) -> None:
    assert (
        said(cli, made, "lineage", "model")
        == """\
model:v0  artifact, 1 B, latest
└─ made by run nice run  finished, training
   └─ which used raw:v0  artifact, 1 B, latest
      └─ made by run get  finished, load
"""
    )
    assert (
        said(cli, made, "lineage", "raw:v0")
        == """\
raw:v0  artifact, 1 B, latest
├─ made by run get  finished, load
└─ used by run nice run  finished, training
   └─ which made model:v0  artifact, 1 B, latest
"""
    )
    assert (
        said(cli, made, "lineage", "raw", "--up")
        == """\
raw:v0  artifact, 1 B, latest
└─ made by run get  finished, load
"""
    )
    assert said(cli, made, "lineage", "model", "--down") == "model:v0  artifact, 1 B, latest\n"
    assert (
        said(cli, made, "lineage", "model", "--up", "--depth", "1")
        == """\
model:v0  artifact, 1 B, latest
└─ made by run nice run  finished, training
   └─ which used raw:v0  artifact, 1 B, latest
"""
    )


def test_lineage_as_mermaid(cli: Cli, made: Path) -> None:
    assert (
        said(cli, made, "lineage", "model", "--format", "mermaid")
        == """\
flowchart LR
    n0["model:v0<br/>artifact, 1 B, latest"]:::start
    n1(["nice run<br/>finished, training"]):::run
    n2["raw:v0<br/>artifact, 1 B, latest"]:::version
    n3(["get<br/>finished, load"]):::run
    n1 --> n0
    n2 --> n1
    n3 --> n2
    classDef version fill:#e8f0fe,stroke:#3b6fc4,color:#1a2a44
    classDef run fill:#fff4e0,stroke:#c98a1b,color:#3d2c0a
    classDef start fill:#cfe0ff,stroke:#1f4fa3,stroke-width:3px,color:#1a2a44
    classDef gone fill:#f4f4f4,stroke:#9a9a9a,stroke-dasharray:4,color:#6a6a6a
"""
    )


def test_lineage_as_dot(cli: Cli, made: Path) -> None:
    assert (
        said(cli, made, "lineage", "model", "--up", "--depth", "1", "--format", "dot")
        == """\
digraph lineage {
    rankdir=LR;
    node [fontname="sans-serif", fontsize=11, style=filled];
    n0 [label="model:v0\\nartifact, 1 B, latest", shape=box, fillcolor="#cfe0ff", color="#1f4fa3", penwidth=3];
    n1 [label="nice run\\nfinished, training", shape=ellipse, fillcolor="#fff4e0", color="#c98a1b"];
    n2 [label="raw:v0\\nartifact, 1 B, latest", shape=box, fillcolor="#e8f0fe", color="#3b6fc4"];
    n1 -> n0;
    n2 -> n1;
}
"""
    )


def test_lineage_as_json_and_as_a_picture(cli: Cli, made: Path, tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(cli("lineage", "model", "--json", cwd=made).out)
    assert found == json.loads(cli("lineage", "model", "--format", "json", cwd=made).out)
    assert [node["name"] for node in found["nodes"]] == ["model:v0", "nice run", "raw:v0", "get"]
    assert len(found["edges"]) == 3
    picture = cli("lineage", "model", "--format", "svg", cwd=made).out
    assert len(ET.fromstring(picture).findall("{http://www.w3.org/2000/svg}g")) == 4
    for form in ("svg", "mermaid", "dot", "json", "tree"):
        file = tmp_path / f"out.{form}"
        assert said(cli, made, "lineage", "model", "--format", form, "-o", str(file)) == ""
        assert file.read_text().rstrip("\n") == cli("lineage", "model", "--format", form, cwd=made).out.rstrip("\n")
        assert file.read_bytes().endswith(b"\n"), form


def test_lineage_of_none_and_into_nowhere(cli: Cli, made: Path) -> None:
    nope = (
        "error: there is no artifact 'nope' in project local/uncategorized\nhint: `artstore ls` lists all artifacts\n"
    )
    said(cli, made, "lineage", "nope", code=4, err=nope)
    nowhere = "error: cannot write /nowhere/x.svg: no such file or directory\n"
    said(cli, made, "lineage", "model", "--format", "svg", "-o", "/nowhere/x.svg", code=9, err=nowhere)
    assert cli("lineage", "model", "--depth", "0", cwd=made).code == 2
    assert cli("lineage", "model", "--format", "pdf", cwd=made).code == 2


def test_a_failed_lineage_leaves_the_file_that_was_there(cli: Cli, made: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.svg"
    file.write_text("kept")
    assert cli("lineage", "nope", "--format", "svg", "-o", file, cwd=made).code == 4
    assert file.read_text() == "kept"
    assert os.listdir(tmp_path) == ["kept.svg"]


def test_columns_and_sort_that_are_given_twice_add_up(cli: Cli, made: Path) -> None:
    twice = said(cli, made, "runs", "ls", "--columns", "state", "--columns", "id,group", "--csv")
    assert twice.splitlines()[0] == "run,state,id,group"
    rows = said(
        cli, made, "runs", "ls", "--columns", "state", "--sort", "-state", "--sort", "id", "--csv"
    ).splitlines()[1:]
    found = [(state, run) for run, state in (row.split(",") for row in rows)]
    assert len(found) == 3 and found == sorted(
        sorted(found, key=lambda pair: pair[1]), key=lambda p: p[0], reverse=True
    )


@pytest.fixture
def named(here: Path) -> Path:
    """Runs in a project of another entity: two of the name `twice`, one `once`, one whose name is another's id."""
    for id, name in (("a1", "twice"), ("a2", "twice"), ("a3", "once"), ("a4", "a1"), ("a5", "lr=1 / a#b")):
        with wandb.init(entity="team", project="digits", id=id, name=name) as run:
            artifact = wandb.Artifact("model", "model")
            with artifact.new_file("f") as file:
                file.write(id)
            run.log_artifact(artifact)
    return here


def test_a_run_is_named_by_its_name_where_no_other_run_has_it(cli: Cli, named: Path) -> None:
    for text in ("once", "digits/once", "team/digits/once", "a3", "digits/a3"):
        assert json.loads(cli("runs", "show", text, "--json", cwd=named).out)["run"] == "team/digits/a3"
        assert cli("lineage", text, cwd=named).out.splitlines()[0] == "run once  finished"
    assert json.loads(cli("runs", "show", "a1", "--json", cwd=named).out)["name"] == "twice", "an id wins over a name"
    assert json.loads(cli("runs", "show", "lr=1 / a#b", "--json", cwd=named).out)["run"] == "team/digits/a5"
    assert cli("runs", "rm", "once", cwd=named).out.startswith("deleted run team/digits/a3")


def test_a_name_that_several_runs_have_is_refused_with_their_ids(cli: Cli, named: Path) -> None:
    told = "error: 2 runs have the name 'twice'\nhint: name one by its id: team/digits/a1, team/digits/a2\n"
    for command in ("runs show twice", "runs diff twice a3", "runs files twice", "runs rm twice", "lineage twice"):
        done = cli(*command.split(), cwd=named)
        assert (done.code, done.err) == (4, told)
    assert cli("lineage", "nothing", cwd=named).err.startswith("error: there is no artifact 'nothing'")


def test_lineage_of_a_run_shows_what_it_used_and_made(cli: Cli, named: Path) -> None:
    with wandb.init(entity="team", project="digits", id="b", name="next") as run:
        run.use_artifact("model:v0")
        artifact = wandb.Artifact("report", "report")
        with artifact.new_file("f") as file:
            file.write("1")
        run.log_artifact(artifact)
    lines = cli("lineage", "next", cwd=named).out.splitlines()
    assert [line.partition("  model,")[0].partition("  report,")[0] for line in lines] == [
        "run next  finished",
        "├─ which used digits/model:v0",
        "│  └─ made by run twice  finished",
        "└─ which made digits/report:v0",
    ]
    up = json.loads(cli("lineage", "next", "--up", "--depth", "1", "--json", cwd=named).out)
    assert [node["kind"] for node in up["nodes"]] == ["run", "version"]


def test_the_entity_of_the_first_run_is_the_default_of_a_new_repository(cli: Cli, named: Path) -> None:
    assert cli("config", "core.entity", cwd=named).out == "team\n"
    for command in ("ls digits", "ls digits/", "ls team/digits", "ls team", "ls --project digits"):
        assert "digits/model" in cli(*command.split(), cwd=named).out, command
    assert cli("show", "digits/model", cwd=named).code == 0
    assert str(wandb.Api().artifact("digits/model:v0").qualified_name) == "team/digits/model:v0"


def test_the_only_entity_of_what_was_cloned_is_the_default_of_the_clone(cli: Cli, named: Path, tmp_path: Path) -> None:
    assert cli("remote", "add", "nas", str(tmp_path / "nas"), "--init", cwd=named).code == 0
    assert cli("push", cwd=named).code == 0
    assert "digits/model: got" in cli("clone", str(tmp_path / "nas"), "bob", cwd=tmp_path).out
    assert cli("show", "digits/model", cwd=tmp_path / "bob").code == 0
    told = cli("get", "digit/model", cwd=tmp_path / "bob").err
    assert told.endswith("hint: did you mean 'digits/model'? `artstore pull` may bring more from a remote\n")
    assert cli("runs", "show", "digits/onc", cwd=tmp_path / "bob").err.endswith("hint: did you mean 'once'?\n")


def test_what_another_entity_has_is_listed_without_it_and_named_by_errors(cli: Cli, named: Path) -> None:
    cli("config", "core.entity", "me", cwd=named)
    for command in ("runs ls digits", "ls digits", "ls digits/", "ls team/digits", "ls team", "ls --project digits"):
        assert "team/digits/" in cli(*command.split(), cwd=named).out, command
    for command in ("show digits/model", "get digits/model", "log digits/model", "alias digits/model x"):
        assert "hint: did you mean 'team/digits/model'?\n" in cli(*command.split(), cwd=named).err, command
    assert cli("show", "digits", cwd=named).err.splitlines()[1] == (
        "hint: that is a project of another entity: `artstore ls --project team/digits` lists it"
    )
    assert cli("show", "team", cwd=named).err.endswith("that is an entity: `artstore ls team/` lists it\n")
    with wandb.init(entity="others", project="digits"):
        pass
    done = cli("runs", "ls", "digits", cwd=named)
    assert (done.code, done.err) == (
        4, "error: there is no project 'me/digits'\nhint: did you mean 'others/digits' or 'team/digits'?\n"
    )  # fmt: skip


def test_the_names_that_a_run_says_at_its_end_can_be_typed(
    here: Path, cli: Cli, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_SILENT", raising=False)
    with wandb.init(entity="team", project="digits") as run:
        artifact = wandb.Artifact("model", "model")
        with artifact.new_file("f") as file:
            file.write("1")
        run.log_artifact(artifact)
    said = capfd.readouterr().err
    name = re.search(r"logged: (\S+)", said)
    assert name is not None and name[1] == "digits/model:v0", said
    assert cli("show", name[1], cwd=here).code == 0


def test_tables_of_runs_are_counted_and_listed_when_they_are_asked_for(here: Path, cli: Cli) -> None:
    with wandb.init(id="r") as run:
        run.log({"t": wandb.Table(["a"], [[1]]), "u": wandb.Table(["a"], [[2]])})
    assert (cli("ls", cwd=here).out, cli("ls", cwd=here).err) == ("", "2 tables of runs (--all lists them)\n")
    artifact = wandb.Artifact("model", "model")
    with artifact.new_file("f") as file:
        file.write("1")
    with wandb.init(id="s") as run:
        run.log_artifact(artifact)
    plain_list = cli("ls", cwd=here)
    assert "run-r-t" not in plain_list.out and plain_list.err == "and 2 tables of runs (--all lists them)\n"
    for every in (["--all"], ["--json"], ["--type", "run_table"], ["--where", "size>0"]):
        done = cli("ls", *every, cwd=here)
        assert "run-r-t" in done.out and done.err == "", every

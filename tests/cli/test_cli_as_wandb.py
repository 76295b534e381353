"""`artstore artifact` with the options of `wandb artifact`, and names of several entities."""

import json
from pathlib import Path

import pytest

import artstore as wandb
from tests.support.artifacts import draft, log
from tests.support.commands import Cli


def test_artifact_put_takes_wandbs_options(cli: Cli, here: Path) -> None:
    (here / "f").write_text("1")
    put = ("artifact", "put", "f", "-n", "p/data", "--skip_cache", "--policy", "immutable")
    assert cli(*put, cwd=here).out.startswith("made a repository") and cli(*put, cwd=here).code == 0
    assert (
        "'wrong' is not one of 'mutable', 'immutable'" in cli("artifact", "put", "f", "--policy", "wrong", cwd=here).err
    )
    for words in (["-t", "job"], ["-t", "wandb-x"]):
        refused = cli(*put, *words, cwd=here)
        assert refused.code == 3 and "is reserved for internal use" in refused.err


def test_artifact_put_logs_to_the_run_that_is_named_or_to_the_latest(cli: Cli, here: Path) -> None:
    (here / "f").write_text("1")
    made = cli("artifact", "put", "f", "-n", "p/data", "--id", "mine", "-a", "raw", cwd=here)
    assert made.out == "saved local/p/data:v0 as an output of run local/p/mine\n"
    (here / "f").write_text("2")
    with wandb.init(project="p", id="newest"):
        pass
    told = json.loads(cli("artifact", "put", "f", "-n", "p/data", "-t", "dataset", "--resume", "--json", cwd=here).out)
    assert told == {"spec": "local/p/data:v1", "run": "local/p/newest"}
    (here / "d").mkdir()
    (here / "d/g").write_text("3")
    assert cli("artifact", "put", "d", "-n", "q/first", "--resume", cwd=here).code == 0
    api = wandb.Api()
    for spec, run in {"p/data:raw": "mine", "p/data": "newest"}.items():
        version = api.artifact(spec)
        made_by = version.logged_by()
        assert (version.type, made_by and made_by.id, made_by and made_by.state) == ("dataset", run, "finished")
    assert [entry.path for entry in api.artifact("q/first").files()] == ["g"]


def test_artifact_ls_lists_the_newest_version_of_each_by_type(cli: Cli, here: Path) -> None:
    for name, type in (("net", "model"), ("a", "dataset"), ("b", "dataset")):
        log(draft(name, "1", type=type), project="p")
    log(draft("net", "22", type="model"), project="p")
    wandb.Api().artifact("p/a").delete(delete_aliases=True)
    lines = [line.split() for line in cli("artifact", "ls", "p", cwd=here).out.splitlines()]
    assert [[line[0], *line[-3:]] for line in lines[1:]] == [
        ["dataset", "p/a", "(no", "versions)"], ["dataset", "1", "B", "p/b:v0"], ["model", "2", "B", "p/net:v1"],
    ]  # fmt: skip
    assert "p/net:v1" in cli("artifact", "ls", cwd=here).out


def test_artifact_cache_cleanup_has_nothing_to_do(cli: Cli, here: Path) -> None:
    done = cli("artifact", "cache", "cleanup", "--remove-temp", "10GB", cwd=here)
    assert done.code == 0 and done.out.startswith("Reclaimed 0 B of space: there is no cache of downloads")
    wrong = cli("artifact", "cache", "cleanup", "much", cwd=here)
    assert wrong.code == 3 and "'much' is not a size, such as 10GB" in wrong.err


@pytest.fixture
def team(here: Path) -> None:
    """An artifact and a run of an entity that isn't the default one, and a link to it in a registry."""
    log(draft("own", "1"), project="mine")
    with wandb.init(entity="my-team", project="p", id="r") as run:
        run.link_artifact(run.log_artifact(draft("net", type="model")), "registry-models/net")


def test_an_entity_is_listed_as_a_project_is(cli: Cli, here: Path, team: None) -> None:
    for words in (
        ["ls", "my-team/"],
        ["ls", "my-team/p/"],
        ["ls", "--project", "my-team"],
        ["artifact", "ls", "my-team"],
    ):
        assert "my-team/p/net" in cli(*words, cwd=here).out, words
        assert "own" not in cli(*words, cwd=here).out
    for words in (["runs", "ls", "my-team"], ["runs", "ls", "my-team/p"], ["runs", "ls", "my-team", "--json"]):
        assert "my-team/p/r" in cli(*words, cwd=here).out, words
    assert "own" in cli("ls", "mine/", cwd=here).out and "own" not in cli("ls", "nobody/", cwd=here).out


def test_names_that_are_printed_are_found(cli: Cli, here: Path, team: None) -> None:
    listed = cli("registry", "ls", "models", cwd=here).out.splitlines()[1].split()
    assert listed[0] == "registry-models/net:v0" and listed[2] == "my-team/p/net:v0"
    for name in (listed[0], listed[2], cli("ls", "my-team/", cwd=here).out.splitlines()[1].split()[0]):
        assert cli("show", name, cwd=here).code == 0, name
    shown = wandb.Api().run("my-team/p/r")._repr_html_()
    assert "p/net:v0" in shown and wandb.Api(overrides={"entity": "my-team"}).artifact("p/net:v0").type == "model"

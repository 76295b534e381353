"""Edits of recorded runs through `Api`."""

from pathlib import Path

import pytest

import artstore as wandb
from tests.support.folders import make_tree


def recorded() -> None:
    with wandb.init(id="r", config={"lr": 0.1, "old": 1}, tags=["a"]) as run:
        run.log({"loss": 1})


def test_update_writes_config_name_notes_and_tags_and_keeps_what_others_changed(here: Path) -> None:
    recorded()
    run, other = wandb.Api().run("r"), wandb.Api().run("r")
    run.config["lr"], run.config["new"] = 0.2, {"deep": [1]}
    del run.config["old"]
    run.tags.append("b")
    run.name, run.notes = "best", "a note"
    assert wandb.Api().run("r").config == {"lr": 0.1, "old": 1}
    run.update()
    other.config["other"] = 3
    other.save()
    again = wandb.Api().run("r")
    assert again.config == {"lr": 0.2, "new": {"deep": [1]}, "other": 3}
    assert (again.name, again.display_name, again.notes, again.tags) == ("best", "best", "a note", ["a", "b"])
    assert again.state == "finished"
    number = again._state.number
    again.update()
    assert wandb.Api().run("r")._state.number == number
    again.name = 3
    with pytest.raises(TypeError, match="name must be text"):
        again.update()


def test_edits_of_the_summary_are_written_at_once(here: Path) -> None:
    recorded()
    run = wandb.Api().run("r")
    run.summary["acc"] = 0.5
    run.summary.update({"loss": 2, "extra": 1})
    run.summary.update({"loss": 3}, overwrite=False)
    del run.summary["extra"]
    assert wandb.Api().run("r").summary == {"loss": 2, "acc": 0.5} == run.summary._json_dict
    with pytest.raises(KeyError):
        del run.summary["none"]


def test_media_in_edits_of_the_summary_become_files_of_the_run(here: Path) -> None:
    with wandb.init(project="p", id="r"):
        pass
    (here / "curve.plotly.json").write_text('{"data": [], "layout": {}}')
    found = wandb.Api().run("p/r")
    found.summary["counts"] = wandb.Histogram(np_histogram=([2, 1], [0, 1, 2]))
    found.summary.update({"page": wandb.Html("<b>checked</b>"), "curve": wandb.Plotly("curve.plotly.json")})
    again = wandb.Api().run("p/r")
    assert again.summary["counts"] == {"_type": "histogram", "values": [2, 1], "bins": [0, 1, 2]}
    assert [again.summary[key]["_type"] for key in ("page", "curve")] == ["html-file", "plotly-file"]
    with again.file(again.summary["page"]["path"]).download("x") as file:
        assert "<b>checked</b>" in file.read()
    assert again.file(again.summary["curve"]["path"]).size == 26


def test_versions_are_noted_as_inputs_and_outputs_of_a_run_that_ended(here: Path) -> None:
    recorded()
    with wandb.init(id="s") as run:
        for name in ("one", "two"):
            run.log_artifact(str(make_tree(here / name, {"a": name})), name=name)
    run, api = wandb.Api().run("r"), wandb.Api()
    assert run.use_artifact(api.artifact("one:latest")).name == "one:v0"
    run.log_artifact(api.artifact("two:latest"), aliases=["good"], tags=["t"])
    run.load()
    assert [one.name for one in run.used_artifacts()] == ["one:v0"]
    assert [one.name for one in run.logged_artifacts()] == ["two:v0"]
    assert api.artifact("two:good").tags == ["t"] and run.state == "finished"
    for wrong in (wandb.Artifact("draft", "dataset"), "one:latest"):
        with pytest.raises(ValueError, match=r"You must pass a wandb.Api\(\).artifact\(\)"):
            run.use_artifact(wrong)
    run.wait_until_finished()
    run.delete()

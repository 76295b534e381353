"""Metrics that were defined: nested ones, ones over another one, NaN; and what `define_metric` refuses."""

import math
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.domain.charts import axes_of, hidden_in
from artstore.errors import UsageError


def recorded(run: wandb.Run) -> Any:
    return wandb.Api().run(run.path)


@pytest.mark.parametrize("name", ["train.loss", "train.*", "*"])
def test_a_metric_in_a_dict_is_named_with_a_dot(here: Path, name: str) -> None:
    with wandb.init() as run:
        run.define_metric(name, summary="min,max")
        for loss in (3, 2, 4):
            run.log({"train": {"loss": loss}})
    assert recorded(run).summary["train"] == {"loss": {"min": 2, "max": 4}}


def test_a_dot_in_a_name_may_be_escaped(here: Path) -> None:
    with wandb.init() as run:
        run.define_metric(r"train\.loss", summary="min")
        run.define_metric("test.loss", summary="max")
        for loss in (3, 2, 4):
            run.log({"train.loss": loss, "test.loss": loss, "other.loss": loss})
    summary = recorded(run).summary
    assert (summary["train.loss"], summary["test.loss"], summary["other.loss"]) == ({"min": 2}, {"max": 4}, 4)


@pytest.mark.parametrize(("sync", "epoch"), [(None, 3), (True, 3), (False, None)])
def test_a_step_has_the_last_value_of_the_metric_over_which_it_is_drawn(
    here: Path, sync: bool | None, epoch: int | None
) -> None:
    with wandb.init() as run:
        run.define_metric("acc", step_metric="epoch", step_sync=sync)
        for row in ({"acc": 2, "epoch": 1}, {"epoch": 3}, {"acc": 8}, {"loss": 8}, {"acc": 3, "epoch": 5}):
            run.log(row)
    rows = list(recorded(run).scan_history())
    assert [(row["acc"], row.get("epoch")) for row in rows if "acc" in row] == [(2, 1), (8, epoch), (3, 5)]
    assert "epoch" not in next(row for row in rows if "loss" in row) and recorded(run).summary["epoch"] == 5


def test_infinity_in_a_dict_comes_back_as_a_number(here: Path) -> None:
    with wandb.init() as run:
        run.log({"nested": {"low": [-math.inf, 1], "not": math.nan}})
    (row,) = recorded(run).scan_history()
    assert row["nested"]["low"] == [-math.inf, 1] and math.isnan(row["nested"]["not"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": 3}, {"name": "a*b"}, {"summary": "median"}, {"summary": 2}, {"goal": "up"}, {"goal": 1},
        {"step_metric": 3}, {"step_sync": "y"}, {"hidden": "yes"}, {"overwrite": 1},
    ],
)  # fmt: skip
def test_define_metric_refuses_what_wandbs_does(here: Path, wrong: dict[str, Any]) -> None:
    with wandb.init() as run, pytest.raises(wandb.Error, match=r"^Unhandled define_metric\(\) arg: "):
        run.define_metric(**{"name": "loss", **wrong})


def test_a_run_that_ended_refuses_everything(here: Path) -> None:
    with wandb.init() as run:
        pass
    calls: list[tuple[str, list[Any]]] = [
        ("alert", ["t"]),
        ("define_metric", ["a"]),
        ("mark_preempting", []),
        ("status", []),
    ]
    for name, given in calls:
        with pytest.raises(UsageError, match="is finished"):
            getattr(run, name)(*given)
    for name, value in {"name": "a", "notes": "b", "tags": ["c"]}.items():
        with pytest.raises(UsageError, match="is finished"):
            setattr(run, name, value)
    assert (run.name, run.notes, run.tags) == (run.id, None, ())


@pytest.mark.parametrize("resume", ["must", "never"])
def test_a_run_that_cannot_be_continued_is_a_usage_error(here: Path, resume: str) -> None:
    with wandb.init(id="there"):
        pass
    with pytest.raises(UsageError):
        wandb.init(id="there" if resume == "never" else "nowhere", resume=resume)


@pytest.mark.parametrize(
    ("keys", "why"),
    [("acc", "keys must be specified in a list"), ([["acc"]], "keys argument must be a list of strings")],
)
def test_history_takes_a_list_of_names(here: Path, keys: Any, why: str) -> None:
    with wandb.init() as run:
        run.log({"acc": 1})
    for ask in (recorded(run).history, lambda keys: list(recorded(run).scan_history(keys))):
        with pytest.raises(TypeError, match=why):
            ask(keys=keys)


@pytest.mark.parametrize("tags", [[""], ["a" * 65], ["good", "a" * 65]])
def test_settings_check_tags_and_modes_when_they_are_assigned(here: Path, tags: list[str]) -> None:
    with pytest.raises(ValueError, match="Tags must be between 1 and 64 characters"):
        wandb.Settings(run_tags=tags)
    settings = wandb.Settings(run_tags="one", root_dir=here)
    assert (settings.run_tags, settings.root_dir) == (("one",), str(here))
    with pytest.raises(ValueError, match="mode 'badmode' is not one of"):
        settings.mode = "badmode"


def test_histories_of_several_runs_are_one_list_or_frame(here: Path) -> None:
    pandas = pytest.importorskip("pandas")
    for name in ("one", "two"):
        with wandb.init(id=name) as run:
            run.log({"loss": 2, "acc": 0})
            run.log({"loss": 1})
    runs = wandb.Api().runs()
    rows = [{"_step": step, "loss": 2 - step, "run_id": name} for name in ("one", "two") for step in (0, 1)]
    assert sorted(runs.histories(keys=["loss"]), key=lambda row: (row["run_id"], row["_step"])) == rows
    frame = runs.histories(samples=1, format="pandas")
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 2 and set(frame.run_id) == {"one", "two"}
    none = wandb.Api().runs(filters={"state": "failed"})
    assert none.histories() == [] and none.histories(format="pandas").shape == (0, 0)
    with pytest.raises(ValueError, match="Invalid format: arrow"):
        runs.histories(format="arrow")  # type: ignore[arg-type]  # on purpose


def test_a_defined_metric_is_returned_and_may_be_the_axis_of_others(here: Path) -> None:
    with wandb.init() as run:
        epoch = run.define_metric("epoch", hidden=True)
        loss = run.define_metric("loss", step_metric=epoch, summary="min,last")
        assert (epoch.name, epoch.hidden, epoch.summary, epoch.step_sync) == ("epoch", True, None, False)
        assert (loss.step_metric, loss.step_sync, loss.summary) == ("epoch", True, ("min", "last"))
    assert axes_of(recorded(run).rawconfig) == {"loss": "epoch"}


def test_metrics_are_hidden_until_they_are_defined_otherwise(here: Path) -> None:
    with wandb.init() as run:
        for name, hidden in (("epoch", True), ("raw/*", True), ("loss", None), ("acc", True), ("acc", False)):
            run.define_metric(name, hidden=hidden, step_metric="epoch" if name == "loss" else None)
    assert hidden_in(recorded(run).rawconfig) == ["epoch", "raw/*"]

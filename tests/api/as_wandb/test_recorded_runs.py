"""Recorded runs by W&B's ways: paths, names, runs made by hand, and scans of a history."""

from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import CommError
from tests.support.runs import plain, record

LOGGED = [{"_step": 0, "acc": 0.5}, {"_step": 1, "acc": 0.75}, {"_step": 2, "loss": 1}]


@pytest.fixture
def run(here: Path) -> Any:
    record("r", [{"acc": 0.5}, {"acc": 0.75}, {"loss": 1}])
    return wandb.Api().run("r")


def test_each_loop_over_a_history_begins_with_its_first_row(run: Any) -> None:
    for scan in (run.scan_history(), run.beta_scan_history(max_step=100)):
        for row in scan:
            assert row["_step"] == 0
            break
        assert plain(scan) == plain(scan) == LOGGED
        with pytest.raises(StopIteration):
            next(scan)
    assert next(run.scan_history())["acc"] == 0.5 and plain(run.scan_history(max_step=1)) == LOGGED[:1]


def test_rows_of_chosen_metrics_have_their_step(run: Any) -> None:
    assert list(run.scan_history(["acc"])) == list(run.scan_history(["_step", "acc"])) == LOGGED[:2]
    assert run.history(keys=["acc"], x_axis="acc", pandas=False) == [{"acc": 0.5}, {"acc": 0.75}]
    for wrong, text in (("acc", "keys must be specified in a list"), ([["acc"]], "must be a list of strings")):
        with pytest.raises(CommError, match=text):
            run.scan_history(keys=wrong)


def test_a_path_names_a_project_or_a_run(run: Any) -> None:
    api = wandb.Api()
    for path in ("uncategorized", "local/uncategorized"):
        assert (api.from_path(path).entity, api.from_path(path).name) == ("local", "uncategorized")
    for path in ("local/uncategorized/r", "/local/uncategorized/runs/r"):
        assert api.from_path(path) == api.run(path) == run
    for wrong in ("a/b/sweeps/c", "a/b/c/d", "a/b/runs/d/e"):
        with pytest.raises(wandb.Error, match="Invalid path"):
            api.from_path(wrong)


def test_a_run_is_found_by_its_name_if_no_other_run_has_it(here: Path) -> None:
    for id, name in (("one", "night"), ("two", "night"), ("three", "my best: run")):
        wandb.init(project="p", id=id, name=name).finish()
    assert wandb.Api().run("p/my best: run").id == "three"
    with pytest.raises(ValueError, match="2 runs have the name 'night'"):
        wandb.Api().run("p/night")


def test_a_run_made_by_hand_takes_what_a_recorded_run_takes(here: Path) -> None:
    made = wandb.Api().create_run(project="p", run_id="by-hand", entity="team")
    made.summary.update({"cool": 1000})
    found = wandb.Api().run("team/p/by-hand")
    assert (found.summary["cool"], found.state, found.path) == (1000, "finished", ["team", "p", "by-hand"])
    again = wandb.Api().create_run(project="p", run_id="by-hand", entity="team")
    assert again == found and again.summary["cool"] == 1000
    assert wandb.Api().create_run().path[:2] == ["local", "uncategorized"]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({"tags": {"$all": ["a", "b"]}}, True), ({"tags": {"$all": ("a", "c")}}, False), ({"tags": {"$all": []}}, True),
        ({"tags": ["a", "b"]}, True), ({"tags": {"$in": ("b",), "$nin": ["c"]}}, True), ({}, True), (None, True),
    ],
)  # fmt: skip
def test_runs_are_filtered_by_several_tags(here: Path, filters: Any, fits: bool) -> None:
    wandb.init(project="p", tags=["a", "b"]).finish()
    assert len(wandb.Api().runs("p", filters)) == fits


@pytest.mark.parametrize("wrong", [[], "", 0, {"tags": {"$all": "a"}}, {"$and": {"state": "x"}}, {"$or": [None]}])
def test_what_is_not_a_filter_is_refused(run: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match="a filter is a dict|takes a list"):
        wandb.Api().runs(filters=wrong)

"""Dicts in a summary, pickled runs, and console output, by W&B's ways."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from tests.support.artifacts import draft
from tests.support.together import script


def summary_of(id: str) -> Any:
    return wandb.Api().run(id).summary


CHANGES: list[Any] = [
    (lambda inner: inner.update({"b": 3}, c=4), {"b": 3, "c": 4, "d": {"e": 2}}),
    (lambda inner: inner["d"].update(f=(5, 6)), {"b": 1, "d": {"e": 2, "f": [5, 6]}}),
    (lambda inner: setattr(inner.d, "e", 7), {"b": 1, "d": {"e": 7}}),
    (lambda inner: inner.pop("b"), {"d": {"e": 2}}),
    (lambda inner: inner.__delitem__("d"), {"b": 1}),
    (lambda inner: inner.setdefault("g", {})["h"], {"b": 1, "d": {"e": 2}, "g": {}}),
    (lambda inner: inner.__ior__({"b": None}), {"b": None, "d": {"e": 2}}),
    (lambda inner: inner.clear(), {}),
]


@pytest.mark.parametrize(("change", "left"), CHANGES)
def test_what_is_changed_in_a_dict_of_a_summary_is_written(here: Path, change: Any, left: Any) -> None:
    def applied(inner: Any) -> None:
        try:
            change(inner)
        except KeyError as missing:
            assert missing.args == ("h",)

    with wandb.init(id="active") as run:
        run.summary["a"] = {"b": 1, "d": {"e": 2}}
        run.log_artifact(draft())  # which writes the summary
        applied(run.summary["a"])
        assert run.summary["a"] == left
    assert summary_of("active")["a"] == left
    with wandb.init(id="ended") as run:
        run.summary["a"] = {"b": 1, "d": {"e": 2}}
    applied(summary_of("ended")["a"])
    assert summary_of("ended")["a"] == left


def test_keys_of_a_dict_in_a_summary_are_attributes(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log({"x": {"y": {"z": "w"}}})
        assert run.summary.x.y.z == wandb.summary["x"].y["z"] == "w"
        with pytest.raises(AttributeError, match="the summary has no 'no' there"):
            _ = run.summary.x.no
        told = run.summary["x"]
        assert json.dumps(told) == '{"y": {"z": "w"}}'
        for copied in (copy.deepcopy(told), pickle.loads(pickle.dumps(told))):
            assert type(copied) is dict and copied == told
    with pytest.raises(wandb.Error, match="is finished"):
        told["y"] = 1


def test_a_pickled_run_is_the_run_when_it_is_used(here: Path) -> None:
    with wandb.init(id="r", project="p") as run:
        for copied in (copy.deepcopy(run), copy.copy(run), pickle.loads(pickle.dumps([run]))[0]):
            copied.log({"a": 1})
            copied.notes = "of the copy"
            assert pickle.loads(pickle.dumps(copied)).id == "r"
        assert run.step == 3 and run.notes == "of the copy"
    Path("run.pickle").write_bytes(pickle.dumps(run))
    script("import pickle\nrun = pickle.load(open('run.pickle', 'rb'))")
    assert wandb.Api().run("p/r").state == "finished" and not hasattr(copied, "__len__")
    code = "import pickle\npickle.load(open('run.pickle', 'rb')).log({'a': 2})"
    script(code)
    assert [row["a"] for row in wandb.Api().run("p/r").scan_history()] == [1, 1, 1, 2]


def test_before_init_the_summary_says_what_is_missing() -> None:
    with pytest.raises(wandb.Error, match=r"You must call wandb.init\(\) before wandb.summary\['great'\]"):
        wandb.summary["great"] = 1
    with pytest.raises(wandb.Error, match=r"You must call wandb.init\(\) before wandb.config.lr"):
        wandb.config.lr = 1


@pytest.mark.parametrize("wrong", [{"last": 0}, {"last": -5}, {"per_page": 0}, {"per_page": 500, "last": 10}])
def test_console_logs_refuse_wrong_numbers_at_once(here: Path, wrong: dict[str, int]) -> None:
    wandb.init(id="r").finish()
    with pytest.raises(ValueError, match="takes per_page or last, 1 or more"):
        wandb.Api().run("r").console_logs(**wrong)

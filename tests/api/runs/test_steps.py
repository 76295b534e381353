"""Steps of a run: rows that merge, values of any shape, the summary, and what a step costs."""

import inspect
import math
import os
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.errors import ArtstoreError
from tests.support.marks import mostly_long
from tests.support.runs import folder, open_files, record, root, rows
from tests.support.together import script

# -- steps -----------------------------------------------------------------------------------------------


def test_each_log_is_a_step_of_its_own(here: Path) -> None:
    record("r", [{"loss": 2.5}, {"loss": 1.5, "acc": 0.5}, {"acc": 1}])
    assert rows("r") == [{"_step": 0, "loss": 2.5}, {"_step": 1, "loss": 1.5, "acc": 0.5}, {"_step": 2, "acc": 1}]


def test_a_row_tells_its_step_and_when_it_was_logged(here: Path) -> None:
    before = time.time()
    record("r", [{"a": 1}, {"a": 2}])
    for number, row in enumerate(wandb.Api().run("r").scan_history()):
        assert row["_step"] == number
        assert before - 1 <= row["_timestamp"] <= time.time()
        assert 0 <= row["_runtime"] <= time.time() - before + 1


def test_rows_of_one_step_merge_until_the_next_one_begins(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log({"a": 1}, step=5)
        run.log({"b": 2}, step=5)
        run.log({"a": 3}, step=9)
        assert run.step == 9
        run.log({"b": 4})
        run.log({"a": 5})
        assert run.step == 11
    assert rows("r") == [
        {"_step": 5, "a": 1, "b": 2},
        {"_step": 9, "a": 3, "b": 4},
        {"_step": 10, "a": 5},
    ]


def test_without_commit_more_is_added_to_the_step(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log({"a": 1}, commit=False)
        run.log({"b": 2, "a": 3}, commit=False)
        run.log({"c": 4})
        run.log({"d": 5}, commit=False)
    assert rows("r") == [{"_step": 0, "a": 3, "b": 2, "c": 4}, {"_step": 1, "d": 5}]


def test_commit_ends_a_step_that_was_given(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log({"a": 1}, step=3, commit=True)
        assert run.step == 4
        run.log({"a": 2})
    assert [row["_step"] for row in rows("r")] == [3, 4]


def test_a_step_that_is_over_is_left_out_with_a_warning(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log({"a": 1}, step=5)
        with pytest.warns(UserWarning, match="step 3 is before the current step 5: dropped late, x") as said:
            run.log({"late": 1, "x": 2}, step=3)
        assert said[0].filename == __file__
        with pytest.warns(UserWarning, match="step -1 is before"):
            run.log({"late": 1}, step=-1)
    assert rows("r") == [{"_step": 5, "a": 1}]
    assert "late" not in wandb.Api().run("r").summary


@pytest.mark.parametrize(
    "name", sorted(name for name in wandb.__all__ if inspect.isfunction(getattr(wandb.Run, name, None)))
)
def test_a_function_of_the_module_has_the_signature_of_the_runs_method(name: str) -> None:
    _self, *parameters = inspect.signature(getattr(wandb.Run, name)).parameters.values()
    found = inspect.signature(getattr(wandb, name))
    assert list(found.parameters.values()) == parameters
    assert found.return_annotation == inspect.signature(getattr(wandb.Run, name)).return_annotation
    assert getattr(wandb, name).__name__ == name


@pytest.mark.parametrize("name", ["define_metric", "finish_artifact", "link_model", "log_code", "save", "use_model"])
def test_a_function_of_the_module_that_needs_a_run_says_so_by_its_name(here: Path, name: str) -> None:
    with pytest.raises(wandb.Error, match=rf"there is no active run: call init\(\) before {name}\(\)$"):
        getattr(wandb, name)()


def test_a_function_of_the_module_refuses_what_the_runs_method_refuses(here: Path) -> None:
    with wandb.init(), pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        wandb.define_metric("loss", nothing=1)  # type: ignore[call-arg]  # on purpose


def test_module_level_log_follows_the_active_run(here: Path) -> None:
    wandb.init(id="r")
    wandb.log({"a": 1})
    wandb.log({"a": 2}, step=7)
    wandb.finish()
    assert [row["_step"] for row in rows("r")] == [0, 7]


@pytest.mark.parametrize("step", ["'5'", "1.5", "True", "float('nan')", "[1]", "10**40"])
def test_a_step_that_is_no_whole_number_is_refused_and_spoils_nothing(here: Path, step: str) -> None:
    script(f"""
from artstore.errors import ArtstoreError
run = artstore.init(id="r")
run.log({{"a": 1}})
try:
    run.log({{"a": 2}}, step={step})
    sys.exit("accepted")
except (TypeError, ValueError) as error:
    assert isinstance(error, ArtstoreError), repr(error)
run.log({{"a": 3}})
run.finish()
""")
    assert [row["a"] for row in rows("r")] == [1, 3]


def test_a_step_may_be_a_whole_number_of_numpy(here: Path) -> None:
    pytest.importorskip("numpy")
    script("""
import numpy
with artstore.init(id="r") as run:
    for step in numpy.arange(3, 6):
        run.log({"a": numpy.float32(0.5), "n": step}, step=step)
""")
    assert rows("r") == [{"_step": n, "a": 0.5, "n": n} for n in (3, 4, 5)]


@pytest.mark.parametrize("data", [None, 1, "text", [("a", 1)], {1: 2}, {None: 1}, {("a",): 1}], ids=repr)
def test_what_is_no_dict_of_named_metrics_is_refused_in_a_sentence(here: Path, data: Any) -> None:
    with wandb.init(id="r") as run:
        with pytest.raises(TypeError) as caught:
            run.log(data)
        assert isinstance(caught.value, ArtstoreError)
        run.log({"a": 1})
    assert rows("r") == [{"_step": 0, "a": 1}]


def test_nothing_can_be_logged_after_the_end(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log({"a": 1})
    with pytest.raises(ArtstoreError, match="run r is finished: it can.t record log"):
        run.log({"a": 2})
    with pytest.raises(ArtstoreError, match="there is no active run"):
        wandb.log({"a": 2})


# -- values ----------------------------------------------------------------------------------------------


def test_not_a_number_and_infinities_come_back_as_they_were(here: Path) -> None:
    numpy = pytest.importorskip("numpy")
    record("r", [{"a": math.nan, "b": math.inf, "c": -math.inf, "d": numpy.float32("nan"), "e": 0.1}])
    (row,) = rows("r")
    assert math.isnan(row["a"]) and math.isnan(row["d"])
    assert (row["b"], row["c"], row["e"]) == (math.inf, -math.inf, 0.1)
    frame = wandb.Api().run("r").history()
    assert math.isnan(frame["a"][0]) and frame["b"][0] == math.inf


def test_values_of_any_shape_come_back(here: Path) -> None:
    given = {
        "int": 2**70, "tiny": 5e-324, "bool": True, "none": None, "text": "zwölf\u2028\n\r\x85\x00 🙂", "list": [1, [2.5, "x"]],
        "nested": {"a": {"b": 1}}, "dotted.key/with": 1, "": 0,
    }  # fmt: skip
    record("r", [given, {"after": 1}])
    assert rows("r") == [{"_step": 0, **given}, {"_step": 1, "after": 1}]


@pytest.mark.parametrize("bad", ["a\ud800", "\udcff"])
def test_text_that_is_not_unicode_is_refused_in_a_sentence_and_the_run_goes_on(here: Path, bad: str) -> None:
    with wandb.init(id="r") as run:
        for row in ({"value": bad}, {bad: 1}, {"deep": {bad: [bad]}}):
            with pytest.raises(ArtstoreError, match="is not valid Unicode"):
                run.log(row)
        run.log({"after": 1})
    assert [row["after"] for row in rows("r")] == [1]
    assert wandb.Api().run("r").state == "finished"


def test_a_user_s_step_in_the_data_does_not_replace_the_step(here: Path) -> None:
    record("r", [{"_step": 77, "a": 1}, {"_step": "x", "a": 2}])
    assert [row["_step"] for row in rows("r")] == [0, 1]


def test_a_huge_row_is_logged(here: Path) -> None:
    record("r", [{"weights": list(range(200_000))}, {"a": 1}])
    first, second = rows("r")
    assert first["weights"] == list(range(200_000)) and second["a"] == 1


# -- summary ---------------------------------------------------------------------------------------------


def test_summary_is_the_last_value_of_each_metric(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log({"loss": 3, "acc": 0.5})
        run.log({"loss": 1})
        assert dict(run.summary) == {"loss": 1, "acc": 0.5}
        run.summary["best"] = 1
        run.summary.update({"note": "x"})
        del run.summary["acc"]
    assert dict(wandb.Api().run("r").summary) == {"loss": 1, "best": 1, "note": "x"}


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("min", {"min": 1}), ("max", {"max": 4}), ("mean", {"mean": 2.5}), ("first", {"first": 3}), ("last", {"last": 2}),
        ("min,max", {"min": 1, "max": 4}), ("Mean, LAST", {"mean": 2.5, "last": 2}),
    ],
)  # fmt: skip
def test_define_metric_says_what_the_summary_keeps(here: Path, asked: str, kept: dict[str, Any]) -> None:
    with wandb.init(id="r") as run:
        run.define_metric("loss", summary=asked)
        for loss in (3, 1, 4, 2):
            run.log({"loss": loss, "other": loss})
    assert dict(wandb.Api().run("r").summary) == {"loss": kept, "other": 2}


def test_define_metric_none_keeps_nothing_in_the_summary(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.define_metric("loss", summary="none")
        run.log({"loss": 3, "other": 1})
    assert dict(wandb.Api().run("r").summary) == {"other": 1}
    assert rows("r") == [{"_step": 0, "loss": 3, "other": 1}]


def test_define_metric_takes_globs_and_the_name_itself_comes_first(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.define_metric("epoch")
        run.define_metric("val/*", step_metric="epoch", summary="max")
        run.define_metric("val/loss", summary="min")
        wandb.define_metric("train/*", summary="mean")
        for value in (2, 1, 3):
            run.log({"val/loss": value, "val/acc": value, "train/x": value, "value": value})
    assert dict(wandb.Api().run("r").summary) == {
        "val/loss": {"min": 1}, "val/acc": {"max": 3}, "train/x": {"mean": 2}, "value": 3,
    }  # fmt: skip


def test_define_metric_accepts_all_that_wandb_does(here: Path) -> None:
    with wandb.init(id="r") as run:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run.define_metric("loss", summary="best", goal="minimize")
            run.define_metric("acc", summary="copy", hidden=True, step_sync=True, overwrite=True)
        for value in (2, 1, 3):
            run.log({"loss": value, "acc": value})
    assert wandb.Api().run("r").summary["acc"] == 3


def test_define_metric_refuses_an_unknown_summary_in_a_sentence(here: Path) -> None:
    with wandb.init() as run, pytest.raises(ValueError, match=r"Unhandled define_metric\(\) arg: summary op: median"):
        run.define_metric("loss", summary="median")


def test_not_a_number_does_not_spoil_least_and_mean(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.define_metric("loss", summary="min,max,mean,last")
        for loss in (2.0, math.nan, 4.0):
            run.log({"loss": loss})
    assert wandb.Api().run("r").summary["loss"] == {"min": 2.0, "max": 4.0, "mean": 3.0, "last": 4.0}


# -- costs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", mostly_long([60_000, 100_000], 60_000))
def test_very_many_steps_cost_one_short_write_each_and_are_sealed(
    here: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    calls = {"write": 0, "bytes": 0, "open": 0, "fsync": 0}
    write, opening, sync = os.write, os.open, os.fsync

    def counting_write(fd: int, data: Any) -> int:
        calls["write"] += 1
        calls["bytes"] += len(data)
        return write(fd, data)

    def counting_open(*args: Any, **more: Any) -> int:
        calls["open"] += 1
        return opening(*args, **more)

    def counting_sync(fd: int) -> None:
        calls["fsync"] += 1
        sync(fd)

    run = wandb.init(id="r")
    with monkeypatch.context() as counted:
        counted.setattr(os, "write", counting_write)
        counted.setattr(os, "open", counting_open)
        counted.setattr(os, "fsync", counting_sync)
        for step in range(steps):
            run.log({"loss": 1 / (step + 1)})
    assert steps <= calls["write"] <= steps + 200
    assert calls["bytes"] < 250 * steps  # each row once as a line, once sealed
    assert calls["open"] < 300 and calls["fsync"] < 100, calls
    parts_while_it_runs = opened(root()).runs.find(run._path).history
    assert parts_while_it_runs, "a long run's history is in the store while it goes on"
    run.finish()
    assert open_files("r") == []
    state = opened(root()).runs.find(run._path)
    assert sum(part["rows"] for part in state.history.values()) == steps
    assert all(part["blob"] and not part["text"] for part in state.history.values())
    assert len(os.listdir(folder("r"))) < 20
    done = [row["_step"] for row in wandb.Api().run("r").scan_history()]
    assert done == list(range(steps))
    assert len(wandb.Api().run("r").history()) == 500


def test_a_short_history_is_in_the_log_itself_and_a_longer_one_is_a_blob(here: Path) -> None:
    record("short", [{"a": n} for n in range(10)])
    record("long", [{"a": n} for n in range(200)])
    for run, is_blob in (("short", False), ("long", True)):
        assert open_files(run) == []
        (part,) = wandb.Api().run(run)._state.history.values()
        assert (part["blob"] is not None, part["text"] is None) == (is_blob, is_blob)
        assert (part["rows"], part["first"], part["last"]) == ((200, 0, 199) if is_blob else (10, 0, 9))


def test_a_run_that_logs_nothing_has_no_history(here: Path) -> None:
    record("r", [])
    run = wandb.Api().run("r")
    assert list(run.scan_history()) == [] and run.last_history_step == -1
    assert len(run.history()) == 0 and run.history(pandas=False) == []

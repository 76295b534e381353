"""Runs: what is logged is there, whoever ends how; read back through the Api, from clones and remotes."""

import inspect
import json
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api import media
from artstore.api.handles import opened
from artstore.backends.storage import FolderStorage
from artstore.domain.codec import decode, encode_rows
from artstore.domain.digest import plain_digest
from artstore.errors import ArtstoreError, DamagedLog, NotFound
from artstore.operations.finding.catalog import Catalog, decoded_run
from artstore.repository import Repository
from tests.conftest import check, environment, make_tree
from tests.support.artifacts import draft, log
from tests.support.together import FORK, ended, in_threads, script

Rows = list[dict[str, Any]]


def rows(run: str) -> Rows:
    """What a run logged, without the times."""
    return plain(wandb.Api().run(run).scan_history())


def plain(found: Any) -> Rows:
    return [{key: value for key, value in row.items() if key not in ("_runtime", "_timestamp")} for row in found]


def root() -> str:
    return str(Path(".artifacts").resolve())


def folder(run: str, project: str = "uncategorized") -> Path:
    return Path(".artifacts/runs/local") / project / run


def open_files(run: str) -> list[str]:
    return [name for name in os.listdir(folder(run)) if name.startswith("history.")]


def record(run: str, logged: Rows, **more: Any) -> None:
    with wandb.init(id=run, **more) as active:
        for row in logged:
            active.log(row)


def later() -> float:
    return time.time() + 400 * 86400


class Script:
    """A process that logs, and is told what to do next through its standard input."""

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import os, sys, signal, time\nimport artstore as wandb\n" + code],
            env=environment(Path.home()), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> int:
        self.process.communicate(timeout=20)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.end()


@pytest.fixture
def started() -> Iterator[Any]:
    """Starts scripts; those that are still there at the end are killed."""
    scripts: list[Script] = []

    def start(code: str) -> Script:
        scripts.append(Script(code))
        return scripts[-1]

    yield start
    for one in scripts:
        one.kill() if one.process.poll() is None else one.end()


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
    with pytest.raises(ArtstoreError, match="run r is finished: log comes too late"):
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
def test_text_that_is_not_unicode_is_logged_as_text_or_refused_in_a_sentence(here: Path, bad: str) -> None:
    with wandb.init(id="r") as run:
        for row in ({"value": bad}, {bad: 1}, {"deep": {bad: [bad]}}):
            try:
                run.log(row)
            except ArtstoreError:
                pass
        run.log({"after": 1})
    assert rows("r")[-1]["after"] == 1
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
    with wandb.init() as run, pytest.raises(ValueError, match="summary 'median' is not one of min, max, mean"):
        run.define_metric("loss", summary="median")


def test_not_a_number_does_not_spoil_least_and_mean(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.define_metric("loss", summary="min,max,mean,last")
        for loss in (2.0, math.nan, 4.0):
            run.log({"loss": loss})
    assert wandb.Api().run("r").summary["loss"] == {"min": 2.0, "max": 4.0, "mean": 3.0, "last": 4.0}


# -- costs -----------------------------------------------------------------------------------------------


def test_a_hundred_thousand_steps_cost_one_short_write_each_and_are_sealed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, calls = 100_000, {"write": 0, "bytes": 0, "open": 0, "fsync": 0}
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


# -- ends ------------------------------------------------------------------------------------------------

LOGS_AND_WAITS = """
run = wandb.init(id="r", config={"lr": 1})
for n in range(50):
    run.log({"a": n})
print("logged", flush=True)
sys.stdin.readline()
"""


def test_rows_of_a_killed_process_are_readable_and_resume_seals_each_once(here: Path, started: Any) -> None:
    process = started(LOGS_AND_WAITS)
    assert process.line() == "logged"
    assert wandb.Api().run("r").state == "running"
    assert [row["a"] for row in rows("r")] == list(range(50))
    process.kill()
    assert wandb.Api().run("r").state == "crashed"
    assert [row["a"] for row in rows("r")] == list(range(50))
    assert len(open_files("r")) == 1
    check(here / ".artifacts")
    with wandb.init(id="r", resume="must") as run:
        assert open_files("r") == []
        assert run.resumed and run.config["lr"] == 1
        run.log({"a": 50})
    assert [row["a"] for row in rows("r")] == list(range(51))
    assert wandb.Api().run("r").state == "finished"


def test_a_resumed_run_goes_on_behind_its_last_step(here: Path) -> None:
    record("r", [{"a": 0}, {"a": 1}])
    with wandb.init(id="r", resume="allow") as run:
        assert run.step == 2
        run.log({"a": 2})
        with pytest.warns(UserWarning, match="step 1 is before"):
            run.log({"a": 9}, step=1)
    assert rows("r") == [{"_step": n, "a": n} for n in range(3)]


def test_a_row_that_a_kill_cut_off_is_left_out(here: Path, started: Any) -> None:
    process = started(LOGS_AND_WAITS)
    process.line()
    process.kill()
    (name,) = open_files("r")
    with (folder("r") / name).open("ab") as file:
        file.write(b'{"_step":50,"_runtime":1.0,"_timesta')
    assert [row["a"] for row in rows("r")] == list(range(50))
    check(here / ".artifacts")
    wandb.init(id="r").finish()
    assert open_files("r") == []
    assert [row["a"] for row in rows("r")] == list(range(50))


def test_a_process_killed_at_any_moment_loses_no_row_that_it_was_told_is_logged(here: Path, started: Any) -> None:
    process = started("""
run = wandb.init(id="r")
n = 0
while True:
    run.log({"a": n, "pad": "x" * 5000})
    print(n, flush=True)
    n += 1
""")
    told = -1
    while told < 1500:  # more than one part of 4 MiB
        told = int(process.line())
    process.process.send_signal(signal.SIGKILL)
    told = max([told, *map(int, process.process.stdout.read().split("\n")[:-1])])
    process.end()
    found = [row["a"] for row in rows("r")]
    assert found == list(range(len(found))) and len(found) > told
    wandb.init(id="r", resume="must").finish()
    assert [row["a"] for row in rows("r")] == found
    assert open_files("r") == []


@pytest.mark.parametrize(
    ("code", "exit", "state", "exit_code"),
    [
        ("", 0, "finished", 0),
        ("wandb.finish()", 0, "finished", 0),
        ("wandb.finish(exit_code=3)", 0, "failed", 3),
        ("raise ValueError('x')", 1, "failed", 1),
        ("sys.exit(3)", 3, "failed", 3),
        ("sys.exit(0)", 0, "finished", 0),
        ("sys.exit('sorry')", 1, "failed", 1),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(5)", -2, "failed", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9, "crashed", None),
        ("os._exit(0)", 0, "crashed", None),
    ],
    ids=lambda value: str(value).partition(";")[0],
)  # fmt: skip
def test_how_a_script_ends_is_its_run_s_state(here: Path, code: str, exit: int, state: str, exit_code: Any) -> None:
    script("artstore.init(id='r').log({'a': 1})\nwandb = artstore\n" + code, expected=exit)
    found = wandb.Api().run("r")
    assert (found.state, found.exit_code) == (state, exit_code)
    assert rows("r") == [{"_step": 0, "a": 1}]


def test_an_exception_in_the_block_leaves_the_run_failed_and_its_rows_there(here: Path) -> None:
    with pytest.raises(ZeroDivisionError), wandb.init(id="r") as run:
        run.log({"a": 1}, commit=False)
        raise ZeroDivisionError
    assert wandb.Api().run("r").state == "failed"
    assert rows("r") == [{"_step": 0, "a": 1}]
    assert wandb.run is None


def test_a_second_init_finishes_the_first(here: Path) -> None:
    first = wandb.init(id="one")
    first.log({"a": 1})
    wandb.init(id="two")
    assert wandb.Api().run("one").state == "finished" and open_files("one") == []
    assert wandb.run is not None and wandb.run.id == "two"
    wandb.finish()


# -- forks, threads, several processes -------------------------------------------------------------------


def test_forked_children_log_beside_their_parent_and_nothing_is_lost_or_doubled(here: Path) -> None:
    run = wandb.init(id="r")
    run.log({"who": "parent", "n": 0})

    def child(number: int) -> None:
        for n in range(20):
            run.log({"who": f"child {number}", "n": n})

    children = [FORK.Process(target=child, args=(number,)) for number in range(3)]
    for process in children:
        process.start()
    run.log({"who": "parent", "n": 1})
    assert ended(list(children)) == [0, 0, 0]
    assert wandb.Api().run("r").state == "running"
    run.log({"who": "parent", "n": 2})
    run.finish()
    assert open_files("r") == []
    logged = sorted((row["who"], row["n"]) for row in rows("r"))
    assert logged == sorted(
        [(f"child {c}", n) for c in range(3) for n in range(20)] + [("parent", n) for n in range(3)]
    )


def test_a_child_that_outlives_its_parent_s_run_loses_nothing(here: Path) -> None:
    run = wandb.init(id="r")
    go, gone = os.pipe(), os.pipe()

    def child() -> None:
        run.log({"who": "child", "n": 0})
        os.write(gone[1], b"x")
        os.read(go[0], 1)
        run.log({"who": "child", "n": 1})

    process = FORK.Process(target=child)
    process.start()
    os.read(gone[0], 1)
    run.log({"who": "parent"})
    run.finish()
    os.write(go[1], b"x")
    assert ended([process]) == [0]
    for fd in (*go, *gone):
        os.close(fd)
    assert sorted(row["who"] for row in rows("r")) == ["child", "child", "parent"]
    check(here / ".artifacts")
    wandb.init(id="r", resume="must").finish()
    assert sorted(row["who"] for row in rows("r")) == ["child", "child", "parent"]
    assert open_files("r") == []


def test_threads_that_log_at_once_lose_no_row(here: Path) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with wandb.init(id="r") as run:

            def work(thread: int) -> None:
                for n in range(150):
                    run.log({"x": [thread, n]})

            assert in_threads(*[(work, thread) for thread in range(8)]) == [None] * 8
    finally:
        sys.setswitchinterval(before)
    found = rows("r")
    assert sorted(row.get("x", []) for row in found) == [[t, n] for t in range(8) for n in range(150)]
    assert len({row["_step"] for row in found}) == 8 * 150


def test_two_processes_on_one_run_keep_all_that_both_log(here: Path, started: Any) -> None:
    code = """
run = wandb.init(id="r", config={"%s": 1})
for n in range(100):
    run.log({"%s": n})
run.summary["sum %s"] = n
print("logged", flush=True)
sys.stdin.readline()
run.finish()
"""
    both = [started(code.replace("%s", who)) for who in ("a", "b")]
    assert [process.line() for process in both] == ["logged", "logged"]
    assert wandb.Api().run("r").state == "running"
    assert len(rows("r")) == 200
    assert [process.end() for process in both] == [0, 0]
    run = wandb.Api().run("r")
    assert run.state == "finished" and dict(run.config) == {"a": 1, "b": 1}
    assert {key: value for key, value in run.summary.items() if key.startswith("sum")} == {"sum a": 99, "sum b": 99}
    found = rows("r")
    for who in ("a", "b"):
        assert [row[who] for row in found if who in row] == list(range(100))
    assert open_files("r") == []


def test_a_record_that_was_read_before_the_run_ended_still_finds_its_history(here: Path) -> None:
    active = wandb.init(id="r")
    active.log({"a": 1})
    run = wandb.Api().run("r")
    assert [row["a"] for row in run.scan_history()] == [1]
    active.log({"a": 2})
    active.finish()
    assert [row["a"] for row in run.scan_history()] == [1, 2]
    assert run.last_history_step == 1


def test_history_read_while_parts_are_sealed_has_each_row_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from artstore.api import recording

    monkeypatch.setattr(recording, "SEAL_AT", 2000)
    with wandb.init(id="r") as run:
        for n in range(300):
            run.log({"a": n})
            if n % 25 == 0:
                assert [row["a"] for row in rows("r")] == list(range(n + 1))
        reader = wandb.Api().run("r").scan_history()
        seen = [next(reader)["a"]]
        for n in range(300, 400):
            run.log({"a": n})
        seen += [row["a"] for row in reader]
        assert seen[:300] == list(range(300)) and len(seen) == len(set(seen))


# -- resume ----------------------------------------------------------------------------------------------


def test_a_finished_run_that_is_resumed_keeps_config_summary_history_and_name(here: Path) -> None:
    record("r", [{"loss": 3}], config={"lr": 0.1}, name="nice", tags=["t"], notes="n", group="g", job_type="train")
    with wandb.init(id="r", resume="must", config={"more": 2}) as run:
        assert wandb.Api().run("r").state == "running"
        assert run.resumed and dict(run.config) == {"lr": 0.1, "more": 2} and run.summary["loss"] == 3
        run.log({"acc": 1})
    found = wandb.Api().run("r")
    assert found.state == "finished" and found.exit_code == 0
    assert dict(found.config) == {"lr": 0.1, "more": 2} and dict(found.summary) == {"loss": 3, "acc": 1}
    assert (found.name, found.tags, found.notes, found.group, found.job_type) == ("nice", ["t"], "n", "g", "train")
    assert [set(row) - {"_step"} for row in rows("r")] == [{"loss"}, {"acc"}]


def test_resume_says_whether_the_run_may_or_must_be_there(here: Path) -> None:
    with pytest.raises(NotFound, match="there is no run local/uncategorized/r to resume"):
        wandb.init(id="r", resume="must")
    assert wandb.run is None
    wandb.init(id="r", resume="never").finish()
    with pytest.raises(ValueError, match="run local/uncategorized/r exists already"):
        wandb.init(id="r", resume="never")
    for resume in ("allow", "auto", True, None):
        wandb.init(id="r", resume=resume).finish()
    with pytest.raises(ValueError, match="resume 'perhaps' is not one of allow, must, never, auto"):
        wandb.init(id="r", resume="perhaps")
    assert len(wandb.Api().runs()) == 1


def test_a_failed_run_that_is_resumed_and_ends_well_is_finished(here: Path) -> None:
    wandb.init(id="r").finish(2)
    assert (wandb.Api().run("r").state, wandb.Api().run("r").exit_code) == ("failed", 2)
    wandb.init(id="r").finish()
    assert (wandb.Api().run("r").state, wandb.Api().run("r").exit_code) == ("finished", 0)


def test_a_run_s_id_can_be_used_again_after_it_was_deleted_and_collected(here: Path) -> None:
    record("r", [{"a": n} for n in range(300)], config={"old": 1})
    wandb.Api().run("r").delete()
    opened(root()).gc(now=True)
    with wandb.init(id="r") as run:
        run.log({"new": 1})
    check(here / ".artifacts")
    assert [row.get("new") for row in rows("r")][-1] == 1
    assert "a" not in rows("r")[-1]


# -- what it is called, modes ----------------------------------------------------------------------------


def test_name_notes_tags_and_group_are_recorded_and_can_change(here: Path) -> None:
    with wandb.init(id="r", name="a", group="g", tags=("x", "y"), notes="why", job_type="train") as run:
        assert (run.name, run.group, run.tags, run.notes, run.job_type) == ("a", "g", ("x", "y"), "why", "train")
        run.name, run.notes = "b", None
        run.tags += ("z",)
    found = wandb.Api().run("r")
    assert (found.name, found.display_name, found.notes, found.tags) == ("b", "b", None, ["x", "y", "z"])
    assert (found.group, found.job_type, found.path) == ("g", "train", ["local", "uncategorized", "r"])


@pytest.mark.parametrize("bad", [{"name": 1}, {"tags": [1]}, {"notes": 2.5}, {"group": 3}, {"job_type": {}}], ids=str)
def test_names_that_are_no_text_are_refused_and_the_run_before_goes_on(here: Path, bad: dict[str, Any]) -> None:
    before = wandb.init(id="before")
    with pytest.raises(TypeError) as caught:
        wandb.init(id="r", **bad)
    assert isinstance(caught.value, ArtstoreError)
    assert wandb.run is before
    before.log({"a": 1})


@pytest.mark.parametrize("id", ["", "a/b", "a:b", "..", ".", "a\nb", "x" * 129, "a\\b", "a?b"])
def test_ids_that_are_not_allowed_are_refused(here: Path, id: str) -> None:
    if id:
        with pytest.raises(ValueError):
            wandb.init(id=id)
        assert wandb.run is None
    else:
        wandb.init(id=id).finish()  # as if none was given
        assert len(wandb.Api().runs()[0].id) == 8


@pytest.mark.parametrize("mode", ["online", "offline", "dryrun", "run", "shared"])
def test_all_modes_but_disabled_record_alike(here: Path, mode: str) -> None:
    record("r", [{"a": 1}], mode=mode)
    assert rows("r") == [{"_step": 0, "a": 1}]


def test_a_disabled_run_leaves_nothing_behind(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with wandb.init(config={"lr": 1}) as run:
        run.log({"a": 1})
        run.log({"t": wandb.Table(columns=["x"], data=[[1]])})
        run.log_artifact(draft())
        assert run.summary["a"] == 1 and run.config.lr == 1 and run.disabled
        run.define_metric("a", summary="min")
    assert os.listdir(here) == []


def test_an_unknown_mode_is_refused_in_a_sentence(here: Path) -> None:
    with pytest.raises(ValueError, match="mode 'sometimes' is not one of online, offline"):
        wandb.init(mode="sometimes")


# -- gc --------------------------------------------------------------------------------------------------


def test_gc_keeps_histories_of_runs_that_are_there_and_frees_those_of_deleted_ones(here: Path) -> None:
    noise = random.Random(1)
    for run in ("kept", "gone"):
        record(run, [{"x": noise.random()} for _ in range(3000)])
    repository = opened(root())
    before = repository.usage()
    repository.gc(now=True)
    assert repository.usage() == before
    wandb.Api().run("gone").delete()
    with pytest.raises(NotFound, match="run local/uncategorized/gone was deleted on "):
        wandb.Api().run("gone")
    assert repository.gc(now=True).freed_bytes > 20_000
    assert [row["_step"] for row in rows("kept")] == list(range(3000))
    assert [run.id for run in wandb.Api().runs()] == ["kept"]


def test_gc_of_a_crashed_run_loses_no_row(here: Path, started: Any) -> None:
    process = started(LOGS_AND_WAITS)
    process.line()
    process.kill()
    opened(root()).gc(now=True)
    assert len(rows("r")) == 50


def test_gc_frees_what_a_deleted_crashed_run_left_open(here: Path, started: Any) -> None:
    process = started(LOGS_AND_WAITS)
    process.line()
    process.kill()
    wandb.Api().run("r").delete()
    opened(root()).gc(now=True)
    assert open_files("r") == []


# -- elsewhere -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [5, 500], ids=["short", "long"])
def test_runs_and_their_histories_go_to_a_remote_and_into_a_clone(here: Path, tmp_path: Path, steps: int) -> None:
    with wandb.init(id="r", config={"lr": 0.5}, name="nice") as run:
        run.log_artifact(draft())
        for n in range(steps):
            run.log({"a": n})
    repository = opened(root())
    nas, clone = tmp_path / "nas", tmp_path / "clone/.artifacts"
    repository.remotes.add("nas", str(nas), make=True)
    assert repository.push("nas").runs == 1
    assert repository.push("nas").runs == 0
    expected = rows("r")
    check(nas)
    there = wandb.Api(repository=str(nas)).run("r")
    assert plain(there.scan_history()) == expected and there.config["lr"] == 0.5 and there.state == "finished"
    Repository.clone(str(nas), str(clone))[0].close()
    check(clone)
    again = wandb.Api(repository=str(clone)).run("r")
    assert plain(again.scan_history()) == expected and again.name == "nice"
    with Repository(str(clone)) as cloned:
        cloned.gc(now=True)
    assert plain(again.scan_history()) == expected
    with wandb.init(id="r", resume="must") as run:
        run.log({"more": 1})
    repository.push("nas")
    with Repository(str(clone)) as cloned:
        cloned.pull()
    again.load()
    assert len(plain(again.scan_history())) == steps + 1
    check(clone)
    check(nas)


def test_a_crashed_run_s_rows_go_to_a_remote_once_they_are_sealed(here: Path, tmp_path: Path, started: Any) -> None:
    log(draft())
    process = started(LOGS_AND_WAITS.replace("for n", "run.use_artifact('data')\nfor n"))
    process.line()
    process.kill()
    repository = opened(root())
    repository.remotes.add("nas", str(tmp_path / "nas"), make=True)
    repository.push("nas")
    there = wandb.Api(repository=str(tmp_path / "nas")).run("r")
    assert there.state != "finished"
    wandb.init(id="r", resume="must").finish()
    repository.push("nas")
    assert len(plain(wandb.Api(repository=str(tmp_path / "nas")).run("r").scan_history())) == 50
    check(tmp_path / "nas")


# -- records ---------------------------------------------------------------------------------------------


def test_history_samples_evenly_and_scan_history_gives_all(here: Path) -> None:
    pandas = pytest.importorskip("pandas")
    record("r", [{"a": n} if n % 2 else {"a": n, "b": -n} for n in range(1000)])
    run = wandb.Api().run("r")
    frame = run.history()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 500
    assert frame["_step"].is_monotonic_increasing and frame["_step"].iloc[0] == 0 and frame["_step"].iloc[-1] >= 998
    ten = run.history(samples=10, pandas=False)
    assert [row["_step"] for row in ten] == list(range(0, 1000, 100))
    both = run.history(keys=["a", "b"], pandas=False)
    assert all(set(row) == {"_step", "a", "b"} for row in both) and len(both) == 500
    assert [row["a"] for row in run.scan_history(keys=["a", "b"])] == list(range(0, 1000, 2))
    assert list(run.scan_history(keys=["b"], min_step=10, max_step=15)) == [{"b": -10}, {"b": -12}, {"b": -14}]
    assert [row["_step"] for row in run.scan_history(min_step=997)] == [997, 998, 999]
    assert list(run.scan_history(keys=["nothing"])) == []
    assert run.last_history_step == run.lastHistoryStep == 999
    with pytest.raises(TypeError, match="keys is a list of the names of metrics"):
        list(run.scan_history(keys="a"))  # type: ignore[arg-type]


def test_config_that_names_an_artifact_is_recorded_as_used(here: Path) -> None:
    data = log(draft())
    with wandb.init(id="r", config={"data": data, "lr": 1}) as run:
        run.config["other"] = draft("second", "2")
        assert run.config["data"].id == data.id
    found = wandb.Api().run("r")
    assert sorted(artifact.name for artifact in found.used_artifacts()) == ["data:v0", "second:v0"]
    told = found.config["data"]
    assert told["_type"] == "artifactVersion" and told["id"] == data.id and told["version"] == "v0"
    assert [run.id for run in data.used_by()] == ["r"]


def test_config_takes_a_value_once_unless_it_may_change(here: Path) -> None:
    with wandb.init(id="r", config={"lr": 1, "n": math.inf}) as run:
        with pytest.raises(ValueError, match="config 'lr' is 1 already"):
            run.config.lr = 2
        run.config.update({"lr": 3, "new": (1, 2)}, allow_val_change=True)
        run.config.setdefaults({"lr": 9, "deep": {"a": {"b": 1}}})
        assert run.config.lr == 3 and run.config["deep"]["a"]["b"] == 1
    config = wandb.Api().run("r").config
    assert (config["lr"], config["new"], config["deep"]) == (3, [1, 2], {"a": {"b": 1}})
    assert json.loads(wandb.Api().run("r").json_config)["lr"] == 3


def test_a_deleted_run_takes_its_artifacts_along_only_when_asked(here: Path) -> None:
    for run in ("one", "two"):
        with wandb.init(id=run) as active:
            active.log_artifact(draft(f"data-{run}"))
    wandb.Api().run("one").delete()
    wandb.Api().run("two").delete(delete_artifacts=True)
    assert wandb.Api().artifact_exists("data-one") and not wandb.Api().artifact_exists("data-two")
    with pytest.raises(NotFound):
        wandb.Api().run("one").delete()


def test_delete_with_artifacts_leaves_those_that_an_alias_or_a_link_holds(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log_artifact(draft("held"), aliases=["prod"])
        run.log_artifact(draft("linked")).link("registry-x/y")
        run.log_artifact(draft("free"))
    wandb.Api().run("r").delete(delete_artifacts=True)
    assert wandb.Api().artifact_exists("held:prod") and wandb.Api().artifact_exists("linked:v0")
    assert not wandb.Api().artifact_exists("free")
    assert list(wandb.Api().runs()) == []


# -- queries ---------------------------------------------------------------------------------------------


@pytest.fixture
def three(here: Path) -> list[str]:
    record(
        "a",
        [{"acc": 0.5, "best": {"max": 1}}],
        config={"lr": 0.1, "opt": {"name": "adam"}, "x.y": 1},
        tags=["t", "u"],
        group="g",
    )
    record(
        "b",
        [{"acc": 0.9}],
        config={"lr": 0.01, "opt": {"name": "sgd"}, "flag": True},
        tags=["t"],
        name="bee",
        job_type="train",
    )
    wandb.init(id="c", config={"lr": "auto"}, notes="hello").finish(1)
    return ["a", "b", "c"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, "abc"),
        ({"config.lr": 0.1}, "a"), ({"config.lr": {"$eq": 0.01}}, "b"), ({"config.lr": {"$ne": 0.1}}, "bc"),
        ({"config.lr": {"$lt": 0.1}}, "b"), ({"config.lr": {"$lte": 0.1}}, "ab"), ({"config.lr": {"$gt": 0.01}}, "a"),
        ({"config.lr": {"$gte": 0.01, "$lt": 0.1}}, "b"),
        ({"config.lr": {"$in": [0.1, "auto"]}}, "ac"), ({"config.lr": {"$nin": [0.1, "auto"]}}, "b"),
        ({"config.flag": {"$exists": True}}, "b"), ({"config.flag": {"$exists": False}}, "ac"), ({"config.flag": 1}, ""),
        ({"config.opt.name": "adam"}, "a"), ({"config.x.y": 1}, "a"), ({"config.opt.name": {"$regex": "^s"}}, "b"),
        ({"summary_metrics.acc": {"$gt": 0.6}}, "b"), ({"summary.best.max": 1}, "a"), ({"summary_metrics.acc": None}, "c"),
        ({"state": "failed"}, "c"), ({"state": {"$ne": "failed"}}, "ab"), ({"state": {"$in": ["finished", "crashed"]}}, "ab"),
        ({"tags": "u"}, "a"), ({"tags": {"$in": ["t", "z"]}}, "ab"), ({"tags": {"$nin": ["u"]}}, "bc"),
        ({"name": "b"}, "b"), ({"id": "b"}, "b"), ({"displayName": "bee"}, "b"), ({"display_name": {"$regex": "ee"}}, "b"),
        ({"jobType": "train"}, "b"), ({"job_type": "train"}, "b"), ({"group": "g"}, "a"), ({"notes": {"$contains": "ell"}}, "c"),
        ({"createdAt": {"$gt": "2020-01-01"}}, "abc"), ({"created_at": {"$lt": "2020-01-01T00:00:00"}}, ""),
        ({"$or": [{"name": "a"}, {"state": "failed"}]}, "ac"), ({"$and": [{"tags": "t"}, {"tags": "u"}]}, "a"),
        ({"$not": {"name": "a"}}, "bc"), ({"$nor": [{"name": "a"}, {"name": "b"}]}, "c"), ({"name": {"$not": {"$in": ["a"]}}}, "bc"),
        ({"tags": "t", "config.lr": {"$not": {"$gt": 0.05}}}, "b"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_runs_that_fit_a_filter(three: list[str], condition: dict[str, Any], expected: str) -> None:
    assert "".join(run.id for run in wandb.Api().runs(filters=condition)) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("+created_at", "abc"), ("-created_at", "cba"), ("created_at", "abc"), ("-heartbeat_at", "cba"),
        ("+summary_metrics.acc", "abc"), ("-summary_metrics.acc", "bac"), ("-config.lr", "cab"), ("+config.lr.value", "bac"),
    ],
)  # fmt: skip
def test_runs_in_an_order(three: list[str], order: str, expected: str) -> None:
    found = "".join(run.id for run in wandb.Api().runs(order=order))
    assert found == expected or ("config.lr" in order and found.replace("c", "") == expected.replace("c", ""))


@pytest.mark.parametrize(
    "condition",
    [
        {"confg.lr": 1}, {"state": {"$gr": 1}}, {"$xor": []}, {"$and": {"name": "a"}}, {"name": {"$in": "a"}}, [1], "name",
        {"name": {"$regex": "("}}, {"name": {"$regex": 1}}, {"name": {"$eq": "a", "x": 1}}, {"state.x": 1}, {5: 1}, {None: 1},
        {"name": {"$eq": 1, 5: 2}}, {"": 1}, {"$or": [1]},
    ],
    ids=repr,
)  # fmt: skip
def test_a_wrong_filter_is_an_error_in_one_sentence(here: Path, condition: Any) -> None:
    record("a", [])
    with pytest.raises((ValueError, TypeError)) as caught:
        list(wandb.Api().runs(filters=condition))
    assert isinstance(caught.value, ArtstoreError), repr(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_filter_is_told_where_there_are_no_runs_yet(here: Path) -> None:
    Repository.init(root()).close()
    with pytest.raises(ValueError, match="there is no field 'confg.lr' to filter by"):
        list(wandb.Api().runs(filters={"confg.lr": 1}))


@pytest.mark.parametrize("order", ["+nothing", "-confg.lr", ""])
def test_a_wrong_order_is_an_error_in_one_sentence(three: list[str], order: str) -> None:
    with pytest.raises(ValueError) as caught:
        wandb.Api().runs(order=order)
    assert isinstance(caught.value, ArtstoreError)


def test_runs_are_a_listing(three: list[str]) -> None:
    found = wandb.Api().runs()
    assert len(found) == 3 and found[0].id == "a" and [run.id for run in found[1:]] == ["b", "c"]
    assert found[-1] == wandb.Api().run("c") and len(set(found)) == 3
    assert list(wandb.Api().runs("elsewhere")) == []
    assert wandb.Api().run("local/uncategorized/runs/a").id == "a"
    with pytest.raises(NotFound):
        wandb.Api().run("d")


# -- tables, media, models, code -------------------------------------------------------------------------


def test_a_table_that_is_logged_becomes_an_artifact(here: Path) -> None:
    table = wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]])
    with wandb.init(id="r") as run:
        run.log({"val/predictions": table, "acc": 1})
    (artifact,) = wandb.Api().run("r").logged_artifacts()
    assert artifact.type == "run_table" and artifact.name.startswith("run-r-")
    assert artifact.get("val/predictions") == table
    (row,) = rows("r")
    assert row["acc"] == 1 and (row["val/predictions"]["ncols"], row["val/predictions"]["nrows"]) == (2, 2)


def test_media_are_left_out_with_one_warning_a_kind(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "_said", set())
    with wandb.init(id="r") as run:
        with pytest.warns(UserWarning, match="artstore keeps no Image in a run's history: 'pic' is left out") as said:
            for n in range(3):
                run.log({"pic": wandb.Image("nothing.png"), "a": n})
        assert len(said) == 1 and said[0].filename == __file__
        with pytest.warns(UserWarning, match="no Histogram"):
            run.log({"h": wandb.Histogram([1, 2])})
    assert [row.get("a") for row in rows("r")][:3] == [0, 1, 2]
    assert "pic" not in wandb.Api().run("r").summary


@pytest.mark.parametrize("shape", ["list", "dict", "tuple"])
def test_media_inside_lists_and_dicts_are_left_out_as_well(
    here: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "_said", set())
    image = wandb.Image("x.png")
    value = {"list": [image, image], "dict": {"one": image}, "tuple": (image,)}[shape]
    with wandb.init(id="r") as run, pytest.warns(UserWarning, match="artstore keeps no Image"):
        run.log({"examples": value, "a": 1})
    (row,) = rows("r")
    assert row["a"] == 1 and "object at 0x" not in json.dumps(row)


def test_log_code_takes_source_files_alone(here: Path) -> None:
    make_tree(
        here / "src",
        {"a.py": "1", "d/b.py": "2", "c.bin": "3", "requirements.txt": "x", ".git/x.py": "", "notes.md": ""},
    )
    with wandb.init(id="r") as run:
        code = run.log_code("src")
        assert code is not None and code.type == "code"
        assert sorted(code.manifest.entries) == ["a.py", "d/b.py", "requirements.txt"]
        chosen = run.log_code("src", name="chosen", include_fn=lambda path: path.endswith(".md"))
        assert chosen is not None and list(chosen.manifest.entries) == ["notes.md"]
        without = run.log_code(
            "src", name="w", exclude_fn=lambda path, root: os.path.relpath(path, root).startswith("d/")
        )
        assert without is not None and "d/b.py" not in without.manifest.entries
        assert run.log_code("src", include_fn=lambda path: False) is None
    assert len(wandb.Api().run("r").logged_artifacts()) == 3


def test_a_model_is_logged_and_used_by_name(here: Path) -> None:
    make_tree(here, {"net.bin": "weights", "folder/a": "1", "folder/b": "2"})
    with wandb.init(id="r") as run:
        run.log_model("net.bin", "net", aliases=["best"])
        run.log_model("folder", "many")
    with wandb.init(id="s") as run:
        assert Path(run.use_model("net:best")).read_text() == "weights"
        assert sorted(os.listdir(run.use_model("many"))) == ["a", "b"]
        run.log_artifact(draft("data"))
        with pytest.raises(ValueError, match="You can only use this method for 'model' artifacts"):
            run.use_model("data")
    assert [artifact.name for artifact in wandb.Api().run("s").used_artifacts()][:2] == ["net:v0", "many:v0"]


# -- the catalog -----------------------------------------------------------------------------------------


def catalog() -> Catalog:
    return opened(root()).catalog()


def told(found: Catalog) -> Any:
    """All that a catalog says: runs, links, and who used and made each version."""
    count, listed = found.latest_runs("runs")
    runs = [(row.path, row.started, row.name, row.finished) for row in listed]
    assert len(runs) == count
    states = [opened(root()).runs.read_folder(folder) for folder in opened(root()).runs.paths()]
    ids = sorted({id for state in states for id in (*state.used, *state.logged)})
    edges = {
        (verb, id): [decoded_run(row).path for row in found.rows_with(verb, id)]
        for id in ids for verb in ("used", "logged")
    }  # fmt: skip
    return runs, sorted(found.links), edges, {id: [decoded_run(row).path for row in found.users_of(id)] for id in ids}


def naive() -> Any:
    """The same, from every log as it is."""
    repository = opened(root())
    states = [repository.runs.read_folder(folder, checkpoints=False) for folder in repository.runs.paths()]
    there = sorted((s for s in states if s.deleted is None), key=lambda s: (s.started, s.path.folder), reverse=True)
    links = [
        (version["id"], *state.path, version["number"])
        for state in map(repository.refs.read_folder, repository.refs.paths()) if state.exists
        for version in state.live() if "source" in version
    ]  # fmt: skip
    ids = sorted({id for state in states for id in (*state.used, *state.logged)})
    edges = {
        (verb, id): [str(state.path) for state in states if id in getattr(state, verb)]
        for id in ids for verb in ("used", "logged")
    }  # fmt: skip
    users = {
        id: [str(s.path) for s in sorted(there, key=lambda s: (s.started, str(s.path)), reverse=True) if id in s.used]
        for id in ids
    }
    return [(str(s.path), s.started, s.name, s.finished) for s in there], sorted(links), edges, users


def aged() -> None:
    """As if all was written long ago: then the catalog trusts the times of folders."""
    for where, folders, _ in os.walk(".artifacts"):
        for name in folders:
            path = Path(where, name)
            then = path.stat().st_mtime_ns - 3_600_000_000_000
            os.utime(path, ns=(then, then))


def test_the_catalog_says_what_all_logs_say_after_any_history(here: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    names: list[str] = []
    for turn in range(45):
        action = chance.choice(
            ["run", "run", "resume", "use", "delete run", "delete version", "link", "cache", "age", "rename"]
        )
        if action == "run" or not names:
            with wandb.init(id=f"r{turn}", project=chance.choice("pq"), name=f"n{turn}") as run:
                run.log_artifact(draft(f"a{turn % 5}", str(turn)))
                names.append(f"{run.project}/a{turn % 5}")
        elif action == "resume":
            found = chance.choice([*wandb.Api().runs("p"), *wandb.Api().runs("q")] or [None])
            if found is not None:
                wandb.init(id=found.id, project=found.project, tags=[str(turn)]).finish(turn % 2)
        elif action == "use":
            with wandb.init(project="p") as run:
                for name in chance.sample(names, min(3, len(names))):
                    if wandb.Api().artifact_exists(name):
                        run.use_artifact(name)
        elif action == "delete run":
            for found in [*wandb.Api().runs("p")][:1]:
                found.delete()
        elif action == "delete version":
            name = chance.choice(names)
            if wandb.Api().artifact_exists(name):
                try:
                    wandb.Api().artifact(name).delete()
                except ValueError:
                    pass  # a link holds it
        elif action == "link":
            name = chance.choice(names)
            if wandb.Api().artifact_exists(name):
                wandb.Api().artifact(name).link(f"registry-x/l-{name.replace('/', '-')}")
        elif action == "rename":
            name = chance.choice(names)
            if wandb.Api().artifact_collection_exists(name):
                opened(root()).rename(name, f"renamed-{turn}")
        elif action == "cache":
            for file in Path(".artifacts/cache").glob("*.catalog"):
                file.write_bytes(chance.choice([b"", b"x" * 100, file.read_bytes()[:-1], file.read_bytes()[7:]]))
                if chance.random() < 0.5:
                    file.unlink()
        else:
            aged()
        assert told(catalog()) == naive(), action


def test_answers_are_the_same_when_the_cache_is_deleted_or_corrupt(here: Path) -> None:
    data = log(draft())
    with wandb.init(id="r") as run:
        run.use_artifact("data:latest")
    aged()
    expected = told(catalog())
    assert [run.id for run in data.used_by()] == ["r"]
    file = Path(".artifacts/cache/runs.catalog")
    whole = file.read_bytes()
    rubbish = b"\x93\x01\x02\x03"
    for content in (
        b"",
        b"x",
        whole[:-1],
        whole[1:],
        b"\0" * 5000,
        whole[:40] + b"!" + whole[41:],
        rubbish + plain_digest(rubbish),
    ):
        file.write_bytes(content)
        assert told(catalog()) == expected
        assert [run.id for run in data.used_by()] == ["r"]
    file.unlink()
    assert told(catalog()) == expected
    for path in Path(".artifacts/cache").rglob("*"):
        if path.is_file():
            path.unlink()
    assert told(catalog()) == expected


def test_a_cache_of_another_artstore_is_ignored(here: Path) -> None:
    """It is whole, its digest is right, but its rows are others."""
    log(draft())
    aged()
    expected = told(catalog())
    file = Path(".artifacts/cache/runs.catalog")
    shape, folders, stamps, keys, (row,) = decode(file.read_bytes()[:-32], "it", rows=True, own=True)
    fields = decode(row, "it", rows=True)
    others = [
        encode_rows(other) for other in ((*fields, "one more"), fields[:-1], (), 5, "text", (*fields[:-1], ((1, 2),)))
    ]
    tables: list[Any] = [("run,edge", folders, stamps, keys, [other]) for other in others]
    tables += [
        5,
        (),
        (folders, stamps, keys, [row]),
        (shape, folders, stamps, keys),
        (shape, folders, stamps, keys, [row], 1),
    ]
    tables += [
        (shape, folders, b"", keys, [row]),
        (shape, folders, stamps[:-1], keys, [row]),
        (shape, folders, stamps, keys, [row, row]),
        (shape, folders, stamps, keys, []),
    ]
    for table in tables:
        body = encode_rows(table)
        file.write_bytes(body + plain_digest(body))
        assert told(catalog()) == expected, table


def test_a_run_of_another_process_is_seen_at_once(here: Path) -> None:
    log(draft(), project="uncategorized")
    for n in range(3):
        before = catalog().latest_runs("runs")[0]
        script(f"with artstore.init(id='r{n}') as run: run.use_artifact('data')")
        assert catalog().latest_runs("runs")[0] == before + 1
        assert [run.id for run in wandb.Api().artifact("data").used_by()] == [f"r{i}" for i in range(n, -1, -1)]
        aged()
        script(f"artstore.init(id='r{n}', name='again').finish()")
        assert next(row for row in catalog().latest_runs("runs")[1] if row.id == f"r{n}").name == "again"


def test_reading_an_unchanged_catalog_opens_no_log(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(10):
        record(f"r{n}", [])
    aged()
    expected = told(catalog())
    read: list[str] = []
    original = FolderStorage.read
    monkeypatch.setattr(
        FolderStorage,
        "read",
        lambda self, path, *more, **how: (read.append(path), original(self, path, *more, **how))[1],
    )
    count, listed = catalog().latest_runs("runs")
    assert [row.path for row in listed] == [row[0] for row in expected[0]] and count == 10
    assert [path for path in read if path.startswith("runs/")] == []


# -- what is damaged ---------------------------------------------------------------------------------------------


def test_a_run_whose_open_history_is_damaged_goes_on_and_its_history_says_so(here: Path) -> None:
    script("run = artstore.init(id='r'); run.log({'a': 1}); run.log({'a': 2}); os._exit(9)", expected=9)
    (name,) = open_files("r")
    file = folder("r") / name
    file.write_bytes(b"no json\n" + file.read_bytes())
    record("r", [{"a": 3}], resume="must")
    assert wandb.Api().run("r").state == "finished"
    assert open_files("r") == [name]
    with pytest.raises(ArtstoreError, match="a row of a run's history is not JSON"):
        rows("r")
    (folder("r") / name).unlink()  # or fsck finds it, too


def test_a_checkpoint_of_another_run_is_not_believed(here: Path) -> None:
    record("one", [], config={"lr": 1})
    record("two", [], config={"lr": 2})
    (folder("two") / "checkpoint").write_bytes((folder("one") / "checkpoint").read_bytes())
    assert wandb.Api().run("two").config == {"lr": 2}
    (folder("two") / "checkpoint").unlink()  # or fsck finds it, too


def test_a_row_that_did_not_fit_on_the_disk_leaves_no_half_of_it(here: Path) -> None:
    code = """
        import resource
        run = artstore.init(id='r')
        run.log({'a': 1})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
        try:
            run.log({'long': 'x' * 200})
        except artstore.errors.ArtstoreError as error:
            assert 'file too large' in str(error), error
        else:
            raise AssertionError('it fitted')
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        run.log({'a': 2})
        run.finish()
    """
    script(textwrap.dedent(code))
    assert [row["a"] for row in rows("r")] == [1, 2]


def test_what_links_may_hold_is_not_deleted_while_a_log_can_not_be_read(here: Path) -> None:
    log(draft("data", "1"))
    log(draft("data", "2"))
    log(draft("other", "3"))
    (entry,) = Path(".artifacts/refs/local/uncategorized/other").glob("00000001.json")
    whole = entry.read_bytes()
    entry.write_bytes(b"x" + whole)
    with pytest.raises(DamagedLog):
        wandb.Api().artifact("data:v0").delete()
    entry.write_bytes(whole)
    wandb.Api().artifact("data:v0").delete()

"""How runs end and go on: kills, exceptions, forks, threads, several processes, resume."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.errors import NotFound
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.pages import serve
from tests.support.runs import LOGS_AND_WAITS, folder, open_files, record, root, rows
from tests.support.together import FORK, ended, in_threads, script

# -- ends ------------------------------------------------------------------------------------------------


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


def test_a_run_that_was_killed_before_its_summary_was_written_has_one(here: Path, started: Any, cli: Cli) -> None:
    process = started(LOGS_AND_WAITS)
    process.line()
    process.kill()
    assert wandb.Api().run("r").summary == {"a": 49}
    assert "summary    a = 49" in cli("runs", "show", "r", cwd=here).out
    assert "summary.a" in cli("runs", "ls", "--csv", cwd=here).out
    for served in serve(here, here):
        for page in ("/run/local/uncategorized/r", "/compare?run=local/uncategorized/r"):
            assert '<th scope="row">a</th><td class="value">49</td>' in served.ask(page)[1].decode()


DEFINES = """
import time, artstore as wandb
run = wandb.init(id="r")
for kept in ("min", "none", "min,mean"):
    run.define_metric(f"{kept}/*", summary=kept)
for value in (0.5, 0.25, 0.75):
    run.log({"min/a": value, "none/a": value, "min,mean/a": value, "a": value})
print("logged", flush=True)
time.sleep(60)
"""


def test_the_summary_of_a_killed_run_keeps_of_each_metric_what_it_defined(here: Path, started: Any) -> None:
    process = started(DEFINES)
    process.line()
    process.kill()
    assert wandb.Api().run("r").summary == {"min/a": {"min": 0.25}, "min,mean/a": {"min": 0.25, "mean": 0.5}, "a": 0.75}
    check(here / ".artifacts")


def test_a_killed_run_has_the_same_summary_wherever_it_is_asked_for(here: Path, started: Any, cli: Cli) -> None:
    record("ended", [{"a": 50}])
    process = started(LOGS_AND_WAITS)
    process.line()
    process.kill()

    def listed(*arguments: str) -> list[str]:
        return cli("runs", "ls", "--csv", "--columns", "a,state", *arguments, cwd=here).out.splitlines()[1:]

    killed, ended = "local/uncategorized/r,49,crashed", "local/uncategorized/ended,50,finished"
    assert listed("--sort", "a") == [killed, ended]
    assert listed("--sort", "-a") == [ended, killed]
    assert listed("--where", "summary_metrics.a<50") == [killed]
    assert "summary a: 49 → 50" in cli("runs", "diff", "r", "ended", cwd=here).out
    api = wandb.Api()
    assert [run.id for run in api.runs(order="-summary_metrics.a")] == ["ended", "r"]
    assert [run.id for run in api.runs(filters={"summary_metrics.a": 49})] == ["r"]


def test_a_summary_as_it_was_recorded_counts_more_than_the_history(here: Path, started: Any) -> None:
    process = started(LOGS_AND_WAITS.replace("print(", "run.summary['a'] = 7; run._flush(); print("))
    process.line()
    process.kill()
    assert wandb.Api().run("r").summary == {"a": 7}


def test_a_resumed_run_goes_on_behind_its_last_step(here: Path) -> None:
    record("r", [{"a": 0}, {"a": 1}])
    with wandb.init(id="r", resume="allow") as run:
        assert run.step == 2
        run.log({"a": 2})
        with pytest.warns(UserWarning, match="step 1 is before"):
            run.log({"a": 9}, step=1)
    assert rows("r") == [{"_step": n, "a": n} for n in range(3)]


def test_a_run_whose_id_differs_only_in_case_from_another_is_refused(here: Path) -> None:
    record("Run", [{"a": 0}])
    with pytest.raises(
        ValueError, match="run local/uncategorized/run differs only in case from local/uncategorized/Run"
    ):
        wandb.init(id="run")


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
    assert sorted(row["_step"] for row in rows("r")) == list(range(63)), "each row has a step of its own"


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
        while (row := next(reader, None)) is not None:  # a loop would begin anew
            seen.append(row["a"])
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

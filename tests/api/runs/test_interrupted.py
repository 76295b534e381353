"""A run that is used by a signal handler while the same thread uses it, and whose descriptors other code closes."""

import os
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import NoActiveRun
from tests.support.folders import make_tree
from tests.support.runs import open_files, rows
from tests.support.together import script

Call = Callable[[int], object]


def _interrupt(call: Call, handler: Call, *, stride: int, most: int) -> tuple[int, int]:
    """Call `call(n)` for n = 0, 1, … until its lines are over, `most` times at most.

    Its line number `n * stride` is interrupted by `handler(n)`, as by a signal that arrives there. Returns the numbers of
    calls and interruptions.
    """
    for n in range(most):
        lines = 0

        def local(frame: FrameType, event: str, _: Any, n: int = n) -> Any:
            nonlocal lines
            lines += event == "line"
            if lines > n * stride:
                sys.settrace(None)
                frame.f_trace = None
                lines = -1 << 60
                handler(n)
            return local

        def everywhere(frame: FrameType, event: str, _: Any) -> Any:
            return local if lines >= 0 and "/artstore/" in frame.f_code.co_filename else None

        sys.settrace(everywhere)
        try:
            call(n)
        finally:
            sys.settrace(None)
        if lines >= 0:
            return n + 1, n
    return most, most


def _made(name: str, content: str) -> wandb.Artifact:
    artifact = wandb.Artifact(name, "t")
    with artifact.new_file("f") as file:
        file.write(content)
    return artifact


def _calls(run: Any, who: str) -> dict[str, Call]:
    return {
        "log": lambda n: run.log({who: n}),
        "log in two halves": lambda n: (run.log({who: n}, commit=False), run.log({f"{who}2": n})),
        "config": lambda n: run.config.update({f"{who}{n}": n}),
        "log_artifact": lambda n: run.log_artifact(_made(who, f"{who}{n}")),
        "use_artifact": lambda n: run.use_artifact("used:latest"),
    }


@pytest.mark.parametrize(
    ("first", "second", "stride"),
    [
        ("log", "log", 1), ("log in two halves", "log in two halves", 1), ("log in two halves", "log", 3),
        ("log", "config", 4), ("config", "log", 7), ("config", "config", 9), ("log_artifact", "log", 401),
        ("log_artifact", "config", 301), ("log_artifact", "log_artifact", 1001), ("log", "log_artifact", 29),
        ("use_artifact", "log", 41),
    ],
)  # fmt: skip
def test_a_signal_handler_may_do_all_that_the_call_does_which_it_interrupts(
    here: Path, first: str, second: str, stride: int
) -> None:
    with wandb.init(id="r") as run:
        run.log_artifact(_made("used", "x"))
        calls, interruptions = _interrupt(_calls(run, "a")[first], _calls(run, "b")[second], stride=stride, most=250)
    assert interruptions > 3
    found, there = rows("r"), wandb.Api().run("r")
    assert len({row["_step"] for row in found}) == len(found), "each call has a step of its own"
    for who, call, count in (("a", first, calls), ("b", second, interruptions)):
        numbers = list(range(count))
        if call.startswith("log "):
            assert sorted(row[f"{who}2"] for row in found if f"{who}2" in row) == numbers
        if call in ("log", "log in two halves"):
            assert sorted(row[who] for row in found if who in row) == numbers
        if call == "config":
            assert [there.config.get(f"{who}{n}") for n in numbers] == numbers
        if call == "log_artifact":
            assert len([a for a in there.logged_artifacts() if a.name.startswith(f"{who}:")]) == count


@pytest.mark.parametrize("stride", [17, pytest.param(1, marks=pytest.mark.long)])
def test_a_signal_handler_may_end_the_run_in_the_middle_of_a_log(here: Path, stride: int) -> None:
    told: dict[int, list[int]] = {}

    def log(n: int) -> None:
        trace = sys.gettrace()
        sys.settrace(None)
        run = wandb.init(id=f"r{n}", settings={"x_disable_meta": False})  # files, too
        sys.settrace(trace)
        told[n] = []
        with suppress(NoActiveRun):  # the handler has ended it
            for a in range(2):
                run.log({"a": a})
                told[n].append(a)
        run.finish()

    calls, _ = _interrupt(log, lambda n: wandb.finish(), stride=stride, most=500)
    for n in range(calls):
        logged = [row["a"] for row in rows(f"r{n}")]
        assert logged in (told[n], [*told[n], len(told[n])]) and open_files(f"r{n}") == []
        assert wandb.Api().run(f"r{n}").state == "finished"


def test_a_signal_that_arrives_while_a_run_logs_hangs_nothing_and_loses_nothing(here: Path) -> None:
    code = """
        run = artstore.init(id='r')
        caught = 0
        def handler(*_):
            global caught
            number, caught = caught, caught + 1
            run.log({'handler': number})
            run.config.update({f'c{number}': 1})
            signal.setitimer(signal.ITIMER_REAL, 0.003)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.003)
        n = 0
        while caught < 40:
            run.log({'main': n})
            run.config.update({f'm{n % 9}': n}, allow_val_change=True)
            n += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        run.finish()
        print(caught, n)
    """
    caught, n = map(int, script(textwrap.dedent(code)).split())
    found = rows("r")
    assert sorted(row["handler"] for row in found if "handler" in row) == list(range(caught))
    assert [row["main"] for row in found if "main" in row] == list(range(n))
    assert len({row["_step"] for row in found}) == caught + n


def test_after_closerange_nothing_is_written_to_the_files_that_got_the_descriptors(here: Path) -> None:
    for folder in ("data", "more"):
        make_tree(here / folder, {f"{n}": f"{folder} {n}" for n in range(20)})
    code = """
        run = artstore.init(id='r')
        run.log({'a': 1})
        whole, begun = artstore.Artifact('whole', 't'), artstore.Artifact('begun', 't')
        whole.add_dir('data')
        run.log_artifact(whole)
        begun.add_dir('more')
        table = artstore.Table(columns=['n'], data=[[n] for n in range(100_001)])
        os.closerange(3, 1000)
        mine = [open(f'mine{n}', 'w') for n in range(30)]
        run.log({'a': 2})
        for refused in (lambda: run.log_artifact(begun), lambda: table.data[100_000]):
            try:
                refused()
            except artstore.errors.StorageError as error:
                assert 'this program closed a descriptor that artstore had open' in str(error), error
            else:
                raise AssertionError('was not refused')
        begun.discard()
        run.use_artifact('whole:latest').download()
        again = artstore.Artifact('again', 't')
        again.add_dir('data')
        run.log_artifact(again)
        run.finish()
        for file in mine:
            file.write('mine')
            file.close()
        assert [os.path.getsize(f'mine{n}') for n in range(30)] == [4] * 30
        os._exit(0)
    """
    script(textwrap.dedent(code))
    assert [row["a"] for row in rows("r")] == [1, 2]
    assert wandb.Api().artifact("again:v0").file_count == 20


def test_a_pack_is_read_again_after_its_descriptor_was_given_to_another_file(here: Path) -> None:
    with wandb.init() as run:
        artifact = run.log_artifact(_made("x", "content"))
    artifact.download()
    for name in os.listdir("/proc/self/fd"):
        if os.path.realpath(f"/proc/self/fd/{name}").startswith(str(here / ".artifacts")):
            os.dup2(0, int(name))
    assert (Path(artifact.download("again")) / "f").read_text() == "content"

"""What `init` does while runs are active: return the newest, finish them, or begin one beside them."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import Conflict
from tests.support.artifacts import draft
from tests.support.runs import rows
from tests.support.together import begun, ended, in_threads, script


@pytest.mark.parametrize("reinit", [None, "default", "return_previous", False])
def test_init_returns_the_run_that_is_active_and_says_so(
    here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, reinit: Any
) -> None:
    monkeypatch.delenv("WANDB_SILENT")
    run = wandb.init(id="one")
    assert wandb.init(id="two", config={"lr": 1}, reinit=reinit) is run is wandb.run
    assert "run local/uncategorized/one is active, so init() returns it" in capsys.readouterr().err
    assert dict(run.config) == {} and len(wandb.Api().runs()) == 1


@pytest.mark.parametrize("reinit", ["finish_previous", True])
def test_finish_previous_finishes_all_active_runs(here: Path, reinit: Any) -> None:
    wandb.init(id="one")
    wandb.init(id="beside", reinit="create_new")
    run = wandb.init(id="two", reinit=reinit)
    assert wandb.run is run
    assert [wandb.Api().run(id).state for id in ("one", "beside", "two")] == ["finished", "finished", "running"]


def test_a_notebook_finishes_the_run_before_by_default(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        """What IPython gives in a notebook."""

    monkeypatch.setitem(sys.modules, "IPython", type("IPython", (), {"get_ipython": ZMQInteractiveShell}))
    wandb.init(id="one")
    assert wandb.init(id="two").id == "two" and wandb.Api().run("one").state == "finished"


def test_setup_and_the_environment_say_what_a_second_init_does(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_REINIT", "true")
    wandb.init(id="one")
    assert wandb.init(id="two").id == "two"
    assert wandb.init(id="three", settings=wandb.Settings(reinit="create_new")).id == "three"
    assert wandb.run is not None and wandb.run.id == "two"


def test_another_run_can_t_be_resumed_while_one_is_active(here: Path) -> None:
    wandb.init(id="one").finish()
    wandb.init(id="two")
    with pytest.raises(Conflict, match="run two is active"):
        wandb.init(id="one", resume="must")
    assert wandb.init(id="one", resume="must", reinit="create_new").resumed


def test_a_run_beside_another_leaves_the_module_s_functions_to_it(here: Path) -> None:
    with wandb.init(id="one", config={"lr": 1}) as one, wandb.init(id="two", reinit="create_new") as two:
        assert wandb.run is one and dict(wandb.config) == {"lr": 1} and dict(two.config) == {}
        wandb.log({"a": 1})
        two.log({"a": 2})
        two.log({"a": 3})
        one.log_artifact(draft("of-one"))
        draft("of-the-newest").save()
        wandb.finish()
        assert wandb.run is None
        two.log({"a": 4})
    assert ([row["a"] for row in rows("one")], [row["a"] for row in rows("two")]) == ([1], [2, 3, 4])
    logged = {id: [one.name for one in wandb.Api().run(id).logged_artifacts()] for id in ("one", "two")}
    assert logged == {"one": ["of-one:v0"], "two": ["of-the-newest:v0"]}


def test_without_another_run_the_module_s_functions_have_none(here: Path) -> None:
    with wandb.init(id="one", reinit="create_new") as run:
        assert wandb.run is None
        with pytest.raises(wandb.Error, match="call init"):
            wandb.log({"a": 1})
        assert wandb.init(id="two") is run
        wandb.Api().run("one").upload_file(__file__, os.path.dirname(__file__))
    assert [file.name for file in wandb.Api().run("one").files()] == ["test_reinit.py"]


def test_runs_of_several_threads_are_apart(here: Path) -> None:
    def train(number: int) -> None:
        with wandb.init(id=f"r{number}", reinit="create_new", config={"n": number}) as run:
            for step in range(20):
                run.log({"a": number * 100 + step})

    assert in_threads(*((train, number) for number in range(4))) == [None] * 4
    for number in range(4):
        assert [row["a"] for row in rows(f"r{number}")] == [number * 100 + step for step in range(20)]
        assert wandb.Api().run(f"r{number}").config == {"n": number}
    assert wandb.run is None and sys.exit.__name__ == "exit"


def test_two_disabled_runs_are_apart(here: Path) -> None:
    with wandb.init(mode="disabled", config={"a": 1}) as one, wandb.init(mode="disabled", reinit="create_new") as two:
        assert (dict(one.config), dict(two.config)) == ({"a": 1}, {})
    with wandb.init(mode="disabled", config={"a": 3}) as three:  # and one after them, too
        assert (dict(three.config), three.resumed, three.step) == ({"a": 3}, False, 0)
    assert len({one.id, two.id, three.id}) == 3 and not Path(".artifacts").exists()


def test_all_active_runs_end_with_the_program_s_exit_code(here: Path) -> None:
    script("for id in 'ab': artstore.init(id=id, reinit='create_new')\nimport sys; sys.exit(3)", expected=3)
    assert [(run.state, run.exit_code) for run in map(wandb.Api().run, "ab")] == [("failed", 3)] * 2


def test_a_forked_child_starts_a_run_of_its_own(here: Path) -> None:
    def in_child() -> None:
        with wandb.init(id="child") as own:
            own.log({"a": 1})
        assert wandb.run is None

    with wandb.init(id="parent") as run:
        assert ended(begun((in_child,))) == [0]
        run.log({"a": 2})
    assert [wandb.Api().run(id).summary["a"] for id in ("child", "parent")] == [1, 2]


def test_the_console_goes_to_each_active_run(here: Path) -> None:
    script(
        "os.environ.pop('WANDB_CONSOLE', None)\n"
        "one = artstore.init(id='one'); two = artstore.init(id='two', reinit='create_new')\n"
        "print('both'); one.finish(); print('second'); two.finish(); print('none')"
    )
    found = {id: [line for line in _console(id) if line in ("both", "second", "none")] for id in ("one", "two")}
    assert found == {"one": ["both"], "two": ["both", "second"]}


def _console(id: str) -> list[str]:
    with wandb.Api().run(id).file("output.log").download(replace=True) as file:
        return [str(line).strip() for line in file]

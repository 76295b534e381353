"""Saves in the background: a future, in order, durable when done, and nothing lost without a word."""

import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.artifact import Artifact
from artstore.errors import ArtifactFinalizedError, Conflict
from artstore.repository import Repository
from tests.support.artifacts import draft
from tests.support.runs import folder


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Saves wait until this is set."""
    gate, real = threading.Event(), Artifact.log_to

    def log_to(self: Artifact, *args: Any, **more: Any) -> Any:
        assert gate.wait(20)
        return real(self, *args, **more)

    monkeypatch.setattr(Artifact, "log_to", log_to)
    return gate


def test_the_training_goes_on_while_an_artifact_is_saved(here: Path, held: threading.Event) -> None:
    with wandb.init(id="r") as run:
        artifact = draft("model", "1")
        future = run.log_artifact(artifact, aliases=["best"], background=True)
        assert isinstance(future, Future) and not future.done()
        run.log({"loss": 0.5})
        with pytest.raises(ArtifactFinalizedError):
            artifact.add_file(__file__)
        held.set()
        assert future.result(20) is artifact
        assert (artifact.name, artifact.aliases) == ("model:v0", ["latest", "best"])
        assert [used.name for used in run.logged_artifacts()] == ["model:v0"]
    assert wandb.Api().artifact("model:best").logged_by().id == "r"


def test_the_end_of_the_run_waits_for_saves_which_keep_their_order(here: Path, held: threading.Event) -> None:
    with wandb.init(id="r") as run:
        futures = [run.log_artifact(draft("model", str(number)), background=True) for number in range(5)]
        threading.Timer(0.2, held.set).start()
    assert [future.result(0).version for future in futures] == ["v0", "v1", "v2", "v3", "v4"]
    assert wandb.Api().run("r").state == "finished"


def test_an_error_that_nobody_asked_for_is_raised_at_the_end_of_the_run_which_is_recorded(here: Path) -> None:
    with wandb.init(id="first") as run:
        run.log_artifact(draft("data", "1", type="dataset"))
    with pytest.raises(Conflict, match="data"), wandb.init(id="r") as run:
        run.log_artifact(draft("data", "2", type="model"), background=True)
    assert wandb.Api().run("r").state == "finished"
    assert list(folder("r").glob("history.*")) == []


def test_an_error_that_somebody_asked_for_is_theirs(here: Path) -> None:
    with wandb.init(id="first") as run:
        run.log_artifact(draft("data", "1", type="dataset"))
    with wandb.init(id="r") as run:
        failing = run.log_artifact(draft("data", "2", type="model"), background=True)
        assert isinstance(failing.exception(20), Conflict)
        assert run.log_artifact(draft("data", "3", type="dataset"), background=True).result(20).version == "v1"


def test_a_script_that_ends_without_finish_saves_all_first(here: Path, started: Any) -> None:
    script = started("""
run = wandb.init(id="r")
for number in range(3):
    artifact = wandb.Artifact("model", type="model")
    with artifact.new_file("w") as file:
        file.write("x" * 2_000_000 + str(number))
    run.log_artifact(artifact, background=True)
""")
    assert script.end() == 0
    assert [found.version for found in wandb.Api().artifacts("model", "model")] == ["v2", "v1", "v0"]


def test_a_signal_handler_that_ends_the_run_in_the_middle_of_a_call_doesnt_wait_for_ever(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = wandb.init(id="r")
    futures = []
    record = Repository.record

    def interrupted(self: Repository, *args: Any, **more: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            monkeypatch.setattr(Repository, "record", record)
            futures.append(run.log_artifact(draft("model", "1"), background=True))
            run.finish()  # as a handler does
        return record(self, *args, **more)

    monkeypatch.setattr(Repository, "record", interrupted)
    run.config.update({"lr": 1})
    assert futures[0].result(20).version == "v0"
    recorded = wandb.Api().run("r")
    assert recorded.state == "finished" and recorded.config == {"lr": 1}
    assert [made.name for made in recorded.logged_artifacts()] == ["model:v0"]

"""Runs travel with the versions that they made and used."""

from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.api import recording
from artstore.repository import Repository
from artstore.sync.transfer import Transfer
from tests.support.exchange import FILES, cloned, logged, outcomes, put

# -- runs ----------------------------------------------------------------------------------------


def runs_of(repository: Any) -> dict[str, Any]:
    if isinstance(repository, Path):
        with Repository(str(repository)) as opened:
            return runs_of(opened)
    return {
        state.path.id: (state.finished, sorted(state.used), sorted(state.logged), state.config, state.summary)
        for state in repository.runs.all()
    }


def test_runs_travel_with_the_versions_that_they_made_and_used(
    anna: Repository, bob: Repository, nas: Path, in_anna: Path
) -> None:
    with artstore.init(id="maker", config={"lr": 0.1}):
        logged("data", {"f": "0"}, type="dataset")
    with artstore.init(id="user") as user:
        user.use_artifact("data:latest")
        logged("model", {"m": "1"}, type="model")
    with artstore.init(id="unrelated"):
        artstore.log({"loss": 1})
    assert anna.push(specs=["data", "model"]).runs == 2
    assert runs_of(nas).keys() == {"maker", "user"}
    assert anna.push().runs == 1
    assert bob.pull().runs == 3
    assert runs_of(bob) == runs_of(nas) == runs_of(anna)
    assert anna.push().runs == 0 and bob.pull().runs == 0 and bob.push().runs == 0


def test_a_run_that_goes_on_after_its_version_was_pushed_is_told_to_its_end(
    anna: Repository, bob: Repository, nas: Path, in_anna: Path
) -> None:
    run = artstore.init(id="long")
    logged("data", {"f": "0"})
    assert anna.push().runs == 1
    assert bob.pull().runs == 1
    assert runs_of(bob)["long"][0] is None
    run.summary["loss"] = 0.5
    run.finish()
    again = anna.push()
    assert (outcomes(again), again.runs) == ({"data": "up to date"}, 1)
    assert bob.pull().runs == 1
    assert runs_of(bob) == runs_of(nas) == runs_of(anna)
    assert runs_of(bob)["long"][0] == "finished"


def test_a_run_that_used_a_version_after_it_was_pushed_travels_with_the_next_push(
    anna: Repository, bob: Repository, nas: Path, in_anna: Path
) -> None:
    with artstore.init(id="maker"):
        logged("data", {"f": "0"})
    anna.push()
    with artstore.init(id="evaluation") as run:
        run.use_artifact("data:v0")
    assert anna.push().runs == 1
    assert bob.pull().runs >= 1
    assert runs_of(bob) == runs_of(nas) == runs_of(anna)


def test_a_run_that_went_on_in_two_repositories_has_both_parts(
    anna: Repository, bob: Repository, nas: Path, in_anna: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with artstore.init(id="both", config={"hers": 1}):
        logged("data", {"f": "0"})
    anna.push()
    bob.pull()
    monkeypatch.chdir(Path(bob.root).parent)
    with artstore.init(id="both", config={"his": 2}) as run:
        run.use_artifact("data:v0")
    bob.push()
    anna.pull()
    assert runs_of(bob) == runs_of(nas) == runs_of(anna)
    assert runs_of(anna)["both"][3] == {"hers": 1, "his": 2}


def test_config_and_checkouts_stay_at_home(anna: Repository, nas: Path, tmp_path: Path) -> None:
    anna.settings.set("core.project", "mine")
    put(anna, "a", FILES)
    anna.push()
    assert not (nas / "config").exists() and not (nas / "checkouts").exists() and not (nas / "remotes").exists()
    with cloned(tmp_path, nas) as clone:
        assert clone.settings.project == "uncategorized" and list(clone.status()) == []


# -- clones --------------------------------------------------------------------------------------


def test_a_run_that_goes_on_while_it_is_pushed_is_told_as_far_as_its_history_was_sent(
    anna: Repository, nas: Path, in_anna: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SEAL_AT", 8 << 10)  # more than stands in an entry
    run = artstore.init(id="r")
    row = {"text": "x" * 9000}
    run.log(row)
    send = Transfer.send

    def send_while_it_goes_on(transfer: Any, *arguments: Any) -> None:
        send(transfer, *arguments)
        run.log(row | {"more": 1})

    with monkeypatch.context() as patched:
        patched.setattr(Transfer, "send", send_while_it_goes_on)
        assert anna.push().runs == 1
    with Repository(str(nas)) as there:
        assert there.fsck().problems == []
        assert len(list(there.run_history(there.runs.all()[0]))) == 1
    run.finish()
    assert anna.push().runs == 1
    with Repository(str(nas)) as there:
        assert there.fsck().problems == []
        assert len(list(there.run_history(there.runs.all()[0]))) == 2

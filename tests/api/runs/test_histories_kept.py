"""Histories of runs beside gc, at remotes, and when they are damaged."""

import random
import textwrap
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.domain.run import RunPath
from artstore.errors import ArtstoreError, DamagedLog, NotFound
from artstore.repository import Repository
from tests.support.artifacts import draft, log
from tests.support.checks import check
from tests.support.runs import LOGS_AND_WAITS, folder, open_files, plain, record, root, rows
from tests.support.together import script

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
        wandb.Api().artifact("data:v0").delete(delete_aliases=True)
    entry.write_bytes(whole)
    wandb.Api().artifact("data:v0").delete(delete_aliases=True)


def test_rows_that_have_some_bytes_are_read_without_the_others(here: Path) -> None:
    """A page of media reads a long history at each move of its slider, and few rows have media."""
    with wandb.init(project="p", id="one") as run:
        for step in range(300):
            run.log(
                {"text": '"_type"' if step == 7 else "", "loss": step}
                | ({"n": {"_type": "x"}} if step % 100 == 0 else {})
            )
    with Repository(str(here / ".artifacts")) as repository:
        state = repository.runs.find(RunPath("local", "p", "one"))
        some = list(repository.run_history(state, having=b'"_type"'))
        assert [row["_step"] for row in some] == [0, 100, 200]
        assert some == [row for row in repository.run_history(state) if "n" in row]

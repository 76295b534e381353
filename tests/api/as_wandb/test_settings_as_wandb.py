"""Settings and the start of runs by W&B's ways: kinds of values, the environment, copies, and `resume="auto"`."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import CommError
from tests.support.commands import environment
from tests.support.together import script


@pytest.mark.parametrize(
    "wrong",
    [
        {"project": 5}, {"run_id": 5}, {"run_name": b"a"}, {"api_key": 271828}, {"init_timeout": "soon"},
        {"heartbeat_seconds": "7.5"}, {"x_extra_http_headers": "{"}, {"x_proxies": [1]}, {"ignore_globs": 3},
        {"run_tags": [""]}, {"run_tags": ["a" * 65]}, {"run_tags": [3]}, {"mode": "goodprojo"},
    ],
)  # fmt: skip
def test_a_setting_of_another_kind_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be|is not one of"):
        wandb.Settings(**wrong)


@pytest.mark.parametrize(
    ("name", "value", "field", "kept"),
    [
        ("WANDB_QUIET", "true", "quiet", True), ("WANDB__DISABLE_STATS", "1", "x_disable_stats", True),
        ("WANDB_SHOW_INFO", "false", "show_info", False), ("WANDB_HEARTBEAT_SECONDS", "7", "heartbeat_seconds", 7),
        ("WANDB_INIT_TIMEOUT", "2.5", "init_timeout", 2.5), ("WANDB_IGNORE_GLOBS", "a,b*", "ignore_globs", ("a", "b*")),
        ("WANDB_X_EXTRA_HTTP_HEADERS", '{"A": "b"}', "x_extra_http_headers", {"A": "b"}),
    ],
)  # fmt: skip
def test_variables_of_the_environment_set_fields(name: str, value: str, field: str, kept: Any) -> None:
    settings = wandb.Settings()
    settings.update_from_env_vars({name: value, "WANDB_NO_FIELD": "x", "HOME": "y"})
    assert getattr(settings, field) == settings.given[field] == kept


def test_a_copy_of_settings_is_independent() -> None:
    settings = wandb.Settings(project="p")
    for copied in (copy.copy(settings), settings.model_copy()):
        copied.mode = "offline"
        assert (settings.mode, settings.of_run()) == ("online", {"project": "p"})
        assert copied.of_run() == {"project": "p", "mode": "offline"}


@pytest.mark.parametrize(("mode", "offline"), [("online", False), ("offline", True), ("dryrun", True)])
def test_settings_tell_of_their_mode(mode: str, offline: bool) -> None:
    told = wandb.Settings(mode=mode).model_dump()
    assert (told["mode"], told["_offline"], told["_noop"], told["_jupyter"]) == (mode, offline, False, False)
    assert wandb.Settings(mode="disabled")._noop


def test_the_settings_of_a_run_name_the_run(here: Path) -> None:
    with wandb.init(project="p", id="r", group="g", tags=["t"], mode="offline", settings={"console": "auto"}) as run:
        told = run._settings
        assert told is run.settings
        assert (told.project, told.entity, told.run_id, told.run_name) == ("p", "local", "r", "r")
        assert (told.run_group, told.run_tags, told.mode, told.console) == ("g", ("t",), "offline", "wrap")


def test_the_settings_of_a_run_name_the_module_that_runs(here: Path) -> None:
    (here / "package").mkdir()
    code = "import artstore\nwith artstore.init() as run: print(run.settings.program)"
    (here / "package" / "train.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "package.train"],
        env=environment(Path.home()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "-m package.train\n"


def test_ignored_files_are_left_out_of_a_run(here: Path) -> None:
    for name in ("model.pth", "notes.txt"):
        Path(name).write_text(name)
    with wandb.init(id="r", settings=wandb.Settings(ignore_globs=["*.pth"])) as run:
        run.save("*.*")
    assert [file.name for file in wandb.Api().run("r").files()] == ["notes.txt"]


class StoppedError(Exception):
    """Ends a run badly."""


def test_auto_goes_on_with_the_last_run_that_ended_badly(here: Path) -> None:
    with pytest.raises(StoppedError), wandb.init(resume="auto") as first:
        raise StoppedError
    with wandb.init(resume="auto") as second:
        assert second.id == first.id and second.resumed
    with wandb.init(resume="auto") as third:
        assert third.id != first.id and not third.resumed
    wandb.init(id="named", resume="auto").finish(exit_code=3)
    with wandb.init(id="other", resume="auto") as run:
        assert run.id == "other"


def test_auto_goes_on_with_a_run_whose_process_was_killed(here: Path) -> None:
    script("artstore.init(id='killed', resume='auto')\nos._exit(9)", expected=9)
    with wandb.init(resume="auto") as run:
        assert run.id == "killed"


@pytest.mark.parametrize("noted", ["not JSON", "{}", "[]", '{"run_id": 3}'])
def test_auto_starts_a_new_run_if_no_run_can_be_read(here: Path, noted: str) -> None:
    wandb.init(id="before", resume="auto").finish(exit_code=1)
    note = here / "artifacts" / "resume.json"
    assert json.loads(note.read_text()) == {"run_id": "before"}
    note.write_text(noted)
    if noted == "not JSON":
        with pytest.warns(UserWarning, match="starts a new run"):
            run = wandb.init(resume="auto")
    else:
        run = wandb.init(resume="auto")
    assert not run.resumed


def test_two_runs_of_a_process_do_not_share_an_id(here: Path) -> None:
    with wandb.init(id="r"), pytest.raises(CommError, match="run ID r is in use"):
        wandb.init(id="r", reinit="create_new")
    with wandb.init(id="r", reinit="create_new") as again:
        assert again.resumed and wandb.run is None


def test_an_empty_resume_is_none(here: Path) -> None:
    with wandb.init(resume="") as run:
        assert not run.resumed

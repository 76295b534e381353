"""What a run records of its surroundings, what `init` and `finish` say, and what turns each of these off."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import artstore as wandb
from artstore.api.surroundings import machine, samples
from artstore.backends import git
from artstore.repository import Repository
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree


@pytest.fixture
def recorded(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs record their surroundings, except console output."""
    monkeypatch.delenv("WANDB_X_DISABLE_META")
    return here


def content(name: str, run: str = "r") -> str:
    with wandb.Api().run(run).file(name).download("files", replace=True) as file:
        return file.read()


def names(run: str = "r") -> list[str]:
    return [file.name for file in wandb.Api().run(run).files()]


def in_git(*arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def committed(files: dict[str, Any]) -> None:
    make_tree(Path.cwd(), {".gitignore": ".artifacts/\nfiles/\n", **files})
    in_git("init", "-q")
    in_git("add", ".")
    in_git("commit", "-qm", "one")


# -- machine and packages --------------------------------------------------------------------------------


def test_metadata_and_requirements_are_recorded_and_stored_once_for_equal_runs(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["train.py", "--lr", "0.1", "--api-key", "abc", "--token=def", "s3cret-value-of-env"]
    )
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-value-of-env")
    with wandb.init(id="r"):
        pass
    found = json.loads(content("wandb-metadata.json"))
    assert found["args"] == ["--lr", "0.1", "--api-key", "***", "--token=***", "***"]
    assert found["program"] == "train.py" and found["cpu_count_logical"] == os.cpu_count() >= found["cpu_count"]
    assert found["python"].startswith("CPython 3.") and found["host"] == os.uname().nodename and "git" not in found
    lines = content("requirements.txt").splitlines()
    assert f"pytest=={pytest.__version__}" in lines and "artstore" in {line.partition("==")[0] for line in lines}
    wandb.init(id="again").finish()
    first, second = (
        {part["tree"] for part in wandb.Api().run(run)._state.files.values() if part} for run in ("r", "again")
    )
    assert first == second


def test_the_package_that_stands_in_for_wandb_is_no_requirement(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(
        here, {f"site/{name}.dist-info/METADATA": "" for name in ("wandb-0.31.0+artstore", "some_thing-1.0", "odd")}
    )
    monkeypatch.setattr(sys, "path", [str(here / "site"), str(here / "none")])
    assert machine.requirements() == "some-thing==1.0\n"
    make_tree(here, {"site/late-2.dist-info/METADATA": ""})
    assert machine.requirements() == "late==2\nsome-thing==1.0\n"


def test_without_identity_no_name_of_host_or_user_is_recorded(recorded: Path) -> None:
    with Repository.init(".artifacts") as repository:
        repository.settings.set("core.identity", "off")
    wandb.init(id="r").finish()
    assert not {"host", "root", "executable"} & json.loads(content("wandb-metadata.json")).keys()


def test_graphics_cards_are_named_where_pynvml_finds_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(total=1 << 34, used=1 << 33, gpu=50, memory=25)
    fake = SimpleNamespace(
        nvmlInit=lambda: None, nvmlDeviceGetCount=lambda: 1, nvmlDeviceGetHandleByIndex=lambda number: card,
        nvmlDeviceGetName=lambda card: b"H100", nvmlDeviceGetMemoryInfo=lambda card: card,
        nvmlDeviceGetUtilizationRates=lambda card: card, nvmlDeviceGetTemperature=lambda card, what: 60,
        nvmlDeviceGetPowerUsage=lambda card: 350_000, NVML_TEMPERATURE_GPU=0, __spec__=SimpleNamespace(),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(machine, "DRIVER", "/")
    machine._gpus.cache_clear()
    assert machine._gpus() == {
        "gpu": "H100", "gpu_count": 1, "gpu_nvidia": [{"name": "H100", "memoryTotal": str(1 << 34)}],
    }  # fmt: skip
    machine._gpus.cache_clear()
    assert samples._cards()["system.gpu.0.memoryAllocated"] == 50 and samples._cards()["system.gpu.0.powerWatts"] == 350


# -- git -------------------------------------------------------------------------------------------------


def test_the_commit_the_remote_and_changes_of_tracked_files_are_recorded_without_secrets(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", "very-secret")
    committed({"train.py": "a\n"})
    in_git("remote", "add", "origin", "https://me:hunter2@example.org/code.git")
    make_tree(recorded, {"train.py": "a\nkey = 'very-secret'\n", "untracked.py": "x"})
    wandb.init(id="r").finish()
    said = json.loads(content("wandb-metadata.json"))["git"]
    assert said["remote"] == "https://me:***@example.org/code.git" and len(said["commit"]) == 40
    assert content("diff.patch").endswith("@@ -1 +1,2 @@\n a\n+key = '***'\n")
    assert "untracked" not in content("diff.patch")
    assert wandb.Api().run("r").metadata["git"] == {"commit": said["commit"], "dirty": True}


@pytest.mark.parametrize("where", ["folder", "submodule"])
def test_a_git_config_that_names_another_folder_brings_no_private_file_into_the_diff(
    recorded: Path, tmp_path: Path, where: str
) -> None:
    """Somebody sent the repository: it tracks an empty `.ssh/id`, and says that its files are in the user's home."""
    committed({".ssh/id": ""})
    home = make_tree(tmp_path / "home", {".ssh/id": "private"})
    if where == "submodule":
        Path(".git").rename("elsewhere")
        Path(".git").write_text("gitdir: elsewhere\n")
    in_git("config", "core.worktree", str(home))
    wandb.init(id="r").finish()
    assert "diff.patch" not in [file.name for file in wandb.Api().run("r").files()]
    in_git("config", "core.worktree", str(Path.cwd()))
    make_tree(Path.cwd(), {".ssh/id": "changed"})
    wandb.init(id="s").finish()
    assert "diff.patch" in [file.name for file in wandb.Api().run("s").files()]


@pytest.mark.parametrize("config", ["", '[filter "x"]\n\tsmudge = cat\n'])
def test_the_remote_is_found_whether_or_not_git_is_asked_for_the_config(here: Path, config: str) -> None:
    committed({"a": "1"})
    in_git("remote", "add", "other", "git@example.org:other.git")
    in_git("remote", "add", "origin", "git@example.org:code.git")
    with open(".git/config", "a") as file:
        file.write(config)
    assert git.Asking().answer().remote == "git@example.org:code.git"


def test_a_long_diff_is_cut_and_says_so(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "_MOST_DIFF", 1000)
    committed({"a": "1\n"})
    make_tree(recorded, {"a": "2\n" * 100_000})
    wandb.init(id="r").finish()
    text = content("diff.patch")
    assert 900 < len(text) < 1100 and text.endswith("+2\n# artstore: the rest of this diff is left out\n")


def test_outside_git_and_before_the_first_commit_there_is_no_diff(recorded: Path) -> None:
    wandb.init(id="r").finish()
    in_git("init", "-q")
    make_tree(recorded, {"a": "1"})
    in_git("add", "a")
    wandb.init(id="s").finish()
    assert "diff.patch" not in names("r") + names("s")


# -- turned off ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "variable", "left"),
    [
        ({}, None, ["diff.patch", "requirements.txt", "wandb-metadata.json"]),
        ({"x_save_requirements": False}, ("WANDB_X_SAVE_REQUIREMENTS", "false"), ["diff.patch", "wandb-metadata.json"]),
        ({"disable_git": True}, ("WANDB_DISABLE_GIT", "true"), ["requirements.txt", "wandb-metadata.json"]),
        ({"x_disable_machine_info": True}, ("WANDB_X_DISABLE_MACHINE_INFO", "1"), ["diff.patch", "requirements.txt"]),
        ({"x_disable_meta": True}, ("WANDB__DISABLE_META", "true"), []),
    ],
)  # fmt: skip
def test_each_file_has_a_setting_that_turns_it_off(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, variable: tuple[str, str] | None, left: list[str]
) -> None:
    committed({"a": "1\n"})
    make_tree(recorded, {"a": "2\n"})
    wandb.init(id="r", settings=settings).finish()
    assert names() == left
    if variable is not None:
        monkeypatch.setenv(*variable)
        wandb.init(id="s").finish()
        assert names("s") == left
    if "disable_git" in settings:
        assert wandb.Api().run("r").commit is None


def test_save_code_saves_the_script_with_the_run(here: Path) -> None:
    for how in (
        "save_code=True",
        "settings=wandb.Settings(save_code=True)",
        "settings={'save_code': True, 'disable_code': True}",
    ):
        make_tree(
            here, {"src/train.py": f"import artstore as wandb\nwandb.init(id='r', resume='allow', {how}).finish()\n"}
        )
        done = subprocess.run([sys.executable, "src/train.py"], env=environment(here, WANDB_SILENT="true"), check=False)
        assert done.returncode == 0
        assert ("code/train.py" in names()) == ("disable_code" not in how)
        wandb.Api().run("r").delete()


def test_surroundings_that_cannot_be_written_are_a_warning_and_the_run_goes_on(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "artstore.api.surroundings.recorder.requirements", lambda: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.warns(UserWarning, match="the surroundings of run local/uncategorized/r aren't recorded: full"):
        run = wandb.init(id="r")
    run.finish()
    assert wandb.Api().run("r").state == "finished"


# -- samples ---------------------------------------------------------------------------------------------


def test_the_machine_is_sampled_and_read_back_as_the_system_stream(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psutil")
    monkeypatch.delenv("WANDB_X_DISABLE_STATS")
    with wandb.init(id="r", settings={"x_stats_sampling_interval": 0.1}) as run:
        run.log({"a": 1})
        deadline = time.monotonic() + 20
        while not wandb.Api().run("r").history(stream="system", pandas=False) and time.monotonic() < deadline:
            time.sleep(0.05)
    found = wandb.Api().run("r").history(stream="system", pandas=False)
    assert found[0].keys() >= {
        "_timestamp",
        "_runtime",
        "system.cpu",
        "system.memory_percent",
        "system.proc.memory.rssMB",
    }
    assert found[0]["system.proc.memory.rssMB"] > 10 and found[0]["_runtime"] > 0
    assert wandb.Api().run("r").history(keys=["system.cpu"], stream="system", pandas=False)[0].keys() == {
        "_timestamp",
        "system.cpu",
    }
    assert [row["a"] for row in wandb.Api().run("r").history(pandas=False)] == [1]
    wandb.init(id="none", settings={"x_disable_stats": True}).finish()
    assert wandb.Api().run("none").history(stream="system", pandas=False) == []


def test_a_run_that_ends_before_its_first_sample_waits_for_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_X_DISABLE_STATS")
    start = time.monotonic()
    wandb.init(id="r").finish()
    assert time.monotonic() - start < 5 and names() == []


# -- messages --------------------------------------------------------------------------------------------


def test_init_and_finish_say_where_a_run_is_and_what_came_of_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_SILENT")
    run = wandb.init(id="r", project="p", name="first")
    assert capfd.readouterr() == ("", "artstore: recording run local/p/r in ~/work/.artifacts, a new repository\n")
    run.log({"loss": 0.123456789, "epoch": 3, "_hidden": 1})
    run.log_artifact(str(make_tree(here / "data", {"a": "1"})), name="data")
    run.finish()
    assert capfd.readouterr().err.splitlines() == [
        "artstore: run local/p/r (first) finished",
        "artstore:   last: epoch 3, loss 0.12346",
        "artstore:   logged: p/data:v0",
        "artstore:   in ~/work/.artifacts/runs/local/p/r",
    ]
    wandb.init(id="r", project="p").finish(exit_code=3)
    assert capfd.readouterr().err.splitlines()[:2] == [
        "artstore: continuing run local/p/r in ~/work/.artifacts",
        "artstore: run local/p/r (first) failed with exit code 3",
    ]


@pytest.mark.parametrize("how", ["variable", "silent", "quiet", "setup", "finish", "disabled"])
def test_messages_can_be_turned_off(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], how: str
) -> None:
    if how != "variable":
        monkeypatch.delenv("WANDB_SILENT")
    if how == "setup":
        monkeypatch.setattr("artstore.api.settings._of_process", wandb.Settings())
        wandb.setup(settings=wandb.Settings(silent=True))
    settings = wandb.Settings(**{how: True}) if how in ("silent", "quiet") else None
    run = wandb.init(settings=settings, mode="disabled" if how == "disabled" else None)
    if how == "finish":
        assert capfd.readouterr().err != ""
    run.finish(quiet=True if how == "finish" else None)
    assert capfd.readouterr() == ("", "")


def test_a_closed_stream_stops_no_run(here: Path) -> None:
    for how in ("sys.stderr.close()", "os.close(2)", "sys.stderr = None"):
        code = f"import os, sys, artstore as wandb\n{how}\nwandb.init(id='r', resume='allow').finish()\nprint('ended')"
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(here), stdout=subprocess.PIPE, text=True, check=False
        )
        assert done.stdout == "ended\n" and wandb.Api().run("r").state == "finished"


def test_the_command_line_says_nothing_of_runs(here: Path, cli: Cli) -> None:
    make_tree(here, {"data/a": "1"})
    assert "run" not in cli("put", "data", cwd=here).err

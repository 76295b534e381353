"""Where automations are kept: whose rules run, copied and moved repositories, broken files, the log."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import artstore as wandb
from artstore.api import automations as w
from artstore.operations.automation.firing import AutomationWarning
from artstore.operations.automation.worker import read_log
from artstore.repository import Repository
from tests.support.artifacts import again
from tests.support.automations import automate, outcomes, save, sh, until
from tests.support.checks import check
from tests.support.folders import make_tree


def rules(tmp_path: Path) -> Path:
    return tmp_path / "config" / "artstore" / "automations.json"


def test_rules_lie_in_the_user_s_folder_alone_readable_by_nobody_else(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    umask = os.umask(0)
    try:
        automate(w.RunCommand(["true", "very-special-argument"]))
        save()
        outcomes()
    finally:
        os.umask(umask)
    assert rules(tmp_path).stat().st_mode & 0o777 == 0o600
    assert rules(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "state" / "artstore" / "automations.log").stat().st_mode & 0o777 == 0o600
    assert "very-special-argument" in rules(tmp_path).read_text()
    for file in (home / ".artifacts").rglob("*"):
        assert "special" not in file.name and (file.is_dir() or b"very-special-argument" not in file.read_bytes())
    assert [file.name for file in rules(tmp_path).parent.iterdir() if file.suffix not in (".json", ".lock")] == []


def test_a_copied_repository_runs_nothing_and_says_so_until_it_is_allowed(home: Path, tmp_path: Path) -> None:
    automate(sh("pwd"))
    other = tmp_path / "other"
    shutil.copytree(home, other)
    os.chdir(other)
    with pytest.warns(AutomationWarning, match="artstore automation allow") as warned:
        save(text="in the copy")
    assert len(warned) == 1 and str(other) in str(warned[0].message)
    os.chdir(home)
    save(text="in the first")
    assert [line["output"] for line in outcomes()] == [f"{home}\n"], "only there"
    check(other / ".artifacts")


def test_editing_an_automation_does_not_allow_it_where_nobody_did(home: Path, tmp_path: Path) -> None:
    automate(sh("pwd"))
    other = tmp_path / "other"
    shutil.copytree(home, other)
    os.chdir(other)
    (rule,) = wandb.Api().automations()
    rule.name = "renamed"
    wandb.Api().update_automation(rule)
    with pytest.warns(AutomationWarning, match="artstore automation allow"):
        save(text="in the copy")
    assert read_log() == []


def test_a_web_address_with_a_password_is_refused(home: Path) -> None:
    with pytest.raises(ValueError, match="the web address of h.example holds a password"):
        automate(w.SendWebhook("https://me:hidden@h.example/x"))


def test_a_repository_that_was_moved_asks_once_and_heeds_the_answer(home: Path, tmp_path: Path) -> None:
    automate(sh("pwd"))
    other = tmp_path / "other"
    os.chdir(tmp_path)
    home.rename(other)
    os.chdir(other)
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    make_tree(Path("src"), {"f": "1"})
    with Repository(".artifacts") as repository:
        repository.automations.ask = yes
        repository.put("src", "data")
        repository.set_tags("data", add=("x",))
        Path("src/f").write_text("2")
        repository.put("src", "data")
    assert len(asked) == 1 and str(other) in asked[0]
    assert [line["output"] for line in outcomes(2)] == [f"{other}\n"] * 2
    check(other / ".artifacts")
    other.rename(home)
    os.chdir(home)


def test_a_refusal_is_asked_once_too(home: Path, tmp_path: Path) -> None:
    automate(sh("true"))
    other, asked = tmp_path / "other", list[str]()
    shutil.copytree(home, other)
    os.chdir(other)
    make_tree(Path("src"), {"f": "1"})

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with Repository(".artifacts") as repository:
        repository.automations.ask = no
        repository.put("src", "data")
        Path("src/f").write_text("2")
        repository.put("src", "data")
    assert len(asked) == 1
    save(text="3")
    os.chdir(home)
    save()
    assert len(outcomes()) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"ID": {}}', b'{"ID": 1}', b'{"ID": {"automations": 3, "paths": []}}',
        b'{"ID": {"automations": [{}], "paths": ["ROOT"], "refused": []}}',
        b'{"ID": {"automations": [{"enabled": true}], "paths": ["ROOT"], "refused": []}}',
        b'{"ID": {"automations": ["x"], "paths": ["ROOT"], "refused": []}}',
        b'{"ID": {"automations": [{"id": "1", "name": "n", "enabled": true, "event": "CREATE_ARTIFACT", "scope": null,'
        b' "filter": 5, "metric": null, "action": {}}], "paths": ["ROOT"], "refused": []}}',
        b'{"ID": {"automations": [{"id": "1", "name": "n", "enabled": true, "event": "RUN_METRIC_THRESHOLD", "scope": {},'
        b' "filter": {}, "metric": {"name": "loss"}, "action": {}}], "paths": ["ROOT"], "refused": []}}',
    ],
)  # fmt: skip
def test_a_broken_file_of_rules_costs_a_warning_never_a_save_nor_a_run(
    home: Path, tmp_path: Path, content: bytes
) -> None:
    with Repository(".artifacts") as repository:
        place = repository.automations.place
    rules(tmp_path).parent.mkdir(parents=True)
    rules(tmp_path).write_bytes(content.replace(b"ID", place.id.encode()).replace(b"ROOT", place.root.encode()))
    code = (
        "import artstore as wandb, sys\n"
        "with wandb.init() as run:\n"
        "    a = wandb.Artifact('data', type='x')\n"
        "    with a.new_file('f') as file: file.write('1')\n"
        "    run.log_artifact(a)\n"
        "    run.log({'loss': 1})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert again().version == "v0"
    assert "automation" in done.stderr.lower(), "a warning says that none could be set off"


def test_rules_of_somebody_else_do_not_run(home: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    automate(sh("true"))
    os.chown(rules(tmp_path), 12345, 12345)
    with pytest.warns(AutomationWarning):
        save()
    assert read_log() == []


def test_rules_behind_a_symlink_work_and_stay_where_they_are(home: Path, tmp_path: Path) -> None:
    automate(sh("true"))
    kept = tmp_path / "dotfiles.json"
    rules(tmp_path).rename(kept)
    rules(tmp_path).symlink_to(kept)
    save()
    assert [line["outcome"] for line in outcomes()] == ["ok"]
    automate(sh("true"), "second")
    assert [one.name for one in wandb.Api().automations()] == ["act", "second"]


def test_a_folder_of_settings_that_can_t_be_written_is_an_error_in_a_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(wandb.errors.StorageError, match=r"cannot write .*automations\.json"):
        automate(sh("true"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AutomationWarning)
        assert save().version == "v0", "and no save needs it"


def test_a_log_that_can_t_be_written_keeps_no_automation_from_running(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    automate(sh("touch first"), "first")
    automate(sh("touch second"), "second")
    save()
    until(lambda: Path("first").exists())
    until(lambda: Path("second").exists(), "the first one's line could not be written, so the second never ran")


def test_a_log_that_grew_large_is_begun_anew_and_the_one_before_is_kept(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "artstore"
    folder.mkdir(parents=True)
    line = {"time": "2026-01-01T00:00:00Z", "automation": "old", "id": "1", "event": "X", "about": None}
    text = json.dumps(line | {"outcome": "ok", "seconds": 0.1, "output": "y" * 4000}) + "\n"
    (folder / "automations.log").write_text(text * 300)
    automate(sh("true"))
    save()
    outcomes(1, "act")
    assert (folder / "automations.log").stat().st_size < 4096
    assert (folder / "automations.log.1").stat().st_size == len(text) * 300
    assert len(read_log()) == 301 and read_log()[-1]["automation"] == "act"


def test_processes_that_make_and_delete_rules_lose_none_of_each_other_s(home: Path) -> None:
    code = (
        "import sys, artstore\nfrom artstore.automations import *\napi = artstore.Api()\n"
        "for n in range(6):\n"
        "    api.create_automation(OnCreateArtifact() >> DoNothing(), name=f'{sys.argv[1]}-{n}')\n"
        "    if n % 2: api.delete_automation(f'{sys.argv[1]}-{n}')\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    names = sorted(one.name for one in wandb.Api().automations())
    assert names == [f"{n}-{m}" for n in range(4) for m in (0, 2, 4)]

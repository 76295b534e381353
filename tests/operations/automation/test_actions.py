"""Commands and functions of automations: what they are told, and that a save never suffers from them."""

import concurrent.futures
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api import automations as w
from artstore.operations.automation.worker import perform
from artstore.repository import Repository
from tests.support.artifacts import again
from tests.support.automations import PATIENCE, Heard, automate, outcomes, save, sh, until
from tests.support.checks import check
from tests.support.folders import make_tree

# -- commands ------------------------------------------------------------------------------------


def test_a_command_is_told_the_event_and_knows_where_it_is(home: Path) -> None:
    program = (
        "import json,os,sys; print(json.dumps([json.load(sys.stdin), dict(os.environ), os.getcwd(), sys.argv[1:]]))"
    )
    arguments = ["$HOME; `id` && echo > x | 'q' \"*\"", "", "--", "ünï"]
    script = f"import sys; sys.stdout = open({str(home / 'told.part')!r}, 'w'); {program}"
    automate(
        w.RunCommand([sys.executable, "-c", script, *arguments]),
        event=w.OnAddArtifactAlias(filter=w.ArtifactEvent.alias == "prod"),
    )
    version = save(aliases=("prod",), metadata={"k": ["v", 1]}, tags=("t",), type="dataset")
    assert [line["outcome"] for line in outcomes()] == ["ok"]
    event, environment, folder, given = json.loads((home / "told.part").read_text())
    assert given == arguments, "no shell read them"
    assert folder == str(home) and environment["ARTSTORE_DIR"] == str(home / ".artifacts")
    said = {
        "event": "ADD_ARTIFACT_ALIAS", "entity": "local", "project": "uncategorized", "collection": "data",
        "type": "dataset", "version": "v0", "spec": "local/uncategorized/data:v0", "id": version.id,
        "digest": version.digest, "alias": "prod", "metadata": {"k": ["v", 1]}, "tags": ["t"],
    }  # fmt: skip
    assert event.items() >= said.items()
    assert {"prod", "latest"} == set(event["aliases"]) and event["time"].startswith("20")
    assert environment["ARTSTORE_EVENT"] == "ADD_ARTIFACT_ALIAS"
    for key in ("entity", "project", "collection", "type", "version", "spec", "id", "digest", "alias"):
        assert environment[f"ARTSTORE_EVENT_{key.upper()}"] == event[key]
    assert json.loads(environment["ARTSTORE_EVENT_METADATA"]) == {"k": ["v", 1]}
    assert sorted(os.listdir(home)) == [".artifacts", "src", "told.part"], "nothing was made by a shell"


def test_a_command_does_not_get_the_token_of_a_served_repository(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTSTORE_TOKEN", "art_00000000_s3cr3t")
    monkeypatch.setenv("ARTSTORE_URL", "https://artifacts.example.org")
    automate(sh("env > env.part; mv env.part env"))
    save()
    assert [line["outcome"] for line in outcomes()] == ["ok"]
    told = (home / "env").read_text()
    assert "s3cr3t" not in told and "ARTSTORE_URL=https://artifacts.example.org" in told


def test_a_command_sees_the_version_that_it_is_told_of(home: Path) -> None:
    script = f'cd /; {sys.executable} -m artstore cat "$ARTSTORE_EVENT_SPEC" f'
    automate(sh(script))
    save(text="what was saved")
    (line,) = outcomes()
    assert (line["outcome"], line["output"]) == ("ok", "what was saved")


@pytest.mark.parametrize(
    ("argv", "outcome", "output"),
    [
        (["true"], "ok", ""),
        (["sh", "-c", "echo out; echo err >&2; exit 7"], "exit code 7", "out\nerr\n"),
        (["sh", "-c", "kill -9 $$"], "signal 9", ""),
        (["printf", r"\377\033[31m"], "ok", "\ufffd\x1b[31m"),
        (["sh", "-c", "sleep 30 & echo started"], "ok", "started\n"),
    ],
)
def test_what_came_of_a_command_is_in_the_log(home: Path, argv: list[str], outcome: str, output: str) -> None:
    automate(w.RunCommand(argv))
    save()
    (line,) = outcomes()
    assert outcome in line["outcome"] and line["output"] == output and line["seconds"] < 10
    assert (line["automation"], line["event"]) == ("act", "CREATE_ARTIFACT")
    assert line["about"] == "local/uncategorized/data:v0"


def test_of_much_output_the_last_is_kept(home: Path) -> None:
    automate(sh("head -c 2000000 /dev/zero | tr '\\0' x; echo the end"))
    save()
    (line,) = outcomes()
    assert line["output"].endswith("xxxthe end\n") and 100 < len(line["output"]) <= 4096


@pytest.mark.parametrize("argv", [["./no such program"], ["/etc/passwd"], ["a\0b"], ["x" * 5000]])
def test_a_command_that_can_t_be_started_is_noted_and_the_others_run(home: Path, argv: list[str]) -> None:
    automate(w.RunCommand(argv), "bad")
    automate(sh("true"), "good")
    save()
    assert [line["outcome"] for line in outcomes(1, "good")] == ["ok"]
    (line,) = outcomes(1, "bad")
    assert line["outcome"] != "ok" and again().version == "v0"


@pytest.mark.parametrize("metadata", [{"words": "x" * 300_000}, {f"key {n}": "x" * 3000 for n in range(100)}])
def test_a_command_is_told_all_metadata_however_large(home: Path, metadata: dict[str, str]) -> None:
    automate(sh('cat > "$0.part"; mv "$0.part" "$0"', home / "told"))
    save(metadata=metadata)
    assert [line["outcome"] for line in outcomes()] == ["ok"]
    assert json.loads((home / "told").read_text())["metadata"] == metadata


def test_a_command_that_hangs_is_ended_with_all_that_it_started(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("artstore.operations.automation.worker.COMMAND_TIMEOUT", 0.3)
    rule = automate(sh('echo begun; sh -c "sleep 60 & echo $! > pid; wait"'), enabled=False).rule
    started = time.monotonic()
    outcome, output = perform(rule, {"event": "CREATE_ARTIFACT"}, str(home / ".artifacts"), 1)
    assert outcome.startswith("ended after") and output == "begun\n" and time.monotonic() - started < 30


def test_a_save_does_not_wait_for_a_command_nor_hold_its_descriptors(home: Path) -> None:
    automate(sh("touch begun; sleep 20"))
    make_tree(Path("src"), {"f": "1"})
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    started = time.monotonic()
    command = [sys.executable, "-m", "artstore", "put", "src", "-n", "data"]
    done = subprocess.run(command, capture_output=True, text=True, pass_fds=[writer], timeout=60)
    assert done.returncode == 0, done.stderr
    os.close(writer)
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b"", "whoever waits for the end of our output (or our lock) goes on"
    os.close(reader)
    assert time.monotonic() - started < 15
    until(lambda: Path("begun").exists())


def test_commands_inherit_no_descriptors(home: Path) -> None:
    automate(sh("ls -l /proc/self/fd"))
    with open("secret", "w") as file:
        os.set_inheritable(file.fileno(), True)
        save()
        (line,) = outcomes()
    assert "secret" not in line["output"] and "socket" not in line["output"]


def test_a_circle_of_automations_ends(home: Path) -> None:
    script = f"echo x >> count; wc -l < count > src/f; {sys.executable} -m artstore put src -n data"
    automate(sh(script))
    save(text="0")
    outcomes(3)
    assert "loop" in outcomes(3)[-1]["output"]
    assert Path("count").read_text() == "x\n" * 3
    assert again().version == "v3", "the saves themselves were made"


def test_a_repository_in_a_folder_with_any_name_fires(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = os.fsencode(home) + b"/caf\xe9 $(touch x)"
    os.mkdir(folder)
    os.chdir(folder)
    Repository.init(".artifacts").close()
    automate(sh('pwd; test -f "$ARTSTORE_DIR/format"'))
    save()
    assert [line["outcome"] for line in outcomes()] == ["ok"]
    check(Path(".artifacts"))


def test_the_process_that_saves_keeps_no_zombies(home: Path) -> None:
    others = set(_children())  # such as the tracker of another test's processes
    save()
    automate(w.RunCommand(["true"]), event=w.OnAddArtifactTag())
    with Repository(".artifacts") as repository:
        for number in range(8):
            repository.set_tags("data", add=(f"t{number}",))
    outcomes(8)
    assert until(lambda: not [pid for pid in _children() if pid not in others and not _ended(pid)] or None)
    assert not set(_zombies()) - others


def _children() -> list[int]:
    listed = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    return [int(pid) for pid in listed]


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _zombies() -> list[int]:
    return [pid for pid in _children() if _ended(pid) and Path(f"/proc/{pid}").exists()]


def test_automations_fire_from_several_threads_and_from_forked_children(home: Path) -> None:
    automate(sh("true"))

    for number in range(4):
        make_tree(Path(f"in{number}"), {"f": str(number)})

    def put(number: int) -> None:
        with Repository(".artifacts") as repository:
            repository.put(f"in{number}", f"thread-{number}")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(4)))
    make_tree(Path("in0"), {"f": "forked"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = multiprocessing.get_context("fork").Process(target=put, args=(0,))
        child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0
    about = sorted(line["about"].rpartition("/")[2] for line in outcomes(5))
    assert about == ["thread-0:v0", "thread-0:v1", "thread-1:v0", "thread-2:v0", "thread-3:v0"]


# -- functions -----------------------------------------------------------------------------------


def test_a_function_that_raises_or_hangs_does_not_touch_the_save(home: Path) -> None:
    let_go = threading.Event()

    def fails(event: dict[str, Any]) -> None:
        raise RuntimeError("no such luck")

    def hangs(event: dict[str, Any]) -> None:
        let_go.wait(PATIENCE)

    automate(w.CallPython(fails), "fails")
    automate(w.CallPython(hangs), "hangs")
    started = time.monotonic()
    assert save().version == "v0"
    assert time.monotonic() - started < 5
    (line,) = outcomes(1, "fails")
    assert line["outcome"] == "RuntimeError: no such luck"
    let_go.set()
    assert [line["outcome"] for line in outcomes(1, "hangs")] == ["ok"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_function_that_ends_the_program_does_not_end_the_save(home: Path) -> None:
    automate(w.CallPython(lambda event: sys.exit(3)), "exits")
    automate(w.CallPython(lambda event: None), "other")
    assert save().version == "v0"
    assert [line["outcome"] for line in outcomes(1, "other")] == ["ok"]
    assert "SystemExit" in outcomes(1, "exits")[0]["outcome"]


def test_functions_have_names_of_their_own_and_are_found_changed_and_deleted_as_others(home: Path) -> None:
    api, heard = wandb.Api(), Heard()
    made = automate(w.CallPython(heard), "mine", description="what for")
    assert api.automation("mine") == made and [one.name for one in api.automations(name="mine")] == ["mine"]
    with pytest.raises(ValueError, match="'mine' exists"):
        automate(w.CallPython(heard), "mine")
    assert automate(w.CallPython(heard), "mine", fetch_existing=True) == made
    assert api.update_automation(made, enabled=False).enabled is False
    save()
    assert heard.words() == []
    assert api.delete_automation("mine") is True
    assert list(api.automations()) == []


def test_functions_are_gone_when_they_are_deleted(home: Path) -> None:
    heard, api = Heard(), wandb.Api()
    made = automate(w.CallPython(heard))
    save()
    assert heard.words() == ["created data:v0"]
    assert api.delete_automation(made) is True
    save(text="2")
    assert heard.words() == []

"""`artstore automation`: whole outputs, wrong arguments as sentences, and the question on a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import Cli, Result, environment
from tests.support.folders import make_tree

PATIENCE = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with one version of `data`."""
    work = tmp_path / "work"
    make_tree(work / "src", {"f": "1"})
    with Repository.init(str(work / ".artifacts")) as repository:
        repository.put(str(work / "src"), "data", type="dataset")
    return work


@pytest.fixture
def auto(cli: Cli, home: Path, tmp_path: Path) -> Cli:
    """Run `artstore ARGS…` there, with this test's folders for settings and logs."""

    def run(*args: Any, **more: Any) -> Result:
        return cli(*args, **({"cwd": home} | folders(tmp_path) | more))

    return run


def folders(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}


def until(ready: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def log_of(auto: Cli, number: int = 1, *arguments: str) -> list[dict[str, Any]]:
    def lines() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(auto("automation", "log", "--json", *arguments).out)
        return found

    until(lambda: len(lines()) >= number)
    return lines()


def test_an_automation_is_made_listed_tried_run_logged_switched_off_and_deleted(auto: Cli, home: Path) -> None:
    none = auto("automation", "list")
    assert (none.code, none.out) == (0, "") and "there are no automations" in none.err
    assert "no automation has run yet" in auto("automation", "log").err
    made = auto(
        "automation", "create", "ship it", "--on", "alias-added", "--scope", "data", "--where", "alias=prod",
        "--run", "sh -c 'echo \"to $ARTSTORE_EVENT_ALIAS\"'", "-d", "to production",
    )  # fmt: skip
    what = "alias-added in local/uncategorized/data where alias=prod → sh -c 'echo \"to $ARTSTORE_EVENT_ALIAS\"'"
    assert (made.code, made.err) == (0, "")
    assert made.out == f"created automation ship it: {what}\ntry it with: artstore automation test 'ship it'\n"
    head, row = auto("automation", "list").out.splitlines()
    assert head.split() == ["NAME", "STATE", "WHAT", "DESCRIPTION"]
    assert re.split(r"  +", row) == ["ship it", "on", what, "to production"]
    tried = auto("automation", "test", "ship it")
    assert (tried.code, tried.out, tried.err) == (0, "to test\nship it: ok\n", "")
    for alias in ("best", "prod"):
        assert auto("alias", "data", alias).code == 0
    newest, oldest = log_of(auto, 2)
    assert (oldest["about"], newest["about"]) == ("local/uncategorized/data:v0",) * 2
    assert (newest["outcome"], newest["output"]) == ("ok", "to prod\n")
    assert newest["automation"] == "ship it" and newest["event"] == "ADD_ARTIFACT_ALIAS"
    head, first, _ = auto("automation", "log").out.splitlines()
    assert re.split(r"  +", head) == ["DONE (UTC)", "AUTOMATION", "EVENT", "ABOUT", "TOOK", "OUTCOME"]
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ship it +ADD_ARTIFACT_ALIAS  local/uncategorized/data:v0  \d\.\d s  ok"
    assert re.fullmatch(pattern, first)
    assert auto("automation", "enable", "ship it", "--off").out == "automation ship it is off\n"
    assert re.split(r"  +", auto("automation", "list").out.splitlines()[1])[1] == "off"
    assert auto("automation", "enable", "ship it").out == "automation ship it is on\n"
    assert auto("automation", "delete", "ship it").out == "deleted automation ship it\n"
    assert auto("automation", "list").out == ""
    check(home / ".artifacts")


def test_everything_that_reads_prints_json(auto: Cli, home: Path) -> None:
    made = json.loads(auto("automation", "create", "a", "--on", "run-metric", "--metric", "mean(loss, 5) <= 1e-1", "--run", "true", "--json").out)  # fmt: skip
    assert made["metric"] == {"name": "loss", "agg": "mean", "window": 5, "cmp": "$lte", "threshold": 0.1}
    assert made["action"] == {"kind": "command", "argv": ["true"]} and made["event"] == "RUN_METRIC_THRESHOLD"
    assert json.loads(auto("automation", "list", "--json").out) == [made]
    tried = json.loads(auto("automation", "test", "a", "--json").out)
    assert tried == {"automation": "a", "outcome": "ok", "output": ""}
    assert [line["id"] for line in json.loads(auto("automation", "log", "--json").out)] == [made["id"]]
    assert json.loads(auto("automation", "delete", made["id"], "--json").out) == {"deleted": "a"}
    assert json.loads(auto("automation", "list", "--json").out) == []


def test_a_try_that_fails_says_so_and_exits_with_1(auto: Cli) -> None:
    auto("automation", "create", "bad", "--on", "created", "--run", "sh -c 'echo why >&2; exit 3'")
    tried = auto("automation", "test", "bad")
    assert (tried.code, tried.out) == (1, "why\nbad: exit code 3\n")
    auto("automation", "create", "none", "--on", "created", "--run", "no-such-program")
    tried = auto("automation", "test", "none")
    assert tried.code == 1 and "no-such-program" in tried.out and len(tried.out.splitlines()) == 1
    auto("automation", "create", "hook", "--on", "created", "--webhook", "http://127.0.0.1/", "--secret-env", "NONE")
    assert auto("automation", "test", "hook").out == "hook: NONE is not set in the environment\n"


def test_output_of_commands_reaches_a_terminal_escaped(auto: Cli) -> None:
    auto("automation", "create", "x", "--on", "created", "--run", r"printf 'a\033[31mb\nc\td\re'")
    out = auto("automation", "test", "x").out
    assert "\x1b" not in out and "\r" not in out and out.splitlines()[-1] == "x: ok"
    assert out.splitlines()[0].startswith("a") and len(out.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("--on created", 3, "give either --run COMMAND or --webhook URL"),
        ("--on created --run true --webhook http://x/", 3, "give either --run COMMAND or --webhook URL"),
        ("--run true", 2, "--on"),
        ("--on nothing --run true", 2, "nothing"),
        ('--on created --run "sh -c \'x"', 3, "quot"),
        ("--on created --run ''", 3, "command"),
        ("--on created --webhook ftp://x/", 3, "web address"),
        ("--on created --webhook http://", 3, "web address"),
        ("--on created --webhook http://x/ --payload {", 3, "cannot read the payload as JSON"),
        ("--on created --webhook http://x/ --payload @none.json", 3, "none.json"),
        ("--on created --run true --payload {}", 3, "payload"),
        ("--on created --run true --secret-env S", 3, "secret"),
        ("--on created --run true --where nonsense", 3, "not a condition"),
        ("--on created --run true --where alais=prod", 3, "alais"),
        ("--on created --run true --where tag~(", 3, "regular expression"),
        ("--on created --run true --where {", 3, "not JSON"),
        ("--on created --run true --metric loss<1", 3, "metric"),
        ("--on run-metric --run true", 3, "metric"),
        ("--on run-metric --run true --metric loss", 3, "'loss' is not a threshold"),
        ("--on run-metric --run true --metric loss<low", 3, "threshold"),
        ("--on run-metric --run true --metric loss<nan", 3, "threshold"),
        ("--on run-metric --run true --metric mean(loss,0)<1", 3, "threshold"),
        ("--on run-metric --run true --metric median(loss,3)<1", 3, "threshold"),
        ("--on created --run true --scope a/b/c/d", 3, "too many parts"),
        ("--on created --run true --scope ''", 3, "name"),
        ("--on created --run true --scope data:v0", 3, "version"),
        ("--on created --run true --scope a/b/c/", 3, "a/b"),
    ],
)
def test_wrong_arguments_are_sentences(auto: Cli, tmp_path: Path, arguments: str, code: int, says: str) -> None:
    done = auto("automation", "create", "x", *shlex.split(arguments))
    assert done.code == code and says in done.err and done.out == "" and "bug" not in done.err, done
    assert done.err.startswith("error: ") and len(done.err.splitlines()) <= 2
    assert not (tmp_path / "config" / "artstore" / "automations.json").exists()


def test_names_that_are_not_there_or_taken_are_sentences(auto: Cli) -> None:
    auto("automation", "create", "deploy", "--on", "created", "--run", "true")
    taken = auto("automation", "create", "deploy", "--on", "deleted", "--run", "true")
    assert taken.code == 5 and "'deploy' exists" in taken.err
    for command in ("delete", "enable", "test", "log"):
        missing = auto("automation", command, "deplyo")
        assert missing.code == 4 and "deplyo" in missing.err and "deploy" in missing.err.split("hint")[-1], missing
    for name in ("", "x" * 129, "a\nb", "a\x1b[31m"):
        refused = auto("automation", "create", name, "--on", "created", "--run", "true")
        assert refused.code == 3 and "name" in refused.err and "\x1b" not in refused.err
    assert len(json.loads(auto("automation", "list", "--json").out)) == 1


def test_outside_a_repository_every_command_says_so(auto: Cli, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    create = ("create", "x", "--on", "created", "--run", "true")
    for command in (create, ("list",), ("delete", "x"), ("enable", "x"), ("allow",), ("test", "x")):
        done = auto("automation", *command, cwd=empty)
        assert done.code == 4 and "there is no repository" in done.err, command
    assert not (empty / ".artifacts").exists()


def test_the_log_tells_of_this_repository_alone(auto: Cli, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_tree(other / "src", {"f": "1"})
    with Repository.init(str(other / ".artifacts")) as repository:
        repository.put(str(other / "src"), "data")
    for folder in (tmp_path / "work", other):
        auto("automation", "create", "note", "--on", "created", "--run", f"echo {folder.name}", cwd=folder)
        auto("automation", "test", "note", cwd=folder)
    assert [line["output"] for line in log_of(auto)] == ["work\n"]


def test_the_log_is_cut_to_the_newest(auto: Cli) -> None:
    auto("automation", "create", "n", "--on", "created", "--run", "true")
    for _ in range(3):
        auto("automation", "test", "n")
    assert len(json.loads(auto("automation", "log", "-n", 2, "--json").out)) == 2
    assert auto("automation", "log", "-n", 0).code == 2


def test_a_log_with_broken_lines_is_read(auto: Cli, tmp_path: Path) -> None:
    auto("automation", "create", "n", "--on", "created", "--run", "true")
    auto("automation", "test", "n")
    with open(tmp_path / "state" / "artstore" / "automations.log", "ab") as log:
        log.write(b'null\n3\n{}\n[]\n{"time": 3, "automation": null}\n\xff\xfe\n{"time": "2026')
    for arguments in ((), ("--json",), ("n",)):
        done = auto("automation", "log", *arguments)
        assert done.code == 0 and "bug" not in done.err and " n " in done.out.replace('"', " "), done


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"ID": {}}', '{"ID": {"automations": [{}], "paths": [], "refused": []}}']
)
def test_a_broken_file_of_rules_is_a_sentence_and_saves_go_on(
    auto: Cli, home: Path, tmp_path: Path, content: str
) -> None:
    with Repository(str(home / ".artifacts")) as repository:
        text = content.replace("ID", repository.id)
    path = make_tree(tmp_path / "config" / "artstore", {"automations.json": text}) / "automations.json"
    for command in (("list",), ("delete", "x"), ("create", "x", "--on", "created", "--run", "true"), ("allow",)):
        done = auto("automation", *command)
        assert done.code == 3 and str(path) in done.err and "mend or remove it" in done.err, done
    assert path.read_text() == text, "what could not be read is not written over"
    make_tree(home / "src", {"f": "2"})
    saved = auto("put", "src", "-n", "data")
    assert saved.code == 0 and "saved data:v1" in saved.out and saved.err.startswith("warning: "), saved


def test_folders_that_can_t_be_used_are_sentences_and_saves_go_on(auto: Cli, home: Path, tmp_path: Path) -> None:
    file = make_tree(tmp_path, {"file": ""}) / "file"
    create = ("automation", "create", "x", "--on", "created", "--run", "true")
    done = auto(*create, XDG_CONFIG_HOME=str(file))
    assert done.code == 9 and "automations.json" in done.err and "bug" not in done.err
    assert auto(*create).code == 0
    tried = auto("automation", "test", "x", XDG_STATE_HOME=str(file))
    assert "x: ok" in tried.out and "bug" not in tried.err, "it was done, whatever became of the log"
    make_tree(home / "src", {"f": "2"})
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        assert auto("put", "src", "-n", name.replace("_", "-"), **{name: str(file)}).code == 0


def test_a_copy_says_that_nothing_runs_there_until_it_is_allowed(auto: Cli, home: Path, tmp_path: Path) -> None:
    auto("automation", "create", "here", "--on", "tag-added", "--run", "pwd")
    other = tmp_path / "other"
    shutil.copytree(home, other)
    tagged = auto("tag", "data", "x", cwd=other)
    assert tagged.code == 0 and tagged.err.count("warning: ") == 1 and "artstore automation allow" in tagged.err
    assert str(other) in tagged.err
    assert "may not run at this path" in auto("automation", "list", cwd=other).err
    refused = auto("automation", "allow", "--not", cwd=other)
    assert refused.out == f"automations do not run at {other}/.artifacts\n"
    assert auto("tag", "data", "y", cwd=other).err == "", "they said no, and are not bothered"
    assert auto("automation", "allow", cwd=other).out == f"automations run at {other}/.artifacts\n"
    assert auto("tag", "data", "z", cwd=other).err == ""
    assert [line["output"] for line in log_of(auto, 1, "here")] == [f"{other}\n"]
    check(other / ".artifacts")


def on_terminal(work: Path, tmp_path: Path, answer: bytes, *args: str) -> tuple[int, str]:
    """Exit code and all that appears on a pseudo-terminal; a question gets this answer, again if it was not heard: Python
    misses a Ctrl-C that comes after it showed the question and before it waits for the answer.
    """
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "artstore", *args],
        cwd=work, env=environment(tmp_path, **folders(tmp_path)), stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # Ctrl-C is heard
    )  # fmt: skip
    os.close(slave)
    shown, deadline = b"", time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if select.select([master], [], [], 1)[0]:
                piece = os.read(master, 1 << 16)
                shown, asked = shown + piece, b"?" in piece
            else:
                asked = b"?" in shown
            if asked:
                os.write(master, answer)
    except OSError:  # EIO: the other end is closed
        pass
    finally:
        os.close(master)
        if time.monotonic() >= deadline:
            process.kill()
    return process.wait(10), shown.decode().replace("\r\n", "\n")


COMMANDS = {
    "put": (("put", "src", "-n", "data", "-a", "one"), ("put", "src", "-n", "data", "-a", "two")),
    "alias": (("alias", "data", "one"), ("alias", "data", "two")),
    "cp": (("cp", "data", "two"), ("alias", "data", "two")),
}


@pytest.fixture
def moved(auto: Cli, home: Path, tmp_path: Path) -> Path:
    for kind in ("created", "alias-added"):
        assert auto("automation", "create", kind, "--on", kind, "--run", "pwd").code == 0
    return home.rename(tmp_path / "moved")


@pytest.mark.parametrize("command", COMMANDS)
def test_on_a_terminal_a_new_place_is_asked_for_once(auto: Cli, moved: Path, tmp_path: Path, command: str) -> None:
    first, second = COMMANDS[command]
    code, shown = on_terminal(moved, tmp_path, b"y\n", *first)
    assert code == 0 and shown.count("?") == 1 and str(moved) in shown and "bug" not in shown, shown
    code, shown = on_terminal(moved, tmp_path, b"y\n", *second)
    assert code == 0 and "?" not in shown, shown
    lines = until(lambda: json.loads(auto("automation", "log", "--json", cwd=moved).out))
    assert {line["output"] for line in lines} == {f"{moved}\n"}
    check(moved / ".artifacts")


def test_no_is_an_answer_too(moved: Path, tmp_path: Path) -> None:
    code, shown = on_terminal(moved, tmp_path, b"n\n", "alias", "data", "one")
    assert code == 0 and shown.count("?") == 1 and "bug" not in shown, shown
    code, shown = on_terminal(moved, tmp_path, b"y\n", "alias", "data", "two")
    assert code == 0 and "?" not in shown and "warning" not in shown, shown
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("answer", [b"\x04", b"\x03"])
def test_a_question_that_is_not_answered_does_not_undo_the_change(moved: Path, tmp_path: Path, answer: bytes) -> None:
    code, shown = on_terminal(moved, tmp_path, answer, "alias", "data", "one")
    assert "?" in shown and "bug" not in shown, shown
    assert (code in (0, 130) and "nothing was lost" in shown) or code == 0
    with Repository(str(moved / ".artifacts")) as repository:
        assert "one" in repository.collection("data").aliases
    assert not (tmp_path / "state").exists(), "and nothing was run"


def test_a_scope_that_is_given_by_an_old_name_is_the_artifact_of_today(auto: Cli, home: Path) -> None:
    with Repository(str(home / ".artifacts")) as repository:
        repository.rename("data", "cleaned")
    made = auto("automation", "create", "tell", "--on", "alias-added", "--scope", "data", "--run", "true")
    assert made.out.splitlines()[0] == "created automation tell: alias-added in local/uncategorized/cleaned → true"

"""Every error that a command line can meet: one sentence, a hint that works, an exit code, the same as text and as JSON."""

import json
import os
import re
import shlex
from pathlib import Path

import click
import pytest

from artstore.cli import cli as cli_
from artstore.cli.habits import HINTS, WORDS
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.transcripts import assert_played, sample
from tests.support.trouble import UNPRIVILEGED, run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Two versions of `data`, aliases raw and best; `my`; p/net of type model."""
    sample(tmp_path)
    with Repository.init(str(tmp_path / ".artifacts")) as repository:
        repository.settings.set("core.identity", "off")
        repository.put(str(tmp_path / "src"), "data", type="dataset", aliases=("raw",), tags=("clean",))
        make_tree(tmp_path / "src", {"a.csv": "longer\n"})
        repository.put(str(tmp_path / "src"), "data", aliases=("best",))
        repository.put(str(tmp_path / "src"), "my", type="dataset")
        repository.put(str(tmp_path / "src/d"), "p/net", type="model")
    return tmp_path


def test_what_breaks_a_rule(cli: Cli, work: Path) -> None:
    assert_played(cli, work, "error_names", errors_as_json=True)
    check(work / ".artifacts")


def test_what_is_not_there(cli: Cli, work: Path) -> None:
    assert_played(cli, work, "error_missing", errors_as_json=True)
    check(work / ".artifacts")


def test_files_in_the_way_and_files_that_cannot_be_saved(cli: Cli, work: Path) -> None:
    make_tree(
        work, {"mine/a.csv": "mine", "mine/extra": "extra", "blocked/d": "a file", "foldered/a.csv/x": "a folder"}
    )
    make_tree(work, {"a*b/x": "", "a:b/x": "", "x@y/x": "", "folder/fine": ""})
    (work / "dangling").symlink_to("nowhere")
    os.mkfifo(work / "pipe")
    os.mkfifo(work / "folder/pipe")
    (work / "folder/broken").symlink_to("nowhere")
    assert_played(cli, work, "error_files", errors_as_json=True)
    check(work / ".artifacts")


def test_settings(cli: Cli, work: Path) -> None:
    assert_played(cli, work, "error_settings", errors_as_json=True)


def test_command_lines_that_are_wrong(cli: Cli, work: Path) -> None:
    assert_played(cli, work, "error_usage", errors_as_json=True)


def error(cli: Cli, *args: object, code: int, cwd: Path | None = None, **more: str) -> tuple[str, str | None]:
    """(message, hint) of a command that fails with `code` and prints nothing else."""
    result = cli(*args, cwd=cwd, **more)
    assert result.code == code and result.out == "", result
    lines = result.err.splitlines()
    assert lines[0].startswith("error: ") and len(lines) <= 2, result
    return lines[0].removeprefix("error: "), lines[1].removeprefix("hint: ") if lines[1:] else None


IGNORED_ALONE = {
    "ls data --type other": (4, "data:v1 has type 'dataset', not 'other'"),
    "ls -r": (3, "PATH and --recursive need a version as SPEC"),
    "ls p/ net": (3, "PATH and --recursive need a version as SPEC"),
    "ls --where size>0 -r": (3, "--where lists versions: it can't be combined with PATH or --recursive"),
    "ls data a.csv --where size>0": (3, "--where lists versions: it can't be combined with PATH or --recursive"),
    "cat data a.csv -n 1": (3, "-n counts the rows of a table that is printed: leave out -n, or --raw"),
    "init --shared": (5, "~/.artifacts exists, and its group may not write to it"),
    "runs ls --csv --json": (3, "--csv and --json can't be combined"),
    "runs show r --csv --json": (3, "--csv and --json can't be combined"),
    "runs files r --force": (3, "--force needs --root FOLDER"),
    "lineage data --json --format dot": (3, "--json can't be combined with another --format"),
    "gc --force": (3, "--force needs --abandon ID"),
    "remote add nas nas --shared": (3, "--shared needs --init: it is for a new repository"),
}
"""Command lines with an option that means nothing beside the others."""


@pytest.mark.parametrize("command", IGNORED_ALONE)
def test_an_option_that_means_nothing_beside_the_others_is_refused(cli: Cli, work: Path, command: str) -> None:
    code, message = IGNORED_ALONE[command]
    done = cli(*command.split(), cwd=work)
    told = json.loads(done.out)["error"]["message"] if "--json" in command else done.err.splitlines()[0][7:]
    assert (done.code, told.replace(str(work), "~")) == (code, message)


def test_both_directions_of_lineage_are_both(cli: Cli, work: Path) -> None:
    assert cli("lineage", "data", "--up", "--down", cwd=work).out == cli("lineage", "data", cwd=work).out
    assert cli("ls", "data", "--type", "dataset", cwd=work).out == cli("ls", "data", cwd=work).out


# -- no repository, and broken ones --


@pytest.mark.parametrize("command", ["ls", "get x", "show x", "log x", "cat x y", "diff x y", "status", "verify x", "alias x", "tag x", "edit x -d y", "rm x:v0", "undelete x", "mv x y", "cp x y", "fsck", "gc", "du", "config", "artifact ls", "artifact get x"])  # fmt: skip
def test_without_a_repository_every_command_says_how_to_make_one(cli: Cli, tmp_path: Path, command: str) -> None:
    said = error(cli, *command.split(), code=4)
    assert said == (
        f"there is no repository in {tmp_path} or above",
        "`artstore init` makes one here; ARTSTORE_DIR names one elsewhere",
    )


def test_artstore_dir_is_the_repository_itself(cli: Cli, work: Path) -> None:
    said = error(cli, "ls", code=4, ARTSTORE_DIR=str(work))
    assert said == (
        f"there is no repository in {work}",
        f"ARTSTORE_DIR is the repository's own folder: did you mean {work}/.artifacts?",
    )
    assert error(cli, "ls", code=4, ARTSTORE_DIR="/none")[0] == "there is no repository in /none"


@pytest.mark.damaged
def test_what_is_no_repository_or_a_newer_one(cli: Cli, work: Path) -> None:
    format_file = work / ".artifacts/format"
    value = json.loads(format_file.read_text())
    newer = json.dumps(value | {"artstore": value["artstore"] + 1}, separators=(",", ":"), sort_keys=True)
    format_file.chmod(0o644)
    format_file.write_text("x\n")
    message, _ = error(cli, "ls", code=10)
    assert message.startswith(f"{work}/.artifacts is not an artstore repository: ")
    format_file.write_text(newer)
    message, hint = error(cli, "ls", code=10)
    assert (
        message.endswith(f"has format {value['artstore'] + 1}; this artstore knows format {value['artstore']}")
        or "canonical" in message
    )
    assert hint in ("update artstore", None)


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"[core]\nentity = a/b\n", "core.entity in {}: entity 'a/b' is not allowed: 1 to 128 characters, none of / \\ # ? % : or control ones", "`artstore config core.entity VALUE` mends it"),
        (b"[core]\nproject = #\n", "core.project in {}: project '#' is not allowed: 1 to 128 characters, none of / \\ # ? % : or control ones", "`artstore config core.project VALUE` mends it"),
        (b"\xff", "{} is not UTF-8 text", "mend or remove it"),
    ],
)  # fmt: skip
def test_a_broken_settings_file_is_named(cli: Cli, work: Path, content: bytes, message: str, hint: str) -> None:
    config = work / ".artifacts/config"
    config.write_bytes(content)
    assert error(cli, "ls", code=3) == (message.format(config), hint)
    if hint.startswith("`"):
        assert cli(*shlex.split(hint.split("`")[1])[1:-1], "fine").code == 0
        assert cli("ls").code == 0


def test_settings_are_checked_when_they_are_used(cli: Cli, work: Path) -> None:
    config = work / ".artifacts/config"
    config.write_text("[gc]\ngrace = soon\n[core]\nidentity = maybe\n")
    assert error(cli, "gc", code=3)[0] == f"gc.grace in {config}: 'soon' is not a time such as 12h or 7d"
    assert error(cli, "tag", "data", "x", code=3)[0] == f"core.identity in {config}: 'maybe' is neither on nor off"


@pytest.mark.damaged
def test_damage_is_an_error_that_names_the_object_and_a_way_out(cli: Cli, work: Path) -> None:
    for pack in (work / ".artifacts/objects/packs").iterdir():
        pack.unlink()
    for command in ("get data --root out", "cat data a.csv", "ls data", "diff data:v0 data"):
        message, hint = error(cli, *command.split(), code=7)
        assert re.fullmatch(rf"(data:v1: )?tree [0-9a-f]{{12}} is missing from {work}/.artifacts", message), message
        assert hint.startswith("save the same content again, or let `artstore fsck --repair` look for a copy")
    assert not (work / "out").exists()
    report = cli("fsck")
    assert report.code == 7
    assert report.err == "hint: `artstore fsck --repair` looks for good copies of what is lost\n"
    assert report.out.splitlines()[-1] == "4 problems: 4 versions, 0 objects, 0 B hashed"
    told = json.loads(cli("fsck", "--json").out)
    assert [f"problem: {problem}" for problem in told["problems"]] == report.out.splitlines()[:4] and not told["ok"]
    assert cli("put", "src", "-n", "data").code == 0, "the hint works"
    assert cli("get", "data", "--root", "out").code == 0


@pytest.mark.damaged
def test_a_damaged_log_is_named_and_the_other_artifacts_can_be_used(cli: Cli, work: Path) -> None:
    entry = sorted((work / ".artifacts/refs/local/uncategorized/my").iterdir())[0]
    entry.chmod(0o644)
    entry.write_text("{")
    message, hint = error(cli, "get", "my", code=7)
    assert message.startswith("entry 1 of refs/local/uncategorized/my is not JSON") and hint is not None
    assert cli("get", "data").code == 0
    listed = cli("ls")
    assert listed.code == 7 and "refs/local/uncategorized/my" in listed.err
    assert "\ndata " in listed.out, "one damaged log hides no other artifact"


def test_a_folder_that_may_not_be_written_to(work: Path) -> None:
    """Reading still works; the error says which folder."""
    folders = [work / ".artifacts", *(path for path in (work / ".artifacts").rglob("*") if path.is_dir())]
    make_tree(work / "src", {"new": "new"})
    for folder in folders:
        folder.chmod(0o555)
    try:
        for command in ("put src -n data", "tag data x", "rm data:v1 --force", "gc"):
            result = run(work, *command.split(), setup=UNPRIVILEGED)
            assert result.code == 9 and re.match(
                rf"error: cannot [^\n]*{work}/\.artifacts[^\n]*: permission denied\nhint: ", result.err
            ), (command, result)
        for command in ("ls", "get data", "show data", "log data", "cat data a.csv", "du", "fsck"):
            assert run(work, *command.split(), setup=UNPRIVILEGED).code == 0, command
    finally:
        for folder in folders:
            folder.chmod(0o755)
    check(work / ".artifacts")


# -- hints are typed, and work --


@pytest.mark.parametrize("command", ["cat 'my data' none", "cat 'my data' d", "get 'my data:none'", "get 'my data@abcd'", "rm 'my data'", "rm 'my data:v0'", "get 'my data:v0'", "undelete 'my data'", "rm --collection 'my data'"])  # fmt: skip
def test_commands_in_hints_and_messages_can_be_typed(cli: Cli, work: Path, command: str) -> None:
    """Names with spaces are quoted in them."""
    cli("put", "src", "-n", "my data")
    if command == "get 'my data:v0'":
        cli("rm", "my data:v0")
    result = cli(*shlex.split(command))
    typed = [
        part
        for part in re.findall(r"`(artstore [^`]*)`", result.out + result.err)
        if not part.startswith("artstore gc")
    ]
    for text in typed:
        again = cli(*shlex.split(text.replace("vN", "v0"))[1:])
        assert again.code in (0, 5), f"`{text}` is what {command} says to type: {again}"


@pytest.mark.parametrize(
    "command", ["rm p/net:v0", "cat p/net none", "get p/net:none", "rm --collection p/net", "rm p/net"]
)
def test_commands_in_hints_work_for_artifacts_of_other_projects(cli: Cli, work: Path, command: str) -> None:
    result = cli(*command.split())
    typed = [
        part
        for part in re.findall(r"`(artstore [^`]*)`", result.out + result.err)
        if not part.startswith("artstore gc")
    ]
    assert typed
    for text in typed:
        again = cli(*shlex.split(text.replace("vN", "v0"))[1:])
        assert again.code == 0, f"`{text}` is what {command} says to type: {again}"


@pytest.mark.parametrize("command", ["cat data d/b.tx", "get p/ned", "get uncategorised/data", "get locl/p/net"])
def test_a_near_name_can_be_typed_as_it_stands(cli: Cli, work: Path, command: str) -> None:
    """With the folder, or the project, that the wrong one was given with."""
    *words, wrong = command.split()
    _, hint = error(cli, *words, wrong, code=4)
    assert hint is not None and cli(*words, hint.split("'")[1]).code == 0, hint


def test_another_case_is_a_near_name(cli: Cli, work: Path) -> None:
    assert error(cli, "get", "Data", code=4)[1] == "did you mean 'data'?"


def test_an_empty_repository_has_no_artifact_rather_than_no_entity(cli: Cli, tmp_path: Path) -> None:
    cli("init")
    assert error(cli, "get", "data", code=4)[0] == "there is no artifact 'data' in project local/uncategorized"


def test_taking_off_an_alias_that_another_version_has_says_which(cli: Cli, work: Path) -> None:
    message, hint = error(cli, "alias", "data", "-d", "raw", code=4)
    assert message == "data:v1 has no alias 'raw'" and hint is not None and "data:v0" in hint


def test_the_aliases_of_an_artifact_are_listed_by_what_the_hint_says(cli: Cli, work: Path) -> None:
    _, hint = error(cli, "get", "data:none", code=4)
    assert hint is not None
    listed = cli(*shlex.split(hint.split("`")[1])[1:])
    assert "raw" in listed.out and "best" in listed.out


def test_undelete_of_a_name_that_never_was(cli: Cli, work: Path) -> None:
    assert (
        error(cli, "undelete", "nothing", code=4)[0] == "there is no artifact 'nothing' in project local/uncategorized"
    )


@pytest.mark.parametrize("new", ["other:v0", "other:prod", "other@abcd"])
def test_an_artifact_is_not_renamed_to_a_version(cli: Cli, work: Path, new: str) -> None:
    assert error(cli, "mv", "data", new, code=3)[0] == f"'{new}' names a version; give the artifact alone: other"
    assert cli("show", "data").code == 0


def test_a_key_that_is_both_set_and_unset(cli: Cli, work: Path) -> None:
    assert "'a'" in error(cli, "edit", "data", "--set", "a=1", "--unset", "a", code=3)[0]
    cli("edit", "data", "--set", "lr=1")
    missing = error(cli, "edit", "data", "--unset", "lrr", code=4)
    assert missing == ("data:v1 has no metadata key 'lrr'", "did you mean 'lr'?")


@pytest.mark.parametrize("command", ["put src -n new -t", "ls --project", "ls -t", "artifact put src -t"])
def test_an_empty_option_is_not_taken_for_none(cli: Cli, work: Path, command: str) -> None:
    assert "''" in error(cli, *command.split(), "", code=3)[0]


def test_a_folder_where_a_file_belongs_is_said_at_once(cli: Cli, work: Path) -> None:
    """--force would not help, so it is not advised."""
    make_tree(work / "foldered", {"a.csv/x": "a folder"})
    message = f"in {work}/foldered, 'a.csv' is a folder, and the version has something else there"
    assert error(cli, "get", "data", "--root", "foldered", code=6) == (
        message,
        "move it away, or choose another --root",
    )


def test_a_folder_inside_the_repository_is_told_from_one_that_holds_it(cli: Cli, work: Path) -> None:
    assert "such as a folder in it" not in str(error(cli, "get", "data", "--root", ".artifacts/x", code=6)[1])


def test_verify_of_a_file_says_what_it_is(cli: Cli, work: Path) -> None:
    assert error(cli, "verify", "data", "src/a.csv", code=4)[0] == "src/a.csv is a file, not a folder"


def test_a_name_from_the_environment_is_said_to_be(cli: Cli, work: Path) -> None:
    assert "ARTSTORE_PROJECT" in error(cli, "ls", code=3, ARTSTORE_PROJECT="a#b")[0]


def test_a_setting_that_is_refused_is_named(cli: Cli, work: Path) -> None:
    assert "core.identity" in error(cli, "config", "core.identity", "maybe", code=3)[0]


def test_a_setting_that_is_not_set_is_told_alike_as_text_and_as_json(cli: Cli, work: Path) -> None:
    assert cli("config", "core.entity").code == cli("config", "core.entity", "--json").code


def test_unset_of_no_setting_is_a_mistake(cli: Cli, work: Path) -> None:
    error(cli, "config", "--unset", code=3)


@pytest.mark.parametrize("args", [["completion"], ["artifact", "nothing"], ["put", "src", "--nmae", "x"], ["--json", "ls"], ["get", "data", "--root"], ["artifact", "gett"]])  # fmt: skip
def test_usage_errors_are_one_sentence_and_a_hint(cli: Cli, work: Path, args: list[str]) -> None:
    message, hint = error(cli, *args, code=2)
    assert "Did you mean" not in message and hint
    assert "--version" not in hint, "no near option is --version"


@pytest.mark.parametrize("args", [["x\x1b[31m"], ["get", "data@\x1b[31m"], ["get", "a/b/c/\x1b[31m"], ["put", "src", "\x1b[31m"], ["--x\x1b[31m"], ["artifact", "\x1b[31m"], ["config", "\x1b[31m"], ["get", "data:\x1b[31m"]])  # fmt: skip
def test_no_control_character_of_the_command_line_reaches_the_terminal(cli: Cli, work: Path, args: list[str]) -> None:
    result = cli(*args)
    assert result.code and "\x1b" not in result.out + result.err, repr(result)


def test_lines_of_a_description_stay_lines(cli: Cli, work: Path) -> None:
    cli("edit", "data", "-d", "one\ntwo \x1b[31m")
    assert "description  one\n             two \\x1b[31m\n" in cli("show", "data").out


@pytest.mark.parametrize(
    ("word", "ours"),
    [("delete", "rm"), ("Remove", "rm"), ("restore", "get"), ("checkout", "get"), ("download", "get"), ("add", "put"),
     ("commit", "put"), ("save", "put"), ("rename", "mv"), ("copy", "cp"), ("list", "ls"),
     ("history", "log"), ("remote delete", "rm"), ("remote list", "ls"), ("verfy", "verify"), ("remote save", None),
     ("create", "put"), ("destroy", "rm"), ("inspect", "show"), ("df", "du"), ("clean", "gc"),
     ("runs list", "ls"), ("runs delete", "rm"), ("registry list", "ls"), ("registry add", "create"),
     ("registry link", "artstore link"), ("remote push", "artstore push"), ("remote show", "ls"),
     ("automation add", "create"), ("automation remove", "rm"), ("automation run", "test"), ("pending rm", "drop"),
     ("bundle import", "apply"), ("bundle save", "create"), ("artifact rm", "artstore rm")],
)  # fmt: skip
def test_a_word_of_another_tool_leads_to_the_command_that_does_it(cli: Cli, work: Path, word: str, ours: str) -> None:
    group, _, word = word.rpartition(" ")
    hint = f"did you mean '{ours}'?" if ours else f"`artstore {group} --help` lists the commands"
    assert error(cli, *group.split(), word, "data", code=2) == (f"there is no command '{word}'", hint)


def test_a_word_with_two_meanings_leads_to_both_commands(cli: Cli, work: Path) -> None:
    assert error(cli, "sync", code=2)[1] == "did you mean 'push' or 'pull'?"
    assert error(cli, "upload", code=2)[1] == "did you mean 'put' or 'push'?"


@pytest.mark.parametrize("words", [words for words in HINTS if words != "version"])
def test_a_word_or_option_of_another_tool_leads_to_what_does_the_same(cli: Cli, work: Path, words: str) -> None:
    assert error(cli, *words.split(), code=2)[1] == HINTS[words]
    if words.rpartition(" ")[2].startswith("--"):
        assert error(cli, *f"{words}=1".split(), code=2)[1] == HINTS[words]


def test_every_word_of_another_tool_leads_to_a_command() -> None:
    root = click.Context(cli_)
    groups = [
        cli_,
        *(found for name in cli_.list_commands(root) if isinstance(found := cli_.get_command(root, name), click.Group)),
    ]
    known = {name for group in groups for name in group.list_commands(root)}
    assert {ours for meant in WORDS.values() for ours in meant.split()} <= known
    assert not [word for word in HINTS if cli_.get_command(root, word)]


def test_a_second_word_after_get_leads_to_root(cli: Cli, work: Path) -> None:
    said = "got unexpected extra argument (restored)"
    assert error(cli, "get", "data:v0", "restored", code=2) == (said, "`--root restored` restores to that folder")
    assert error(cli, "show", "data:v0", "restored", code=2) == (said, "see `artstore show --help`")


def test_status_of_a_folder_that_does_not_exist_is_an_error(cli: Cli, work: Path) -> None:
    assert error(cli, "status", "nofolder", code=4) == ("there is no file or folder 'nofolder'", None)
    assert json.loads(cli("status", "nofolder", "--json").out)["error"]["exit_code"] == 4

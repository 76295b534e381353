"""Completion in the shells: driven in a real bash, in zsh and fish where they are installed, else by the protocol they speak."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from artstore.cli import _HOMES, COMPLETE
from artstore.repository import Repository
from tests.support.commands import Cli, environment
from tests.support.marks import mostly_long
from tests.support.transcripts import sample

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Artifacts data (two versions, aliases raw and best), dates, p/net and `my data`; `artstore` on the PATH."""
    source = sample(tmp_path)
    with Repository.init(str(tmp_path / ".artifacts")) as repository:
        repository.put(str(source), "data", aliases=("raw",))
        (source / "more").write_text("more")
        repository.put(str(source), "data", aliases=("best",))
        for name in ("dates", "p/net", "my data"):
            repository.put(str(source), name)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/artstore"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m artstore "$@"\n')
    program.chmod(0o755)
    return tmp_path


def shell(work: Path, *command: str) -> str:
    env = environment(work, PATH=f"{work}/bin:{os.environ['PATH']}", PYTHONPATH=str(Path(__file__).parents[2]))
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


DRIVE = """
eval "$(artstore completion bash)"
function=$(complete -p artstore | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
COMP_WORDS=({words})
COMP_CWORD=$(({{#COMP_WORDS[@]}} - 1))
COMP_LINE="${{COMP_WORDS[*]}}"
COMP_POINT=${{#COMP_LINE}}
compopt() {{ echo "$@"; }}
$function artstore "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def in_bash(work: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    script = DRIVE.replace("$(({{#", "$((${{#").format(words=" ".join(map(shlex.quote, ("artstore", *words))))
    return [line for line in shell(work, "bash", "--norc", "-c", script).splitlines() if line]


@needs_bash
def test_bash_completes_commands(work: Path) -> None:
    assert in_bash(work, "") == list(_HOMES)
    assert in_bash(work, "un") == ["undelete", "unlink"]
    assert in_bash(work, "artifact", "") == ["put", "get", "ls", "cache"]
    assert in_bash(work, "zz") == []


@needs_bash
def test_bash_completes_options_and_their_values(work: Path) -> None:
    assert in_bash(work, "gc", "--") == ["--dry-run", "--now", "--abandon", "--force", "--json", "--help"]
    assert in_bash(work, "get", "--link", "") == ["copy", "hardlink", "symlink"]
    assert in_bash(work, "completion", "") == ["bash", "zsh", "fish"]
    assert in_bash(work, "put", "--name", "x", "--al") == ["--alias"]


@needs_bash
@pytest.mark.parametrize(
    "command",
    mostly_long(
        ["get", "ls", "show", "log", "cat", "diff", "verify", "alias", "tag", "edit", "rm", "mv", "cp"], "get", "mv"
    ),
)
def test_bash_completes_names(work: Path, command: str) -> None:
    assert in_bash(work, command, "da") == ["data", "dates"]
    assert in_bash(work, command, "p/") == ["p/net"]
    assert in_bash(work, command, "local/p") == ["local/p/net"]


@needs_bash
def test_bash_offers_each_artifact_once_by_its_shortest_name(work: Path) -> None:
    assert sorted(in_bash(work, "get", "")) == ["data", "dates", r"my\ data", "p/net"]


@needs_bash
def test_bash_completes_aliases_and_numbers_behind_a_colon(work: Path) -> None:
    # What stands before the colon is another word to bash, and on the line already.
    assert in_bash(work, "get", "data:") == ["latest", "raw", "best", "v1", "v0"]
    assert in_bash(work, "diff", "data:v0", "data:b") == ["best"]
    assert in_bash(work, "get", "p/net:v") == ["v0"]
    assert in_bash(work, "get", "nothing:") == []


@needs_bash
def test_bash_gets_a_name_with_a_space_as_one_word(work: Path) -> None:
    assert in_bash(work, "get", "my") in (["my data"], ["my\\ data"], ["'my data'"])


@needs_bash
def test_bash_completes_files_and_folders_itself(work: Path) -> None:
    """click answers `file` or `dir`; the shell does the rest."""
    assert in_bash(work, "put", "s") == ["-o default"]
    assert in_bash(work, "get", "data", "--root", "s") == ["-o dirnames"], "--root is a folder"


@needs_bash
def test_bash_is_left_as_it_was_for_other_programs(work: Path) -> None:
    """COMP_WORDBREAKS is everybody's: `scp host:` and others rely on its colon."""
    script = (
        'before=$COMP_WORDBREAKS; eval "$(artstore completion bash)"; [ "$before" = "$COMP_WORDBREAKS" ] && echo same'
    )
    assert shell(work, "bash", "--norc", "-c", script) == "same\n"


@needs_bash
def test_a_tab_in_an_interactive_bash_completes_behind_the_colon(work: Path) -> None:
    """The whole way: readline splits words, the function answers, the line is completed."""
    import pty
    import select
    import time

    master, slave = pty.openpty()
    env = environment(
        work,
        PATH=f"{work}/bin:{os.environ['PATH']}",
        PYTHONPATH=str(Path(__file__).parents[2]),
        TERM="dumb",
        PS1="> ",
    )
    process = subprocess.Popen(
        ["bash", "--norc", "-i"], cwd=work, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)

    def shown(until: str) -> str:
        text, deadline = "", time.monotonic() + 15
        while until not in text and time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                text += os.read(master, 4096).decode()
        return text

    try:
        os.write(master, b'eval "$(artstore completion bash)"; echo rea""dy\n')
        assert "ready" in shown("ready")
        os.write(master, b"artstore show data:b\t\n")
        assert "local/uncategorized/data:v1" in shown("data:v1")
    finally:
        os.write(master, b"\x15exit\n")
        os.close(master)
        process.wait(10)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_is_understood_by_its_shell(cli: Cli, tmp_path: Path, name: str) -> None:
    result = cli("completion", name)
    assert result.code == 0 and result.err == "" and f"{COMPLETE}={name}_complete" in result.out
    if shutil.which(name):
        (tmp_path / "script").write_text(result.out)
        checked = subprocess.run([name, "-n", str(tmp_path / "script")], capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_zsh_and_fish_are_answered_by_their_protocol(cli: Cli, work: Path, name: str) -> None:
    def answered(line: str) -> list[str]:
        *before, last = line.split(" ")
        words, at = (line, str(len(before))) if name == "zsh" else (" ".join(before), last)
        result = cli(cwd=work, **{COMPLETE: f"{name}_complete", "COMP_WORDS": words, "COMP_CWORD": at})
        assert result.err == "", result
        if name == "zsh":
            return result.out.splitlines()[1::3]
        return [line.split(",", 1)[1].partition("\t")[0] for line in result.out.splitlines()]

    assert answered("artstore un") == ["undelete", "unlink"]
    assert answered("artstore get da") == ["data", "dates"]
    assert answered("artstore gc --n") == ["--now"]
    # zsh takes what stands before a colon for the value's description, unless it is escaped or in a column of its own.
    assert answered("artstore get data:b") in (["data:best"], ["data\\:best"])


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_zsh_and_fish_complete_where_they_are_installed(work: Path, name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    if name == "fish":
        script = "artstore completion fish | source; complete -C 'artstore get data:b'; complete -C 'artstore un'"
        assert [line.split("\t")[0] for line in shell(work, "fish", "--no-config", "-c", script).splitlines()] == [
            "data:best",
            "undelete",
        ]
    else:
        script = 'autoload -U compinit; compinit -D; eval "$(artstore completion zsh)"; print $_comps[artstore]'
        assert shell(work, "zsh", "-f", "-c", script) == "_artstore_completion\n"


def test_completion_outside_of_a_repository_offers_nothing_and_says_nothing(cli: Cli, tmp_path: Path) -> None:
    result = cli(cwd=tmp_path, **{COMPLETE: "bash_complete", "COMP_WORDS": "artstore\nget\nda", "COMP_CWORD": "2"})
    assert (result.code, result.out.strip(), result.err) == (0, "", "")


@pytest.mark.damaged
def test_completion_of_a_damaged_repository_offers_nothing_and_says_nothing(cli: Cli, work: Path) -> None:
    (work / ".artifacts/config").write_bytes(b"\xff")
    result = cli(cwd=work, **{COMPLETE: "bash_complete", "COMP_WORDS": "artstore\nget\nda", "COMP_CWORD": "2"})
    assert (result.code, result.out.strip(), result.err) == (0, "", "")


def test_names_that_a_terminal_would_act_on_are_never_offered(cli: Cli, work: Path) -> None:
    for words in ("artstore\nget\n\x1b", "artstore\n\x1b"):
        result = cli(cwd=work, **{COMPLETE: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count("\n"))})
        assert (result.out.strip(), result.err) == ("", ""), words

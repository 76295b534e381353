"""Every command over standard streams that are closed, full, or of an encoding that lacks characters."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import NamedTuple

import pytest

from artstore.repository import Repository
from tests.support import in_process
from tests.support.checks import check
from tests.support.commands import Result, environment
from tests.support.folders import make_tree
from tests.support.terminal import on_terminal

COMMANDS = {
    "init": "init other", "put": "put changed --name data", "put-json": "put changed --name data --json",
    "get": "get data:v0 --root out", "export": "export data:v0 -o data.tar", "export-out": "export data:v0 -o -",
    "lock": "lock data", "get-locked": "get --locked --file pinned.lock", "ls": "ls", "ls-files": "ls data",
    "ls-json": "ls data --json", "show": "show data", "log": "log data", "cat": "cat data a.csv",
    "cat-table": "cat table t", "diff": "diff data:v0 data:v1", "diff-exit": "diff data:v0 data:v1 --exit-code",
    "diff-table": "diff table:v0 table:v1 --table t --key name", "status": "status", "verify": "verify data:v1 changed",
    "alias": "alias data:v0 best", "tag": "tag data:v0 good", "edit": "edit data:v0 --set k=1", "rm": "rm other:v0",
    "undelete": "undelete gone:v0", "mv": "mv data renamed", "cp": "cp data copied",
    "link": "link data registry-models/data", "unlink": "unlink registry-shared/other",
    "registry-ls": "registry ls", "registry-create": "registry create new", "registry-rm": "registry rm shared",
    "runs-ls": "runs ls", "runs-csv": "runs ls --csv", "runs-show": "runs show r1",
    "history": "runs show r1 --history", "runs-rm": "runs rm r1", "lineage": "lineage data",
    "lineage-svg": "lineage data --format svg", "lineage-json": "lineage data --json",
    "automation-create": "automation create a --on create_artifact --run true", "automation-ls": "automation ls",
    "automation-log": "automation log", "automation-allow": "automation allow", "pending-ls": "pending ls",
    "pending-drop": "pending drop parts --name data", "remote-ls": "remote ls", "remote-add": "remote add more more --init",
    "remote-rm": "remote rm origin", "push": "push", "pull": "pull", "fetch": "fetch", "clone": "clone remote cloned",
    "bundle-create": "bundle create b.bundle", "import": "import dvc dvc", "fsck": "fsck", "doctor": "doctor",
    "gc": "gc", "prune": "prune other --keep last:1", "du": "du", "config": "config", "completion": "completion bash",
    "artifact-ls": "artifact ls uncategorized", "help": "--help", "unknown": "nope", "missing": "show nothing",
    "missing-json": "show nothing --json",
}  # fmt: skip


class Streams(NamedTuple):
    """What a command gets instead of the usual streams."""

    redirected: str = ""
    """as a shell writes it"""
    settings: str = ""
    """NAME=VALUE of the environment, separated by spaces"""
    encoding: str = "utf-8"
    unwritable: str = ""
    """why standard output can't be written"""


STREAMS = {
    "ascii": Streams(settings="PYTHONIOENCODING=ascii:strict", encoding="ascii"),
    "latin-1": Streams(settings="PYTHONIOENCODING=iso8859-1:strict", encoding="iso8859-1"),
    "ascii-locale": Streams(settings="LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0", encoding="ascii"),
    "latin-1-locale": Streams(settings="LC_ALL=de_DE.ISO-8859-1", encoding="iso8859-1"),
    "no-stdin": Streams("<&-"), "no-stdout": Streams(">&-"), "no-stderr": Streams("2>&-"),
    "none": Streams("<&- >&- 2>&-"), "full-stdout": Streams(">/dev/full", unwritable="no space left on device"),
    "full-stderr": Streams("2>/dev/full"), "both-full": Streams(">/dev/full 2>/dev/full", unwritable="not told"),
    "unbuffered": Streams(">/dev/full", "PYTHONUNBUFFERED=1", unwritable="no space left on device"),
    "read-only": Streams("1</dev/null", unwritable="bad file descriptor"),
}  # fmt: skip
CONTENT = {"cat", "cat-table", "export-out"}
"""Commands whose output is the content that was asked for: without standard output they fail."""
SHORT = {
    ("put", "none"), ("put", "full-stdout"), ("ls-files", "ascii"), ("diff", "ascii"), ("cat", "full-stdout"),
    ("ls-files", "latin-1"), ("put", "latin-1-locale"), ("export-out", "unbuffered"), ("import", "both-full"), ("missing", "full-stderr"),
    ("cat", "no-stdout"), ("cat-table", "no-stdout"), ("export-out", "none"),
}  # fmt: skip
"""The cases of the default run."""
CASES = [
    pytest.param(command, streams, marks=() if (command, streams) in SHORT else pytest.mark.long)
    for command in COMMANDS
    for streams in STREAMS
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder `work` with a repository in which each command has something to say, also in other scripts than Latin."""
    above = tmp_path_factory.mktemp("streams")
    work = above / "work"
    make_tree(work / "data", {"a.csv": "a,b\n1,2\n", "größe.txt": "1", "日本/値.txt": "2"})
    make_tree(work / "changed", {"a.csv": "a,b\n3,4\n", "größe.txt": "1", "日本/値.txt": "22"})
    make_tree(work / "dvc", {".dvc/config": "", "x.dvc": "outs:\n- path: größe\n  md5: '0'\n"})
    for line in (
        "put data", "alias data prodü", "edit data --description größe-値", "put changed --name data", "put data --name other",
        "put changed --name other", "put data --name gone", "rm gone:v0", "registry create shared", "link other registry-shared/other", "lock data --file pinned.lock",
        "remote add origin remote --init", "push", "get data:v0 --root 値/kept",
    ):  # fmt: skip
        done = in_process.run(line.split(), work, environment(work))
        assert done.returncode == 0, done
    code = (
        "import artstore\n"
        "with artstore.init(id='r1', name='größe', config={'値': '値'}) as run:\n"
        "    run.log({'値': 1.5})\n"
        "    run.use_artifact('data:v0')\n"
        "    for n in range(2):\n"
        "        made = artstore.Artifact('table', 'table')\n"
        "        made.add(artstore.Table(columns=['name', '値'], data=[['größe', n]]), 't')\n"
        "        run.log_artifact(made)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=work, env=environment(work), check=True, capture_output=True)
    check(work / ".artifacts")
    shutil.copytree(work, above / "base", symlinks=True)
    yield above / "base"


@pytest.fixture(scope="module")
def usual(base: Path) -> dict[str, tuple[Result, set[str]]]:
    """What commands print over the usual streams, and which files there are then; filled as the cases need it."""
    return {}


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A folder with the locale de_DE.ISO-8859-1, if this host can make it."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None:
        return None
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / "de_DE.ISO-8859-1")], check=False
    )
    return folder if made.returncode == 0 else None


def _run(work: Path, arguments: list[str], streams: Streams, **more: str) -> Result:
    """A command as a shell starts it, over these streams."""
    shell = ["sh", "-c", f'exec "$@" {streams.redirected}', "sh", sys.executable, "-m", "artstore", *arguments]
    names = environment(work, **dict(word.split("=") for word in streams.settings.split()), **more)
    done = subprocess.run(shell, cwd=work, env=names, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    archive = arguments[-1] == "-"
    texts = [text.decode("latin-1" if archive else streams.encoding) for text in (done.stdout, done.stderr)]
    return Result(subprocess.CompletedProcess(arguments, done.returncode, *texts))


def _files(work: Path) -> set[str]:
    """The work that a command did: which files there are outside of repositories, and which entries of logs inside."""
    found = {str(path.relative_to(work)) for path in work.rglob("*") if not path.is_dir()}
    unnamed = ("objects/", "cache/", "checkouts/", "remotes/", "tx/", "tmp/", "trash/", ".config/")
    return {path for path in found if not any(part in path for part in unnamed)}


@pytest.fixture
def fresh(base: Path) -> Iterator[Path]:
    work = base.parent / "work"
    shutil.rmtree(work)
    shutil.copytree(base, work, symlinks=True)
    yield work
    check(work / ".artifacts")


@pytest.mark.parametrize(("command", "streams"), CASES)
def test_streams_that_are_closed_full_or_narrow_never_undo_a_commands_work(
    command: str, streams: str, base: Path, fresh: Path, usual: dict[str, tuple[Result, set[str]]], locales: Path | None
) -> None:
    if streams == "latin-1-locale" and locales is None:
        pytest.skip("localedef can't make a locale here")
    if command not in usual:
        done = _run(fresh, COMMANDS[command].split(), Streams())
        usual[command] = done, _files(fresh)
        shutil.rmtree(fresh)
        shutil.copytree(base, fresh, symlinks=True)
    before, files = usual[command]
    kind = STREAMS[streams]
    now = _run(fresh, COMMANDS[command].split(), kind, **({"LOCPATH": str(locales)} if locales else {}))
    assert "Traceback" not in now.err and "bug" not in now.err and "Exception ignored" not in now.err, now
    if kind.unwritable and before.out and before.code in (0, 1):
        assert now.code == 9 or before.code, now
        told = f"error: cannot write to standard output: {kind.unwritable}\n"
        assert now.code == before.code or told in now.err or "2>" in kind.redirected, now
    elif command in CONTENT and ">&-" in kind.redirected.split():
        told = "error: cannot write to standard output: bad file descriptor\n"
        assert now.code == 9 and (now.err.startswith(told) or "2>&-" in kind.redirected), now
    elif now.code == 3 and before.code != 3 and "locale" in streams:
        assert "error: the encoding of this locale has no" in now.err and "hint: set LC_ALL=C.UTF-8" in now.err, now
        return
    else:
        assert now.code == before.code, (before, now)
    assert _files(fresh) == files, "the same work is done"


def test_what_a_stream_lacks_is_escaped_and_what_we_draw_is_drawn_in_ascii(fresh: Path) -> None:
    ascii = STREAMS["ascii"]
    assert "M  \\u65e5\\u672c/\\u5024.txt  1 B -> 2 B\n" in _run(fresh, ["diff", "data:v0", "data:v1"], ascii).out
    tree = _run(fresh, ["lineage", "table"], ascii).out
    assert "`- made by run gr\\u00f6\\u00dfe" in tree and "   `- which used data:v0" in tree, tree


def test_an_import_goes_on_when_its_output_is_lost(fresh: Path) -> None:
    for name in ("one", "two"):
        digest = md5(name.encode()).hexdigest()
        make_tree(fresh / "dvc", {f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}": name,
                                  f"{name}.dvc": f"outs:\n- path: {name}\n  md5: {digest}\n  hash: md5\n"})  # fmt: skip
    assert _run(fresh, ["import", "dvc", "dvc"], STREAMS["full-stdout"]).code == 9
    assert {"one", "two"} <= {path.name for path in (fresh / ".artifacts/refs/local/dvc").iterdir()}


@pytest.mark.parametrize("command", ["runs ls --csv", "runs show r2 --history", "runs show r2 --csv"])
def test_no_control_character_of_a_value_reaches_a_terminal(fresh: Path, command: str) -> None:
    code = (
        "import artstore\n"
        "with artstore.init(id='r2', config={'a': '\\x1b]0;owned\\x07'}) as run: run.log({'b': '\\x1b[2J\\x9b'})\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=fresh, env=environment(fresh), check=True, capture_output=True)
    ended, shown = on_terminal(fresh, *command.split())
    assert ended == 0 and "\x1b" not in shown and "\x07" not in shown and "\\x1b" in shown, shown
    assert "\x1b" in _run(fresh, command.split(), Streams()).out, "a file gets the value as it is"


def test_a_hint_with_a_name_that_cannot_be_printed_can_be_pasted_into_a_shell(fresh: Path) -> None:
    name = "a\x1b[2J'\\ \u202e\udcff"
    with Repository(str(fresh / ".artifacts")) as repository:
        repository.put(str(make_tree(fresh / "in", {"a": "a"})), "gone")
        repository.delete_collection("gone")
    (fresh / ".artifacts/tmp" / name).mkdir()
    ended, shown = on_terminal(fresh, "gc", "--now")
    assert ended == 0 and "\x1b" not in shown
    pasted = shown.replace("\n", "").partition("(`artstore ")[2].partition("` removes")[0]
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {pasted}"], capture_output=True, env={"LC_ALL": "C.UTF-8"})
    assert words.stdout.split(b"\0")[:-1] == [b"gc", b"--abandon", os.fsencode(name)], shown
    removed = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m artstore {pasted}"], cwd=fresh, env=environment(fresh), capture_output=True
    )
    assert removed.returncode == 0 and not (fresh / ".artifacts/tmp" / name).exists(), removed

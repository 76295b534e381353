"""The command line on a terminal: widths, colours, progress, interrupts, and readers that go away."""

import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree
from tests.support.servers import SeaweedFS
from tests.support.terminal import CLOCK, on_terminal, screen_of
from tests.support.transcripts import sample
from tests.support.trouble import run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Two versions of `data`, aliases raw and best."""
    sample(tmp_path)
    with Repository.init(str(tmp_path / ".artifacts")) as repository:
        repository.put(str(tmp_path / "src"), "data", type="dataset", aliases=("raw",), tags=("clean",))
        make_tree(tmp_path / "src", {"a.csv": "longer\n"})
        repository.put(str(tmp_path / "src"), "data", aliases=("best",))
    return tmp_path


def width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_a_wide_table_is_cut_for_a_narrow_terminal_and_stays_aligned(cli: Cli, work: Path) -> None:
    for name in ("数据集很长的名字数据集很长的名字", "a-name-that-goes-on-and-on-and-on-for-ever"):
        cli("put", "src", "-n", name, "-a", "an-alias-that-is-long-too", "-a", "最好的")
    code, text = on_terminal(work, "ls", columns=76)
    lines = text.splitlines()
    assert code == 0 and len(lines) == 4 and max(map(width, lines)) <= 76
    assert sum("…" in line for line in lines) == 2, text
    at = [width(line[: line.index("2026" if n else "SAVED")]) for n, line in enumerate(re.sub(r"20\d\d-", "2026-", text).splitlines())]  # fmt: skip
    assert len(set(at)) == 1, f"the column of dates is aligned:\n{text}"
    whole = cli("ls").out
    assert "a-name-that-goes-on-and-on-and-on-for-ever" in whole, "elsewhere nothing is cut"


@pytest.mark.parametrize("command", ["ls", "log data", "log data --aliases", "config", "du"])
def test_tables_stay_aligned_on_forty_columns(work: Path, command: str) -> None:
    code, text = on_terminal(work, *command.split(), columns=40)
    head, *rows = [line for line in text.splitlines() if "versions: " not in line]
    gaps = [at for at in range(1, len(head)) if head[at - 1 : at + 1] == "  "]
    columns = [at for at in gaps if all(line[at - 1 : at + 1].strip() == "" for line in rows)]
    assert code == 0 and len(columns) >= len(re.sub(r" \(\S+", "", head).split()) - 1, text


def test_differences_are_coloured_on_a_terminal_unless_the_user_objects(cli: Cli, work: Path) -> None:
    assert on_terminal(work, "diff", "data:v0", "data")[1].startswith("\x1b[33mM\x1b[0m  a.csv")
    for setting in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(work, "diff", "data:v0", "data", **setting)[1]
    assert "\x1b" not in cli("diff", "data:v0", "data", NO_COLOR="").out


def test_progress_is_shown_on_a_terminal_only_and_wiped(work: Path) -> None:
    make_tree(work / "many", {f"d{number}/f": str(number) for number in range(40)})
    for columns in (60, 20):
        code, text = on_terminal(work, "put", "many", "-n", f"many{columns}", setup=CLOCK, columns=columns)
        bars = [part for part in text.split("\r") if part.startswith("saving")]
        assert code == 0 and bars and all(len(bar) < columns for bar in bars), text
        assert f"\r{' ' * len(bars[-1])}\rsaved many{columns}:v0: 40 files" in text
        assert screen_of(text)[0].startswith(f"saved many{columns}:v0")
    assert run(work, "put", "many", "-n", "again", setup=CLOCK).err == ""
    assert "saving" not in on_terminal(work, "put", "many", "-n", "silent", setup=CLOCK, WANDB_SILENT="true")[1]


def test_progress_says_how_much_there_is_how_fast_it_goes_and_how_long_the_rest_takes(work: Path) -> None:
    make_tree(work / "large", {f"{number}": bytes([number]) * (2 << 20) for number in range(8)})
    make_tree(work / "many", {f"{number % 3}/{number}": str(number) for number in range(1500)})
    commands = {
        "put large": ("saving large", "16.0 MiB"), "get large --root to": ("getting large:v0", "16.0 MiB"),
        "get large --root to --force": ("getting large:v0", ""), "verify large to": ("verifying large:v0", "16.0 MiB"),
        "export large -o x.tar": ("exporting large:v0", "16.0 MiB"), "put many": ("saving many", "1,500 files"),
        "get many --root all": ("getting many:v0", "1,500 files"), "fsck": ("checking large blobs", "16.0 MiB"),
        "remote add --init far far": ("", ""), "push far": ("sending to far", "1,512 objects"), "clone far near": ("getting from", "1,512 objects"),
        "bundle create b": ("writing the bundle", "16."), "put large --dry-run": ("reading large", "16.0 MiB"),
    }  # fmt: skip
    for command, (step, whole) in commands.items():
        code, text = on_terminal(work, *command.split(), setup=CLOCK)
        bars = [part.rstrip() for part in text.split("\r") if part.startswith(step)]
        assert code == 0 and not any(re.search(r"\d%", line) for line in screen_of(text)), (command, text)
        if whole:
            form = rf"{step}.*  +\d+%  .*/{whole}.*(  +[\d.,]+ (files|objects|[KM]?i?B)/s  \d+:\d\d left)?"
            assert any(re.match(form, bar) for bar in bars), (command, text)
            assert any(bar.endswith(" left") for bar in bars), (command, text)


def test_an_upload_is_counted_as_it_is_sent(work: Path, server: SeaweedFS) -> None:
    make_tree(work / "large", {"f": os.urandom(1 << 16) * 480})
    setup = f"{CLOCK}\nimport artstore.backends.bucket.storage as storage\nstorage.PART = 5 << 20"
    bucket = {
        "AWS_ENDPOINT_URL": server.endpoint, "AWS_REGION": server.region,
        "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }  # fmt: skip
    url = f"s3://{server.bucket}/{os.urandom(8).hex()}"
    for command in ("put large", f"remote add --init far {url}", "push far"):
        code, text = on_terminal(work, *command.split(), setup=setup, **bucket)
        assert code == 0, text
    parts = {int(percent) for percent in re.findall(r"sending to far +(\d+)%  +[\d.]+/30.0 MiB", text)}
    assert {0, 16, 33} <= parts, "a part is counted when the fourth after it is sent"
    assert "pushed" in screen_of(text)[0]


def test_an_interrupt_on_a_terminal_is_one_sentence(work: Path) -> None:
    setup = "import os, signal\n_fsync = os.fsync\ndef _cut(fd):\n    os.kill(os.getpid(), signal.SIGINT); _fsync(fd)\nos.fsync = _cut"
    make_tree(work / "src", {"more": "more"})
    code, text = on_terminal(work, "put", "src", "-n", "data", setup=setup)
    assert (code, text.strip()) == (130, "error: interrupted; nothing was lost")
    result = run(work, "put", "src", "-n", "data", "--json", setup=setup)
    assert result.code == 130
    assert json.loads(result.out) == {"error": {"kind": "Interrupted", "message": "interrupted; nothing was lost", "hint": None, "exit_code": 130}}  # fmt: skip
    check(work / ".artifacts")


@pytest.mark.parametrize("command", ["cat large f", "ls -r many", "ls -r many --json", "log data", "--help"])
def test_a_reader_that_goes_away_is_no_error(cli: Cli, work: Path, command: str) -> None:
    make_tree(work / "large", {"f": b"x" * (3 << 20)})
    make_tree(work / "many", {f"f{n:05}": b"" for n in range(3000)})
    cli("put", "large")
    cli("put", "many")
    process = subprocess.Popen(
        [sys.executable, "-m", "artstore", *command.split()], cwd=work, env=environment(work), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(20) in (141, -signal.SIGPIPE) and errors == b"", errors

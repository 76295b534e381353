"""Console output of runs: recorded in `output.log`, while terminals, pipes and programs see what they always see."""

import io
import os
import pty
import subprocess
import sys
import textwrap
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.surroundings import console
from tests.support.commands import environment
from tests.support.runs import Script

RECORDS = {"WANDB_SILENT": "true", "WANDB_X_DISABLE_META": "true", "WANDB_X_DISABLE_STATS": "true"}


@pytest.fixture
def recorded(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs record their console output."""
    monkeypatch.delenv("WANDB_CONSOLE")
    return here


def log(run: str = "r") -> str:
    with wandb.Api().run(run).file("output.log").download("log", replace=True) as file:
        return file.read()


def ran(code: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    given = {"capture_output": True, "text": True, "timeout": 60, "env": environment(Path.home(), **RECORDS)} | options
    head = "import os, sys, signal, threading, time\nimport artstore as wandb\nrun = wandb.init(id='r')\n"
    return subprocess.run([sys.executable, "-c", head + textwrap.dedent(code)], check=False, **given)


def test_what_is_printed_goes_to_the_pipes_and_to_the_log(here: Path) -> None:
    done = ran("""
        print("one", 1)
        sys.stderr.write("two\\n")
        print("three", end="")
    """)
    assert (done.stdout, done.stderr, done.returncode) == ("one 1\nthree", "two\n", 0)
    assert log() == "one 1\ntwo\nthree"


def test_a_traceback_is_in_the_log(here: Path) -> None:
    done = ran("raise ValueError('it broke')")
    assert "ValueError: it broke" in done.stderr and log() == done.stderr
    assert wandb.Api().run("r").state == "failed"


def test_streams_stay_what_they_are(here: Path) -> None:
    master, slave = pty.openpty()
    done = ran(
        """
        before = sys.__stdout__
        seen = [sys.stdout is before, sys.stdout.isatty(), sys.stdout.fileno(), sys.stdout.encoding, sys.stdout.errors,
                sys.stdout.line_buffering, sys.stderr.isatty()]
        print(seen)
        sys.stdout.reconfigure(line_buffering=False)
        run.finish()
        print("write" in vars(sys.stdout), "write" in vars(sys.stderr))
        """,
        stdout=slave,
        stderr=subprocess.PIPE,
        capture_output=False,
    )  # fmt: skip
    os.close(slave)
    shown = os.read(master, 1 << 16).decode().replace("\r\n", "\n")
    os.close(master)
    assert done.stderr == ""
    assert shown == "[True, True, 1, 'utf-8', 'surrogateescape', True, False]\nFalse False\n"
    assert log() == shown.splitlines(keepends=True)[0]


@pytest.mark.parametrize("how", ["sys.stdout.close()", "os.close(1)", "sys.stdout.detach()", "sys.stdout = None"])
def test_a_closed_stream_fails_as_it_always_does_and_the_run_ends_well(here: Path, how: str) -> None:
    code = f"""
        {how}
        try:
            print("more", flush=True)
        except (ValueError, OSError) as error:
            print(type(error).__name__, file=sys.stderr)
    """
    plain = subprocess.run(
        [sys.executable, "-c", "import os, sys\n" + textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    done = ran(code)
    assert done.stderr.splitlines()[:1] == plain.stderr.splitlines()[:1]
    assert wandb.Api().run("r").state == "finished"


def test_a_full_device_raises_what_it_raises_without_a_run(here: Path) -> None:
    with open("/dev/full", "w") as full:
        done = ran(
            """
            try:
                print("x", flush=True)
            except OSError as error:
                print(error.errno, file=sys.stderr)
            os._exit(0) if not run.finish() else None
            """,
            stdout=full,
            stderr=subprocess.PIPE,
            capture_output=False,
        )  # fmt: skip
    assert done.stderr == "28\n" and log() == "x\n28\n"


def test_a_progress_bar_is_one_line_and_colours_are_left_out(recorded: Path) -> None:
    with wandb.init(id="r"):
        for step in range(1000):
            print(f"\r{step}/1000", end="", file=sys.stderr)
        print(file=sys.stderr)
        print("\x1b[32mgreen\x1b[0m")
    assert log() == "999/1000\ngreen\n"


def test_a_resumed_run_appends_and_a_killed_one_keeps_what_it_printed(here: Path, started: Any) -> None:
    process = Script(
        "wandb.init(id='r')\nprint('before the kill', flush=True)\nsys.stdin.readline()\n", WANDB_CONSOLE="wrap"
    )
    process.line()
    assert log() == "before the kill\n"
    process.kill()
    assert log() == "before the kill\n"
    ran("print('after')")
    assert log() == "before the kill\nafter\n"


def test_secrets_of_the_environment_are_not_in_the_log(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "not-a-form-of-hf")
    monkeypatch.setenv("MY_SECRET_THING", "line one\nline two is long")
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("SOME_KEY", "/a/path/is/not/hidden")
    with wandb.init(id="r"):
        print("a not-a-form-of-hf b", end="")
        print(" hunter2 0123456789abcdef\nline two is long /a/path/is/not/hidden")
        print("https://me:password@host/x?token=abc ghp_" + "a" * 36)
    assert log() == "a *** b *** ***\n*** /a/path/is/not/hidden\nhttps://me:***@host/x?token=*** ghp_***\n"


def test_forked_children_threads_and_signal_handlers_print_without_a_deadlock(here: Path) -> None:
    done = ran("""
        def work(n):
            for i in range(200):
                sys.stdout.write(f"{n}-{i}\\n")
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        children = []
        for _ in range(8):
            sys.stdout.flush()
            if not (child := os.fork()):
                os.write(1, b"child\\n")
                print("c", file=sys.stderr)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        def handler(*_):
            try:
                sys.stderr.write("handled\\n")
            except RuntimeError:  # Python's own stream is in use below this handler
                pass
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for i in range(3000):
            sys.stderr.write(f"main {i}\\n")
        signal.setitimer(signal.ITIMER_REAL, 0)
        for thread in threads:
            thread.join()
    """)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("child\n") == 8
    lines = log().splitlines()
    assert {f"{n}-{i}" for n in range(4) for i in range(200)} <= set(lines)
    assert [line for line in lines if line.startswith("main ")] == [f"main {i}" for i in range(3000)]
    assert "handled" in lines


def test_a_signal_handler_may_end_the_run_while_it_prints(here: Path) -> None:
    done = ran("""
        def end(*_):
            run.finish()
            sys.stderr.write("ended\\n")
            os._exit(0)
        signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        while True:
            print("x" * 100)
    """)
    assert done.returncode == 0 and done.stderr.endswith("ended\n")
    assert wandb.Api().run("r").state == "finished" and log().startswith("x" * 100)


def test_a_stream_that_others_put_in_place_is_left_alone(recorded: Path) -> None:
    own, other = sys.stdout, io.StringIO()
    before = dict(vars(own))  # wandb itself, which another test used, may have left something there
    run = wandb.init(id="r")
    with redirect_stdout(other):
        print("elsewhere")
        run.finish()
        assert sys.stdout is other
    assert sys.stdout is own and vars(own) == before
    assert other.getvalue() == "elsewhere\n"


def test_a_stream_that_was_wrapped_meanwhile_keeps_its_wrapper(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    run = wandb.init(id="r")
    ours = sys.stderr.write

    def theirs(text: str, /) -> int:
        heard.append(text)
        return ours(text)

    monkeypatch.setattr(sys.stderr, "write", theirs)
    sys.stderr.write("both\n")
    run.finish()
    sys.stderr.write("theirs\n")
    assert heard == ["both\n", "theirs\n"] and log() == "both\n"
    with wandb.init(id="s"):
        sys.stderr.write("again\n")
    assert sys.stderr.write is theirs and log("s") == "again\n"


def test_a_long_log_loses_its_middle_and_says_so(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_MOST", 100_000)
    monkeypatch.setattr(console, "_KEPT", 20_000)
    with wandb.init(id="r"):
        for n in range(50_000):
            print(f"line {n}")
    text = log()
    assert len(text) < 150_000 and text.startswith("line 0\nline 1\n") and text.endswith("line 49999\n")
    assert " bytes of output are left out here]\n" in text


def test_recording_takes_a_small_share_of_the_time_of_a_program_that_prints_much(recorded: Path) -> None:
    out = io.StringIO()
    with redirect_stdout(out), wandb.init(id="r"):
        start = time.process_time()
        for n in range(200_000):
            out.write(f"line {n}\n")
        assert time.process_time() - start < 5  # 0.3 s here; with a write of the log for each line 8 s
    assert log().endswith("line 199999\n")


@pytest.mark.parametrize("setting", ["argument", "variable"])
def test_console_off_records_nothing(here: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    if setting == "argument":
        monkeypatch.delenv("WANDB_CONSOLE")
    with wandb.init(id="r", settings=wandb.Settings(console="off") if setting == "argument" else None):
        print("x")
    assert wandb.Api().run("r").files() == []


def test_a_disk_that_is_full_stops_the_log_and_not_the_program(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(console, "write_fully", full)
    with pytest.warns(UserWarning, match="console output isn't recorded: No space left"), wandb.init(id="r") as run:
        print("x")
        run.log({"a": 1})
    assert wandb.Api().run("r").state == "finished"

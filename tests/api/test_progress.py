"""Progress of scripts on a terminal: what is shown while a save or a download goes on, and what is left of it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import environment
from tests.support.terminal import CLOCK, screen_of, script_on_terminal

SCRIPT = """
import artstore.api.progress.bar as bar, sys
bar._AFTER = bar._EVERY = 0.0  # not only after a second, and each time
import artstore as wandb
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a file of three windows."""
    (tmp_path / "model.bin").write_bytes(b"m" * (24 << 20))
    (tmp_path / "other.bin").write_bytes(b"o" * (24 << 20))
    return tmp_path


def played(work: Path, code: str, **more: str) -> str:
    """All that appears on a terminal while a script runs."""
    return script_on_terminal(work, SCRIPT + code, **{"WANDB_CONSOLE": "off"} | more)[1]


def left(text: str) -> list[str]:
    """The lines that stay on the terminal, without times and rates."""
    return [re.sub(r"in \d:\d\d, [\d.]+ \w+/s", "in TIME", line) for line in screen_of(text) if line]


SAVE = """
draft = wandb.Artifact("model", type="model")
draft.add_file("model.bin")
draft.save()
"""


def test_a_long_save_shows_how_far_it_is_and_leaves_a_line(work: Path) -> None:
    text = played(work, SAVE)
    line = re.compile(r"artstore: adding model.bin +\d+%  +[\d.]+/24.0 MiB  +[\d.]+ [KMG]iB/s  \d:\d\d left")
    assert any(line.match(part) for part in text.split("\r")), text
    assert left(text)[0] == "artstore: added model.bin: 24.0 MiB in TIME"
    assert not any("%" in line for line in screen_of(text))


def test_all_that_may_take_long_shows_progress(work: Path) -> None:
    (work / "dir").mkdir()
    (work / "dir/a.bin").write_bytes(b"a" * (20 << 20))
    text = played(
        work,
        SAVE
        + """
found = wandb.Api().artifact("model:latest")
found.download()
found.checkout("there")
found.verify("there")
found.get_entry("model.bin").download("entry")
more = wandb.Artifact("more", type="model")
more.add_dir("dir")
more.add_file("other.bin", policy="immutable")
with more.new_file("new.bin", "wb") as file:
    file.write(b"n" * (9 << 20))
more.save()
""",
    )
    lines = left(text)
    for line in (
        "artstore: got model:v0: 24.0 MiB in TIME",
        "artstore: verified model:v0: 24.0 MiB in TIME",
        "artstore: got model.bin: 24.0 MiB in TIME",
        "artstore: added dir: 20.0 MiB in TIME",
        "artstore: added other.bin: 24.0 MiB in TIME",
        "artstore: added new.bin: 9.0 MiB in TIME",
        "artstore: saved more: 24.0 MiB in TIME",
    ):
        assert line in lines, (line, lines)
    assert lines.count("artstore: got model:v0: 24.0 MiB in TIME") == 2


def test_nothing_is_shown_in_the_first_second(work: Path) -> None:
    code = SAVE.replace("draft.save()", "draft.save(); wandb.Api().artifact('model:latest').download()")
    quick = CLOCK.replace("0.3", "0.01")
    assert script_on_terminal(work, f"{quick}\nimport artstore as wandb\n{code}") == (0, "")


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("", {"WANDB_SILENT": "true"}),
        ("", {"WANDB_QUIET": "true"}),
        ("wandb.setup(wandb.Settings(quiet=True))", {}),
        ("wandb.init(settings=wandb.Settings(silent=True))", {}),
        ("wandb.init(mode='disabled')", {}),
    ],
)
def test_settings_turn_it_off(work: Path, code: str, more: dict[str, str]) -> None:
    assert "model.bin" not in played(work, f"{code}\n{SAVE}", **more)


def test_a_wrong_setting_and_a_lost_standard_error_stop_no_save(work: Path) -> None:
    assert left(played(work, SAVE, WANDB_CONSOLE="nonsense"))[0] == "artstore: added model.bin: 24.0 MiB in TIME"
    for lost in ("sys.stderr = None", "import os; os.close(2)", "import io; sys.stderr = io.StringIO()"):
        text = played(work, f"{lost}\n{SAVE}\nprint(wandb.Api().artifact('model:latest').size)")
        assert text.endswith(f"{24 << 20}\n") and "adding" not in text, (lost, text)


def test_a_save_in_the_background_shows_nothing_while_somebody_types(work: Path) -> None:
    save = "\nfor save in [run.log_artifact(draft, background=True) for draft in drafts]: save.result()\nrun.finish()"
    assert "saving model" in played(work, BESIDE + save)
    assert "saving" not in played(work, f"sys.ps1 = '>>> '\n{BESIDE}{save}")


def test_nothing_is_shown_without_a_terminal(work: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + SAVE], cwd=work, env=environment(work), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == done.stderr == ""


BESIDE = """
import threading, time
run = wandb.init(project="p", id="r")
drafts = []
for name in ("model", "other"):
    draft = wandb.Artifact(name, type="model")
    draft.add_file(f"{name}.bin", policy="immutable")
    drafts.append(draft)
"""


def test_lines_that_are_printed_meanwhile_stay_whole(work: Path) -> None:
    text = played(
        work,
        BESIDE
        + """
import warnings
futures = [run.log_artifact(draft, background=True) for draft in drafts]
number = 0
while not all(future.done() for future in futures):
    print(f"line {number}")
    print(f"error line {number}", file=sys.stderr)
    warnings.warn(f"warning {number}")
    number += 1
    time.sleep(0.001)
run.finish()
""",
    )
    lines = [line for line in screen_of(text) if "warnings.warn" not in line]
    kinds = r"(line \d+|error line \d+|<string>:\d+: UserWarning: warning \d+|artstore: .*|)"
    assert "saving model" in text and all(re.fullmatch(kinds, line) for line in lines), lines
    assert not any("%" in line for line in lines)


def test_several_at_once_share_the_line(work: Path) -> None:
    text = played(
        work,
        BESIDE
        + """
saves = [threading.Thread(target=run.log_artifact, args=(draft,)) for draft in drafts]
for save in saves: save.start()
for save in saves: save.join()
run.finish()
""",
    )
    assert {"artstore: saved model: 24.0 MiB in TIME", "artstore: saved other: 24.0 MiB in TIME"} <= set(left(text))
    assert "and 1 more" in text and not any("%" in line for line in screen_of(text))


def test_an_interrupt_and_an_error_leave_no_half_line(work: Path) -> None:
    interrupt = """
import os, signal
show = bar.Bar._draw
def cut(self, now):
    show(self, now)
    if self.bytes > 9 << 20: %s
bar.Bar._draw = cut
"""
    for action, last in (
        ("os.kill(os.getpid(), signal.SIGINT)", "KeyboardInterrupt"),
        ("raise ValueError('no')", "ValueError: no"),
    ):
        text = played(work, interrupt % action + SAVE)
        lines = [line for line in screen_of(text) if line]
        assert "adding model.bin" in text
        assert lines[0] == "Traceback (most recent call last):" and lines[-1] == last, lines
        assert not any("%  " in line for line in lines)


def test_the_line_of_another_progress_bar_is_left_alone(work: Path) -> None:
    text = played(
        work,
        """
seen = []
draft = wandb.Artifact("model", type="model")
class Bytes(bar.Bar): pass
show = bar.Bar._draw
def drawn(self, now):
    show(self, now)
    sys.stderr.write(f"\\rtheirs {self.bytes >> 20}")
    sys.stderr.flush()
bar.Bar._draw = drawn
draft.add_file("model.bin")
sys.stderr.write("\\n")
""",
    )
    assert text.count("artstore: adding") == 1, "once, before they had begun their line"
    assert left(text)[0].startswith("theirs 24")


def test_a_forked_child_does_not_touch_the_line_of_its_parent(work: Path) -> None:
    text = played(
        work,
        """
import os
draft = wandb.Artifact("model", type="model")
show = bar.Bar._draw
def drawn(self, now):
    show(self, now)
    if self.bytes and not os.fork():
        sys.stdout.write("c")
        sys.stdout.flush()
        os._exit(0)
    if self.bytes: os.wait()
bar.Bar._draw = drawn
draft.add_file("model.bin")
""",
    )
    pieces = re.findall(r"left\r(.)", text)
    assert "c" in text and pieces and set(pieces) <= {"c", "\r"}, text


def test_what_a_run_prints_is_recorded_without_its_progress(work: Path) -> None:
    played(work, BESIDE + "run.log_artifact(drafts[0]); print('trained'); run.finish()", WANDB_CONSOLE="wrap")
    log = subprocess.run(
        [sys.executable, "-c", "import artstore as w; print(w.Api().run('p/r').file('output.log').download(replace=True).read())"],
        cwd=work, env=environment(work), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "trained" in log and "%" not in log

"""A script written for W&B runs with nothing but its import changed, and does what W&B says it does."""

import subprocess
import sys
from pathlib import Path

from tests.support.checks import check
from tests.support.commands import environment

SCRIPT = Path(__file__).with_name("wandb_usage.py")


def test_a_script_for_wandb_runs_and_does_what_wandb_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT)],
        cwd=tmp_path, env=environment(tmp_path, WANDB_SILENT="true"), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == SCRIPT.with_suffix(".txt").read_text()
    check(tmp_path / ".artifacts")

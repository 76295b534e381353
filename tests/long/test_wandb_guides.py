"""W&B's guides on artifacts run with nothing but their imports changed, and do what W&B says they do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checks import check
from tests.support.commands import environment

SCRIPT = Path(__file__).with_name("wandb_guides")


@pytest.mark.long
def test_the_guides_of_wandb_run_and_do_what_they_say(tmp_path: Path) -> None:
    sealed = environment(
        tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config"), XDG_STATE_HOME=str(tmp_path / "state"),
    )  # fmt: skip
    strict = ["-W", "error::ResourceWarning", "-W", "error::DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, *strict, str(SCRIPT)],
        cwd=tmp_path, env=sealed, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stdout == SCRIPT.with_suffix(".txt").read_text()
    check(tmp_path / ".artifacts")

"""Commands for tests: what they print and how they end, in a sealed environment."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path


class Result:
    """What a command printed and how it ended."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}{self.err}"


QUIET = {
    "WANDB_SILENT": "true",
    "WANDB_CONSOLE": "off",
    "WANDB_X_DISABLE_META": "true",
    "WANDB_X_DISABLE_STATS": "true",
    "CI": "true",
}
"""Settings of runs that say nothing and record nothing of their surroundings, which most tests aren't about; and the
variable of services that run tests, by which nothing is packed in the background.
"""

Cli = Callable[..., Result]


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """Nothing of the caller's: own HOME, fixed width, no colours, no repository; what measures coverage stays.

    As in a service that runs tests, nothing is packed in the background. `CI=""` lets it be.
    """
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return {
        **measured,
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
        "CI": "true",
        **more,
    }

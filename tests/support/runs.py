"""Runs for tests: their rows and records, and scripts that log."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import artstore as wandb
from tests.support.commands import QUIET, environment

Rows = list[dict[str, Any]]


def rows(run: str) -> Rows:
    """What a run logged, without the times."""
    return plain(wandb.Api().run(run).scan_history())


def plain(found: Any) -> Rows:
    return [{key: value for key, value in row.items() if key not in ("_runtime", "_timestamp")} for row in found]


def root() -> str:
    return str(Path(".artifacts").resolve())


def folder(run: str, project: str = "uncategorized") -> Path:
    return Path(".artifacts/runs/local") / project / run


def open_files(run: str) -> list[str]:
    return [name for name in os.listdir(folder(run)) if name.startswith("history.")]


def record(run: str, logged: Rows, **more: Any) -> None:
    with wandb.init(id=run, **more) as active:
        for row in logged:
            active.log(row)


def later() -> float:
    return time.time() + 400 * 86400


class Script:
    """A process that logs, and is told what to do next through its standard input."""

    def __init__(self, code: str, **more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import os, sys, signal, time\nimport artstore as wandb\n" + code],
            env=environment(Path.home(), **(QUIET | more)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> int:
        self.process.communicate(timeout=20)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.end()


LOGS_AND_WAITS = """
run = wandb.init(id="r", config={"lr": 1})
for n in range(50):
    run.log({"a": n})
print("logged", flush=True)
sys.stdin.readline()
"""

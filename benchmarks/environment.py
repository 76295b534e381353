"""Where a benchmark ran: versions, processor, memory, kernel, file system. Never names, paths or addresses."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from benchmarks.place import HERE, Settings

FIRST_LINES = {
    "cp": ("cp", "--version"),
    "rsync": ("rsync", "--version"),
    "git": ("git", "--version"),
    "restic": ("restic", "version"),
}


def describe(settings: Settings) -> dict[str, str]:
    tools = {**FIRST_LINES, "dvc": (settings.dvc, "--version"), "artstore": (settings.artstore, "--version")}
    packages = "from importlib.metadata import version as v; print('blake3', v('blake3') + ', click', v('click'))"
    return {
        "commit": _commit(),
        "python": _first_line(settings.python, "--version"),
        "packages": _first_line(settings.python, "-c", packages),
        **{name: _first_line(*argv) for name, argv in tools.items()},
        "processor": f"{_after_colon('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": _after_colon("/proc/meminfo", "MemTotal"),
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(settings.work),
        "scale": str(settings.scale),
        "rounds": str(settings.rounds),
    }


def _commit() -> str:
    commit = _first_line("git", "-C", str(HERE), "rev-parse", "HEAD")
    changed = _first_line("git", "-C", str(HERE), "status", "--porcelain", "--untracked-files=no")
    return commit + (" and changes" if changed else "")


def _first_line(*argv: str) -> str:
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
    except OSError:
        return "not installed"
    return " ".join(done.stdout.partition("\n")[0].split())


def _after_colon(path: str, key: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "unknown")


def _file_system(folder: Path) -> str:
    """Type and mount options of the file system that holds the folder."""
    folder = folder.resolve()
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [mount for mount in mounts if folder.is_relative_to(mount[1])]
    _, _, kind, options, *_ = max(holding, key=lambda mount: len(mount[1]))
    return f"{kind} ({options})"

"""Where a benchmark ran: versions, processor, memory, kernel, file system. Never names, paths or addresses."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

from benchmarks.peers import PEERS
from benchmarks.place import HERE, Settings


def describe(settings: Settings) -> dict[str, str]:
    packages = "from importlib.metadata import version as v; print('blake3', v('blake3') + ', click', v('click'))"
    return {
        "started": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        "commit": _commit(),
        "python": _first_line(settings.python, "--version"),
        "packages": _first_line(settings.python, "-c", packages),
        **_versions(settings),
        "processor": f"{_after_colon('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": _after_colon("/proc/meminfo", "MemTotal"),
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(settings.work),
        "scale": str(settings.scale),
        "rounds": str(settings.rounds),
    }


def _versions(settings: Settings) -> dict[str, str]:
    """What each tool says of itself, by the first word of its name."""
    found = {}
    for peer in PEERS:
        if peer.version:
            env = {**os.environ, **peer.env, "PATH": settings.search_path(peer.venv)}
            found[peer.name.split()[0].rstrip(",")] = _first_line("sh", "-c", peer.version, env=env) or "not installed"
    return found


def _commit() -> str:
    commit = _first_line("git", "-C", str(HERE), "rev-parse", "HEAD")
    changed = _first_line("git", "-C", str(HERE), "status", "--porcelain", "--untracked-files=no")
    return commit + (" and changes" if changed else "")


def _first_line(*argv: str, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env=env)
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

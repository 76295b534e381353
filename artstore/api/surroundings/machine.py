"""The machine and the program of a run: what `wandb-metadata.json` and `requirements.txt` say of them."""

import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from artstore.backends.git import Code
from artstore.domain.redaction import redacted_arguments

DRIVER = "/proc/driver/nvidia/version"
"""A file that is there when the driver of NVIDIA's cards is loaded: pynvml takes long to say so."""
_OWN = "+artstore"
"""The end of the version of the package that replaces wandb."""


def metadata(code: Code, *, host: str | None, mask: Callable[[str], str]) -> dict[str, Any]:
    """What W&B's `wandb-metadata.json` says, except what changes from run to run. Secrets are hidden.

    Equal runs then have equal files, which are stored once. Without a `host`, because the user wants no names recorded,
    paths that may hold the user's name are left out, too.
    """
    found: dict[str, Any] = {
        "os": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "host": host,
        "executable": None if host is None else sys.executable,
        "program": _program(),
        "args": [mask(argument) for argument in redacted_arguments(map(_text, sys.argv[1:]))],
        "root": None if host is None else _working_folder(),
        "cpu_count": _physical_cores(),
        "cpu_count_logical": os.cpu_count(),
        "memory": {"total": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")},
        **_gpus(),
    }
    if code.state is not None:
        found["git"] = {"remote": code.remote and mask(code.remote), "commit": code.state["commit"]}
    return {key: value for key, value in found.items() if value is not None}


def _program() -> str | None:
    """The script that runs, or the module's file; None for an interactive interpreter."""
    path = sys.argv[0] if sys.argv else ""
    return None if path in ("", "-c") else _text(path)


def _working_folder() -> str | None:
    try:
        return _text(os.getcwd())
    except FileNotFoundError:
        return None


def _text(argument: str) -> str:
    return argument.encode("utf-8", "backslashreplace").decode()


@cache
def _physical_cores() -> int | None:
    """The number of cores, each with one or two logical ones; None where the system doesn't say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            text = lines.read()
    except OSError:
        return None
    cores, package = set[tuple[str, str]](), ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "physical id":
            package = value.strip()
        elif name.strip() == "core id":
            cores.add((package, value.strip()))
    return len(cores) or None


@cache
def _gpus() -> dict[str, Any]:
    """The graphics cards, if their driver is loaded and pynvml is installed."""
    if not os.path.exists(DRIVER):
        return {}
    try:
        import pynvml

        pynvml.nvmlInit()
        cards = [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]
        names = [pynvml.nvmlDeviceGetName(card) for card in cards]
        memory = [pynvml.nvmlDeviceGetMemoryInfo(card).total for card in cards]
    except Exception:  # not installed, or a driver that doesn't answer
        return {}
    names = [name.decode() if isinstance(name, bytes) else name for name in names]
    each = [{"name": name, "memoryTotal": str(size)} for name, size in zip(names, memory, strict=True)]
    return {"gpu": names[0] if names else None, "gpu_count": len(names), "gpu_nvidia": each}


def requirements() -> str:
    """The installed packages with their versions, one a line, as `pip` takes them. Cost: a listing of each folder.

    They are read from the names of `*.dist-info` folders on the path, the first of each name, as imports find them.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            entries = _packages_in(folder or ".", os.stat(folder or ".").st_mtime_ns)
        except OSError:
            continue
        for name, version in entries:
            found.setdefault(name.lower(), f"{name}=={version}")
    return "".join(f"{found[name]}\n" for name in sorted(found))


@cache
def _packages_in(folder: str, changed: int) -> list[tuple[str, str]]:
    """The names and versions of the packages in a folder that was changed at this time."""
    entries = (
        entry.removesuffix(".dist-info").partition("-") for entry in os.listdir(folder) if entry.endswith(".dist-info")
    )
    return [(name.replace("_", "-"), version) for name, _, version in entries if version and not version.endswith(_OWN)]

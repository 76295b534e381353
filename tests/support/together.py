"""Calls at one moment, in threads, in forked processes and in scripts, and artifacts for them."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import artstore
from tests.support.commands import environment
from tests.support.folders import make_tree

FORK = multiprocessing.get_context("fork")
MIB = 1 << 20
SMALL = {f"{n % 3}/{n}": f"{n}" * (20 * n) for n in range(60)}
LARGE = {f"large {n}": bytes([65 + n]) * (MIB + n) for n in range(4)} | {"small": "small"}


def begun(*calls: tuple[Any, ...]) -> list[BaseProcess]:
    """Forked processes that call `function(*arguments)`, all from one moment on."""
    ready, go = os.pipe()  # a barrier would hang when a process is killed in it

    def work(function: Callable[..., Any], *arguments: Any) -> None:
        os.close(go)
        os.read(ready, 1)
        function(*arguments)

    processes: list[BaseProcess] = [FORK.Process(target=work, args=call) for call in calls]
    for process in processes:
        process.start()
    os.close(go)
    os.close(ready)
    return processes


def ended(processes: list[BaseProcess]) -> list[int | None]:
    """Their exit codes; None for one that hung, which is killed."""
    deadline = time.monotonic() + 10
    for process in processes:
        process.join(max(0, deadline - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
        process.close()
    return codes


def in_threads(*calls: tuple[Any, ...]) -> list[Any]:
    """Results of the calls, each in a thread of its own, all from one moment on. Exceptions are results, too."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def work(number: int, function: Callable[..., Any], *arguments: Any) -> None:
        barrier.wait(20)
        try:
            results[number] = function(*arguments)
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=work, args=(n, *call), daemon=True) for n, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a thread hangs"
    return results


def script(code: str, *arguments: str, expected: int = 0) -> str:
    """What a script printed; it runs in this folder, as a process of its own."""
    command = [sys.executable, "-c", "import os, signal, sys, threading, time\nimport artstore\n" + code, *arguments]
    done = subprocess.run(command, env=environment(Path.home()), capture_output=True, text=True, timeout=25)
    assert done.returncode == expected, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def logged(files: dict[str, Any], name: str = "data") -> artstore.Artifact:
    artifact = artstore.Artifact(name)
    artifact.add_dir(make_tree(Path("source") / name, files))
    artifact.save()
    return artifact


def content(artifact: artstore.Artifact) -> dict[str, bytes]:
    return {path: read(entry) for path, entry in artifact.manifest.entries.items()}


def read(entry: Any) -> bytes:
    with entry.open() as file:
        data: bytes = file.read()
    return data


def transactions() -> list[str]:
    return os.listdir(".artifacts/tmp")


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

"""Samples of the machine while a run is recorded: CPU, memory, disk, network and graphics cards, under W&B's names."""

import json
import os
import time
from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from artstore.backends.files import write_fully

EVENTS = "wandb-events.jsonl"
"""The file of a run that holds its samples, one JSON object a line."""
_SHORTEST = 0.1


class Sampler:
    """A thread that appends samples to a file of the run. The first comes after one interval."""

    def __init__(self, path: Callable[[], str], interval: float, each: Callable[[], None]) -> None:
        """Begin. `path` is asked for the file with the first sample; `each` is called with every sample."""
        self._path, self._interval, self._each = path, max(interval, _SHORTEST), each
        self._began, self._wanted, self._ended = time.time(), _held(), _held()
        start_new_thread(self._run, ())  # `Thread.start` would wait until it runs

    def stop(self) -> None:
        """Take no more samples, and wait for one that is being taken."""
        with suppress(RuntimeError):  # stopped before
            self._wanted.release()
        self._ended.acquire(timeout=2)

    def _run(self) -> None:
        fd = -1
        try:
            while not self._wanted.acquire(timeout=self._interval):
                self._each()
                if (values := _sample()) is None:
                    return
                now = time.time()
                row = {"_timestamp": now, "_runtime": now - self._began, **values}
                if fd < 0:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
                    fd = os.open(self._path(), flags, 0o666)
                write_fully(fd, json.dumps(row, separators=(",", ":")).encode() + b"\n")
        except Exception:  # a machine that can't be measured, or a full disk: the program goes on without samples
            return
        finally:
            if fd >= 0:
                os.close(fd)
            self._ended.release()


def _held() -> LockType:
    """A lock that is held, for which a thread can wait."""
    lock = allocate_lock()
    lock.acquire()
    return lock


def can_sample() -> bool:
    """Whether psutil is installed, which is known without importing it."""
    return find_spec("psutil") is not None


def _sample() -> dict[str, float] | None:
    """The machine and this process now. None without psutil, or for a process of which it may not know."""
    import psutil

    process, memory, network, disk = (
        _process(psutil),
        psutil.virtual_memory(),
        psutil.net_io_counters(),
        psutil.disk_usage("/"),
    )
    with process.oneshot():
        found = {
            "system.cpu": process.cpu_percent() / (psutil.cpu_count() or 1),
            "system.cpu.total": psutil.cpu_percent(),
            "system.memory_percent": memory.percent,
            "system.proc.memory.availableMB": memory.available / (1 << 20),
            "system.proc.memory.rssMB": process.memory_info().rss / (1 << 20),
            "system.proc.memory.percent": process.memory_percent(),
            "system.proc.cpu.threads": float(process.num_threads()),
            "system.disk./.usagePercent": disk.percent,
            "system.disk./.usageGB": disk.used / (1 << 30),
        }
    if network is not None:
        found |= {"system.network.sent": float(network.bytes_sent), "system.network.recv": float(network.bytes_recv)}
    return found | _cards()


_processes: dict[int, Any] = {}


def _process(psutil: Any) -> Any:
    """psutil's object of this process: a CPU percentage counts from its last call."""
    return _processes.setdefault(os.getpid(), psutil.Process())


def _cards() -> dict[str, float]:
    """Use of each graphics card that pynvml sees."""
    if find_spec("pynvml") is None:
        return {}
    found: dict[str, float] = {}
    try:
        import pynvml as nvml

        nvml.nvmlInit()
        for number in range(nvml.nvmlDeviceGetCount()):
            card = nvml.nvmlDeviceGetHandleByIndex(number)
            rates, memory = nvml.nvmlDeviceGetUtilizationRates(card), nvml.nvmlDeviceGetMemoryInfo(card)
            found |= {
                f"system.gpu.{number}.gpu": float(rates.gpu),
                f"system.gpu.{number}.memory": float(rates.memory),
                f"system.gpu.{number}.memoryAllocated": 100 * memory.used / memory.total,
                f"system.gpu.{number}.memoryAllocatedBytes": float(memory.used),
                f"system.gpu.{number}.temp": float(nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU)),
                f"system.gpu.{number}.powerWatts": nvml.nvmlDeviceGetPowerUsage(card) / 1000,
            }
    except Exception:  # no driver, or a card that doesn't say
        pass
    return found

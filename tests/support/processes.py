"""Calls at one moment, each in a process of its own that was spawned."""

import multiprocessing
from collections.abc import Callable
from typing import Any

from artstore.errors import ArtstoreError
from artstore.repository import Repository

SPAWN = multiprocessing.get_context("spawn")
LARGE = b"L" * ((1 << 20) + 1)


def together(function: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[Any]:
    """Results of the calls, each in a process of its own, all begun at one moment. Errors of ours are results too."""
    barrier, results = SPAWN.Barrier(len(arguments)), SPAWN.Queue()
    processes = [SPAWN.Process(target=_one, args=(function, a, n, barrier, results)) for n, a in enumerate(arguments)]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=180) for _ in processes)
    for process in processes:
        process.join()
        assert process.exitcode == 0, found
    return [found[number] for number in range(len(arguments))]


def _one(function: Callable[..., Any], arguments: tuple[Any, ...], number: int, barrier: Any, results: Any) -> None:
    barrier.wait(120)
    try:
        results.put((number, function(*arguments)))
    except Exception as error:
        results.put((number, error))
        if not isinstance(error, ArtstoreError):
            raise


def _save_own(root: str, name: str, who: str, times: int) -> list[tuple[int, str]]:
    done = []
    with Repository(root) as repository:
        for number in range(times):
            with repository.draft() as draft:
                draft.add_bytes(f"{who} {number}".encode(), "file")
                saved = draft.save(repository.path_of(name)[0])
            done.append((saved.number, saved.id))
    return done

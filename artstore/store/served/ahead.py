"""Reading ahead: what a server sends is received and checked in a thread, while what came before it is used."""

import threading
from collections.abc import Generator, Iterator
from queue import Full, Queue
from typing import Any

_OBJECTS, _BYTES = 512, 4 << 20
"""Objects that are handed on together, and bytes of them. At most three times as much is in memory."""


def read_ahead(source: Generator[Any, None, None]) -> Iterator[Any]:
    """What the source yields, (kind, digest, bytes or size), in its order. An error of the source is raised here."""
    batches: Queue[list[Any] | BaseException | None] = Queue(maxsize=1)
    ended = threading.Event()

    def hand_on(batch: list[Any] | BaseException | None) -> bool:
        while not ended.is_set():
            try:
                batches.put(batch, timeout=0.1)
                return True
            except Full:
                continue
        return False

    def receive() -> None:
        batch: list[Any] = []
        room = _BYTES
        try:
            for found in source:
                batch.append(found)
                room -= len(found[2]) if isinstance(found[2], bytes) else 0
                if room <= 0 or len(batch) >= _OBJECTS:
                    if not hand_on(batch):
                        return
                    batch, room = [], _BYTES
            if hand_on(batch):
                hand_on(None)
        except BaseException as error:
            hand_on(error)
        finally:
            source.close()

    thread = threading.Thread(target=receive, name="artstore read ahead", daemon=True)
    thread.start()
    try:
        while (batch := batches.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield from batch
    finally:
        ended.set()
        thread.join()

"""Transactions of clients at a server: when they end."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from artstore.domain.digest import BLOB, digest_of
from artstore.errors import NotFound
from artstore.repository import Repository
from artstore.server.sending import Sendings
from artstore.server.served import Served
from artstore.store.settings import Settings

PIECE = b"p" * (4 << 20)


def test_a_large_blob_that_takes_long_to_arrive_keeps_its_transaction(tmp_path: Path) -> None:
    root = str(tmp_path / ".artifacts")
    Repository.init(root).close()
    served = Served(root, Settings(None))
    sendings = Sendings(served)
    id, data = sendings.begin("ann").id, PIECE * 6

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.3)
            sendings.expire(1.0)
            yield PIECE

    began = time.monotonic()
    with sendings.used(id, "ann") as sending:
        asyncio.run(sending.receive(digest_of(BLOB, data), len(data), pieces()))
    assert time.monotonic() - began > 1.5, "longer than it may be idle"
    with sendings.used(id, "ann") as found:
        assert found is sending and digest_of(BLOB, data) in sending.sent
    time.sleep(0.3)
    sendings.expire(0.1)
    assert not sendings._open, "idle, it ends"
    served.close()


def test_a_large_blob_of_a_revoked_token_is_taken_no_further(tmp_path: Path) -> None:
    root = str(tmp_path / ".artifacts")
    Repository.init(root).close()
    served = Served(root, Settings(None))
    sendings, data = Sendings(served), PIECE * 6
    id, taken = sendings.begin("ann").id, list[int]()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(6):
            if number == 2:
                sendings.expire(is_active=lambda author: False)
            taken.append(number)
            yield PIECE

    with sendings.used(id, "ann") as sending, pytest.raises(NotFound, match="this push has ended"):
        asyncio.run(sending.receive(digest_of(BLOB, data), len(data), pieces()))
    assert taken == [0, 1, 2] and not list(Path(root, "objects").rglob("*.pack"))
    with pytest.raises(NotFound), sendings.used(id, "ann"):
        pass
    sendings.expire()
    assert not sendings._open and not list(Path(root, "tmp").iterdir())
    served.close()

"""Transactions of clients at a server: when they end."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from artstore.domain.digest import BLOB, digest_of
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
    sending, data = sendings.begin("ann"), PIECE * 6

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(6):
            await asyncio.sleep(0.3)
            sendings.expire(1.0)
            yield PIECE

    began = time.monotonic()
    asyncio.run(sending.receive(digest_of(BLOB, data), len(data), pieces()))
    assert time.monotonic() - began > 1.5, "longer than it may be idle"
    assert sendings.find(sending.id, "ann") is sending and digest_of(BLOB, data) in sending.sent
    time.sleep(0.3)
    sendings.expire(0.1)
    assert not sendings._open, "idle, it ends"
    served.close()

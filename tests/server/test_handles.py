"""Handles of the served repository: each thread borrows one, and what is in memory is shared."""

from pathlib import Path

from artstore.repository import Repository
from artstore.server.served import Served
from artstore.store.settings import Settings
from tests.support.folders import make_tree


def test_handles_share_the_indexes_of_packs(tmp_path: Path) -> None:
    root = str(tmp_path / ".artifacts")
    with Repository.init(root) as repository:
        repository.put(str(make_tree(tmp_path / "data", {"a": b"a", "b": b"b"})), "data")
        (name,) = repository.store.objects.packs.names()
    served = Served(root, Settings(None))
    with served.store() as one, served.store() as other:
        packs = [handle.objects.packs.open(name) for handle in (one, other)]
        assert packs[0] is not packs[1] and packs[0].index is packs[1].index
        assert all(pack.object(row) is not None for pack in packs for row in pack.index.rows())
    served.close()

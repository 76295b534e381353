"""Fixtures of the tests of damage and repair."""

import shutil
from pathlib import Path

import pytest

from artstore.repository import Repository
from tests.support.damages import NEW, OLD, OTHER, Stored
from tests.support.folders import make_tree


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("damage")
    root = folder / ".artifacts"
    sources = {
        "data:v0": make_tree(folder / "old", OLD),
        "data:v1": make_tree(folder / "new", NEW),
        "other:v0": make_tree(folder / "other", OTHER),
    }
    with Repository.init(str(root)) as repository:
        (root / "config").write_text("[core]\nidentity = off\n[gc]\ngrace = 24h\n")
        repository.put(str(sources["other:v0"]), "other")
        repository.put(str(sources["data:v0"]), "data", metadata={"of": "v0"})
        for number in range(63):
            repository.set_aliases("data:v0", (f"alias{number}",))
        repository.put(str(sources["data:v1"]), "data", aliases=("best",))
        repository.objects.packs._build_table()
    return Stored(root, sources)


@pytest.fixture
def stored(template: Stored, tmp_path: Path) -> Stored:
    """A copy of its own, whose caches are warm."""
    copy = Stored(Path(shutil.copytree(template.root, tmp_path / ".artifacts")), template.sources)
    with copy.open() as repository:
        for spec in copy.sources:
            repository.get(repository.find(spec), str(tmp_path / "warm" / spec))
    return copy

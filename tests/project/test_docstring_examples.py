"""The examples in the docstrings of `Repository`, `Editor` and `View` run, and print what they say."""

import doctest
from collections.abc import Iterator
from pathlib import Path

import pytest

from artstore import editing, looking, repository, view
from artstore.repository import Repository

MODULES = (looking, view, editing, repository)
EXAMPLES = [test for module in MODULES for test in doctest.DocTestFinder().find(module) if test.examples]


@pytest.fixture
def folder(here: Path) -> Iterator[Path]:
    """What the examples take for given: a folder to save."""
    (here / "dataset").mkdir()
    (here / "dataset/train.csv").write_text("1,2\n")
    yield here


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name.removeprefix("artstore."))
def test_an_example_prints_what_it_says(folder: Path, example: doctest.DocTest) -> None:
    printed: list[str] = []
    with Repository.init(str(folder / ".artifacts")) as fresh:
        example.globs = {name: value for module in MODULES for name, value in vars(module).items()}
        example.globs["repository"] = fresh
        doctest.DocTestRunner().run(example, out=printed.append)
    assert printed == []


def test_the_main_operations_have_examples() -> None:
    shown = {test.name.rpartition(".")[2] for test in EXAMPLES}
    assert shown >= {"init", "put", "find", "get", "verify", "push", "pull", "clone", "delete", "prune", "gc", "fsck"}

"""What documents name is there: files of the repository, modules, and the classes and functions in them."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs import DOCUMENTS, TOP

PACKAGE = TOP / "artstore"
TESTS = TOP / "tests"
HISTORY = ("CHANGELOG.md", "RELIABILITY-RESULTS.md")
"""Documents that also name what is gone."""
ROOMS = "|".join(sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
PATH = re.compile(rf"`((?:{ROOMS}|artstore|tests|benchmarks|docs)/[\w./-]*)(?:`|\s|:)")
TEST = re.compile(r"`(test_\w+\.py)")


@cache
def names_of(path: Path) -> set[str]:
    """What a module defines: `name`, and `Class.method`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{below.name}" for below in node.body if isinstance(below, ast.FunctionDef)}
    return found


def is_there(name: str) -> bool:
    """Whether a path of the repository or the package exists, such as `store/refs.Refs.change` or `cli/`."""
    whole = name.rstrip("/.")
    for top in (TOP, PACKAGE):
        if (top / whole).exists() or (top / f"{whole}.py").exists():
            return True
        module, _, inner = whole.partition(".")
        if (path := top / f"{module}.py").exists() and inner in names_of(path):
            return True
    return False


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_what_a_document_names_is_there(path: Path) -> None:
    if path.name in HISTORY:
        return
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [name for name in PATH.findall(text) if not is_there(name)] == []
    tests = {file.name for file in TESTS.rglob("test_*.py")}
    assert [name for name in TEST.findall(text) if name not in tests] == []


def test_names_that_are_not_there_are_noticed() -> None:
    assert all(
        map(is_there, ("store/refs.Refs.change", "store/refs", "cli/saving.put_command", "docs/files.md", "cli/"))
    )
    assert not any(map(is_there, ("store/refs.Refs.alter", "store/reffs", "cli/saving.putt_command", "docs/none.md")))


def links_of(path: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL))


def anchors_of(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_the_links_of_a_document_lead_somewhere(path: Path) -> None:
    for link in links_of(path):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target), link

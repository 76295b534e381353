"""Every case that has to be survived is covered: test docstrings that begin with `Case N:` are collected and counted."""

import ast
import re
from pathlib import Path


def covered() -> dict[int, list[str]]:
    """Case → the tests whose docstring names it."""
    found: dict[int, list[str]] = {}
    for path in sorted(Path(__file__).parents[1].rglob("test_*.py")):
        text = path.read_text()
        if '"""Case' not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                match = re.match(r"Cases? ([\d, ]+):", ast.get_docstring(node) or "")
                for number in re.findall(r"\d+", match[1]) if match else ():
                    found.setdefault(int(number), []).append(f"{path.stem}::{node.name}")
    return found


def test_every_case_has_a_test() -> None:
    """Print what covers each case (`pytest -s`)."""
    found = covered()
    for number in range(1, 87):
        print(f"{number:2}", *(found.get(number) or ["(MISSING)"]), sep="  ")
    assert set(range(1, 87)) - found.keys() == set()
    assert max(found) <= 86

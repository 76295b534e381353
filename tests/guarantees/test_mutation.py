"""The mutants that `tests.guarantees.mutation` makes, and how a module becomes one."""

import ast
import sys
from types import ModuleType

import pytest

from tests.guarantees.mutants import compiled, mutants
from tests.guarantees.mutation import become

SOURCE = '''
"""A module."""
from functools import cache

LIMIT: int = 3

@cache
def small(number: int, *, text: str = "a") -> bool:
    """Whether it is."""
    if not text or number == 0:
        raise ValueError(f"{number} of {text}")
    return number < LIMIT

class Box:
    @property
    def is_full(self) -> bool:
        return small(2)
'''


def test_a_mutant_is_a_module_with_one_change() -> None:
    assert [str(mutant).removeprefix("m.py:") for mutant in mutants("m.py", SOURCE)] == [
        "5: module: LIMIT: int = 3 → LIMIT: int = 4",
        "5: module: LIMIT: int = 3 → LIMIT: int = 2",
        "8: small: def small(number: int, *, text: str='a') -> bool: → def small(number: int, *, text: str='') -> bool:",
        "10: small: if not text or number == 0: → if not text and number == 0:",
        "10: small: if not text or number == 0: → if number == 0:",
        "10: small: if not text or number == 0: → if not text:",
        "10: small: if not text or number == 0: → if text or number == 0:",
        "10: small: if not text or number == 0: → if not text or number != 0:",
        "10: small: if not text or number == 0: → if not text or number == 1:",
        "10: small: if not text or number == 0: → if not text or number == -1:",
        "11: small: raise ValueError(f'{number} of {text}') → pass",
        "11: small: raise ValueError(f'{number} of {text}') → raise ValueError('')",
        "12: small: return number < LIMIT → return None",
        "12: small: return number < LIMIT → return number <= LIMIT",
        "12: small: return number < LIMIT → return number >= LIMIT",
        "17: is_full: return small(2) → return None",
        "17: is_full: return small(2) → return small(3)",
        "17: is_full: return small(2) → return small(1)",
    ]
    assert [mutant.line for mutant in mutants("m.py", SOURCE, every=6)] == [5, 10, 12]


def test_what_others_imported_from_a_module_changes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module, other = ModuleType("artstore.m"), ModuleType("artstore.n")
    for each in (module, other):
        monkeypatch.setitem(sys.modules, each.__name__, each)
    exec(compiled(ast.parse(SOURCE), "m.py"), vars(module))
    exec("from artstore.m import LIMIT, small, Box", vars(other))
    box = module.Box()
    assert (other.small(2), other.LIMIT, box.is_full) == (True, 3, True)
    become(module, compiled(ast.parse(SOURCE.replace("int = 3", "int = 2")), "m.py"))
    assert (other.small(2), other.LIMIT, box.is_full) == (False, 2, False)
    become(module, compiled(ast.parse(SOURCE.replace("small(2)", "small(1)")), "m.py"))
    assert (other.small(2), other.LIMIT, box.is_full, type(box) is other.Box) == (True, 3, True, True)

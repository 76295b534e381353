"""Mutants: all small changes of a module. Pure.

A comparison, condition, constant, text or operator is another; a statement, an operand of `and` and `or`, or an
exception that is caught is left out. Annotations, docstrings and decorators' arguments are left as they are.
"""

import ast
import warnings
from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from itertools import count
from types import CodeType
from typing import Any, NamedTuple


class Mutant(NamedTuple):
    """A module with one change."""

    path: str
    line: int
    function: str
    change: str
    code: CodeType

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.function}: {self.change}"


# -- changes -------------------------------------------------------------------------------------

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    match node:
        case ast.Compare(ops=ops):
            for place, op in enumerate(ops):
                for other in _COMPARED[type(op)]:
                    yield _with(node, ops=[*ops[:place], other(), *ops[place + 1 :]])
        case ast.BoolOp(op=op, values=values):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            for place in range(len(values)):
                rest = values[:place] + values[place + 1 :]
                yield _with(node, values=rest) if len(rest) > 1 else rest[0]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _COMPUTED:
            yield _with(node, op=_COMPUTED[type(op)]())
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if _is_plain(test):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.comprehension(ifs=ifs):
            for place, test in enumerate(ifs):
                if _is_plain(test):
                    yield _with(node, ifs=[*ifs[:place], ast.UnaryOp(ast.Not(), test), *ifs[place + 1 :]])
        case ast.ExceptHandler(type=ast.Tuple(elts=elts) as caught):
            for place in range(len(elts)):
                yield _with(node, type=_with(caught, elts=elts[:place] + elts[place + 1 :]))
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield _with(node, value=ast.Constant(None))
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(number) | float(number)):
            yield from (ast.Constant(number + 1), ast.Constant(number - 1))
        case ast.Constant(value=str(text) | bytes(text)):
            yield ast.Constant(text[:0] if text else "mutated")
        case ast.JoinedStr():
            yield ast.Constant("")
    if _may_be_left_out(node):
        yield ast.Pass()


def _with(node: Any, **fields: Any) -> Any:
    new = copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _is_plain(test: ast.expr) -> bool:
    """Whether a condition has no change of its own that turns it round."""
    return not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant)


def _may_be_left_out(node: ast.AST) -> bool:
    """A statement without which the rest still means something: it binds no name."""
    match node:
        case ast.Expr() | ast.Raise() | ast.Delete() | ast.AugAssign():
            return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return True
    return False


# -- mutants -------------------------------------------------------------------------------------

Put = Callable[[Any], None]
"""Puts another node in the place of one."""


def places(node: ast.AST) -> Iterator[tuple[ast.AST, Put]]:
    """The nodes right below one that may change, each with how to replace it."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "bases"):
            continue
        if isinstance(value, list):
            for place, item in enumerate(value):
                if isinstance(item, ast.AST) and _may_change(node, item):
                    yield item, partial(value.__setitem__, place)
        elif isinstance(value, ast.AST) and field != "format_spec" and _may_change(node, value):
            yield value, partial(setattr, node, field)


def _may_change(parent: ast.AST, node: ast.AST) -> bool:
    is_text_of_format = isinstance(parent, ast.JoinedStr) and isinstance(node, ast.Constant)
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_type = isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal"
    return not (is_text_of_format or is_docstring or is_type)


def mutants(path: str, source: str, every: int = 1) -> Iterator[Mutant]:
    """In the order of the source. The tree is changed in place, compiled, and changed back."""
    tree, number = ast.parse(source), count()

    def below(node: ast.AST, statement: ast.AST, function: str) -> Iterator[Mutant]:
        for child, put in places(node):
            is_statement = isinstance(child, ast.stmt | ast.ExceptHandler)
            whole = child if is_statement else statement
            inside = child.name if isinstance(child, ast.FunctionDef | ast.ClassDef) else function
            before = _header(whole)
            for new in variants(child):
                if next(number) % every:
                    continue
                put(ast.copy_location(new, child))
                after = _header(new if is_statement else whole)
                line = getattr(child, "lineno", getattr(whole, "lineno", 0))
                yield Mutant(path, line, inside, _difference(before, after), compiled(tree, path))
                put(child)
            yield from below(child, whole, inside)

    yield from below(tree, tree, "module")


def _header(statement: ast.AST) -> str:
    """A statement's first line, without decorators."""
    lines = ast.unparse(statement).split("\n")
    return next((line for line in lines if not line.startswith("@")), "")


def _difference(before: str, after: str) -> str:
    """Two lines, without most of what they share."""
    start = _shared(before, after)
    end = _shared(before[start:][::-1], after[start:][::-1])
    shown = (text[max(0, start - 40) : len(text) - max(0, end - 40)] for text in (before, after))
    return " → ".join(shown)


def _shared(a: str, b: str) -> int:
    """Characters at the beginning in which two texts are equal."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((number for number, (x, y) in pairs if x != y), min(len(a), len(b)))


def compiled(tree: ast.Module, path: str) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # such as `"" is x`
        return compile(ast.fix_missing_locations(tree), path, "exec")

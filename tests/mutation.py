"""Mutants of a module, each run against the module's own tests: how many small changes of the code do they notice?

    python -m tests.mutation [--modules names,codec,logs,maintenance] [--every N]

A mutant is a module with one change: a comparison, condition, constant, text or operator is another, a statement or an
exception that is caught is left out. Each runs in a fork of a process that has collected the tests, until one fails; a
mutant that hangs counts as noticed. Annotations, docstrings and decorators' arguments are left as they are.

Written here since the tools of this kind change neither a module's constants nor functions with decorators and leave out
no statement (mutmut), or begin a process for each mutant (cosmic-ray).
"""

import argparse
import ast
import gc
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent
LEAST = 85
"""Per cent of the mutants that must be noticed."""
_MEMORY = 8 << 30
"""Bytes of addresses for one mutant, which may allocate without end."""


class Suite(NamedTuple):
    """Modules that are one thing to their tests."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


SUITES = {
    "names": Suite(("names",), ("test_names",)),
    "codec": Suite(("codec",), ("test_codec",)),
    "logs": Suite(("logs",), ("test_logs",)),
    "maintenance": Suite(("maintenance", "removal"), ("test_maintenance",)),
}

EQUIVALENT: dict[str, str] = {}
"""Mutants that no test can notice, each with the reason; they are not counted."""


class Mutant(NamedTuple):
    module: str
    line: int
    function: str
    change: str
    code: CodeType

    def __str__(self) -> str:
        return f"artstore/{self.module}.py:{self.line}: {self.function}: {self.change}"


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


def mutants(module: str, source: str, every: int = 1) -> Iterator[Mutant]:
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
                yield Mutant(module, line, inside, _difference(before, after), _compiled(tree, module))
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


def _path(module: str) -> Path:
    return ROOT / "artstore" / f"{module}.py"


def _compiled(tree: ast.Module, module: str) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return compile(ast.fix_missing_locations(tree), str(_path(module)), "exec")


# -- runs ----------------------------------------------------------------------------------------


def become(module: ModuleType, code: CodeType) -> None:
    """Make a module that others have imported what this code says. Functions and classes stay the objects that they are."""
    before = dict(vars(module))
    exec(code, vars(module))
    after = {name: value for name, value in vars(module).items() if not name.startswith("__")}
    for name, new in after.items():
        old = before[name]
        if callable(old) and getattr(old, "__module__", None) == module.__name__:
            _take_over(old, new)
            setattr(module, name, old)
            continue
        for other in list(sys.modules.values()):
            if other.__name__.startswith(("artstore", "tests")) and vars(other).get(name, module) is old:
                setattr(other, name, new)


def _take_over(old: Any, new: Any) -> None:
    """Give a function, or what wraps one, or all methods of a class, the code of another."""
    if isinstance(old, FunctionType):
        old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__
    elif isinstance(old, type):
        for name in vars(old).keys() & vars(new).keys():
            _take_over(vars(old)[name], vars(new)[name])
    elif isinstance(old, property):
        _take_over(old.fget, new.fget)
    elif isinstance(old, cached_property):
        _take_over(old.func, new.func)
    elif hasattr(old, "cache_clear"):
        _take_over(old.__wrapped__, new.__wrapped__)
        old.cache_clear()


class Runner:
    """A pytest plugin: in place of the tests it runs all mutants of their modules."""

    def __init__(self, suite: Suite, every: int) -> None:
        self.suite = suite
        self.every = every
        self.count = Counter[str]()
        self.equivalent: set[str] = set()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        gc.freeze()
        for module in self.suite.modules:
            source = _path(module).read_text()
            begun = time.monotonic()
            if self._noticed(session, module, _compiled(ast.parse(source), module), 600):
                raise SystemExit(f"the tests of {module} fail without a mutation")
            seconds = 10 + 5 * (time.monotonic() - begun)
            for mutant in mutants(module, source, self.every):
                self._try(session, mutant, seconds)
        return True

    def _try(self, session: pytest.Session, mutant: Mutant, seconds: float) -> None:
        if (known := f"{mutant.module}.{mutant.function}: {mutant.change}") in EQUIVALENT:
            self.equivalent.add(known)
        elif self._noticed(session, mutant.module, mutant.code, seconds):
            self.count["killed"] += 1
        else:
            self.count["survived"] += 1
            print(mutant, flush=True)

    def _noticed(self, session: pytest.Session, module: str, code: CodeType, seconds: float) -> bool:
        """Whether a test fails, or hangs."""
        child = multiprocessing.get_context("fork").Process(target=_run, args=(session, module, code))
        child.start()
        child.join(seconds)
        with suppress(ProcessLookupError):
            os.killpg(child.pid or 0, signal.SIGKILL)
        child.join()
        return child.exitcode != 0


def _run(session: pytest.Session, module: str, code: CodeType) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nowhere, fd)
    become(importlib.import_module(f"artstore.{module}"), code)
    for item, after in zip(session.items, [*session.items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            os._exit(1)
    os._exit(0)


def run(suite: Suite, every: int) -> Runner:
    runner = Runner(suite, every)
    memory = "/dev/shm"  # where a sync costs nothing
    with tempfile.TemporaryDirectory(dir=memory if os.path.isdir(memory) else None) as folder:
        plugins = [f"-p{name}" for name in ("no:cacheprovider", "no:xdist")]
        options = [
            "-sqq",
            f"--rootdir={ROOT}",
            f"--basetemp={folder}/tests",
            "-Wignore::pytest.PytestAssertRewriteWarning",
        ]
        files = [str(ROOT / "tests" / f"{test}.py") for test in suite.tests]
        if pytest.main([*options, *plugins, *files], plugins=[runner]) != pytest.ExitCode.OK:
            raise SystemExit(f"pytest can't collect {', '.join(suite.tests)}")
    return runner


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--modules", default=",".join(SUITES), help="of these: %(default)s")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th mutant")
    given = parser.parse_args()
    # Always the same examples, and none is made smaller: a failure is enough.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None, phases=phases)
    hypothesis.settings.load_profile("mutation")
    rows, scores = ["MODULE       MUTANTS  KILLED  SURVIVED   SCORE"], []
    for name in given.modules.split(","):
        counted = run(SUITES[name], given.every).count
        killed, survived = counted["killed"], counted["survived"]
        scores.append(100 * killed / (killed + survived))
        rows.append(f"{name:12} {killed + survived:7} {killed:7} {survived:9} {scores[-1]:5.1f} %")
    print(*rows, sep="\n")
    return 0 if min(scores) >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())

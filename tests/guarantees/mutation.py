"""Mutants of a module, each run against the module's own tests: how many small changes of the code do they notice?

    python -m tests.guarantees.mutation [--modules names,codec,logs,maintenance] [--every N]

Each (see `tests.guarantees.mutants`) runs in a fork of a process that has collected the tests, until one fails; a mutant that
hangs counts as noticed. What survives is printed, then a table; the exit code is 1 when a score is below 85 %.

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
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import hypothesis
import pytest

from tests.guarantees.mutants import compiled, mutants

ROOT = Path(__file__).parents[2]
LEAST = 85
"""Per cent of the mutants that must be noticed."""
_MEMORY = 8 << 30
"""Bytes of addresses for one mutant, which may allocate without end."""
_ASLEEP = 600.0
"""Seconds after which a mutant is taken for one that waits for ever."""


class Suite(NamedTuple):
    """Modules that are one thing to their tests."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


SUITES = {
    "names": Suite(("domain.names",), ("domain/test_names",)),
    "codec": Suite(("domain.codec",), ("domain/test_codec",)),
    "logs": Suite(("store.logs",), ("store/test_logs",)),
    "maintenance": Suite(
        tuple(f"operations.upkeep.{name}" for name in ("merge", "mark", "collect", "removal")),
        (
            "operations/upkeep/test_merge",
            "operations/upkeep/test_mark",
            "operations/upkeep/test_collect",
            "operations/upkeep/test_trash",
        ),
    ),
}


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
        elif not name.startswith("_"):
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
    """A pytest plugin: in place of the tests, once, it runs them against each mutant of their modules."""

    def __init__(self, suite: Suite, every: int) -> None:
        self.suite = suite
        self.every = every
        self.killed = self.survived = 0
        self.fails = False
        """without a mutation"""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        gc.freeze()
        for module in self.suite.modules:
            path = f"artstore/{module.replace('.', '/')}.py"
            source = (ROOT / path).read_text()
            begun = _seconds_used()
            if self._noticed(session, module, compiled(ast.parse(source), path), 300):
                self.fails = True
                return True
            seconds = 3 + 3 * round(_seconds_used() - begun)
            for mutant in mutants(path, source, self.every):
                if self._noticed(session, module, mutant.code, seconds):
                    self.killed += 1
                else:
                    self.survived += 1
                    print(mutant, flush=True)
        return True

    def _noticed(self, session: pytest.Session, module: str, code: CodeType, seconds: int) -> bool:
        """Whether a test fails, or takes more than these seconds of the processor's: the clock's say how busy it is."""
        child = multiprocessing.get_context("fork").Process(target=_run, args=(session, module, code, seconds))
        child.start()
        child.join(_ASLEEP)
        with suppress(ProcessLookupError):
            os.killpg(child.pid or 0, signal.SIGKILL)
        child.join()
        return child.exitcode != 0


def _seconds_used() -> float:
    """By children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(session: pytest.Session, module: str, code: CodeType, seconds: int) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
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
        places = [
            f"--rootdir={ROOT}",
            f"--basetemp={folder}/tests",
            *(f"{ROOT}/tests/{name}.py" for name in suite.tests),
        ]
        options = [
            "-sqq", "-pno:cacheprovider", "-pno:xdist", "-Wignore::pytest.PytestAssertRewriteWarning",
            "-oaddopts=-m 'not long and not frameworks'",  # the usual ones have options of xdist
        ]  # fmt: skip
        if pytest.main([*options, *places], plugins=[runner]) != pytest.ExitCode.OK:
            raise SystemExit(f"pytest can't collect {', '.join(suite.tests)}")
    if runner.fails:
        raise SystemExit(f"{', '.join(suite.tests)} fails without a mutation: mend that first")
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
        done = run(SUITES[name], given.every)
        tried = done.killed + done.survived
        scores.append(100 * done.killed / tried)
        rows.append(f"{name:12} {tried:7} {done.killed:7} {done.survived:9} {scores[-1]:5.1f} %")
    print(*rows, sep="\n")
    return 0 if min(scores) >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())

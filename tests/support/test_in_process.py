"""Commands in the tests' own process, and the marks that keep long tests out of the default run."""

import os
import signal
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import artstore
from artstore.api import handles
from artstore.operations.automation.announcing import Announcer
from tests.support import in_process
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree
from tests.support.marks import mark_beside_diagonals


def _state() -> list[Any]:
    streams = sys.stdin, sys.stdout, sys.stderr, sys.argv, sys.exit
    opened = dict(handles._threads.__dict__.get("handles", {}))
    asking = Announcer.__dict__["ask"]
    return [
        os.getcwd(),
        dict(os.environ),
        streams,
        opened,
        asking,
        signal.getsignal(signal.SIGTERM),
        warnings.filters[:],
    ]


@pytest.mark.parametrize("words", [["put", "../src", "-n", "data"], ["get", "none"], ["--help"], ["nonsense"]])
def test_a_command_leaves_the_process_as_it_was(here: Path, cli: Cli, words: list[str]) -> None:
    make_tree(here.parent / "src", {"f": "1"})
    with artstore.init() as run:
        run.log({"a": 1})
        before = _state()
        cli(*words, cwd=here)
        assert _state() == before and artstore.run is run


def test_a_command_sees_nothing_of_the_process_around_it(here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    artstore.init(project="p").finish()
    monkeypatch.setenv("ARTSTORE_DIR", str(here / "nowhere"))
    assert cli("ls", cwd=here).code == 0
    assert cli("ls", cwd=here, ARTSTORE_DIR=str(here / "nowhere")).code == 4
    monkeypatch.delenv("ARTSTORE_DIR")


def test_an_exception_is_printed_as_python_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process.cli, "main", lambda: 1 / 0)
    done = in_process.run(["ls"], tmp_path, environment(tmp_path))
    assert done.returncode == 1 and done.stderr.endswith("\nZeroDivisionError: division by zero\n")


def test_what_needs_a_process_is_refused(cli: Cli) -> None:
    with pytest.raises(AssertionError, match="process_cli"):
        cli("ls", PYTHONUTF8="0")


class _Case:
    """A test with the parameters `a`, `b` and `c`, marked as lying on a diagonal of them."""

    nodeid = "test_x.py::test_x[…]"

    def __init__(self, a: int, b: str, c: bool) -> None:
        self.callspec = SimpleNamespace(params={"a": a, "b": b, "c": c})
        self.is_long = False

    def get_closest_marker(self, name: str) -> Any:
        return pytest.mark.diagonal("a", "b", "c").mark

    def add_marker(self, mark: Any) -> None:
        assert mark.name == "long"
        self.is_long = True


def test_a_diagonal_has_each_pair_of_values_but_not_each_case() -> None:
    cases: list[Any] = [_Case(a, b, c) for a in range(5) for b in "xyz" for c in (True, False)]
    mark_beside_diagonals(cases)
    kept = [case.callspec.params for case in cases if not case.is_long]
    assert len(kept) == 15
    for one, other, pairs in (("a", "b", 15), ("a", "c", 10), ("b", "c", 6)):
        assert len({(case[one], case[other]) for case in kept}) == pairs

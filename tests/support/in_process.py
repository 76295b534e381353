"""The command line in the tests' own process: a call costs milliseconds instead of a Python start. It sees what a process
would see (sealed environment, own streams, nothing open) and leaves this process as it was.
"""

import gc
import io
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import artstore.__main__ as program
from artstore import cli
from artstore.api import handles, recording
from artstore.operations.automation.announcing import Announcer
from artstore.repository import Repository

_UNSEEN = DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning
"""Warnings that Python does not show unless it is told to."""


def run(arguments: list[str], folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """`artstore ARGUMENTS…` in a folder. Raises nothing: what a process prints of an exception is in `stderr`."""
    assert not any(name.startswith("PYTHON") for name in environment), "Python reads it at its start: use `process_cli`"
    assert threading.current_thread() is threading.main_thread(), "a process has one: use `process_cli`"
    out, err = _stream("surrogateescape"), _stream("backslashreplace")
    with ExitStack() as sealed:
        sealed.enter_context(_environment(environment))
        sealed.enter_context(_in(folder))
        sealed.enter_context(_streams([program.__file__, *arguments], out, err))
        sealed.enter_context(_interpreter())
        sealed.enter_context(_package())
        code = _code()
    return subprocess.CompletedProcess(["artstore", *arguments], code, _text(out), _text(err))


def _code() -> int:
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1


def _stream(errors: str) -> io.TextIOWrapper:
    """As Python opens stdout and stderr in a C.UTF-8 locale."""
    return io.TextIOWrapper(io.BytesIO(), "utf-8", errors)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    written = stream.detach()
    written.seek(0)
    return io.TextIOWrapper(written, "utf-8", "surrogateescape").read()


@contextmanager
def _environment(names: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(names)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY)  # a path may be gone by then, or longer than allowed
    os.chdir(folder)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)


@contextmanager
def _streams(argv: list[str], out: io.TextIOWrapper, err: io.TextIOWrapper) -> Iterator[None]:
    before = sys.argv, sys.stdin, sys.stdout, sys.stderr
    with open(os.devnull) as nothing:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = argv, nothing, out, err
        try:
            yield
        finally:
            sys.argv, sys.stdin, sys.stdout, sys.stderr = before


@contextmanager
def _interpreter() -> Iterator[None]:
    """Warnings and signals as a fresh Python has them; the mask of a new process is its parent's."""
    umask = os.umask(0)
    os.umask(umask)
    terminated = signal.getsignal(signal.SIGTERM)
    exit_function, sys.exit = sys.exit, recording._exit  # an active run replaces it to note the code
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for kind in _UNSEEN:
            warnings.simplefilter("ignore", kind)
        try:
            yield
        finally:
            gc.unfreeze()  # a command freezes what it leaves, because its process ends
            sys.exit = exit_function
            signal.signal(signal.SIGTERM, terminated)
            os.umask(umask)


@contextmanager
def _package() -> Iterator[None]:
    """No repository is open yet, and people are asked; afterwards all of that is back."""
    kept = handles._threads.__dict__.pop("handles", {})
    asking = Announcer.__dict__["ask"]
    from artstore.cli import output  # sets it, which the package's own tests must not meet

    Announcer.ask = staticmethod(output._ask)
    try:
        yield
    finally:
        Announcer.ask = asking
        for _, repository in handles._threads.__dict__.pop("handles", {}).values():
            if isinstance(repository, Repository):
                repository.objects.close()
        handles._threads.__dict__["handles"] = kept

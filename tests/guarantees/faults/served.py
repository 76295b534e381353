"""A server under faults, and the command of a client that talks to it: the repository at `place.remote` is served."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from artstore.backends.served import client
from artstore.server import application
from artstore.store.settings import RemoteSettings, Settings
from tests.guarantees.faults import process, strace
from tests.guarantees.faults.place import Place
from tests.guarantees.faults.process import Result, Started

_SOON = 20.0
"""Seconds in which a server has to begin, and to end."""


def run(arguments: list[str], place: Place) -> Result:
    """Run a client's command without any fault."""
    return _asked(arguments, place, _started(place))


def traced(
    arguments: list[str], place: Place, options: list[str], before: Callable[[], None]
) -> tuple[Result, list[str]]:
    """Run a client's command. It is the server that is under strace."""
    server = _started(place, stopped=True, before=before)
    with strace.attached(server.pid, options, server.folder / "trace") as lines:
        result = _asked(arguments, place, server)
    return result, lines


def _started(place: Place, *, stopped: bool = False, before: Callable[[], None] = lambda: None) -> Started:
    folder = place.folder.parent / "server"
    folder.mkdir(exist_ok=True)
    (folder / "out").unlink(missing_ok=True)

    def first() -> None:
        application._THREADS = 1  # so that a call has the same number in its thread each time
        before()

    environment = {**strace.environment(place), "ARTSTORE_DIR": str(place.remote)}
    return process.start(["serve", "--listen", "127.0.0.1:0"], environment, folder, stopped=stopped, before=first)


def _asked(arguments: list[str], place: Place, server: Started) -> Result:
    """Run the command, and end the server. If that didn't begin to listen, the result is the server's."""
    url = _url(server)
    if url is None:
        return _ended(server)
    Settings(str(place.store)).set_remote("origin", RemoteSettings(url))
    token = {"ARTSTORE_URL": url, "ARTSTORE_TOKEN": (place.folder / "token").read_text()}
    done = process.start(
        arguments, strace.environment(place) | token, place.folder.parent, before=_be_impatient
    ).result()
    if not server.has_ended():
        os.kill(server.pid, signal.SIGINT)
    ended = _ended(server)
    beside = []
    if ended.code not in (0, -signal.SIGKILL):
        beside.append(f"the server ended with {ended.code}: {ended.err[-500:]}")
    if "Traceback" in ended.err:
        beside.append(f"the server printed: {ended.err[-1500:]}")
    return done._replace(reached=ended.reached, beside=tuple(beside))


def _ended(server: Started) -> Result:
    until = time.monotonic() + _SOON
    while not server.has_ended() and time.monotonic() < until:
        time.sleep(0.002)
    if not server.has_ended():
        os.kill(server.pid, signal.SIGABRT)
    ended = server.result()
    return ended._replace(reached=ended.code == -signal.SIGKILL)


def _url(server: Started) -> str | None:
    """The address at which it listens; None if it ended before."""
    until = time.monotonic() + _SOON
    while time.monotonic() < until and not (words := _told(server.folder / "out").split()):
        if server.has_ended():
            return None
        time.sleep(0.002)
    return words[0]


def _told(out: Path) -> str:
    """The first line, once it is whole."""
    return out.read_text().partition("\n")[0] if out.exists() and "\n" in out.read_text() else ""


def _be_impatient() -> None:
    """In the client: a server that died stays dead."""
    client._WAITS = (0.0, 0.0)

"""Real operations as actors in threads: each is stopped before every call by which it changes or reads what others see, and one is
let go at a time.

A call is a step when it names something below objects/, trash/, bad/ or refs/, or a transaction's folder in tmp/. Calls that
commute with all that others do are none: those on an actor's own staged files, on caches and on sources, reads through a
descriptor (stored files never change), and looks at a log entry that is there (it stays for ever). An actor dies by never
being let go again; what owner.py asks the kernel, whether that process is there, is answered here. All that would differ
between two runs of one schedule is made equal: random bytes, what is written down as the time, and when files changed.
"""

import concurrent.futures
import itertools
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

from artstore.backends import owner

DONE, DIES, HANGS = "done", "dies", "hangs"
_FIRST_PID = 5_000_000_000  # the kernel's are below 2²²
_BEGIN = 1_700_000_000_000_000_000  # ns
_TICK = 1_000_000
_MOST_STEPS = 10_000

_lstat = os.lstat
_local = threading.local()


class Stopped(BaseException):
    """Unwinds an actor that will never go on, when all was looked at and its repository is thrown away."""


class Step(NamedTuple):
    actor: int
    call: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    def conflicts(self, other: "Step") -> bool:
        """Whether it matters which of both comes first."""
        return any(_touches(write, path) for write in self.writes for path in other.reads + other.writes) or any(
            _touches(write, path) for write in other.writes for path in self.reads
        )


def _touches(write: str, path: str) -> bool:
    """A name that comes or goes changes what its folder lists, and all paths below it."""
    return path == write or write.rpartition("/")[0] == path or path.startswith(write + "/")


class Actor:
    def __init__(self, number: int, name: str, work: Callable[[], None], seed: int) -> None:
        self.number = number
        self.name = name
        self.work = work
        self.fate: str | None = None
        """DONE; DIES: its process is gone; HANGS: it is there, and never goes on; None while it is at work"""
        self.error: BaseException | None = None
        self.pid = _FIRST_PID + number
        self.next: Step | None = None
        """what it will do when it is let go"""
        self.random = Random(f"{seed}{name}")  # its own: what it names doesn't depend on who goes first
        self.moments = itertools.count(_BEGIN + number * 1_000_000_007)
        self.thread: threading.Thread | None = None
        self.go = threading.Semaphore(0)


Choose = Callable[["Run", Actor | None], Actor | None]
"""Who goes on: asked before each step of the actor given, and with None when one has ended. It may decide a fate first."""


class Run:
    """One schedule of a cast on the repository at `root`."""

    def __init__(
        self,
        root: str,
        cast: list[tuple[str, Callable[[], None]]],
        choose: Choose,
        ended: Callable[[Actor], None],
        seed: int,
    ) -> None:
        """`ended` is called when an actor has ended, before anybody goes on. By the seed, and no more, names differ: of which of
        two packs a collector takes to be the second copy, their names decide.
        """
        self.actors = [Actor(number, name, work, seed) for number, (name, work) in enumerate(cast)]
        self.trace: list[Step] = []
        self._root = root + "/"
        self._choose = choose
        self._ended = ended
        self._nobody_runs = threading.Semaphore(0)
        self._over = False
        self._clock = _BEGIN
        self._modified: dict[int, int] = {}
        self._changed: dict[int, int] = {}

    @property
    def runnable(self) -> list[Actor]:
        return [actor for actor in self.actors if actor.fate is None]

    @contextmanager
    def played(self) -> Iterator[None]:
        """In the block every actor has ended or will never go on, and their processes are as dead as they are said to be."""
        with self._hooks():
            try:
                self._let_go(None)
                self._nobody_runs.acquire()
                yield
            finally:
                self._over = True
                for actor in self.actors:
                    actor.go.release()
                    if actor.thread is not None:
                        actor.thread.join()

    # -- letting go --

    def _let_go(self, current: Actor | None) -> None:
        """Pass control to whoever is chosen; returns when it is the turn of `current` again."""
        chosen = self._choose(self, current) if self.runnable else None
        if chosen is not None and chosen is current:
            return
        if chosen is None:
            self._nobody_runs.release()
        elif chosen.thread is not None:
            chosen.go.release()
        else:
            self.trace.append(Step(chosen.number, "begin"))
            chosen.thread = threading.Thread(target=self._play, args=(chosen,))
            chosen.thread.start()
        if current is not None:
            current.go.acquire()
            if self._over:
                raise Stopped

    def _play(self, actor: Actor) -> None:
        _local.actor = actor
        try:
            actor.work()
        except Stopped:
            return
        except BaseException as error:
            actor.error = error
        _local.actor = None
        if not self._over:
            actor.fate = DONE
            self._ended(actor)
            self._let_go(None)

    # -- what is hooked --

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        replaced: dict[tuple[Any, str], Any] = {
            (os, "open"): self._hooked(os.open, _opened),
            (os, "stat"): self._dated(self._hooked(os.stat, _read)),
            (os, "lstat"): self._dated(self._hooked(os.lstat, _read)),
            (os, "fstat"): self._dated(os.fstat),
            (os, "listdir"): self._hooked(os.listdir, _read),
            (os, "scandir"): self._hooked(os.scandir, _read),
            (os, "link"): self._hooked(os.link, lambda source, target, **_: ([source], [target])),
            (os, "rename"): self._hooked(os.rename, lambda source, target, **_: ([], [source, target])),
            (os, "replace"): self._hooked(os.replace, lambda source, target, **_: ([], [source, target])),
            (os, "unlink"): self._hooked(os.unlink, _written),
            (os, "mkdir"): self._hooked(os.mkdir, _written),
            (os, "rmdir"): self._hooked(os.rmdir, _written),
            (owner, "os"): _System(_of_actor(os.getpid, lambda actor: actor.pid)),
            (owner, "_start"): self._started(owner._start),
            (concurrent.futures, "ThreadPoolExecutor"): _AtOnce,
        }
        random = _of_actor(os.urandom, lambda actor, count: actor.random.randbytes(count))
        now = _of_actor(lambda: _BEGIN, lambda actor: next(actor.moments))
        with determined(random, now), ExitStack() as stack:
            for (where, name), new in replaced.items():
                stack.enter_context(mock.patch.object(where, name, new))
            yield

    def _hooked(self, real: Any, footprint: Callable[..., tuple[list[Any], list[Any]]]) -> Any:
        call = real.__name__

        def hooked(*args: Any, **options: Any) -> Any:
            actor = getattr(_local, "actor", None)
            if actor is None or self._over:
                return real(*args, **options)
            reads, writes = footprint(*args, **options) if options.get("dir_fd") is None else ([], [])
            step = Step(actor.number, call, self._shared(actor, call, reads), self._shared(actor, call, writes))
            if step.reads or step.writes:
                actor.next = step
                self._let_go(actor)
                if len(self.trace) >= _MOST_STEPS:
                    raise RecursionError(f"{actor.name} comes to no end")
                self.trace.append(step)
            inodes = [_inode(path) for path in writes]
            done = real(*args, **options)
            if writes:
                self._note_change(call, inodes, writes)
            return done

        return hooked

    def _shared(self, actor: Actor, call: str, paths: list[Any]) -> tuple[str, ...]:
        """Those of these paths, inside the repository, at which others see what this call does, or it what they do."""
        own = (path[len(self._root) :] for path in paths if isinstance(path, str) and path.startswith(self._root))
        return tuple(path for path in own if self._is_shared(actor, call, path))

    def _is_shared(self, actor: Actor, call: str, path: str) -> bool:
        top, _, rest = path.partition("/")
        status = _status(self._root + path)
        stays = status is not None and top in ("objects", "refs") and (top == "refs" or stat.S_ISDIR(status.st_mode))
        if call in ("stat", "mkdir", "open") and (stays or not rest):
            return False  # how young a folder is says only what is synced
        if call in ("stat", "listdir") and f".{actor.pid}." in rest:
            return False  # a folder of one's own, which only its owner empties
        if top == "tmp":
            return call in (("stat", "mkdir", "rmdir") if rest else ("listdir",)) and "/" not in rest
        return top in ("objects", "trash", "bad", "refs")

    def _note_change(self, call: str, before: list[int], paths: list[str]) -> None:
        """The kernel's clock ticks too seldom to tell the steps of a schedule apart, and now and then between any two."""
        self._clock += _TICK
        after = [_inode(path) for path in paths]
        folders = [_inode(os.path.dirname(path)) for path in paths]
        self._changed.update(dict.fromkeys(before + after + folders, self._clock))
        self._modified.update(dict.fromkeys(folders + (after if call in ("open", "mkdir") else []), self._clock))

    def _dated(self, call: Any) -> Any:
        def dated(*args: Any, **options: Any) -> os.stat_result:
            status: os.stat_result = call(*args, **options)
            changed = self._changed.get(status.st_ino)
            if changed is None or getattr(_local, "actor", None) is None:
                return status
            modified = self._modified.get(status.st_ino, status.st_mtime_ns)
            make, (fields, more) = status.__reduce__()  # type: ignore[misc]
            times = {
                "st_mtime_ns": modified,
                "st_mtime": modified / 1e9,
                "st_ctime_ns": changed,
                "st_ctime": changed / 1e9,
            }
            result: os.stat_result = make(fields, more | times)
            return result

        return dated

    def _started(self, real: Callable[[int], str | None]) -> Callable[[int], str | None]:
        """Of an actor's process: when it started; None when it is gone."""

        def started(pid: int) -> str | None:
            if pid < _FIRST_PID:
                return real(pid)
            return None if self.actors[pid - _FIRST_PID].fate in (DONE, DIES) else "1"

        return started


@contextmanager
def determined(urandom: Callable[[int], bytes], now: Callable[[], int]) -> Iterator[None]:
    """Random bytes, and the time (ns) that versions and log entries hold, come from these."""
    with (
        mock.patch.object(os, "urandom", urandom),
        mock.patch("artstore.operations.saving.planning.time", SimpleNamespace(time_ns=now)),
        mock.patch("artstore.store.logs._now", lambda: f"2026-11-21T00:00:00.{now() % 1_000_000:06}Z"),
    ):
        yield


def _of_actor(real: Any, own: Callable[..., Any]) -> Any:
    """`real` for everybody but actors."""

    def called(*args: Any) -> Any:
        actor = getattr(_local, "actor", None)
        return real(*args) if actor is None else own(actor, *args)

    return called


def _opened(path: Any, flags: int, *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
    if flags & os.O_CREAT:
        return [], [path]
    return ([], []) if flags & os.O_DIRECTORY else ([path], [])  # a folder is opened to be synced


def _read(path: Any = ".", **_: Any) -> tuple[list[Any], list[Any]]:
    return [path], []


def _written(path: Any, *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
    return [], [path]


def _status(path: str) -> os.stat_result | None:
    try:
        return _lstat(path)
    except OSError:
        return None


def _inode(path: str) -> int:
    """0 when there is nothing."""
    status = _status(path)
    return status.st_ino if status else 0


class _System:
    """`os` with another process id; in `owner` alone, for filelock takes a process id that changes for a fork."""

    def __init__(self, getpid: Callable[[], int]) -> None:
        self.getpid = getpid

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


class _AtOnce:
    """An executor without threads: an actor is one thread."""

    def __init__(self, *_: Any) -> None: ...

    def __enter__(self) -> "_AtOnce":
        return self

    def __exit__(self, *_: object) -> None: ...

    def shutdown(self, **_: Any) -> None: ...

    def submit(self, function: Callable[..., Any], *args: Any, **options: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **options))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, function: Callable[..., Any], *items: Any) -> Iterator[Any]:
        return map(function, *items)

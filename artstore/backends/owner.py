"""Names of processes, from which other processes can prove that one is dead."""

import os
import re
import sys
from functools import lru_cache
from typing import NamedTuple

from blake3 import blake3


class Owner(NamedTuple):
    """A process's name, which is also a file name: `<host>.<boot>.<pid namespace>.<pid>.<start>.<random>`."""

    host: str
    """the host's name, for people, and a hash of it and the machine's id"""
    boot: str
    namespace: str
    pid: int
    start: str
    random: str

    def __str__(self) -> str:
        return ".".join(map(str, self))


def this_process(*, named: bool = True) -> Owner:
    """A new name for this process; the random part differs at each call. A forked child is another process.

    Unless `named`, only the hash of the host's name is in it.
    """
    host, pid = _host() if named else f"-{_hash_of(_host())}", os.getpid()
    return Owner(host, _boot(), _namespace(), pid, _start(pid) or "0", os.urandom(4).hex())


def parse(name: str) -> Owner | None:
    """The owner in the name of a file under tmp/ or trash/, or None if artstore didn't make the name."""
    parts = name.split(".")
    if len(parts) < 6 or not re.fullmatch(r"[0-9]{1,10}", parts[3]):
        return None
    return Owner(parts[0], parts[1], parts[2], int(parts[3]), parts[4], parts[5])


def left_by(name: str) -> Owner | None:
    """The owner of a file or folder that a checkout was building (`….artstore-<owner>…`), or None for other names."""
    _, mark, rest = name.rpartition(".artstore-")
    return parse(rest) if mark else None


def is_dead(owner: Owner, *, local: bool) -> bool:
    """Whether a process is proved dead; False if that isn't certain.

    It is dead if it ran on this host and boot and its pid is gone or belongs to a process with another start time. On
    a `local` file system it is also dead if this host has booted since. A container can share host name and boot with
    another one, so the pid namespace must be this one too. Clocks, ages and locks aren't used: a laptop can sleep for
    a week.
    """
    if _hash_of(owner.host) != _hash_of(_host()):
        return False
    if owner.boot != _boot():
        return local
    if owner.namespace != _namespace():
        return False
    start = _start(owner.pid)
    return start is None or (start != "0" and owner.start != "0" and start != owner.start)


def is_alive(owner: Owner) -> bool:
    """Whether a process is proved to run on this host now; False if that isn't certain."""
    if _hash_of(owner.host) != _hash_of(_host()) or (owner.boot, owner.namespace) != (_boot(), _namespace()):
        return False
    start = _start(owner.pid)
    return start is not None and start == owner.start != "0"


def _hash_of(host: str) -> str:
    return host.rpartition("-")[2]


def _short_hash(text: str) -> str:
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


@lru_cache(maxsize=1)
def _host() -> str:
    machine = ""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            machine = _text(path).strip()
            break
        except OSError:
            continue
    node = os.uname().nodename
    readable = "".join(c if c.isascii() and c.isalnum() else "_" for c in node)[:32]
    return f"{readable}-{_short_hash(f'{machine} {node}')}"


@lru_cache(maxsize=1)
def _boot() -> str:
    try:
        return _short_hash(_text("/proc/sys/kernel/random/boot_id").strip())
    except OSError:
        return _short_hash(_printed("sysctl", "-n", "kern.bootsessionuuid"))


@lru_cache(maxsize=1)
def _namespace() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "0"


def _start(pid: int) -> str | None:
    """A process's start time, as the kernel reports it; None without such a process, "0" if it can't be found out."""
    if sys.platform == "linux":
        try:
            stat = _text(f"/proc/{pid}/stat")
        except (FileNotFoundError, ProcessLookupError):
            return None
        except OSError:
            return "0"
        fields = stat.rpartition(")")[2].split()  # proc(5): from field 3 on, after the parenthesised name
        return None if fields[0] in "ZX" else fields[19]  # a zombie is dead; 22 is the start time
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return "0"
    return _short_hash(_printed("ps", "-o", "lstart=", "-p", str(pid)))


def _text(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def _printed(*command: str) -> str:
    import subprocess

    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

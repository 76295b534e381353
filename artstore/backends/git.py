"""The git repository of the code that runs: its commit, its remote, and the changes that aren't committed.

Nothing that the repository's own config, attributes or hooks name is run, because whoever unpacked it may not have
checked it. Its filters are replaced, so files that need one may count as changed.
"""

import os
import re
import select
import time
from typing import Any, NamedTuple

_TIMEOUT = 2.0
"""Seconds for each call of git."""
_MOST_DIFF = 8 << 20
"""Bytes of a diff; a longer one is cut."""
_LONGEST = 1 << 20
"""Characters of a config that is read here."""
_MAY_NAME_FILTERS = re.compile("filter|include|worktree", re.IGNORECASE)
_STATUS = "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=dirty"
_WANTED = r"^(filter\..*|remote\..*\.url)$"


class Code(NamedTuple):
    """What git says of the code."""

    state: dict[str, Any] | None
    """the commit, and whether files have changed; None outside git, or if git took too long"""
    remote: str | None
    """the URL of a remote, as it is in git's config"""
    options: tuple[str, ...]
    """options that keep git from running what the repository names"""
    plain: bool
    """whether the repository's config names no filter, no other config, and no other folder for the files"""


NO_CODE = Code(None, None, (), True)


class Asking:
    """Asks git about the code, in the background: `answer` waits for it."""

    def __init__(self, remote: str = "origin") -> None:
        """Begin to ask about the repository that holds the working folder. Without one, nothing is started."""
        self._remote = remote
        self._config = self._status = None
        if (found := _git_folder()) is None:
            return
        self._text = _plain_config(found)
        if self._text is not None:
            self._status = _started(*_STATUS)
        else:
            self._config = _started("config", "--null", "--show-scope", "--get-regexp", _WANTED)

    def answer(self) -> Code:
        """What git says; NO_CODE if there is no repository, or no git."""
        import subprocess

        try:
            return self._answer()
        except (OSError, subprocess.SubprocessError, ValueError):
            return NO_CODE

    def _answer(self) -> Code:
        inert, remotes = tuple[str, ...](), {}
        if self._config is not None:
            listed = self._config.communicate(timeout=_TIMEOUT)[0].decode(errors="replace")
            words = listed.split("\0")
            found = [
                (scope, *entry.partition("\n")[::2]) for scope, entry in zip(words[::2], words[1::2], strict=False)
            ]
            own = [key for scope, key, _ in found if scope in ("local", "worktree") and key.startswith("filter.")]
            if self._config.returncode > 1 or any("=" in key for key in own):  # 1: none; an old git, or a bad key
                return NO_CODE
            inert = tuple(
                word for key in own for word in ("-c", f"{key}={'false' if key.endswith('.required') else ''}")
            )
            remotes = {key: value for _, key, value in found if key.startswith("remote.")}
            self._status = _started(*inert, *_STATUS)
        if self._status is None:
            return NO_CODE
        lines = self._status.communicate(timeout=_TIMEOUT)[0].decode(errors="replace").splitlines()
        if self._status.returncode:
            return NO_CODE
        commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), None)
        dirty = any(not line.startswith("#") for line in lines)
        remote = remotes.get(f"remote.{self._remote}.url") or next(iter(remotes.values()), None)
        if self._text is not None:
            remote = _remote_in(self._text, self._remote)
        return Code({"commit": commit, "dirty": dirty}, remote, inert, self._text is not None)


def diff_of(code: Code) -> bytes:
    """The changes of files that git tracks, as a patch. Empty without changes, or if git takes too long.

    Also empty if the files are elsewhere than the repository. A long one is cut, and says so in its last line.
    """
    if code.state is None or not code.state["dirty"] or code.state["commit"] in (None, "(initial)"):
        return b""
    if not code.plain and not _has_own_files():
        return b""
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", "--ignore-submodules=dirty")
    asked = _started(*code.options, "diff", *options, "HEAD", "--")
    if asked is None:
        return b""
    try:
        found = _first(asked.stdout.fileno(), _MOST_DIFF + 1)
        if found is None or len(found) > _MOST_DIFF:
            asked.kill()
    finally:
        asked.stdout.close()
        asked.wait()
    if found is not None and len(found) > _MOST_DIFF:
        return found[: found.rfind(b"\n", 0, _MOST_DIFF) + 1] + b"# artstore: the rest of this diff is left out\n"
    return b"" if found is None or asked.returncode else found


def _has_own_files() -> bool:
    """Whether the files are beside the repository, or where the environment says.

    The repository's own config may say that they are in another folder, such as the user's home: private files there
    would be taken for changes.
    """
    import subprocess

    if os.environ.get("GIT_DIR") or os.environ.get("GIT_WORK_TREE"):
        return True
    asked, found = _started("rev-parse", "--show-toplevel"), _git_folder()
    try:
        top = asked.communicate(timeout=_TIMEOUT)[0].rstrip(b"\n") if asked is not None else b""
    except subprocess.TimeoutExpired:
        return False
    return (
        found is not None
        and bool(top)
        and os.path.realpath(os.fsdecode(top)) == os.path.realpath(os.path.dirname(found))
    )


def _first(fd: int, most: int) -> bytes | None:
    """The first bytes that come through a pipe; None if they take too long."""
    found, ready, end = bytearray(), select.poll(), time.monotonic() + _TIMEOUT
    ready.register(fd, select.POLLIN)
    while len(found) < most:
        if not ready.poll(max(0.0, end - time.monotonic()) * 1000):
            return None
        if not (piece := os.read(fd, 1 << 16)):
            break
        found += piece
    return bytes(found)


def _git_folder() -> str | None:
    """Where git may find a repository, which is known without starting it; None if it can't."""
    if chosen := os.environ.get("GIT_DIR"):
        return chosen
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        return None
    while not os.path.lexists(git := os.path.join(folder, ".git")):
        if (parent := os.path.dirname(folder)) == folder:
            return None
        folder = parent
    return git


def _plain_config(git: str) -> str | None:
    """The text of a repository's config, if no filter can be named in it or in a file that it includes; else None."""
    try:
        with open(os.path.join(git, "config"), encoding="utf-8") as file:
            text = file.read(_LONGEST + 1)
    except (OSError, ValueError):
        return None
    return None if len(text) > _LONGEST or _MAY_NAME_FILTERS.search(text) else text


def _remote_in(config: str, remote: str) -> str | None:
    """The URL of a remote in the text of a plain config. None if there is none, or it is written with quotes."""
    section = ""
    for line in map(str.strip, config.splitlines()):
        if line.startswith("["):
            section = line
        elif section == f'[remote "{remote}"]' and (found := re.fullmatch(r'url\s*=\s*([^"\\;#]+)', line)):
            return found[1].strip()
    return None


def _started(*arguments: str) -> Any:
    """A call of git whose output can be read. None if there is no git."""
    import subprocess  # takes 8 ms, and only code in git needs it

    quiet = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    command = ["git", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=quiet
        )
    except OSError:
        return None

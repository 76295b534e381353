"""A remote that the users of a group share: modes, owners, two users at work."""

import os
import stat
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.domain.properties import Properties
from artstore.repository import Repository
from tests.support.checks import check
from tests.support.exchange import BIG, FILES, logged, put
from tests.support.folders import make_tree


@pytest.mark.parametrize("setgid", [True, False])
def test_a_shared_repository_is_for_the_group_whatever_the_umask_says(tmp_path: Path, setgid: bool) -> None:
    share = tmp_path / "share"
    share.mkdir()
    group = 54321 if os.geteuid() == 0 else os.getegid()
    os.chown(share, -1, group)
    share.chmod(0o2770 if setgid else 0o770)
    before = os.umask(0o077)
    try:
        with Repository.init(str(tmp_path / "anna/.artifacts")) as anna:
            anna.remotes.add("share", str(share / "store"), make=True, shared=True)
            with artstore_run(tmp_path / "anna"):
                logged("a", FILES)
            put(anna, "a", FILES | {"n": "1"})
            assert not anna.push().refused
            anna.edit("a", Properties(metadata={"k": "x" * 9000}))
            anna.push()
        with Repository(str(share / "store")) as there:
            put(there, "b", FILES | {"x": BIG + b"2"})
            there.delete("a:v1")
            there.gc(now=True)
            for n in range(64):
                there.set_tags("b", (f"t{n}",))
    finally:
        os.umask(before)
    wrong = []
    for path in [share / "store", *(share / "store").rglob("*")]:
        status, name = path.stat(), str(path.relative_to(share))
        if "/cache" in name:
            continue
        needed = 0o2070 if path.is_dir() else 0o040
        if status.st_mode & needed != needed or status.st_gid != group:
            wrong.append(f"{name} {stat.filemode(status.st_mode)} {status.st_gid}")
    assert not wrong, "\n".join(wrong)
    check(share / "store")


def artstore_run(folder: Path) -> Any:
    """An active run in a folder's repository, until the block ends."""
    from contextlib import contextmanager

    @contextmanager
    def within() -> Iterator[None]:
        before = os.getcwd()
        os.chdir(folder)
        try:
            with artstore.init():
                yield
        finally:
            os.chdir(before)

    return within()


def test_a_checkpoint_of_one_user_does_not_keep_the_group_from_the_log(
    anna: Repository, bob: Repository, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        anna.remotes.add("share", str(tmp_path / "share"), make=True, shared=True)
        put(anna, "a", {"f": "0"})
        for n in range(65):
            anna.set_tags("a", (f"t{n}",))
            if n < 63:
                with Repository(str(tmp_path / "share")) as there:
                    if n == 0:
                        anna.push("share")
                    there.set_tags("a", (f"there{n}",))
        anna.push("share")
    finally:
        os.umask(before)
    (checkpoint,) = (tmp_path / "share").rglob("*.checkpoint")
    assert checkpoint.stat().st_mode & 0o040, "the group may read it"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter: another pytest that starts would close the folders above `tmp_path`."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        yield Path(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be two users")
def test_two_users_of_a_group_push_to_one_share_and_pull_from_it(open_folder: Path) -> None:
    share = open_folder / "share"
    share.mkdir()
    os.chown(share, -1, 54321)
    share.chmod(0o2770)
    users = {"anna": 54322, "bob": 54323}
    for name, uid in users.items():
        make_tree(open_folder / name, {"src/f": name, "src/big": BIG + name.encode()})
        for path in (open_folder / name, *(open_folder / name).rglob("*")):
            os.chown(path, uid, uid)

    import artstore.cli
    import artstore.sync.remotes

    def act(name: str, *args: str) -> None:
        """A command in a forked process: other users may not read this Python."""
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                os.setgroups([54321])
                os.setgid(users[name])
                os.setuid(users[name])
                os.umask(0o077)
                os.chdir(open_folder / name)
                os.environ["HOME"] = str(open_folder / name)
                sys.argv = ["artstore", *args]
                artstore.cli.main()
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, (name, args)

    for name in users:
        act(name, "init")
    act("anna", "remote", "add", "share", str(share / "store"), "--init", "--shared")
    act("bob", "remote", "add", "share", str(share / "store"))
    act("anna", "put", "src", "--name", "a")
    act("anna", "push")
    act("bob", "pull")
    act("bob", "put", "src", "--name", "a")
    act("bob", "push")
    act("anna", "pull")
    act("anna", "verify", "a:v0", "src")
    act("anna", "put", "src", "--name", "b")
    act("anna", "push")
    for n in range(3):
        act("anna", "alias", "a:v0", f"alias{n}")
        act("anna", "push")
    act("bob", "pull")
    act("bob", "gc", "share", "--now")
    act("bob", "fsck", "share")
    check(share / "store")

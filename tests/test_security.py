"""What SECURITY.md promises: no code from data, nothing outside, no unbounded memory, no secrets kept, no trust in others."""

import os
import subprocess
from pathlib import Path

import pytest

from artstore.owner import this_process
from artstore.recording import _git
from artstore.repository import Repository
from tests.conftest import Cli, check, make_tree

STRANGER = 12345
"""A user that is nobody here."""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def _give_away(folder: Path, uid: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid)


# -- code ----------------------------------------------------------------------------------------

FILTER = '[filter "x"]\n\tclean = {run}; cat\n'
HOSTILE = {
    "a filter": FILTER,
    "a filter that is a process": '[filter "x"]\n\tprocess = {run}\n\trequired\n',
    "a filter that an included file names": "[include]\n\tpath = {top}/included\n",
    "a filter whose name no option can hold": '[filter "x=y"]\n\tclean = {run}; cat\n',
    "a monitor of the file system": "[core]\n\tfsmonitor = {run}; false\n",
    "hooks elsewhere": "[core]\n\thooksPath = {top}/hooks\n",
    "a remote that holds what is missing": (
        '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n'
        '\turl = "ext::sh -c {run}"\n[protocol "ext"]\n\tallow = always\n'
    ),
    "a remote over ssh": (
        '[core]\n\trepositoryformatversion = 1\n\tsshCommand = {run}\n[extensions]\n\tpartialClone = origin\n[remote "origin"]\n'
        "\tpromisor = true\n\turl = ssh://host/path\n"
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_recording_the_commit_runs_nothing_that_a_git_config_names(here: Path, how: str) -> None:
    """`git status` would: by filters, monitors, hooks, and a fetch of objects that are missing."""

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null")
        subprocess.run(["git", *identity, *arguments], cwd=here, check=True, capture_output=True)

    ran = here / "ran"
    script = make_tree(here / "bin", {"run*": f"#!/bin/sh\ntouch {ran}\n"}) / "run"
    make_tree(here, {"code.py": "1", ".gitattributes": f"*.py filter={'x=y' if 'option' in how else 'x'}\n"})
    git("init", "-q")
    git("add", "code.py", ".gitattributes")
    git("commit", "-qm", "one")
    config = HOSTILE[how].format(run=script, top=here)
    make_tree(here, {"included": FILTER.format(run=script), "hooks/post-index-change*": f"#!/bin/sh\n{script}\n"})
    (here / ".git/config").write_text((here / ".git/config").read_text() + config)
    if "remote" in how:
        tree = subprocess.run(["git", "rev-parse", "HEAD^{tree}"], cwd=here, capture_output=True, text=True, check=True)
        (here / f".git/objects/{tree.stdout[:2]}/{tree.stdout.strip()[2:]}").unlink()
    (here / "code.py").write_text("2")  # as long as before: a look at its content is needed
    found = _git()
    assert not ran.exists()
    if how in ("a filter", "a monitor of the file system", "hooks elsewhere"):
        assert found is not None and found["dirty"] and len(found["commit"]) == 40
    status = subprocess.run(["git", "status"], cwd=here, capture_output=True, env=os.environ | {"GIT_PROTOCOL_FROM_USER": "1"})
    assert ran.exists() or "hooks" in how, f"the attack is none: {status}"


# -- writes ---------------------------------------------------------------------------------------

INSIDE = (
    "objects", "objects/packs", "objects/blobs", "objects/blobs/SHARD", "refs", "refs/local", "runs", "tmp", "trash", "bad",
    "cache", "cache/stat", "checkouts", "remotes",
)  # fmt: skip
COMMANDS = (
    ("ls",), ("get", "data", "--force"), ("put", "SOURCE", "--name", "data"), ("put", "SOURCE", "--name", "more"), ("status",),
    ("fsck",), ("fsck", "--repair"), ("gc", "--now"), ("config", "core.project", "p"), ("alias", "data", "x"), ("push",),
)  # fmt: skip


def _times(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns, status.st_mode)
    return found


@pytest.mark.damaged
@pytest.mark.parametrize("place", INSIDE)
def test_nothing_is_written_through_a_symlink_in_a_repository_that_others_write_to(
    repo: Repository, root: Path, tmp_path: Path, cli: Cli, place: str
) -> None:
    """By no command, fsck --repair included: as root, a link to /etc would be the end."""
    source = make_tree(tmp_path / "source", {"f": "1", "large": os.urandom(1 << 20)})
    cli("remote", "add", "nas", tmp_path / "nas", "--init")
    assert cli("put", source, "--name", "data").code == 0
    (shard,) = (root / "objects/blobs").iterdir()
    root.chmod(0o2775)
    path, outside = root / place.replace("SHARD", shard.name), tmp_path / "outside"
    if path.exists():
        path.rename(outside)
    make_tree(outside, {"precious": "p", "folder/precious": "p", "0" * 64: "p", f"{'0' * 64}.pack": "p"})
    path.symlink_to(outside)
    make_tree(source, {"g": "2", "larger": os.urandom(1 << 20)})
    before = _times(outside)
    for command in COMMANDS:
        result = cli(*(str(source) if word == "SOURCE" else word for word in command))
        assert _times(outside) == before, (command, result)
        assert result.code in (0, 1, 4, 7, 9), (command, result)
    assert _times(outside) == before


@pytest.mark.damaged
@pytest.mark.parametrize("place", ["cache/verified", "cache/objects.idx", "cache/runs.catalog", "config", "checkouts/NOTE"])
def test_nothing_is_written_through_a_symlink_in_place_of_a_cache_or_note(
    repo: Repository, root: Path, tmp_path: Path, cli: Cli, place: str
) -> None:
    """Also in one's own repository: a project that was unpacked may hold one."""
    source = make_tree(tmp_path / "source", {"f": "1", "large": os.urandom(1 << 20)})
    assert cli("put", source, "--name", "data").code == 0
    (note,) = (root / "checkouts").iterdir()
    victim = tmp_path / "victim"
    victim.write_text("[core]\nproject = q\n")
    path = root / place.replace("NOTE", note.name)
    path.unlink(missing_ok=True)
    path.symlink_to(victim)
    make_tree(source, {"larger": os.urandom(1 << 20)})
    for command in (("put", source, "--name", "data"), ("get", "data"), ("runs", "ls"), ("config", "core.project", "p")):
        cli(*command)
    assert victim.read_text() == "[core]\nproject = q\n"


def test_what_somebody_else_seems_to_have_left_of_a_download_is_not_taken_over(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """A folder that others write to may hold a symlink, or a folder of theirs, named as what a dead process was building."""
    repo.put(str(make_tree(tmp_path / "source", {"authorized_keys": "mallory's"})), "data")
    dead = this_process()._replace(pid=2**22 - 1, start="1")
    shared, home = tmp_path / "shared", make_tree(tmp_path / "home", {"authorized_keys": "mine"})
    shared.mkdir()
    (shared / f".out.artstore-{dead}").symlink_to(home)
    repo.get(repo.find("data"), str(shared / "out"))
    assert (home / "authorized_keys").read_text() == "mine" and not (shared / "out").is_symlink()
    if os.geteuid() == 0:
        theirs = make_tree(shared / f".more.artstore-{dead}", {"extra": "mallory's"})
        os.chown(theirs, STRANGER, STRANGER)
        repo.get(repo.find("data"), str(shared / "more"))
        assert (shared / "more").stat().st_uid == 0 and not (shared / "more/extra").exists()


# -- repositories of others ------------------------------------------------------------------------


@as_root
def test_a_repository_that_a_stranger_left_in_a_folder_for_everybody_is_not_used(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in /tmp: what is put below would be saved for them. It is used where it is named, and a group's where it is."""
    everybody = tmp_path / "tmp"
    everybody.mkdir()
    everybody.chmod(0o1777)
    (everybody / "work").mkdir()
    make_tree(everybody / "work/src", {"secret": "s"})
    planted = everybody / ".artifacts"
    Repository.init(str(planted)).close()
    _give_away(planted, STRANGER)
    result = cli("ls", cwd=everybody / "work")
    assert result.code == 4 and result.err.splitlines()[1] == (
        f"hint: somebody else left {planted}: if you trust them, ARTSTORE_DIR={planted} uses it"
    )
    result = cli("put", everybody / "work/src", "--name", "data", cwd=everybody)
    assert result.code == 6 and result.err.startswith(
        f"error: {planted} was left there by somebody else, in a folder that isn't theirs\nhint: if you trust them, "
    )
    assert cli("put", "src", "--name", "data", cwd=everybody / "work").code == 0
    assert (everybody / "work/.artifacts/format").exists()
    assert not list((planted / "objects/packs").iterdir())
    assert cli("put", "src", "--name", "data", cwd=everybody / "work", ARTSTORE_DIR=str(planted)).code == 0
    check(everybody / "work/.artifacts")

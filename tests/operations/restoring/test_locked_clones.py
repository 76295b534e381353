"""`artstore get --locked` alone restores what a project uses in a fresh `git clone`; a lock file of others can only say where to look."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from artstore.domain.names import LOCK_FILE
from artstore.repository import Repository
from artstore.store.settings import RemoteSettings
from tests.support.checks import check
from tests.support.commands import Cli, environment
from tests.support.folders import make_tree, snapshot
from tests.support.servers import ACCESS_KEY, REGION, SECRET_KEY, SeaweedFS, seaweedfs

ID = "ab" * 32


def git(folder: Path, *arguments: str) -> None:
    """With nobody's settings but these."""
    identity = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("LOCK_FILE", "EMAIL")}
    subprocess.run(
        ["git", *arguments], cwd=folder, env=environment(folder, **identity), check=True, capture_output=True
    )


@pytest.fixture
def project(tmp_path: Path, cli: Cli) -> Path:
    """A git repository whose two folders were put; git keeps neither them nor the repository."""
    folder = tmp_path / "project"
    make_tree(
        folder,
        {"data/train/f": "1", "data/train/sub/run.sh*": "x", "base/w": "0" * 2_000_000, ".gitignore": "data\nbase\n"},
    )
    git(folder, "init", "-q")
    assert cli("put", "data/train", cwd=folder).code == 0
    assert cli("put", "base", "--name", "models/base", cwd=folder).code == 0
    return folder


def committed(project: Path, cli: Cli, url: str, **env: str) -> None:
    """The project pushed to a new remote, locked and committed."""
    assert cli("remote", "add", "nas", url, "--init", cwd=project, **env).code == 0
    assert cli("push", cwd=project, **env).code == 0
    told = cli("lock", cwd=project, **env)
    assert (told.code, told.err) == (0, ""), told
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "lock")


def cloned(project: Path, name: str = "clone") -> Path:
    git(project.parent, "clone", "-q", str(project), name)
    folder = project.parent / name
    assert not (folder / "data").exists() and not (folder / ".artifacts").exists()
    return folder


def restored(project: Path, clone: Path) -> bool:
    return all(snapshot(project / name) == snapshot(clone / name) for name in ("data", "base"))


def remotes(folder: Path) -> dict[str, RemoteSettings]:
    with Repository(str(folder / ".artifacts")) as repository:
        return repository.remotes.all()


def with_remote(folder: Path, url: str) -> None:
    """The lock file of a folder, leading to another place."""
    lines = (folder / LOCK_FILE).read_text().splitlines()
    changed = [f"url = {json.dumps(url)}" if line.startswith("url = ") else line for line in lines]
    (folder / LOCK_FILE).write_text("\n".join(changed) + "\n")


# -- one command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("relative", [True, False])
def test_one_command_in_a_fresh_clone_restores_all_and_again_does_nothing(
    project: Path, cli: Cli, relative: bool
) -> None:
    store = project.parent / "store"
    committed(project, cli, "../store" if relative else str(store))
    assert f'remote = "nas"\nurl = "{"../store" if relative else store}"\n' in (project / LOCK_FILE).read_text()
    clone = cloned(project)
    told = cli("get", "--locked", cwd=clone)
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines() == [
        f"made a repository in {clone}/.artifacts",
        f"got 2 versions from nas: {store}",
        "base: local/models/base:v0, 1 file, 1.9 MiB written",
        "data/train: local/uncategorized/train:v0, 2 files, 2 B written",
    ]
    assert restored(project, clone)
    store.rename(project.parent / "gone")
    again = cli("get", "--locked", cwd=clone)
    assert again.code == 0 and again.out.splitlines() == [
        "base: local/models/base:v0, 1 file, unchanged",
        "data/train: local/uncategorized/train:v0, 2 files, unchanged",
    ], "nothing is asked of the remote"
    assert remotes(clone) == {"nas": RemoteSettings(str(store), relative=relative)}
    before = (clone / LOCK_FILE).read_text()
    assert cli("lock", cwd=clone).code == 0 and (clone / LOCK_FILE).read_text() == before, "a clone locks the same text"
    check(clone / ".artifacts")


def test_a_fresh_clone_is_restored_as_a_whole_from_a_subfolder(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    clone = cloned(project)
    (clone / "code").mkdir()
    told = cli("get", "--locked", cwd=clone / "code")
    assert told.code == 0 and told.out.startswith(f"made a repository in {clone}/.artifacts\n"), told
    assert restored(project, clone) and list((clone / "code").iterdir()) == []


def test_a_clone_at_another_depth_finds_a_relative_remote_by_its_own_lock_file(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    (project.parent / "deep").mkdir()
    git(project.parent / "deep", "clone", "-q", str(project), "clone")
    clone = project.parent / "deep/clone"
    told = cli("get", "--locked", cwd=clone)
    assert told.code == 4 and not (clone / ".artifacts").exists()
    assert "remote 'nas' can't be read: " in told.err and f"{project.parent}/deep/store" in told.err
    assert "`artstore get --locked --from REMOTE_OR_URL` gets the versions from elsewhere" in told.err
    (project.parent / "store").rename(project.parent / "deep/store")
    assert cli("get", "--locked", cwd=clone).code == 0 and restored(project, clone)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with seaweedfs(tmp_path_factory.mktemp("weed")) as running:
        running.make_bucket("team")
        yield running


def test_one_command_in_a_fresh_clone_restores_all_from_a_bucket(project: Path, cli: Cli, server: SeaweedFS) -> None:
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION}
    env = {**keys, "AWS_ENDPOINT_URL": server.endpoint}
    committed(project, cli, "s3://team/store", **env)
    clone = cloned(project)
    told = cli("get", "--locked", cwd=clone, **env)
    assert told.code == 0 and "got 2 versions from nas: s3://team/store\n" in told.out, told
    assert restored(project, clone)
    assert SECRET_KEY not in (clone / LOCK_FILE).read_text() and ACCESS_KEY not in (clone / LOCK_FILE).read_text()


def test_credentials_are_not_used_with_a_server_that_only_the_lock_file_names(
    project: Path, cli: Cli, server: SeaweedFS
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    url = f"s3://team/own?endpoint={server.endpoint}&region={REGION}"
    committed(project, cli, url, **keys)
    clone = cloned(project)
    told = cli("get", "--locked", cwd=clone, **keys)
    assert told.code == 6 and f"signed with your credentials: {server.endpoint}" in told.err
    assert f"`artstore get --locked --from {shlex.quote(url)}` uses it" in told.err
    assert not (clone / ".artifacts").exists()
    assert cli("get", "--locked", cwd=clone, **keys, AWS_ENDPOINT_URL=server.endpoint).code == 0, "it is the user's own"
    other = cloned(project, "other")
    assert cli("get", "--locked", "--from", url, cwd=other, **keys).code == 0 and restored(project, other)
    (other / "data/train/f").unlink()
    assert cli("get", "--locked", cwd=other, **keys).code == 0, "what was named once is a remote now"


# -- repositories that are there already ---------------------------------------------------------


def test_an_empty_repository_gets_the_remote_and_one_that_has_it_keeps_its_name(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    clone = cloned(project)
    assert cli("init", cwd=clone).code == 0
    assert cli("get", "--locked", cwd=clone).code == 0 and restored(project, clone)
    assert list(remotes(clone)) == ["nas"]
    other = cloned(project, "other")
    make_tree(other / "mine", {"x": "1"})
    assert cli("put", "mine", cwd=other).code == 0
    assert cli("remote", "add", "share", "../store", cwd=other).code == 0
    told = cli("get", "--locked", cwd=other)
    assert (told.code, told.err) == (0, "") and f"got 2 versions from share: {project.parent}/store\n" in told.out
    assert list(remotes(other)) == ["share"] and cli("ls", "train", cwd=other).code == 0


def test_the_remote_of_a_lock_file_is_not_added_to_a_repository_in_use(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    clone = cloned(project)
    make_tree(clone / "mine", {"x": "1"})
    assert cli("put", "mine", "--name", "train", "--alias", "prod", cwd=clone).code == 0
    told = cli("get", "--locked", cwd=clone)
    assert told.code == 0 and restored(project, clone)
    assert told.err == (
        "that is not a remote of this repository, so only files were restored; "
        f"`artstore remote add nas {project.parent}/store` adds it\n"
    )
    assert remotes(clone) == {}
    with Repository(str(clone / ".artifacts")) as repository:
        ours = repository.collection("train")
        assert [version["number"] for version in ours.live()] == [0] and repository.find(
            "train:prod"
        ).name == "train:v0"
        assert [state.path for state in repository.collections()] == [ours.path], "no other came"
    assert cli("get", "--locked", cwd=clone).out.count("unchanged") == 2


# -- another place -------------------------------------------------------------------------------


def test_another_place_can_be_named_by_url_or_name(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    (project.parent / "store").rename(project.parent / "moved")
    clone = cloned(project)
    told = cli("get", "--locked", "--from", "../moved", cwd=clone)
    assert told.code == 0 and f"got 2 versions from nas: {project.parent}/moved\n" in told.out
    assert restored(project, clone) and list(remotes(clone)) == ["nas"]
    other = cloned(project, "other")
    assert cli("init", cwd=other).code == 0 and cli("remote", "add", "new", "../moved", cwd=other).code == 0
    assert cli("get", "--locked", "--from", "new", cwd=other).code == 0 and restored(project, other)
    for wrong in (("--delete",), ("--root", "x"), ("--link", "symlink")):
        refused = cli("get", "--locked", *wrong, cwd=other)
        assert refused.code == 3 and "--locked can be combined with --file, --from and --force only" in refused.err


def test_a_lock_file_without_remotes_says_the_one_command_that_helps(project: Path, cli: Cli) -> None:
    told = cli("lock", cwd=project)
    assert (
        told.err
        == "2 of these versions are not at a remote, so nobody else can get them: `artstore push`, then lock again\n"
    )
    assert (project / LOCK_FILE).read_text().startswith("# Written by") and "version = 1\n" in (
        project / LOCK_FILE
    ).read_text()
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "lock")
    assert cli("remote", "add", "nas", "../store", "--init", cwd=project).code == 0
    assert cli("push", cwd=project).code == 0
    clone = cloned(project)
    told = cli("get", "--locked", cwd=clone)
    assert told.code == 4 and "there is no repository here, and the lock file names no remote" in told.err
    assert "`artstore get --locked --from REMOTE_OR_URL` gets it" in told.err and not (clone / ".artifacts").exists()
    assert cli("get", "--locked", "--from", "../store", cwd=clone).code == 0 and restored(project, clone)
    assert list(remotes(clone)) == ["origin"]


def test_what_is_not_at_the_remote_is_named_with_the_way_out(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    with Repository(str(project.parent / "store")) as store:
        store.delete("models/base:v0")
    clone = cloned(project)
    told = cli("get", "--locked", cwd=clone)
    assert told.code == 4 and not (clone / ".artifacts").exists() and not (clone / "data").exists()
    assert (
        "local/models/base:v0 (id " in told.err and f"was deleted at remote 'nas' ({project.parent}/store)" in told.err
    )
    assert "`artstore get --locked --from REMOTE_OR_URL` gets it from elsewhere" in told.err


def test_a_version_is_found_by_its_id_where_it_was_renamed_at_the_remote(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    assert cli("mv", "train", "training", cwd=project).code == 0 and cli("push", cwd=project).code == 0
    clone = cloned(project)
    assert cli("get", "--locked", cwd=clone).code == 0 and restored(project, clone)
    (project.parent / "store").rename(project.parent / "gone")
    assert cli("get", "--locked", cwd=clone).code == 0, "it is found here, under its new name"


def test_a_restore_that_was_interrupted_goes_on(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    clone = cloned(project)
    Repository.init(str(clone / ".artifacts")).close()
    with Repository(str(clone / ".artifacts")) as repository:  # it was killed just after it named the remote
        repository.remotes.register("nas", str(project.parent / "store"), relative=True)
    assert cli("get", "--locked", cwd=clone).code == 0 and restored(project, clone)


# -- lock files of others ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:s3cr3t@bucket/path", "s3://bucket/p?endpoint=https://key:s3cr3t@host", "s3://bucket/p?token=s3cr3t",
        "s3://bucket/p?endpoint=https%3A%2F%2Fkey%3As3cr3t%40host", "file://key:s3cr3t@host/p", "http://s3cr3t/p",
        "https://key:s3cr3t@host/p",        "memory://s3cr3t", "ssh://host/s3cr3t", "s3://bucket/p?region=evil.example/", "s3://b[s3cr3t", "", " ", "a\nurl = /s3cr3t",
        "\x1b[2J", "file://other.host/s3cr3t",
    ],
)  # fmt: skip
def test_a_lock_file_with_a_hostile_url_is_refused_before_anything_is_made(tmp_path: Path, cli: Cli, url: str) -> None:
    entry = {"path": "data", "spec": "local/p/data:v0", "id": ID, "digest": ID, "remote": "nas", "url": url}
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    (tmp_path / LOCK_FILE).write_text("version = 2\n[[artifact]]\n" + "".join(lines))
    told = cli("get", "--locked")
    assert told.code == 3 and "\x1b" not in told.err, told
    assert "key:s3cr3t" not in told.err and "token=s3cr3t" not in told.err
    assert os.listdir(tmp_path) == [LOCK_FILE]


@pytest.mark.parametrize("url", ["s3://b/p?endpoint=http://127.0.0.1:1", "s3://b/p#?endpoint=http://127.0.0.1:1"])
def test_a_server_that_only_a_lock_file_names_is_refused_however_the_url_is_written(
    tmp_path: Path, cli: Cli, url: str
) -> None:
    entry = {"path": "data", "spec": "local/p/data:v0", "id": ID, "digest": ID, "remote": "nas", "url": url}
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    (tmp_path / LOCK_FILE).write_text("version = 2\n[[artifact]]\n" + "".join(lines))
    told = cli("get", "--locked")
    assert told.code == 6 and "signed with your credentials: http://127.0.0.1:1\n" in told.err, told


def test_a_repository_of_others_that_a_lock_file_names_can_only_give_the_locked_bytes(project: Path, cli: Cli) -> None:
    """Say `file:///home/other/.artifacts`: what is read there lands in this project's folders, if its digest is right."""
    committed(project, cli, "../store")
    secret = project.parent / "secret"
    make_tree(secret / "private", {"key": "s3cr3t"})
    assert cli("put", "private", "--name", "train", cwd=secret).code == 0
    clone = cloned(project)
    with_remote(clone, f"file://{secret}/.artifacts")
    before = snapshot(secret)
    told = cli("get", "--locked", cwd=clone)
    assert told.code == 4 and "is not at remote 'nas'" in told.err and not (clone / "data").exists()
    assert snapshot(secret) == before, "nothing is written there"


def test_other_content_under_the_locked_id_is_refused(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    clone = cloned(project)
    text = (clone / LOCK_FILE).read_text()
    digest = next(line for line in text.splitlines() if line.startswith("digest"))
    (clone / LOCK_FILE).write_text(text.replace(digest, f'digest = "{ID}"'))
    told = cli("get", "--locked", cwd=clone)
    assert told.code == 7 and "has another digest than the lock file says" in told.err
    assert not (clone / ".artifacts").exists() and not (clone / "base").exists()


def test_nothing_is_written_at_a_remote_that_a_lock_file_names(project: Path, cli: Cli) -> None:
    committed(project, cli, "../store")
    store = project.parent / "store"
    before = snapshot(store)
    for folder in [store, *store.rglob("*")]:
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    clone = cloned(project)
    assert cli("get", "--locked", cwd=clone).code == 0 and restored(project, clone)
    for folder in [store, *store.rglob("*")]:
        folder.chmod(0o755 if os.path.isdir(folder) else 0o644)
    assert {name: found and found[1] for name, found in snapshot(store).items()} == {
        name: found and found[1] for name, found in before.items()
    }

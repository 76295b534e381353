"""What looks like an address is never taken for the name of a folder, wherever a path or a place is given."""

import os
from pathlib import Path

import pytest

import artstore as wandb
from artstore.backends import homes
from artstore.backends.addresses import path_here, refuse_address, spelled
from artstore.errors import ArtstoreError, InvalidValue
from artstore.repository import Repository
from tests.support.artifacts import draft, log
from tests.support.commands import Cli

LOOK_ALIKES = {
    "user@host:repo": "mount another host's folder here",
    "host:/path": "mount another host's folder here",
    "rclone:x": "mount another host's folder here",
    "C:\\data": "mount another host's folder here",
    "\\\\nas\\share": "mount another host's folder here",
    "s3:/bucket/x": "did you mean s3://bucket/x?",
    "s3:bucket/x": "did you mean s3://bucket/x?",
    "GS:/bucket": "did you mean gs://bucket?",
    "azure:c/x": "did you mean az://c/x?",
    "file:/tmp/x": "did you mean file:///tmp/x?",
    "s3//b/x": "did you mean s3://b/x?",
    "bk.s3.amazonaws.com/x": "did you mean s3://bk/x?",
    "bk.s3.eu-west-1.amazonaws.com": "did you mean s3://bk?",
    "storage.googleapis.com/bk/x": "did you mean gs://bk/x?",
    "account.blob.core.windows.net/c/x": "did you mean az://c/x?",
    "user@host": "a folder of this name is ./user@host; mount another host's folder here",
    "user@host/x": "mount another host's folder here",
    "//server-of-nobody/share": "mount another host's folder here",
    " /path": "did you mean '/path'?",
    " s3://b/x": "did you mean 's3://b/x'?",
    "path\n": "did you mean 'path'?",
}
NOT_REPLACED = {
    "$HOME/x": "did you mean ~/x?",
    "${HOME}": "did you mean ~?",
    "%USERPROFILE%/x": "did you mean ~/x?",
    "$DATA/x": "write its value instead of $DATA",
    "/data/${USER}/x": "write its value instead of ${USER}",
    "~user-of-nobody/x": "a folder of this name is ./~user-of-nobody/x",
}
URLS = {
    "s3a://b/x": "did you mean s3://b/x?",
    "gcs://b": "did you mean gs://b?",
    "https://bk.s3.eu-west-1.amazonaws.com/x/y": "did you mean s3://bk/x/y?",
    "https://s3.amazonaws.com/bk/x": "did you mean s3://bk/x?",
    "https://minio:9000/b": "'s3://BUCKET/PATH?endpoint=https://HOST'",
    "ssh://host/x": "mount another host's folder here",
}


@pytest.mark.parametrize("address", [*LOOK_ALIKES, *URLS])
def test_a_remote_at_what_only_looks_like_an_address_is_refused_with_the_nearest_spelling(
    repo: Repository, tmp_path: Path, address: str
) -> None:
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(InvalidValue, match="knows") as refused:
        repo.remotes.add("r", address, make=True)
    assert (LOOK_ALIKES | URLS)[address] in (refused.value.hint or "")
    assert sorted(os.listdir(tmp_path)) == before and repo.remotes.all() == {}


@pytest.mark.parametrize("place", NOT_REPLACED)
def test_no_folder_is_made_for_what_a_shell_would_have_replaced(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "f").write_text("1")
    cli("put", "f", "-n", "n")
    before = sorted(os.listdir(tmp_path))
    for command in (
        ("remote", "add", "--init", "r", place), ("clone", place, "copy"), ("ls", "--from", place), ("init", place),
        ("get", "n", "--root", place), ("export", "n", "-o", place), ("bundle", "create", place),
    ):  # fmt: skip
        refused = cli(*command)
        assert (refused.code, refused.out) == (3, "") and f"hint: {NOT_REPLACED[place]}\n" in refused.err, command
    for variable in ("ARTSTORE_DIR", "WANDB_DIR", "ARTSTORE_ARTIFACT_DIR", "WANDB_ARTIFACT_DIR"):
        refused = cli("get", "n", **{variable: place}) if "ARTIFACT" in variable else cli("init", **{variable: place})
        assert refused.code == 3 and f"{variable} of the environment: '{place}'" in refused.err
        assert f"hint: {NOT_REPLACED[place]}\n" in refused.err
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidValue):
        wandb.Api(repository=place)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_home_folder_that_no_shell_replaced_is_the_users_own(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_text("1")
    cli("put", "f", "-n", "n")
    home = tmp_path / "me"
    home.mkdir()
    assert cli("get", "n", "--root", "~/out", HOME=str(home)).code == 0 and (home / "out/f").read_text() == "1"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    assert cli("init", "~/project", HOME=str(home)).code == 0
    assert wandb.Api(repository="~/project").artifact_types() == []
    (tmp_path / "~").mkdir()
    (tmp_path / "$HOME").mkdir()
    for path in ("~/sub", "./~nobody/x", "$HOME/x", "a$HOME/x", "50%/x%", "$RECYCLE.BIN"):
        assert path_here(path) == path


def test_a_users_folders_that_are_not_absolute_are_ignored_as_the_xdg_specification_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("$HOME/.config", "relative", "~user-of-nobody/x", ""):
        monkeypatch.setenv("XDG_CONFIG_HOME", given)
        monkeypatch.setenv("XDG_STATE_HOME", given)
        assert homes.config_folder() == str(tmp_path / ".config/artstore")
        assert homes.state_folder() == str(tmp_path / ".local/state/artstore")
    monkeypatch.setenv("XDG_CONFIG_HOME", "~/own")
    assert homes.config_folder() == str(tmp_path / "own/artstore")


def test_a_password_before_a_host_is_not_repeated() -> None:
    with pytest.raises(InvalidValue, match=r"'me:\*\*\*@host:/x'"):
        refuse_address("me:secret@host:/x")


@pytest.mark.parametrize(
    "command",
    [
        "clone host:/x", "clone s3:/b/x into", "ls --from user@host:repo", "gc s3:/x", "init s3://b/x",
        "get n --root s3://b/x", "get n --root s3:/b/x", "get n --root me@host:x", "export n -o s3://b/x.tar",
        "export n -o host:/x.tar", "bundle create gs://b/x", "artifact get n --root file:///x",
    ],
)  # fmt: skip
def test_no_command_makes_a_folder_or_file_named_like_an_address(cli: Cli, tmp_path: Path, command: str) -> None:
    (tmp_path / "f").write_text("1")
    cli("put", "f", "-n", "n")
    before = sorted(os.listdir(tmp_path))
    refused = cli(*command.split())
    assert (refused.code, refused.out) == (3, "") and "address" in refused.err
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("variable", ["ARTSTORE_DIR", "WANDB_DIR", "WANDB_ARTIFACT_DIR"])
def test_an_environment_that_names_an_address_where_a_folder_is_needed_is_refused(
    cli: Cli, tmp_path: Path, variable: str
) -> None:
    (tmp_path / "f").write_text("1")
    if variable == "WANDB_ARTIFACT_DIR":
        cli("put", "f", "-n", "n")
    before = sorted(os.listdir(tmp_path))
    refused = cli(*(["get", "n"] if variable == "WANDB_ARTIFACT_DIR" else ["put", "f"]), **{variable: "s3://b/x"})
    assert refused.code == 3 and "is an address, and a path on this machine is needed" in refused.err
    assert sorted(os.listdir(tmp_path)) == before


def test_what_python_is_given_as_a_folder_is_not_an_address(here: Path) -> None:
    saved = log(draft("n", "1"))
    before = sorted(os.listdir(here))
    for use in (
        lambda: saved.download(root="s3://b/x"),
        lambda: saved.checkout("gs:/b"),
        lambda: saved.file(root="s3://b/x"),
        lambda: wandb.Api(repository="s3:/b/x"),
        lambda: Repository.init("s3://b/x"),
    ):
        with pytest.raises(ArtstoreError, match="address"):
            use()
    assert sorted(os.listdir(here)) == before


def test_names_with_colons_are_paths_where_no_host_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("data:v3", "data:v3/sub", "./s3:/b", "/a/b@c:d", "data:v3.tar", "a/me@host:x"):
        assert path_here(path) == path
    (tmp_path / "s3:").mkdir()
    (tmp_path / "me@host:x").mkdir()
    assert path_here("s3:/") and path_here("me@host:x")
    (tmp_path / "me@host").mkdir()
    for place in ("me@host:x", "me@host/new", "data.v2/x", "a/me@host", f"/{tmp_path}", "minio/bucket", "./ x"):
        refuse_address(place)
    refuse_address("./host:x")


def test_a_path_that_is_put_and_is_nearly_a_bucket_is_told_how_one_is_spelled(cli: Cli) -> None:
    assert "hint: did you mean s3://b/x?" in cli("put", "s3:/b/x", "-n", "n").err
    assert spelled("s3:/") == spelled("file:")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_remote_and_a_repository_have_names_in_any_script_in_any_locale(
    process_cli: Cli, tmp_path: Path, locale: str
) -> None:
    work = tmp_path / "prüj"
    work.mkdir()
    (work / "f").write_text("1")
    ascii = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words in ("put f -n n", "remote add --init r ../näs", "push r", "doctor", "fsck r", "clone ../näs ../klön"):
        done = process_cli(*words.split(), cwd=work, **ascii)
        assert done.code == 0 or (words == "doctor" and done.code == 1), (words, done)  # tests may run in memory
    assert process_cli("push", "r", cwd=work).code == 0
    assert f"url = {tmp_path}/näs\n" in (work / ".artifacts/config").read_text(encoding="utf-8")


def test_a_remote_whose_path_is_not_utf_8_is_refused_before_it_is_made(repo: Repository, tmp_path: Path) -> None:
    place = os.fsdecode(os.fsencode(tmp_path) + b"/n\xe4s")
    with pytest.raises(InvalidValue, match="can't be recorded for a remote, because it is not UTF-8"):
        repo.remotes.add("r", place, make=True)
    assert not os.path.lexists(place)


def test_a_name_in_another_script_is_refused_with_the_locale_that_lacks_it(process_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "src").write_text("1")
    assert process_cli("put", "src", "-n", "data").code == 0
    ascii = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words in ("put src -n größe", "alias data größe", "tag data größe", "put src -n data --set größe=1"):
        done = process_cli(*words.split(), **ascii)
        told = "hint: this locale (C) takes names in ascii only: set LC_ALL=C.UTF-8"
        assert (done.code, done.err.splitlines()[-1]) == (3, told), words

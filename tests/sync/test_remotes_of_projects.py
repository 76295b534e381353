"""Remotes in a text file that git keeps beside the lock file: others add them by their names."""

from pathlib import Path

import pytest

from artstore.repository import Repository
from artstore.store.settings import RemoteSettings
from tests.support.commands import Cli
from tests.support.folders import make_tree


def well(cli: Cli, *args: str, cwd: Path) -> str:
    result = cli(*args, cwd=cwd)
    assert result.code == 0, result
    return result.out


@pytest.fixture
def recorded(tmp_path: Path, cli: Cli) -> Path:
    """A project whose remote `nas` was given by a relative path and recorded, and which pushed to it."""
    project = make_tree(tmp_path / "project", {"data/f": "1"})
    well(cli, "put", "data", cwd=project)
    well(cli, "remote", "add", "nas", "../store", "--init", "--record", cwd=project)
    well(cli, "push", cwd=project)
    return project


def clone_of(project: Path, cli: Cli) -> Path:
    clone = make_tree(
        project.parent / "clone", {"artstore.remotes": (project / "artstore.remotes").read_text(), "deep/x": "1"}
    )
    well(cli, "init", cwd=clone)
    return clone


def test_a_recorded_remote_is_added_by_its_name_and_named_by_a_hint(recorded: Path, cli: Cli) -> None:
    assert (recorded / "artstore.remotes").read_text().splitlines()[1:] == ["nas ../store"]
    clone = clone_of(recorded, cli)
    told = cli("pull", cwd=clone)
    assert told.code == 4 and told.err == (
        "error: this repository has no remote\nhint: `artstore remote add nas` adds the one in artstore.remotes\n"
    )
    well(cli, "remote", "add", "nas", cwd=clone / "deep")
    assert "data: pulled v0" in well(cli, "pull", cwd=clone)
    with Repository(str(clone / ".artifacts")) as repository:
        assert repository.remotes.all() == {"nas": RemoteSettings(str(recorded.parent / "store"), relative=True)}


def test_a_remote_that_is_there_is_recorded_later_beside_others(recorded: Path, cli: Cli) -> None:
    well(cli, "remote", "add", "other", str(recorded.parent / "other"), "--init", cwd=recorded)
    well(cli, "remote", "add", "other", "--record", cwd=recorded)
    assert (recorded / "artstore.remotes").read_text().splitlines()[1:] == [
        "nas ../store",
        f"other {recorded.parent}/other",
    ]


def test_a_recorded_remote_whose_name_and_place_have_spaces_is_added_by_its_name(recorded: Path, cli: Cli) -> None:
    well(cli, "remote", "add", "my remote", "../the other", "--init", "--record", cwd=recorded)
    assert (recorded / "artstore.remotes").read_text().splitlines()[1:] == ["my remote\t../the other", "nas ../store"]
    clone = clone_of(recorded, cli)
    for name in ("my remote", "nas"):
        well(cli, "remote", "add", name, cwd=clone)
    with Repository(str(clone / ".artifacts")) as repository:
        assert repository.remotes.all()["my remote"].url == str(recorded.parent / "the other")


def test_a_name_that_the_file_has_not_is_told(recorded: Path, cli: Cli) -> None:
    clone = clone_of(recorded, cli)
    told = cli("remote", "add", "nsa", cwd=clone)
    assert told.code == 4
    assert told.err == "error: artstore.remotes has no remote 'nsa'\nhint: did you mean 'nas'?\n"


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("nas ftp://example.org/x", 3, "can't be a ftp:// URL"),
        ("nas http://example.org/x", 3, "is not encrypted"),
        ("nas s3://KEY:SECRET@bucket/x", 3, "holds credentials"),
        ("nas", 3, "is empty"),
        ("n/a ../store", 3, "remote name"),
        ("nas s3://b/x?endpoint=https://evil.example", 6, "would get requests signed with your credentials"),
        ("nas s3://b/x#?endpoint=https://evil.example", 6, "with your credentials: https://evil.example\n"),
        ("nas s3://[x/p", 3, "can't be in a bucket's name"),
        ("nas \x1b[31m", 3, "can't be printed"),
        ("x" * 70_000, 3, "too long"),
    ],
)
def test_a_file_of_others_leads_nowhere_that_the_user_did_not_name(
    recorded: Path, cli: Cli, line: str, code: int, says: str
) -> None:
    clone = clone_of(recorded, cli)
    (clone / "artstore.remotes").write_text(line + "\n")
    told = cli("remote", "add", "nas", cwd=clone)
    assert told.code == code and says in told.err and "\x1b" not in told.err and "SECRET" not in told.err
    assert "no remotes" in cli("remote", "ls", cwd=clone).err + cli("remote", "ls", cwd=clone).out

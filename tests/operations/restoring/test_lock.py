"""`lock` and `get --locked`: what a project uses is written down as text, and restored exactly."""

import json
import os
from pathlib import Path

import pytest

from artstore.domain.names import LOCK_FILE
from artstore.errors import InvalidValue
from artstore.operations.restoring.lockfile import Locked, parsed, written
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot

ID = "ab" * 32


@pytest.fixture
def project(repo: Repository, tmp_path: Path) -> Path:
    """A folder that was put, and one that was got."""
    repo.put(str(make_tree(tmp_path / "data/train", {"f": "1", "sub/run.sh*": "x", "none": None})), "train")
    repo.put(str(make_tree(tmp_path / "elsewhere", {"w": "0"})), "model")
    repo.put(str(make_tree(tmp_path / "elsewhere", {"w": "1"})), "model")
    repo.get(repo.find("model:v0"), str(tmp_path / "models/base"))
    (tmp_path / "elsewhere/w").unlink()
    (tmp_path / "elsewhere").rmdir()
    return tmp_path


def test_what_was_put_and_got_is_locked_and_restored_exactly(project: Path, cli: Cli) -> None:
    before = {name: snapshot(project / name) for name in ("data/train", "models/base")}
    told = cli("lock")
    assert told.code == 0 and told.out.endswith(f"locked 2 artifacts in {LOCK_FILE}\n"), told
    text = (project / LOCK_FILE).read_text()
    assert 'path = "data/train"\nspec = "local/uncategorized/train:v0"' in text
    (project / "data/train/f").write_text("changed")
    (project / "models/base/w").unlink()
    make_tree(project / "models/base", {"extra/file": "not of the version"})
    refused = cli("get", "--locked")
    assert refused.code == 6 and "--force" in refused.err, "files that no version here holds"
    assert cli("get", "--locked", "--force").code == 0
    assert {name: snapshot(project / name) for name in before} == before
    again = cli("get", "--locked")
    assert again.out.splitlines() == [
        "data/train: local/uncategorized/train:v0, 2 files, unchanged",
        "models/base: local/uncategorized/model:v0, 1 file, unchanged",
    ]
    assert cli("lock").code == 0 and (project / LOCK_FILE).read_text() == text, "the same text for the same versions"


def test_what_differs_from_its_version_is_not_locked(project: Path, cli: Cli) -> None:
    (project / "data/train/f").write_text("changed")
    told = cli("lock")
    assert told.code == 6 and "data/train has unsaved changes" in told.err and "artstore put" in told.err
    assert not (project / LOCK_FILE).exists()


def test_versions_are_locked_by_name_and_the_others_stay(project: Path, cli: Cli) -> None:
    assert cli("lock").code == 0
    assert cli("lock", "model:latest").code == 0
    told = json.loads(cli("lock", "model:v1", "--root", "models/base", "--json").out)
    assert {one["path"]: one["spec"].rpartition("/")[2] for one in told} == {
        "artifacts/model": "model:v1", "data/train": "train:v0", "models/base": "model:v1",
    }  # fmt: skip
    assert cli("get", "--locked").code == 0
    assert (project / "models/base/w").read_text() == (project / "artifacts/model/w").read_text() == "1"


def test_a_clone_restores_what_the_lock_file_of_the_project_says(project: Path, repo: Repository, cli: Cli) -> None:
    assert cli("lock").code == 0
    before = snapshot(project / "data")
    repo.remotes.add("nas", str(project / "nas"), make=True)
    repo.push()
    repo.rename("train", "training")  # the id decides
    assert cli("get", "--locked").code == 0
    other = project / "other"
    other.mkdir()
    (other / LOCK_FILE).write_text((project / LOCK_FILE).read_text())
    Repository.init(str(other / ".artifacts")).close()
    told = cli("get", "--locked", cwd=other, ARTSTORE_DIR=str(other / ".artifacts"))
    assert told.code == 4 and "it is not in this repository, and the lock file names no remote" in told.err
    assert "`artstore get --locked --from REMOTE_OR_URL` gets it" in told.err
    own = {"cwd": other, "ARTSTORE_DIR": str(other / ".artifacts")}
    assert cli("remote", "add", "origin", str(project / "nas"), **own).code == 0
    assert cli("get", "--locked", **own).code == 0, "from the only remote, without a pull before"
    assert snapshot(other / "data") == before


def test_of_several_none_is_touched_where_one_is_not_to_be_had(project: Path, repo: Repository, cli: Cli) -> None:
    assert cli("lock").code == 0
    repo.delete("train:v0")
    (project / "models/base/w").write_text("0 ")
    told = cli("get", "--locked", "--force")
    assert told.code == 4 and "was deleted" in told.err and "undelete" in told.err
    assert (project / "models/base/w").read_text() == "0 "


@pytest.mark.parametrize(
    "path", ["../out", "/etc", "a/../../b", "", ".", ".git/hooks", "a/.GIT/x", ".artifacts/objects"]
)
def test_a_lock_file_leads_nowhere_else(path: str) -> None:
    text = f'version = 1\n[[artifact]]\npath = "{path}"\nspec = "local/p/a:v0"\nid = "{ID}"\ndigest = "{ID}"\n'
    with pytest.raises(InvalidValue):
        parsed(text, "artstore.lock")


def test_folders_that_hold_one_another_are_not_locked(project: Path, cli: Cli) -> None:
    for paths in (("aa/b", "aa"), ("aa", "aa/b"), ("aa", "aa")):
        text = "version = 1\n" + "".join(
            f'[[artifact]]\npath = "{path}"\nspec = "a:v0"\nid = "{ID}"\ndigest = "{ID}"\n' for path in paths
        )
        with pytest.raises(InvalidValue, match=r"aa"):
            parsed(text, "artstore.lock")
    assert cli("lock", "train", "--root", "out").code == 0
    told = cli("lock", "model", "--root", "out/in")
    assert told.code == 3 and "is in 'out'" in told.err
    many = [Locked(f"folder/{number}", "local/p/a:v0", ID, ID) for number in range(40_000)]
    assert len(parsed(written(many), "x")) == 40_000


def test_what_is_no_text_and_what_lies_elsewhere_is_not_locked(project: Path, repo: Repository, cli: Cli) -> None:
    odd = project / os.fsdecode(b"b\xff")
    repo.put(str(make_tree(odd, {"y": "1"})), "odd")
    assert "is not UTF-8" in cli("lock").err
    for name in ("../x", "/abs", "."):
        told = cli("lock", "train", "--root", name)
        assert told.code == 3 and "is not below" in told.err
    assert cli("lock", "train", "--file", "sub/artstore.lock").code == 9, "there is no such folder"
    (project / "sub").mkdir()
    assert cli("lock", "train", "--file", "sub/artstore.lock").code == 0
    assert (
        cli("get", "--locked", "--file", "sub/artstore.lock").code == 0 and (project / "sub/artifacts/train/f").exists()
    )
    assert cli("lock", "--file", "sub").code == 3 and cli("get", "train", "--file", "x").code == 3


def test_a_part_of_a_version_is_not_locked_as_the_whole(project: Path, cli: Cli) -> None:
    assert cli("get", "train", "--root", "part", "--include", "f").code == 0
    told = cli("lock")
    assert told.code == 6 and "part holds only a part of a version" in told.err


def test_a_file_that_was_put_is_left_out_and_said_so(project: Path, cli: Cli) -> None:
    make_tree(project, {"note.txt": "1"})
    assert cli("put", "note.txt", "--name", "note").code == 0
    told = cli("lock")
    assert told.code == 0 and told.out.endswith(f"locked 2 artifacts in {LOCK_FILE}\n")
    assert "skipped note.txt: only folders can be locked; `artstore lock note` adds one for it" in told.err
    make_tree(project / "alone", {"x": "1"})
    assert cli("put", "alone/x", "--name", "x").code == 0
    alone = cli("lock", "--file", "alone/artstore.lock")
    assert (
        alone.code == 4
        and "only files were saved below" in alone.err
        and not (project / "alone/artstore.lock").exists()
    )


def test_a_link_out_of_the_project_is_not_followed(
    project: Path, cli: Cli, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert cli("lock").code == 0
    out = tmp_path_factory.mktemp("out")
    (project / "data/train").rename(out / "train")
    (project / "data").rmdir()
    (project / "data").symlink_to(out)
    told = cli("get", "--locked", "--force")
    assert told.code == 3 and "leads out of" in told.err


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "version = 3\n",
        f'version = 2\n[[artifact]]\npath = "a"\nspec = "a:v0"\nid = "{ID}"\ndigest = "{ID}"\nremote = "nas"\n',
        f'version = 2\n[[artifact]]\npath = "a"\nspec = "a:v0"\nid = "{ID}"\ndigest = "{ID}"\nremote = "nas"\nurl = 5\n',
        "version = 1\nother = 1\n",
        "version = 1\nartifact = 5\n",
        'version = 1\n[[artifact]]\npath = "a"\n',
        f'version = 1\n[[artifact]]\npath = "a"\nspec = "a:v0"\nid = "x"\ndigest = "{ID}"\n',
        2 * f'version = 1\n[[artifact]]\npath = "a"\nspec = "a:v0"\nid = "{ID}"\ndigest = "{ID}"\n',
    ],
)
def test_what_is_no_lock_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parsed(text, "artstore.lock")


def test_any_path_comes_back_from_the_text() -> None:
    names = ("'''" + "." * 20, "\x7f", "ü", "\u2028" + "." * 20)
    entries = [Locked(f'a "b" {name}', "local/p/a:v0", ID, ID) for name in names]
    assert parsed(written(entries), "x") == entries


def test_a_url_or_path_that_is_too_long_to_be_read_again_is_not_written() -> None:
    remote = Locked("a", "local/p/a:v0", ID, ID, "nas", "s3://bucket/" + "x" * 2048)
    with pytest.raises(InvalidValue, match="the url of remote 'nas' is longer than 2,048 characters"):
        written([remote])
    with pytest.raises(InvalidValue, match="has a line of more than 4,096 characters"):
        written([remote._replace(url="../" + "x" * 5000)])


def test_there_has_to_be_one(repo: Repository, cli: Cli) -> None:
    told = cli("get", "--locked")
    assert told.code == 4 and "there is no artstore.lock" in told.err
    assert cli("get", "--locked", "data").code == 3
    assert cli("get").code == 2
    assert cli("lock").code == 4


def test_a_folder_that_was_put_without_some_of_its_files_is_the_whole_version(tmp_path: Path, cli: Cli) -> None:
    make_tree(tmp_path / "data", {"a": "1", "b.tmp": "2", "deep/c": "3"})
    assert cli("put", "data", "--exclude", "*.tmp").code == 0
    told = cli("lock")
    assert told.code == 0 and "data:v0" in (tmp_path / LOCK_FILE).read_text()
    assert cli("get", "data", "--root", "part", "--exclude", "a").code == 0
    assert cli("lock").code == 6


def test_the_lock_file_of_the_project_is_found_from_its_subfolders(project: Path, cli: Cli) -> None:
    assert cli("lock").code == 0
    text = (project / LOCK_FILE).read_text()
    deep = make_tree(project / "code/deep", {"x.py": ""})
    (project / "models/base/w").unlink()
    restored = cli("get", "--locked", cwd=deep)
    assert restored.code == 0 and (project / "models/base/w").read_text() == "0"
    assert cli("lock", cwd=deep).out.endswith(f"locked 2 artifacts in ../../{LOCK_FILE}\n")
    assert (project / LOCK_FILE).read_text() == text
    assert cli("lock", "model:v1", "--root", "new", cwd=deep).code == 0
    assert 'path = "code/deep/new"' in (project / LOCK_FILE).read_text()
    assert not (deep / LOCK_FILE).exists()


@pytest.mark.parametrize("top", [".git", ".artifacts"])
def test_a_lock_file_above_another_project_is_not_its_own(project: Path, cli: Cli, top: str) -> None:
    assert cli("lock").code == 0
    text = (project / LOCK_FILE).read_text()
    inner = make_tree(project / "inner", {f"{top}/x": None, "code/x.py": ""})
    assert "there is no artstore.lock" in cli("get", "--locked", cwd=inner / "code").err
    cli("lock", "model:v1", cwd=inner / "code")
    assert (project / LOCK_FILE).read_text() == text and (inner / "code" / LOCK_FILE).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's file")
def test_a_lock_file_that_a_stranger_left_above_is_skipped(project: Path, cli: Cli) -> None:
    assert cli("lock").code == 0
    os.chown(project / LOCK_FILE, 12345, 12345)
    inner = make_tree(project / "code", {"x.py": ""})
    assert "there is no artstore.lock" in cli("get", "--locked", cwd=inner).err
    assert cli("get", "--locked", "--file", f"../{LOCK_FILE}", cwd=inner).code == 0

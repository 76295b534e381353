"""References on the command line."""

from pathlib import Path

from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.references import PLAIN, files


def test_put_get_ls_cat_diff_and_status_of_references(tmp_path: Path, cli: Cli) -> None:
    source = make_tree(tmp_path / "in", PLAIN)
    done = cli("put", source.as_uri(), "-n", "data")
    assert done.code == 0 and "saved data:v0: 2 files, 3 B" in done.out, done
    listed = cli("ls", "data", "--json").out
    assert f'"uri": "{source.as_uri()}/a"' in listed and '"kind": "reference"' in listed
    assert cli("ls", "data").out.splitlines()[0].split() == ["1", "B", "a@"]
    assert cli("cat", "data/sub/b").out == "22" or cli("cat", "data", "sub/b").out == "22"
    assert cli("get", "data", "--root", "out").code == 0 and files(tmp_path / "out") == {"a": b"1", "sub/b": b"22"}
    status = cli("status")
    assert status.code == 0 and "out: data:v0 (the newest), unchanged" in status.out, status
    (source / "a").write_text("9")
    assert "v1" in cli("put", source.as_uri(), "-n", "data").out
    diff = cli("diff", "data:v0", "data:v1")
    assert "a" in diff.out and "sub/b" not in diff.out, diff
    assert "v1 is newer" in cli("status").out
    done = cli("get", "data:v0", "--root", "old")
    assert done.code == 5 and "is not what was referenced" in done.err and not (tmp_path / "old").exists(), done
    assert cli("verify", "data:v0", "out").code == 0
    check(tmp_path / ".artifacts")


def test_get_leaves_out_what_is_missing_when_it_may(tmp_path: Path, cli: Cli) -> None:
    source = make_tree(tmp_path / "in", PLAIN)
    cli("put", source.as_uri(), "-n", "data")
    (source / "a").unlink()
    done = cli("get", "data", "--root", "out")
    assert done.code == 4 and "is not there any more" in done.err and not (tmp_path / "out").exists(), done
    done = cli("get", "data", "--root", "out", "--allow-missing-references")
    assert done.code == 0 and "warning: skipped a: the content that it refers to is gone" in done.err
    assert files(tmp_path / "out") == {"sub/b": b"22"} and "1 file" in done.out, done
    status = cli("status")
    assert "1 deleted" in status.out or "missing" in status.out, status
    done = cli("get", "data", "--root", "out", "--allow-missing-references", "--json")
    assert '"missing": [\n    "a"\n  ]' in done.out, done


def test_put_of_what_cannot_be_referenced_is_a_sentence(tmp_path: Path, cli: Cli) -> None:
    for uri, code in {
        "file:///nowhere": 8, "mars://base/x": 3, "https://u:hunter2@h/x": 3,
        "file://": 3, "s3://": 3,
    }.items():  # fmt: skip
        done = cli("put", uri, "-n", "data")
        assert done.code == code and "hunter2" not in done.err + done.out, (uri, done)
        assert len(done.err.splitlines()) <= 2, (uri, done)
    assert cli("ls").out == ""


def test_get_does_not_overwrite_an_edited_file_of_a_reference_without_force(tmp_path: Path, cli: Cli) -> None:
    source = make_tree(tmp_path / "in", PLAIN)
    cli("put", source.as_uri(), "-n", "data")
    cli("get", "data", "--root", "out")
    (tmp_path / "out/a").write_text("my own work")
    done = cli("get", "data", "--root", "out")
    assert done.code == 6 and "--force" in done.err and (tmp_path / "out/a").read_text() == "my own work", done
    assert cli("get", "data", "--root", "out", "--force").code == 0 and files(tmp_path / "out")["a"] == b"1"


def test_get_of_a_newer_version_keeps_the_last_copy_of_what_an_older_one_referenced(tmp_path: Path, cli: Cli) -> None:
    """The file in the folder is what v0 says, and no version has its bytes."""
    source = make_tree(tmp_path / "in", PLAIN)
    cli("put", source.as_uri(), "-n", "data")
    cli("get", "data", "--root", "out")
    (source / "a").write_text("9")
    cli("put", source.as_uri(), "-n", "data")
    done = cli("get", "data", "--root", "out")
    assert done.code == 6 and "files that no version here holds would be overwritten: a" in done.err
    assert files(tmp_path / "out") == {"a": b"1", "sub/b": b"22"}
    assert cli("get", "data", "--root", "out", "--force").code == 0
    assert files(tmp_path / "out") == {"a": b"9", "sub/b": b"22"}

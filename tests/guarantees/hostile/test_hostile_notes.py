"""Notes and runs from elsewhere: whatever they hold, commands end with our words, and nothing of it reaches a terminal raw."""

import json
from pathlib import Path
from typing import Any

import pytest

from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree

GOOD: dict[str, Any] = {
    "place": "/nowhere", "collection": ["local", "uncategorized", "data"], "id": "0" * 64, "number": 0, "name": None,
    "prefix": "", "include": [], "exclude": [],
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"place": 5}, {"place": "../up"}, {"place": "a/../b"}, {"place": "/\ud800"}, {"collection": [1, 2, 3]}, {"collection": ["a"]},
        {"collection": ["local", "uncategorized", "\x1b]0;pwned\x07"]}, {"id": []}, {"id": "zz"}, {"number": "\x1b[31m"},
        {"prefix": 5}, {"include": [5]}, {"exclude": 5}, {"name": 5},
    ],
)  # fmt: skip
def test_a_note_that_is_not_ours_is_left_out(repo: Repository, root: Path, cli: Cli, change: dict[str, Any]) -> None:
    (root / "checkouts").mkdir()
    (root / "checkouts" / "x.json").write_text(json.dumps(GOOD | change))
    for args in (["status"], ["status", "."], ["status", "--json"]):
        result = cli(*args)
        assert result.code == 0 and "\x1b" not in result.out + result.err, result


def test_a_note_of_a_hundred_thousand_brackets_is_left_out(repo: Repository, root: Path, cli: Cli) -> None:
    (root / "checkouts").mkdir()
    (root / "checkouts" / "x.json").write_text("[" * 100_000)
    assert cli("status").code == 0


def test_one_place_that_cannot_be_compared_does_not_end_status(repo: Repository, tmp_path: Path, cli: Cli) -> None:
    for name in ("a", "b"):
        repo.put(str(make_tree(tmp_path / name, {"f": name})), name)
    (tmp_path / "a/f").unlink()
    (tmp_path / "a").rmdir()
    (tmp_path / "a").write_text("a file now")
    result = cli("status")
    assert result.code == 4
    assert result.out == "a: can't be compared: ~/a is a file, not a folder\nb: b:v0 (the newest), unchanged\n".replace(
        "~", str(tmp_path)
    )


def test_a_log_whose_folder_has_a_strange_name_is_told_in_printable_words(
    repo: Repository, root: Path, cli: Cli
) -> None:
    folder = root / "refs/local/uncategorized/x\x1b]0;pwned\x07"
    folder.mkdir(parents=True)
    (folder / "00000001.json").write_text("{}")
    for args in (["ls"], ["fsck"]):
        result = cli(*args)
        assert result.code == 7 and "\x1b" not in result.out + result.err and "\x07" not in result.out + result.err
    (folder / "00000001.json").unlink()
    folder.rmdir()


def test_a_bug_is_told_in_one_sentence_with_an_exit_code_of_its_own(tmp_path: Path, process_cli: Cli) -> None:
    """A broken installation stands for what nobody thought of."""
    make_tree(tmp_path / "broken", {"sitecustomize.py": "import artstore.cli.looking as m; m.table = None\n"})
    make_tree(tmp_path / "d", {"f": "1"})
    process_cli("put", "d")
    result = process_cli("ls", PYTHONPATH=str(tmp_path / "broken"))
    assert result.code == 70
    assert result.err.startswith("error: this is a bug in artstore: TypeError: ")
    assert result.err.endswith("hint: please report it; ARTSTORE_DEBUG=1 shows where it failed\n")

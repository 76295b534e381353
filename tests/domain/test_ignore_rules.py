"""Ignore rules match what git's do: each pattern is given to both."""

import subprocess
from pathlib import Path

import pytest

from artstore.domain.ignore import Rules
from artstore.repository import Repository
from tests.support.folders import make_tree

NAMES = [
    "a",
    "A",
    "b",
    "z",
    "5",
    "55",
    "a5",
    "-",
    "]",
    "[",
    "^",
    "!",
    "\\",
    ":",
    " ",
    "a-b",
    "x]",
    "ab",
    "[a",
    "[:",
    "d]",
]
PATTERNS = [
    "[[:digit:]]", "[[:digit:]]*", "[![:digit:]]", "[^[:alpha:]]", "[[:alpha:][:digit:]]5", "[[:upper:]]", "[[:lower:]-]",
    "[[:space:]]", "[[:punct:]]", "[[:graph:]]", "[[:print:]]", "[[:blank:]]", "[[:cntrl:]]", "[[:xdigit:]]", "[[:alnum:]]b",
    "[[:nothing:]]", "[[:digit]", "[[:]", "[:digit:]", "[]]", "[]-]", "[^]]", "[!]a]", "[a-c]", "[c-a]", "[z-ab]", "[a-]",
    "[-a]", "[\\]]", "[\\\\]", "[a\\-z]", "[a-\\z]", "[", "[a", "\\[a", "x[]]", "[!", "[[]", "[a-b-z]", "[[:digit:]-z]", "[/]a",
    "a[!/]b", "?", "[ ]", "[[:digit:]\\]]",
]  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("git")
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


def _ignored_by_git(work: Path, pattern: str, names: list[str]) -> set[str]:
    (work / ".git/info/exclude").write_text(pattern + "\n")
    done = subprocess.run(
        ["git", "-C", work, "check-ignore", "--no-index", "-z", "--stdin"],
        input="".join(f"./{name}\0" for name in names), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return {name.removeprefix("./") for name in done.stdout.split("\0") if name}


def test_each_kind_of_bracket_matches_what_it_does_in_git(work: Path) -> None:
    differ = {}
    for pattern in PATTERNS:
        ours = {name for name in NAMES if Rules([pattern]).match(name, False)}
        theirs = _ignored_by_git(work, pattern, NAMES)
        if ours != theirs:
            differ[pattern] = (ours - theirs, theirs - ours)
    assert differ == {}


def test_a_byte_order_mark_does_not_belong_to_the_first_rule(work: Path, repo: Repository, tmp_path: Path) -> None:
    rules = b"\xef\xbb\xbf*.log\n"
    (work / ".git/info/exclude").write_bytes(rules)
    done = subprocess.run(["git", "-C", work, "check-ignore", "--no-index", "a.log"], capture_output=True, check=False)
    assert done.returncode == 0
    source = make_tree(tmp_path / "src", {"a.log": "1", "b": "2", ".artifactsignore": rules})
    assert repo.put(str(source), "data").files == 2


def test_a_wildcard_matches_a_character_also_if_it_has_several_bytes() -> None:
    """Git compares bytes, and would need two of them."""
    assert Rules(["?"]).match("é", False) and Rules(["[é]"]).match("é", False)

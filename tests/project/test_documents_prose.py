"""How the documents' prose is laid out: lines that fit on a screen, and no word left alone below its paragraph."""

import re
from pathlib import Path

import pytest

from docs import DOCUMENTS, TOP

LONGEST = 120
"""Characters of a line of prose. Tables, blocks and addresses may be longer."""
ADDRESS = re.compile(r"\]\([^)\s]+\)|https?://\S+")
NO_PROSE = re.compile(r"\||<!--|#")
"""How a line begins that belongs to no paragraph."""
ITEM = re.compile(r"\s*([-*]|\d+\.) ")


def paragraphs(text: str) -> list[list[str]]:
    """The lines of each paragraph and each item of a list."""
    found: list[list[str]] = [[]]
    for line in re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL).splitlines():
        if not line.strip() or NO_PROSE.match(line):
            found.append([])
        elif ITEM.match(line):
            found.append([line])
        else:
            found[-1].append(line)
    return [lines for lines in found if lines]


def too_long(text: str) -> list[str]:
    prose = [line for lines in paragraphs(text) for line in lines]
    headings = re.findall(r"^#.*", text, re.MULTILINE)
    return [line for line in [*prose, *headings] if len(ADDRESS.sub("", line)) > LONGEST]


def left_alone(text: str) -> list[str]:
    """Paragraphs of several lines whose last line is one word."""
    return ["\n".join(lines) for lines in paragraphs(text) if len(lines) > 1 and len(lines[-1].split()) == 1]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_the_prose_of_a_document_fits_on_a_screen(path: Path) -> None:
    assert too_long(path.read_text()) == []
    assert left_alone(path.read_text()) == []


def test_long_lines_and_words_left_alone_are_found() -> None:
    words = "a word and " * 11
    table, block, address = f"| {words} |", f"```text\n{words}\n```", f"[{'here'}](https://example.org/{'x' * 100})"
    assert too_long(f"{table}\n\n{block}\n\n{address}\n\n- short\n") == []
    assert too_long(f"Short.\n\n- {words}\n") == [f"- {words}"]
    assert left_alone("One.\n\n- two words\n  more words\n\nthree\nmore lines\n") == []
    assert left_alone("One.\n\n- two words\n  alone\n") == ["- two words\n  alone"]


def test_what_was_fixed_is_sorted_into_groups_that_can_be_read_at_a_glance() -> None:
    fixed = (TOP / "CHANGELOG.md").read_text().partition("### Fixed\n")[2].partition("\n## ")[0]
    loose, *groups = fixed.split("\n#### ")
    items = re.findall(r"^- .*", fixed, re.MULTILINE)
    assert not loose.strip(), "each line is in a group"
    assert {group.splitlines()[0]: n for group in groups if (n := group.count("\n- ")) > 20} == {}
    assert len(items) == len(set(items))

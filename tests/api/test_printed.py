"""What a script prints, on a terminal and in a notebook, is what docs/runs.md shows."""

import re
from pathlib import Path

import pytest

from docs import TOP
from tests.project.test_documents_run import blocks_of
from tests.support.folders import make_tree
from tests.support.notebook import below, messages
from tests.support.terminal import CLOCK, screen_of, script_on_terminal


def told() -> tuple[str, str, list[str]]:
    """Of the document's section: the script, the line that is rewritten, and all that is left."""
    section = (TOP / "docs/runs.md").read_text().partition("## What is printed\n")[2]
    script, shown, left = blocks_of(section)[:3]
    return script.text, shown.text.splitlines()[-1], left.text.splitlines()


def comparable(text: str, home: Path) -> str:
    """Without times, sizes and what is padded for them."""
    text = re.sub(r" +\d+%  +[\d.]+/", " N%  N/", text.replace(str(home), "~"))
    return re.sub(r"\d:\d\d|[\d.]+ [KMG]iB|(?<=  ) +", "N", text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_tree(tmp_path / "project/data", {"model.bin": bytes(24 << 20)})
    return tmp_path / "project"


def test_a_terminal_shows_what_the_document_says(project: Path) -> None:
    script, shown, left = told()
    home = project.parent
    code, text = script_on_terminal(project, CLOCK + script, HOME=str(home))
    assert code == 0
    assert [comparable(line, home) for line in screen_of(text) if line] == [comparable(line, home) for line in left]
    assert comparable(shown, home) in {comparable(part, home) for part in text.split("\r")}, text


def test_a_notebook_shows_the_same_below_its_cells(project: Path) -> None:
    script, shown, left = told()
    home = project.parent
    cell, summary = messages(project, CLOCK + script, "2", HOME=str(home))
    lines = "\n".join(below(cell)).splitlines()
    assert [comparable(line, home) for line in lines] == [comparable(line, home) for line in left]
    assert not any(message["kind"] in ("stream", "error") for message in cell), "standard error looks like a failure"
    bars = [message for message in cell if "<progress" in message.get("data", {}).get("text/html", "")]
    assert comparable(shown, home) in {comparable(message["data"]["text/plain"], home) for message in bars}
    assert re.search(r'<progress max="1" value="0\.\d+">', bars[0]["data"]["text/html"])
    assert "<progress" not in "".join(below(cell, "text/html"))
    assert below(summary) == ["2"]

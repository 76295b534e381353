"""The documents do what they say: each block that a reader pastes into a shell or a file runs here, as it is.

The blocks of one document run in order, in one bash that starts in an empty home with a folder `project`. What a
document's text takes for granted is made before (`GIVEN`). A block is read by its first line:

- ```sh: has to succeed.
- ```console: the commands behind `$ ` have to print the lines below them.
- ```python: is a script, run in the shell's folder; a ```text block behind the words `It prints:` is its output.
- ```text below a comment `<!-- shell, not run here: REASON -->`: bash has to be able to read it.
- other ```text blocks, and those without a word, are not commands.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from docs import DOCUMENTS, TOP
from tests.support.commands import environment
from tests.support.folders import make_tree
from tests.support.marks import long
from tests.support.servers import SeaweedFS

KINDS = ("sh", "console", "python", "text", "")
NOT_RUN = re.compile(r"<!-- shell, not run here: \S.* -->")
INSTALLS = ("<!-- demo -->", "<!-- test -->")
"""Comments before the commands that install this package: `.ci/run` runs the second one, word for word."""
COMMAND = re.compile(r"(\$ )?(artstore|pip|python3?|git|ssh|sbatch|export|\.venv/bin/\S+|benchmarks/\S+\.sh) ")
"""A line that looks like a command."""

DATA: dict[str, str | bytes | None] = {"labels.csv": "a,b\n", "model.bin": bytes(2 << 20), "notes.txt": "abc"}
GIVEN: dict[str, dict[str, str | bytes | None]] = {
    "README.md": DATA,
    "docs/files.md": {"labels.csv": "a,b\n", "model.bin": bytes(2 << 20), "sub/x.txt": "x"},
    "docs/python.md": {"labels.csv": "a,b\n", "images/1.png": "1", "images/2.png": "2"},
    "docs/runs.md": DATA,
    "docs/sharing.md": DATA,
}
"""The files in `~/project/data` that a document talks about."""


NEEDS = {"docs/media.md": "PIL"}
"""The packages that a document's blocks need, beside those of every test."""


class Block(NamedTuple):
    """A fenced block of a document."""

    kind: str
    """the word behind the fence"""
    before: str
    """the last line above it that isn't empty"""
    text: str


class Step(NamedTuple):
    """A piece of a document that runs by itself."""

    script: str
    """what bash reads"""
    expected: str | None
    """what is printed, or None if the document doesn't say"""


def blocks_of(text: str) -> list[Block]:
    blocks, before, lines = [], "", iter(text.splitlines())
    for line in lines:
        if line.startswith("```"):
            inside = []
            while not (inner := next(lines)).startswith("```"):
                inside.append(inner)
            blocks.append(Block(line.removeprefix("```"), before, "\n".join(inside)))
        before = line.strip() or before
    return blocks


def steps_of(blocks: list[Block]) -> list[Step]:
    steps: list[Step] = []
    for block in blocks:
        if block.kind == "sh" and block.before not in INSTALLS:
            steps.append(Step(block.text, None))
        elif block.kind == "python":
            steps.append(Step(f"python - <<'END OF BLOCK'\n{block.text}\nEND OF BLOCK", None))
        elif block.kind == "text" and block.before == "It prints:":
            steps[-1] = steps[-1]._replace(expected=block.text)
        elif block.kind == "console":
            for command in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                line, _, printed = command.partition("\n")
                steps.append(Step(line, printed))
    return steps


def run(steps: list[Step], tmp_path: Path, **more: str) -> list[str]:
    """Run steps in one bash. What each printed; a step that fails ends all, and fails the test."""
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True, exist_ok=True)
    ends = [f"--- end of step {number} ---" for number in range(len(steps))]
    script = "".join(f"{step.script}\necho '{end}'\n" for step, end in zip(steps, ends, strict=True))
    path = tmp_path / "document.sh"
    path.write_text(f"set -euo pipefail\n{script}")
    bin_folder = Path(sys.executable).parent
    env = environment(home, WANDB_SILENT="true", **more)
    env["PATH"] = f"{bin_folder}:{env['PATH']}"
    done = subprocess.run(
        ["bash", str(path)], cwd=home / "project", env=env, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    printed, rest = [], done.stdout
    for step, end in zip(steps, ends, strict=True):
        told, found, rest = rest.partition(f"{end}\n")
        assert found, f"this failed with exit code {done.returncode}:\n{step.script}\n{told}"
        printed.append(told)
    assert done.returncode == 0
    return printed


def comparable(text: str, home: Path) -> str:
    """Without what differs from run to run: the home's place, times, and a tree's bytes, which depend on names' digests."""
    text = text.replace(str(home), "~")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", text)
    text = re.sub(
        r"(objects), [\d.]+ [KMG]iB/s$", r"\1", text, flags=re.MULTILINE
    )  # on a busy machine it takes over a second
    return re.sub(r"\d+ B stored", "N B stored", text).strip()


def hold(blocks: list[Block], tmp_path: Path, **more: str) -> None:
    """Run a document's blocks, and compare what they print with what it says."""
    steps = steps_of(blocks)
    for step, printed in zip(steps, run(steps, tmp_path, **more), strict=True):
        if step.expected is not None:
            home = tmp_path / "home"
            assert comparable(printed, home) == comparable(step.expected, home), step.script


def documents_that_run() -> list[object]:
    names = [str(path.relative_to(TOP)) for path in DOCUMENTS if steps_of(blocks_of(path.read_text()))]
    return [pytest.param(name, marks=long) if name == "docs/paths.md" else name for name in names]


@pytest.mark.parametrize("name", documents_that_run())
def test_the_blocks_of_a_document_run_and_print_what_it_says(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    text = (TOP / name).read_text()
    make_tree(tmp_path / "home/project/data", GIVEN.get(name, {}))
    for folder in ("nas", "elsewhere"):
        (tmp_path / "home" / folder).mkdir()
    bucket: dict[str, str] = {}
    if "s3://" in text:
        server: SeaweedFS = request.getfixturevalue("server")
        bucket = {
            "AWS_ENDPOINT_URL": server.endpoint, "AWS_REGION": server.region,
            "AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
        }  # fmt: skip
    hold(blocks_of(text), tmp_path, **bucket)


def test_the_demo_of_the_readme_saves_restores_and_checks_a_folder(tmp_path: Path) -> None:
    """All of it but the installation, since the package is installed where this runs."""
    (demo,) = (b.text for b in blocks_of((TOP / "README.md").read_text()) if b.before == "<!-- demo -->")
    install, _, rest = demo.partition(' && export PATH="$PWD/.venv/bin:$PATH" && ')
    assert install == "python3 -m venv .venv && .venv/bin/pip install --quiet ."
    make_tree(tmp_path / "home/project/benchmarks", {"run.py": "print()\n", "results/a.json": "{}\n"})
    (printed,) = run([Step(rest, None)], tmp_path)
    assert "no problems found" in printed


def readable(block: Block) -> bool:
    """Whether bash can read a block, without running it."""
    done = subprocess.run(["bash", "-n"], input=f"{block.text}\n", capture_output=True, text=True, check=False)
    return (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_every_block_says_what_it_is_and_commands_that_do_not_run_can_be_read_by_bash(path: Path) -> None:
    for block in blocks_of(path.read_text()):
        assert block.kind in KINDS, f"{path.name}: ```{block.kind}\n{block.text}"
        if block.kind == "sh" or NOT_RUN.fullmatch(block.before):
            assert readable(block), f"{path.name}: {block.text}"
        elif block.kind in ("text", ""):
            commands = [line for line in block.text.splitlines() if COMMAND.match(line)]
            assert commands == [], f"{path.name}: run these, or say above the block why they don't run"


BROKEN: dict[str, tuple[str, str]] = {
    "a command that is not there": ("sh", "artstore putt data\necho done"),
    "a command that fails in a pipe": ("sh", "artstore show nothing | cat"),
    "an option that is not there": ("sh", "artstore ls --no-such-option"),
    "an output that is another": ("console", "$ artstore --version\nartstore 99.0"),
    "a script that raises": ("python", "import artstore\nartstore.Api().artifact('nothing:v0')"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_block_fails(broken: str, tmp_path: Path) -> None:
    kind, text = BROKEN[broken]
    with pytest.raises(AssertionError):
        hold([Block("sh", "", "echo fine"), Block(kind, "", text)], tmp_path)


def test_a_block_that_bash_can_not_read_is_noticed() -> None:
    assert not readable(Block("text", "", "for rank in 0 1; do echo"))
    assert readable(Block("text", "", "for rank in 0 1; do echo; done"))

"""The documents say what is true: modules, exit codes, commands and examples are held to the code."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from artstore import errors
from artstore.cli import _HOMES, cli
from docs import DOCUMENTS, TOP, generate


@pytest.mark.parametrize("name", generate.PARTS)
def test_what_a_document_quotes_from_the_code_is_what_the_code_says(name: str) -> None:
    """If it isn't, `python -m docs.generate` writes it."""
    _, write = generate.PARTS[name]
    _, told, _ = generate.split(name)
    assert told == write()


def test_every_error_class_stands_in_the_tree() -> None:
    for c in vars(errors).values():
        if isinstance(c, type) and issubclass(c, errors.ArtstoreError):
            assert re.search(rf"\b{c.__name__}\b", errors.__doc__ or ""), c.__name__


def test_every_command_has_help() -> None:
    for name in _HOMES:
        command = cli.get_command(None, name)  # type: ignore[arg-type]  # our group does not use the context
        assert command is not None
        assert command.help


_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_READ_BY_A_SHELL = re.compile(r"[<>*?(){};!#$&|]")


def shell_blocks(text: str) -> list[str]:
    """Blocks that a reader pastes into a shell; of a session on a terminal, the lines behind its prompts."""
    blocks = []
    for kind, block in re.findall(r"^```(sh|bash|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = block.splitlines()
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        blocks.append("\n".join(prompted if kind == "console" else lines))
    return blocks


def commands_in(line: str) -> list[str]:
    """The artstore commands of a shell's line, with all that is quoted replaced by one word."""
    parts = re.split(r"&&|\|\||;|(?<![|])\|(?![|])", _QUOTED.sub("QUOTED", line))
    return [part.strip() for part in parts if re.match(r"\s*(\w+=\S+ )*artstore\b", part)]


def test_every_shell_block_can_be_read_by_a_shell_and_no_word_of_a_command_means_something_else_to_it() -> None:
    checked = 0
    for document in DOCUMENTS:
        for block in shell_blocks(document.read_text()):
            done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), f"{document.name}: {block}"
            for command in (found for line in block.splitlines() for found in commands_in(line)):
                assert not _READ_BY_A_SHELL.search(command), f"{document.name}: {command}"
                checked += 1
    assert checked > 15


def test_every_command_within_a_sentence_can_be_copied_into_a_shell() -> None:
    """Of documents, help texts and hints. What stands in braces is filled in, and quoted then."""
    checked = 0
    for path in [*DOCUMENTS, *sorted((TOP / "artstore").glob("**/*.py"))]:
        for command in re.findall(r"`((?:artstore|ls|get|runs|automation|remote) [^`\n]*)`", path.read_text()):
            plain = re.sub(r"\{[^}]*\}", "FILLED", _QUOTED.sub("QUOTED", command))
            if "|" in plain and re.fullmatch(r"[\w -]+(\\?\|[\w…-]+)+( [A-Z]+)?", plain):
                continue  # several commands in one: `gc|fsck|du REMOTE`
            assert not _READ_BY_A_SHELL.search(plain), f"{path.name}: {command}"
            checked += 1
    assert checked > 50


def test_help_texts_show_conditions_and_urls_in_quotes() -> None:
    words = (TOP / "tests/cli/transcripts/help.txt").read_text().split()
    misread = re.compile(r"([\w.]{2,}|\))[<>~]=?[\w^]|endpoint=")
    shown = [word for word in words if misread.search(word)]
    assert len(shown) > 5
    assert [word for word in shown if not re.fullmatch(r"'[^']+'[.,;:]*", word)] == []


@pytest.mark.parametrize(("document", "begin"), [("SECURITY.md", "## Promises"), ("docs/attacks.md", "## 1.")])
def test_every_promise_and_every_attack_names_tests_that_exist(document: str, begin: str) -> None:
    text = (TOP / document).read_text()
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert len(named) > 30
    for file, name in named:
        there = [path for path in (TOP / "tests").rglob(file) if re.search(rf"(?m)^def {name}\(", path.read_text())]
        assert len(there) == 1, f"{file}::{name}"
    rows = [line for line in text.split(begin)[1].splitlines() if line.startswith("| ")]
    assert all("`test_" in line for line in rows if not line.startswith(("| promise", "| attack"))), "one has no test"


def commands_of_modules() -> list[tuple[str, str]]:
    """(module, arguments) of each `python -m MODULE` of our own that a document names."""
    found = set()
    for document in [*DOCUMENTS, TOP / "benchmarks/README.md", TOP / "benchmarks/RELIABILITY-RESULTS.md"]:
        found |= set(re.findall(r"python -m ((?:tests|benchmarks|docs)[\w.]*)([^`#\n]*)", document.read_text()))
    return sorted(found)


@pytest.mark.parametrize(("module", "arguments"), commands_of_modules())
def test_a_module_that_a_document_runs_is_there_and_has_the_options(module: str, arguments: str) -> None:
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, module
    own = Path(spec.origin)
    assert "__main__" in own.read_text() or (own.parent / "__main__.py").exists()
    text = "".join(source.read_text() for source in own.parent.glob("*.py"))  # modules of a folder share options
    missing = [option for option in re.findall(r"--[a-z][\w-]*", arguments) if f'"{option}"' not in text]
    assert missing == []

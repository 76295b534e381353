"""The documents say what is true: modules, exit codes, commands and examples are held to the code."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from artstore import errors
from artstore.cli import _HOMES, BUG, cli
from tests.conftest import Cli, environment, make_tree

TOP = Path(__file__).parent.parent


def between(text: str, start: str, end: str = "<!-- end -->") -> str:
    return text.split(start, 1)[1].split(end, 1)[0].strip()


def module_table() -> str:
    """ARCHITECTURE.md's table: modules from the bottom of the import contract up, each with its first line."""
    layers = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    order = [name for layer in reversed(layers) for name in layer.split(" | ")]
    told: dict[str, str] = {}
    for path in (TOP / "artstore").rglob("*.py"):
        module = ".".join(path.relative_to(TOP / "artstore").with_suffix("").parts).removesuffix(".__init__")
        doc = ast.get_docstring(ast.parse(path.read_text()))
        assert doc is not None, f"{module} has no docstring"
        told[module] = doc.splitlines()[0]
    del told["__init__"]
    order += sorted({module.split(".")[0] for module in told} - set(order))
    modules = sorted(told, key=lambda module: (order.index(module.split(".")[0]), module))
    return "\n".join(f"| `{module}` | {told[module]} |" for module in modules)


def test_the_module_table_says_what_the_modules_say() -> None:
    assert between((TOP / "ARCHITECTURE.md").read_text(), "<!-- modules -->") == module_table()


def exit_code_table() -> str:
    """README's table: the codes that the errors' docstring gives them, which are those of the classes."""
    rows = {0: "done", 2: "the command line is wrong", BUG: "a bug in artstore", 130: "interrupted"}
    for name, code, meaning in re.findall(r"── (\w+) +(\d+)   (.*)$", errors.__doc__ or "", re.MULTILINE):
        assert getattr(errors, name).exit_code == int(code)
        if name != "CommError":  # its kinds stand for themselves
            rows[int(code)] = re.sub(r" \(also .*\)$", "", meaning)
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.ArtstoreError)]
    assert {c.exit_code for c in classes} <= rows.keys()
    return "\n".join(["| code | meaning |", "|---|---|", *(f"| {code} | {rows[code]} |" for code in sorted(rows))])


def test_the_exit_codes_are_those_of_the_errors() -> None:
    assert between((TOP / "README.md").read_text(), "<!-- exit codes -->") == exit_code_table()


def test_every_error_class_stands_in_the_tree() -> None:
    for c in vars(errors).values():
        if isinstance(c, type) and issubclass(c, errors.ArtstoreError):
            assert re.search(rf"\b{c.__name__}\b", errors.__doc__ or ""), c.__name__


def test_every_command_is_in_the_readme_and_has_help() -> None:
    readme = (TOP / "README.md").read_text()
    for name in _HOMES:
        assert re.search(rf"^\| `{name}\b", readme, re.MULTILINE), f"{name} is not in the README's table"
        command = cli.get_command(None, name)  # type: ignore[arg-type]  # our group does not use the context
        assert command is not None
        assert command.help


def typed_in_a_shell(command: str, folder: Path, home: Path) -> str:
    """What bash prints for a line that a reader copies; it has to end well."""
    env = environment(home)
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


DOCUMENTS = [*sorted(TOP.glob("*.md")), TOP / "benchmarks/README.md", *sorted((TOP / "docs").glob("**/*.md"))]
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
    words = (TOP / "tests/cli/help.txt").read_text().split()
    misread = re.compile(r"([\w.]{2,}|\))[<>~]=?[\w^]|endpoint=")
    shown = [word for word in words if misread.search(word)]
    assert len(shown) > 5
    assert [word for word in shown if not re.fullmatch(r"'[^']+'[.,;:]*", word)] == []


def test_the_readme_tour_prints_what_it_says(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_tree(project / "data", {"labels.csv": "a,b\n", "model.bin": bytes(2 << 20), "sub/x.txt": "x"})
    tour = (TOP / "README.md").read_text().split("```console\n", 1)[1].split("```", 1)[0]
    for step in tour.strip().split("\n\n"):
        command, _, expected = step.partition("\n")
        printed = typed_in_a_shell(command.removeprefix("$ "), project, tmp_path).replace(str(tmp_path), "~").strip()
        assert re.sub(r"\d+ B stored", "N B stored", printed) == re.sub(r"\d+ B stored", "N B stored", expected.strip())


def test_the_readme_tour_of_sharing_prints_what_it_says(cli: Cli, tmp_path: Path) -> None:
    project, elsewhere, share = tmp_path / "project", tmp_path / "elsewhere", tmp_path / "mnt/share/store"
    elsewhere.mkdir()
    share.parent.mkdir(parents=True)
    for number, text in enumerate(("a,b\n", "a,b\nmore\n")):
        make_tree(project / "data", {"labels.csv": text, "model.bin": bytes(2 << 20), "notes.txt": "abc"})
        assert cli("put", "data", "--name", "datasets/digits", cwd=project).code == 0, number
    tour = (TOP / "README.md").read_text().split("```console\n", 3)[3].split("```", 1)[0]
    for step in tour.strip().split("\n\n"):
        command, _, expected = step.replace("/mnt/share/store", str(share)).partition("\n")
        assert typed_in_a_shell(command.removeprefix("$ "), project, tmp_path).strip() == expected.strip()


def test_the_readme_python_tour_prints_what_it_says(here: Path) -> None:
    make_tree(here / "data", {"labels.csv": "a,b\n", "images/1.png": "1", "images/2.png": "2"})
    text = (TOP / "README.md").read_text()
    code, after = text.split("```python\n", 1)[1].split("```", 1)
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == after.split("```text\n", 1)[1].split("```", 1)[0]
    assert (here / "subset/notes/readme.txt").read_text() == "scanned in May"


def test_the_readme_project_prints_what_it_says(here: Path, tmp_path: Path) -> None:
    make_tree(here / "data", {"labels.csv": "a,b\n", "images/1.png": "1", "images/2.png": "2"})
    text = (TOP / "README.md").read_text().split("## From data to a model in production", 1)[1]
    code, after = text.split("```python\n", 1)[1].split("```", 1)
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == after.split("```text\n", 1)[1].split("```", 1)[0]
    for step in after.split("```console\n", 1)[1].split("```", 1)[0].strip().split("\n\n"):
        command, _, expected = step.partition("\n")
        ran = typed_in_a_shell(command.removeprefix("$ "), here, tmp_path)
        told, wanted = (re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", t).strip() for t in (ran, expected))
        assert told == wanted


def test_every_promise_of_security_md_names_tests_that_exist() -> None:
    promised = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (TOP / "SECURITY.md").read_text())
    assert len(promised) > 30
    for file, name in promised:
        assert re.search(rf"^def {name}\(", (TOP / "tests" / file).read_text(), re.MULTILINE), f"{file}::{name}"
    rows = [
        line for line in (TOP / "SECURITY.md").read_text().split("## Promises")[1].splitlines() if line.startswith("| ")
    ]
    assert all("`test_" in line for line in rows if not line.startswith("| promise")), "a promise has no test"

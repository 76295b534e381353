"""The documents say what is true: modules, exit codes, commands and examples are held to the code."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from artstore import errors
from artstore.cli import _HOMES, BUG, cli
from tests.conftest import Cli, make_tree

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


def test_the_readme_tour_prints_what_it_says(cli: Cli, tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_tree(project / "data", {"labels.csv": "a,b\n", "model.bin": bytes(2 << 20), "sub/x.txt": "x"})
    tour = (TOP / "README.md").read_text().split("```console\n", 1)[1].split("```", 1)[0]
    for step in tour.strip().split("\n\n"):
        command, _, expected = step.partition("\n")
        *before, last = command.removeprefix("$ ").split(" && ")
        for shell in before:
            assert shell == "echo more >> data/labels.csv"
            with (project / "data" / "labels.csv").open("a") as file:
                file.write("more\n")
        done = cli(*last.split()[1:], cwd=project)
        assert done.code == 0, done
        printed = (done.out + done.err).replace(str(tmp_path), "~").strip()
        assert re.sub(r"\d+ B stored", "N B stored", printed) == re.sub(r"\d+ B stored", "N B stored", expected.strip())


def test_the_readme_tour_of_sharing_prints_what_it_says(cli: Cli, tmp_path: Path) -> None:
    project, elsewhere, share = tmp_path / "project", tmp_path / "elsewhere", tmp_path / "mnt/share/store"
    elsewhere.mkdir()
    share.parent.mkdir(parents=True)
    for number, text in enumerate(("a,b\n", "a,b\nmore\n")):
        make_tree(project / "data", {"labels.csv": text, "model.bin": bytes(2 << 20), "notes.txt": "abc"})
        assert cli("put", "data", "--name", "datasets/digits", cwd=project).code == 0, number
    where = project
    tour = (TOP / "README.md").read_text().split("```console\n", 3)[3].split("```", 1)[0]
    for step in tour.strip().split("\n\n"):
        command, _, expected = step.replace("/mnt/share/store", str(share)).partition("\n")
        if " && " in command:
            where, command = elsewhere, command.split(" && ")[1]
        done = cli(*command.removeprefix("$ ").removeprefix("artstore ").split(), cwd=where)
        assert (done.code, done.out.strip() + done.err.strip()) == (0, expected.strip())


def test_the_readme_python_tour_prints_what_it_says(here: Path) -> None:
    make_tree(here / "data", {"labels.csv": "a,b\n", "images/1.png": "1", "images/2.png": "2"})
    text = (TOP / "README.md").read_text()
    code, after = text.split("```python\n", 1)[1].split("```", 1)
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == after.split("```text\n", 1)[1].split("```", 1)[0]
    assert (here / "subset/notes/readme.txt").read_text() == "scanned in May"


def test_the_readme_project_prints_what_it_says(here: Path, cli: Cli, tmp_path: Path) -> None:
    make_tree(here / "data", {"labels.csv": "a,b\n", "images/1.png": "1", "images/2.png": "2"})
    text = (TOP / "README.md").read_text().split("## From data to a model in production", 1)[1]
    code, after = text.split("```python\n", 1)[1].split("```", 1)
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == after.split("```text\n", 1)[1].split("```", 1)[0]
    for step in after.split("```console\n", 1)[1].split("```", 1)[0].strip().split("\n\n"):
        command, _, expected = step.partition("\n")
        ran = cli(*command.split()[2:], cwd=here)
        told, wanted = (re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", t).strip() for t in (ran.out + ran.err, expected))
        assert (ran.code, told) == (0, wanted)


def test_every_promise_of_security_md_names_tests_that_exist() -> None:
    promised = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (TOP / "SECURITY.md").read_text())
    assert len(promised) > 30
    for file, name in promised:
        assert re.search(rf"^def {name}\(", (TOP / "tests" / file).read_text(), re.MULTILINE), f"{file}::{name}"
    rows = [
        line for line in (TOP / "SECURITY.md").read_text().split("## Promises")[1].splitlines() if line.startswith("| ")
    ]
    assert all("`test_" in line for line in rows if not line.startswith("| promise")), "a promise has no test"

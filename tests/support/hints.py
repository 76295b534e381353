"""Stories in `tests/cli/hints.txt`: a command that fails, and what its hint says to do; and all hints of the package.

A story begins with `# ` and what it is about. Its lines, each run in the story's folder:

    $ COMMAND   an artstore command that has to succeed
    % COMMAND   of the shell
    ! COMMAND   an artstore command that has to fail
    ? HINT      the whole hint that it gives, with `~` for the folder
    > COMMAND   what that hint quotes, with words of its own where it has capitals: has to succeed
    =           the command that failed succeeds now; `= COMMAND`: that one does
"""

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import artstore
from tests.support.commands import Cli, Result

PACKAGE = Path(artstore.__file__).parent
STORIES = Path(__file__).parents[1] / "cli/hints.txt"
ANY = "\0"
"""In the pattern of a hint: what is known only when it is given."""


def stories() -> dict[str, list[str]]:
    """The lines of each story, by what it is about."""
    told: dict[str, list[str]] = {}
    for line in STORIES.read_text().splitlines():
        if line.startswith("# "):
            lines = told.setdefault(line[2:], [])
        elif line:
            lines.append(line)
    return told


def hints_of(lines: list[str]) -> list[str]:
    return [line[2:] for line in lines if line.startswith("? ")]


def follow(cli: Cli, folder: Path, lines: list[str]) -> None:
    """Play a story: each hint is as told, and leads out."""
    failed, hints = "", list[str]()
    for line in lines:
        kind, command = line[0], line[2:]
        if kind == "%":
            subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, check=True, capture_output=True)
        elif kind == "!":
            failed, hints = command, _hints_told(_run(cli, folder, command), folder)
        elif kind == "?":
            assert command in hints, f"{failed}: {hints}"
        else:
            if kind == ">":
                quoted = re.findall(r"`(?:artstore )?([^`]+)`", " ".join(hints))
                assert any(_says(said, command) for said in quoted), hints
            result = _run(cli, folder, command.replace("~", str(folder)) or failed)
            assert result.code == 0, f"{line} {failed}: {result}"


def _hints_told(result: Result, folder: Path) -> list[str]:
    lines = result.err.replace(str(folder), "~").splitlines()
    hints = [line.removeprefix("hint: ") for line in lines if line.startswith("hint: ")]
    assert result.code and hints, result
    return hints


def _run(cli: Cli, folder: Path, command: str) -> Result:
    words = shlex.split(command)
    settings = {}
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name, _, value = words.pop(0).partition("=")
        settings[name] = value
    return cli(*words, cwd=folder, **settings)


def _says(quoted: str, command: str) -> bool:
    """Is the command what the hint quotes, with words of its own where that has capitals, and further ones behind?"""
    pattern = re.sub(r"\b[A-Z_]{3,}\b|\bvN\b", r"\\S+", re.escape(quoted))
    return re.fullmatch(rf"(?:[A-Z_]+=\S* )?{pattern}(?: .*)?", command) is not None


def hints_with_commands() -> dict[str, re.Pattern[str]]:
    """Each hint of an error that quotes a command of artstore's: where it is given, and the pattern of its text."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text())
        constants = {
            target.id: node.value
            for node in tree.body if isinstance(node, ast.Assign)
            for target in node.targets if isinstance(target, ast.Name)
        }  # fmt: skip
        for hint in _hints(tree):
            for text in _texts(constants.get(hint.id, hint) if isinstance(hint, ast.Name) else hint):
                if "`artstore " in text:
                    where = f"{file.relative_to(PACKAGE)}: {text.replace(ANY, '…')}"
                    found[where] = re.compile(re.escape(text).replace(re.escape(ANY), ".*"))
    return found


def _hints(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions that are given as a hint, or are kept under a name that says so."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="hint") | ast.Assign(targets=[ast.Name(id="hint")]):
                yield node.value
            case ast.FunctionDef() if "hint" in node.name:
                yield from (n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None)


def _texts(node: ast.expr) -> Iterator[str]:
    """The texts of which an expression is one, what is put into them as `ANY`."""
    if isinstance(node, ast.IfExp | ast.BoolOp):
        for part in [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values:
            yield from _texts(part)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(_text(part) for part in node.values)
    elif isinstance(node, ast.Call):
        yield _text(node)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "typed":
        command, *arguments = (next(_texts(word), ANY) for word in node.args)
        options = [
            f"--{(option.arg or '').removesuffix('_')} {next(_texts(option.value), ANY)}" for option in node.keywords
        ]
        return "`artstore " + " ".join([command, *options, *arguments]) + "`"
    return ANY

"""Writes the parts of the documents that quote the code: commands, exit codes, modules and the tests' scripts.

Run `python -m docs.generate` when a test says that a document is out of date. Each part stands between two comments in
its document; the text around them is written by hand.
"""

import ast
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator

import click

from artstore import errors
from artstore.cli import _FAMILIES, BUG, cli
from artstore.domain.roles import COLLECTIONS, RUNS, Role
from artstore.domain.wire import PREFIX
from artstore.server import hub
from artstore.server.protocol import OPERATIONS
from artstore.web.routes import ROUTES
from docs import TOP
from tests.api.wandb_scripts import SCRIPTS, Script

END = "<!-- end -->"
WIDTH = 98
"""Columns of a help text: what click uses of a terminal of 100."""


def command_reference() -> str:
    """Every command: a table for each family, then the help of each command as it is printed."""
    tables = [
        _table(title, [name for names in family.values() for name in names]) for title, family in _FAMILIES.items()
    ]
    helps = [f"### `{name}`\n\n```text\n{_help(name, command)}\n```" for name, command in _commands()]
    return "\n\n".join([*tables, "## The help of each command", *helps])


def _table(title: str, names: list[str]) -> str:
    own = [(name, command) for name, command in _commands() if name.split()[0] in names]
    rows = [f"| `{_usage(name, command)}` | {_sentence(command)} |" for name, command in own]
    return "\n".join([f"## {title}", "", "| command | what it does |", "|---|---|", *rows])


def _commands() -> Iterator[tuple[str, click.Command]]:
    """All commands by their whole name, such as `remote add`; a group is followed by its commands."""
    for name in (name for family in _FAMILIES.values() for names in family.values() for name in names):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", below) for inner, below in command.commands.items())


def _usage(name: str, command: click.Command) -> str:
    """The command with its arguments, as in `put PATH`; a group without them."""
    pieces = command.collect_usage_pieces(_context(name, command))
    arguments = [] if isinstance(command, click.Group) else [piece for piece in pieces if piece != "[OPTIONS]"]
    return " ".join([name, *arguments]).replace("|", "\\|")


def _sentence(command: click.Command) -> str:
    """The first sentence of a command's help, for the cell of a table."""
    return (command.help or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _help(name: str, command: click.Command) -> str:
    """What `artstore NAME --help` prints."""
    return command.get_help(_context(name, command))


def _context(name: str, command: click.Command) -> click.Context:
    """What click knows when it runs the command."""
    *groups, own = name.split()
    context = click.Context(cli, info_name="artstore", terminal_width=WIDTH, **cli.context_settings)
    for group in groups:
        context = click.Context(click.Group(), info_name=group, parent=context)
    return click.Context(command, info_name=own, parent=context)


def exit_code_table() -> str:
    """The exit codes that the docstring of `errors` gives to its classes, which are those of the classes."""
    rows = {0: "done", 2: "the command line is wrong", BUG: "a bug in artstore", 130: "interrupted"}
    for name, code, meaning in re.findall(r"── (\w+) +(\d+)   (.*)$", errors.__doc__ or "", re.MULTILINE):
        assert getattr(errors, name).exit_code == int(code)
        if name != "CommError":  # its kinds stand for themselves
            rows[int(code)] = re.sub(r" \(also .*\)$", "", meaning)
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.ArtstoreError)]
    assert {c.exit_code for c in classes} <= rows.keys()
    return "\n".join(["| code | meaning |", "|---|---|", *(f"| {code} | {rows[code]} |" for code in sorted(rows))])


def error_tree() -> str:
    """The tree of error classes, as `artstore.errors` draws it."""
    tree = re.search(r"^    ArtstoreError.*?(?=\n\n)", errors.__doc__ or "", re.MULTILINE | re.DOTALL)
    assert tree is not None
    return "\n".join(["```text", *(line.removeprefix("    ") for line in tree[0].splitlines()), "```"])


def module_table() -> str:
    """All modules, from the bottom of the import contract up, each with the first paragraph of its docstring."""
    layers = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    order = [name for layer in reversed(layers) for name in layer.split(" | ")]
    told: dict[str, str] = {}
    for path in (TOP / "artstore").rglob("*.py"):
        module = ".".join(path.relative_to(TOP / "artstore").with_suffix("").parts).removesuffix(".__init__")
        doc = ast.get_docstring(ast.parse(path.read_text()))
        assert doc is not None, f"{module} has no docstring"
        told[module] = " ".join(doc.split("\n\n")[0].split())
    del told["__init__"]
    order += sorted({module.split(".")[0] for module in told} - set(order))
    modules = sorted(told, key=lambda module: (order.index(module.split(".")[0]), module))
    return "\n".join(
        ["| module | what it is |", "|---|---|", *(f"| `{module}` | {told[module]} |" for module in modules)]
    )


def script_table() -> str:
    """How the scripts that follow W&B's guides end, a table for each topic."""
    refused = [script for script in SCRIPTS if script.refusal is not None]
    count = f"Of {len(SCRIPTS)} scripts, {len(SCRIPTS) - len(refused)} run and {len(refused)} can't."
    topics = dict.fromkeys(script.topic for script in SCRIPTS)
    return "\n\n".join([count, *(_scripts_of(topic) for topic in topics)])


def _scripts_of(topic: str) -> str:
    rows = [
        f"| [{script.path.stem}](../{script.path.relative_to(TOP)}) | {script.title} | {script.after} | {_end(script)} |"
        for script in SCRIPTS
        if script.topic == topic
    ]
    heading = topic.replace("_", " ").capitalize()
    return "\n".join([f"## {heading}", "", "| script | what it does | after | ends |", "|---|---|---|---|", *rows])


def _end(script: Script) -> str:
    if script.refusal is not None:
        return f"can't: {script.refusal}"
    return "; ".join(["runs", *(f"warns: {warning}" for warning in script.warnings)])


def operation_table() -> str:
    """Each operation and each page, and the roles that may ask for it in a project of their token."""
    protocol = [(f"`{one.method} {PREFIX}{one.path}`", one.least) for one in OPERATIONS]
    shaped = [(f"`{one.name}`", one.least) for one in hub.OPERATIONS]
    pages = [(f"`GET {one.path}`", one.least) for one in ROUTES]
    rows = [
        f"| {name} | {' | '.join('yes' if role >= least else '' for role in Role)} |"
        for name, least in protocol + shaped + pages
    ]
    heads = " | ".join(str(role) for role in Role)
    return "\n".join([f"| operation | {heads} |", "|---" * (len(Role) + 1) + "|", *rows])


def change_table() -> str:
    """The least role for each kind of change, or the rule that decides."""
    rows = [
        f"| {log} | `{kind}` | {rule if isinstance(rule, Role) else _rule(rule)} |"
        for log, kinds in (("artifact", COLLECTIONS), ("run", RUNS))
        for kind, rule in kinds.items()
    ]
    return "\n".join(["| log | change | least role |", "|---|---|---|", *rows])


def _rule(rule: Callable[..., Role]) -> str:
    """What a rule decides: the first paragraph of its docstring."""
    told = " ".join((inspect.getdoc(rule) or "").split("\n\n")[0].split())
    return told or "writer for one's own, else admin"


PARTS = {
    "commands": (TOP / "docs/commands.md", command_reference),
    "exit codes": (TOP / "docs/exit-codes.md", exit_code_table),
    "errors": (TOP / "docs/exit-codes.md", error_tree),
    "modules": (TOP / "docs/modules.md", module_table),
    "served operations": (TOP / "docs/serving.md", operation_table),
    "served changes": (TOP / "docs/serving.md", change_table),
    "wandb scripts": (TOP / "docs/wandb-scripts.md", script_table),
}
"""The generated parts: the comment `<!-- NAME -->` before each, its document, and what writes it."""


def split(name: str) -> tuple[str, str, str]:
    """A document's text before a generated part, the part, and the text after it."""
    document, _ = PARTS[name]
    before, start, rest = document.read_text().partition(f"<!-- {name} -->\n")
    part, end, after = rest.partition(f"\n{END}")
    assert start and end, f"{document} has no part '{name}'"
    return before + start, part, end + after


def main() -> None:
    for name, (document, write) in PARTS.items():
        before, _, after = split(name)
        document.write_text(before + write() + after)


if __name__ == "__main__":
    main()

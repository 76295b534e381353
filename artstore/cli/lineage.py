"""lineage: the runs and versions that a version came from, and those that came from it."""

import os
import sys

import click

from artstore.cli.arguments import SPEC
from artstore.cli.output import from_option, open_view
from artstore.domain.names import printable
from artstore.domain.run import RunState
from artstore.errors import InvalidValue, NotFound, storage_error
from artstore.operations.finding.lookup import Version
from artstore.operations.lineage.drawing import BREADTH, FORMATS, tree
from artstore.operations.lineage.graph import Graph
from artstore.view import View


@click.command("lineage")
@click.argument("spec", type=SPEC)
@click.option("--up", is_flag=True, help="Only what it came from.")
@click.option("--down", is_flag=True, help="Only what came from it.")
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="Follow at most N runs.")
@click.option("--format", "form", type=click.Choice(["tree", "mermaid", "dot", "svg", "json"]), help="[default: tree]")
@click.option("--json", "as_json", is_flag=True, help="Same as --format json (errors too).")
@click.option(
    "--breadth",
    type=click.IntRange(min=1),
    metavar="N",
    help="Show at most N siblings  [default: 20 in a tree, else all]",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to this file instead of standard output.")
@from_option
def lineage_command(
    spec: str, up: bool, down: bool, depth: int | None, form: str | None, breadth: int | None, as_json: bool,
    output: str | None, place: str | None,
) -> None:  # fmt: skip
    """Show what a version or a run came from, and what came from it.

    SPEC may also be a run's id, or its name. It shows runs and versions, up to --depth runs away. Deleted ones are
    shown by name only. The format svg is a picture for a browser.
    """
    if as_json and form not in (None, "json"):
        raise InvalidValue("--json can't be combined with another --format")
    form, direction = "json" if as_json else form or "tree", "both" if up == down else "up" if up else "down"
    if form == "tree" and breadth is None:
        breadth = BREADTH
    with open_view(place) as repository:
        graph = repository.lineage(_start(repository, spec), depth=depth, direction=direction, breadth=breadth)
    text = _drawn(graph, form).rstrip("\n") + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    try:
        with open(output, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise storage_error(error, f"write {printable(os.fspath(output))}") from error


def _start(repository: View, spec: str) -> Version | RunState:
    """The version that is named, or else the run: by its id, or by its name if no other run has it."""
    from artstore.operations.finding.naming import find_run, runs_called

    try:
        return repository.find(spec)
    except (NotFound, InvalidValue):
        catalog, home = repository.catalog(damaged=[]), repository.lookup.home()
        if not runs_called(catalog, home, spec):
            raise
        return find_run(repository.runs, catalog, home, spec)


def _drawn(graph: Graph, form: str) -> str:
    if form == "tree":
        return "\n".join(tree(graph))
    if form == "svg":
        from artstore.operations.lineage.svg import svg

        return svg(graph)
    return FORMATS[form](graph)

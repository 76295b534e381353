"""artifact put|get|ls: save, restore and list with W&B's command names and defaults."""

import click

from artstore.cli.arguments import FOLDER, SPEC
from artstore.cli.commands import Commands
from artstore.cli.looking import list_collections
from artstore.cli.output import json_option, open_repository
from artstore.cli.saving import fetch, save
from artstore.operations.restoring.options import Restore


@click.group("artifact", cls=Commands)
def artifact_command() -> None:
    """Save, restore and list with W&B's command names."""


@artifact_command.command("put")
@click.argument("path", type=click.Path())
@click.option("-n", "--name", help="[[ENTITY/]PROJECT/]NAME to save to  [default: PATH's last part]")
@click.option("-d", "--description", help="Description of the version.")
@click.option("-t", "--type", help="Type of the artifact  [default: its current type; dataset if new]")
@click.option("-a", "--alias", "aliases", multiple=True, help="Alias for the version; may be repeated.")
@json_option
def put_command(
    path: str, name: str | None, description: str | None, type: str | None, aliases: tuple[str, ...], as_json: bool
) -> None:
    """Save a file or folder as the next version of an artifact."""
    save(path, name, as_json, type=type, aliases=aliases, description=description, default_type="dataset")


@artifact_command.command("get")
@click.argument("spec", metavar="PATH", type=SPEC)
@click.option("--root", type=FOLDER, help="Folder to restore to  [default: ./artifacts/NAME-vN]")
@click.option("-t", "--type", help="Fail if the artifact has another type.")
@click.option("--force", is_flag=True, help="Overwrite files that aren't saved in any version here.")
@json_option
def get_command(spec: str, root: str | None, type: str | None, force: bool, as_json: bool) -> None:
    """Restore the version [[ENTITY/]PROJECT/]NAME[:ALIAS | :vN] to a folder."""
    fetch(spec, root, as_json, Restore(force=force), type=type)


@artifact_command.command("ls")
@click.argument("path", required=False)
@click.option("-t", "--type", help="Only artifacts of this type.")
@json_option
def ls_command(path: str | None, type: str | None, as_json: bool) -> None:
    """List the artifacts of a project. PATH is [ENTITY/]PROJECT."""
    with open_repository() as repository:
        list_collections(repository, path, type, as_json)

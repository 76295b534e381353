"""artifact put|get|ls: the commands under the names, and with the defaults, that W&B gives them."""

import click

from artstore.cli.arguments import FOLDER, SPEC
from artstore.cli.commands import Commands
from artstore.cli.looking import list_collections
from artstore.cli.output import json_option, open_repository
from artstore.cli.saving import fetch, save
from artstore.operations.restoring.options import Restore


@click.group("artifact", cls=Commands)
def artifact_command() -> None:
    """W&B's `artifact put`, `get` and `ls`."""


@artifact_command.command("put")
@click.argument("path", type=click.Path())
@click.option("-n", "--name", help="[[ENTITY/]PROJECT/]NAME to save to  [default: PATH's last part]")
@click.option("-d", "--description", help="What the version is.")
@click.option("-t", "--type", help="Type of the artifact  [default: its own, for a new one dataset]")
@click.option("-a", "--alias", "aliases", multiple=True, help="Alias that the version gets; may be repeated.")
@json_option
def put_command(
    path: str, name: str | None, description: str | None, type: str | None, aliases: tuple[str, ...], as_json: bool
) -> None:
    """Save a file or folder as the next version of an artifact."""
    save(path, name, as_json, type=type, aliases=aliases, description=description, default_type="dataset")


@artifact_command.command("get")
@click.argument("spec", metavar="PATH", type=SPEC)
@click.option("--root", type=FOLDER, help="Folder to put the files in  [default: ./artifacts/NAME-vN]")
@click.option("-t", "--type", help="Refuse an artifact of another type.")
@click.option("--force", is_flag=True, help="Overwrite files that no version here holds.")
@json_option
def get_command(spec: str, root: str | None, type: str | None, force: bool, as_json: bool) -> None:
    """Put the files of the version [[ENTITY/]PROJECT/]NAME[:ALIAS | :vN] into a folder."""
    fetch(spec, root, as_json, Restore(force=force), type=type)


@artifact_command.command("ls")
@click.argument("path", required=False)
@click.option("-t", "--type", help="Only artifacts of this type.")
@json_option
def ls_command(path: str | None, type: str | None, as_json: bool) -> None:
    """List the artifacts of the project PATH ([ENTITY/]PROJECT)."""
    with open_repository() as repository:
        list_collections(repository, path, type, as_json)

"""import: versions and runs from the folders of other tools."""

import os
from collections.abc import Iterator

import click

from artstore.adapters.importing import Left, Taken
from artstore.cli.arguments import FOLDER
from artstore.cli.commands import Commands
from artstore.cli.output import json_option, print_json
from artstore.domain.names import as_project, check_type, name_from, printable
from artstore.domain.wording import count
from artstore.errors import NotFound
from artstore.repository import Repository
from artstore.store.settings import root_to_create

_project = click.option("--project", help="Project of artifacts and runs without one.")
_type = click.option("--type", "kind", default="dataset", show_default=True, help="Type of artifacts without one.")


@click.group("import", cls=Commands)
def import_command() -> None:
    """Import from a DVC, MLflow or W&B folder.

    You can run an import again: it skips what it has imported before. Whatever it can't import is listed with
    the reason.
    """


@import_command.command("dvc")
@click.argument("folder", type=FOLDER, default=".")
@click.option("--commits", is_flag=True, help="Import every ancestor of HEAD, not just HEAD and tags.")
@click.option("--cache", type=FOLDER, help="DVC's cache, if it is outside of FOLDER.")
@_project
@_type
@json_option
def dvc_command(folder: str, commits: bool, cache: str | None, project: str | None, kind: str, as_json: bool) -> None:
    """Import the outputs of a DVC repository, as they were at each tag.

    Each output becomes an artifact of that name, and each content that it had becomes a version; tags become aliases.
    The content comes from DVC's cache, which `dvc fetch --all-tags` fills. The default project is the folder's name.
    """
    from artstore.adapters.dvc import import_dvc

    with _repository(folder) as repository:
        home = _project_of(folder, project)
        found = import_dvc(repository, folder, home, check_type(kind), commits=commits, cache=cache)
        _report(found, folder, as_json, "`dvc fetch --all-tags` fills DVC's cache")


@import_command.command("mlflow")
@click.argument("place", type=click.Path(), required=False)
@json_option
def mlflow_command(place: str | None, as_json: bool) -> None:
    """Import runs, artifacts and models of MLflow.

    PLACE is a SQLite database such as mlflow.db, a folder that has one, or the folder mlruns of a store of files. The
    default is what the working folder has of these.

    An experiment becomes a project. A run keeps its config, metrics and times, and its artifacts become a version that
    it logged. A registered model becomes links in the registry `mlflow`.
    """
    from artstore.adapters.mlflow import DATABASE, import_mlflow

    place = place or ("." if os.path.isfile(DATABASE) else "mlruns")
    with _repository(place) as repository:
        _report(import_mlflow(repository, place), place, as_json)


@import_command.command("wandb")
@click.argument("folder", type=FOLDER, default="wandb")
@_project
@_type
@json_option
def wandb_command(folder: str, project: str | None, kind: str, as_json: bool) -> None:
    """Import W&B's offline runs and downloaded artifacts.

    FOLDER is wandb/ or one run in it, or artifacts/ or one `name:v3` in it. Reading runs needs the package wandb.
    The default project is core.project.
    """
    from artstore.adapters.wandb_offline import import_wandb

    with _repository(folder) as repository:
        home = as_project(project) if project else repository.settings.project
        _report(import_wandb(repository, folder, home, check_type(kind)), folder, as_json)


def _repository(folder: str) -> Repository:
    """The repository here. If there is none, it is made, provided that `folder` exists."""
    if not os.path.exists(folder):
        raise NotFound(f"there is nothing at {printable(folder)}", hint="name what to import from")
    return Repository.init(root_to_create())


def _project_of(folder: str, project: str | None) -> str:
    return as_project(project or name_from(os.path.basename(os.path.abspath(folder))))


def _report(found: Iterator[Taken | Left], place: str, as_json: bool, hint: str | None = None) -> None:
    """Print each result as it comes, then the totals. Exits with 4 if there was nothing, or nothing could be read."""
    taken: list[Taken] = []
    left: list[Left] = []
    try:
        for one in found:
            if isinstance(one, Left):
                left.append(one)
                if not as_json:
                    click.echo(f"skipped {printable(one.source)}: {printable(one.reason)}")
            else:
                taken.append(one)
                if not as_json and one.new:
                    click.echo(f"{one.kind} {printable(one.name)} from {printable(one.source)}")
    except ImportError as error:
        raise NotFound(
            f"this needs {error.name}, which is not installed here", hint="`pip install 'artstore[import]'`"
        ) from error
    if as_json:
        print_json({"taken": [one._asdict() for one in taken], "left": [one._asdict() for one in left]})
    else:
        _print_totals(taken, left)
    if not taken:
        click.echo(f"error: nothing in {printable(place)} could be imported", err=True)
        if left and hint:
            click.echo(f"hint: {hint}", err=True)
        click.get_current_context().exit(NotFound.exit_code)


def _print_totals(taken: list[Taken], left: list[Left]) -> None:
    new = sum(one.new for one in taken)
    versions = sum(one.new for one in taken if one.kind == "version")
    words = f"imported {count(versions, 'version')} and {count(new - versions, 'run')}"
    click.echo(f"{words}; {len(taken) - new:,} already here, {len(left):,} skipped")

"""artifact put|get|ls|cache: save, restore and list with W&B's command names and defaults."""

import os
import re

import click

from artstore.cli.arguments import FOLDER, SPEC
from artstore.cli.commands import Commands
from artstore.cli.looking import collections_of, list_collections
from artstore.cli.output import answer, day, json_option, open_repository, report_damage, table, time_head
from artstore.cli.saving import fetch, save, target_of
from artstore.domain.names import collection_named, file_name_of, printable, refuse_reserved
from artstore.domain.wording import human
from artstore.errors import Damage, InvalidValue
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from artstore.store.settings import root_to_create


@click.group("artifact", cls=Commands)
def artifact_command() -> None:
    """Save, restore and list with W&B's command names."""


@artifact_command.command("put")
@click.argument("path", type=click.Path())
@click.option("-n", "--name", help="[[ENTITY/]PROJECT/]NAME to save to  [default: PATH's last part]")
@click.option("-d", "--description", help="Description of the version.")
@click.option("-t", "--type", help="Type of the artifact  [default: its current type; dataset if new]")
@click.option("-a", "--alias", "aliases", multiple=True, help="Alias for the version; may be repeated.")
@click.option("--id", "run_id", metavar="RUN", help="Log it as an output of this run, which is continued or started.")
@click.option("--resume", is_flag=True, help="Log it as an output of the project's latest run.")
@click.option("--skip_cache", is_flag=True, help="Accepted as in W&B; it changes nothing.")
@click.option("--policy", type=click.Choice(["mutable", "immutable"]), help="Accepted as in W&B; it changes nothing.")
@json_option
def put_command(
    path: str, name: str | None, description: str | None, type: str | None, aliases: tuple[str, ...], run_id: str | None,
    resume: bool, skip_cache: bool, policy: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Save a file, a folder or references to a URI as the next version of an artifact."""
    if type is not None:
        refuse_reserved(type, name or "")
    if run_id is None and not resume:
        save(path, name, as_json, type=type, aliases=aliases, description=description, default_type="dataset")
        return
    spec, run = _save_in_run(path, target_of(path, name), type, aliases, description, run_id)
    answer(as_json, {"spec": spec, "run": run}, f"saved {spec} as an output of run {run}")


def _save_in_run(
    path: str, target: str, type: str | None, aliases: tuple[str, ...], description: str | None, run_id: str | None
) -> tuple[str, str]:
    """Save a path as an output of a run: of the latest of the project if no id is given. Returns both full names."""
    from artstore.api.artifact import Artifact
    from artstore.api.recording import start

    root = root_to_create()
    with Repository.init(root) as repository:
        place = repository.path_of(collection_named(target))[0]
        known = repository.refs.read(place).exists
        if run_id is None:
            below = "/".join(["runs", file_name_of(place.entity), file_name_of(place.project)])
            run_id = next((run.id for run in repository.catalog(damaged=[]).latest_runs(below)[1]), None)
    artifact = Artifact(place.name, type or (None if known else "dataset"), description)
    if os.path.isdir(path):
        artifact.add_dir(path)
    elif os.path.lexists(path):
        artifact.add_file(path)
    else:
        artifact.add_reference(path)
    run = start(root, entity=place.entity, project=place.project, id=run_id)
    artifact.log_to(run, list(aliases))
    run.finish(0, {})
    return artifact.qualified_name, str(run.path)


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
    """List the artifacts of a project by type, each by its newest version. PATH is [ENTITY/]PROJECT."""
    with open_repository() as repository:
        damaged: list[Damage] = []
        states = [] if as_json else collections_of(repository, path, type, damaged)
        if not states:
            list_collections(repository, path, type, as_json)
            return
        rows = []
        for state in sorted(states, key=lambda state: state.type):
            named, latest = repository.lookup.short(state.path), state.latest
            if latest is None:
                rows.append((state.type, "-", "-", f"{named} (no versions)"))
            else:
                when = day(str(latest["updated"]))
                rows.append((state.type, when, human(latest["size"]), f"{named}:v{latest['number']}"))
        table(rows, ("TYPE", time_head("UPDATED"), "SIZE", "NAME"), right=(2,))
        report_damage(damaged)


@artifact_command.group("cache", cls=Commands)
def cache_command() -> None:
    """W&B's cache of downloads, which artstore doesn't have."""


@cache_command.command("cleanup")
@click.argument("target_size")
@click.option("--remove-temp/--no-remove-temp", help="Accepted as in W&B; it changes nothing.")
def cleanup_command(target_size: str, remove_temp: bool) -> None:
    """Change nothing: downloads are copied from the repository itself. TARGET_SIZE is a size such as 10GB."""
    if not re.fullmatch(r"\d+(\.\d+)?\s*([kmgtpe]i?)?b?", target_size, re.IGNORECASE):
        raise InvalidValue(f"'{printable(target_size)}' is not a size, such as 10GB or 500MB")
    click.echo("Reclaimed 0 B of space: there is no cache of downloads; `artstore gc` frees what no version needs")

"""pending: unfinished versions, to which several processes add parts."""

import click

from artstore.cli.arguments import SPEC, metadata_from
from artstore.cli.commands import Commands
from artstore.cli.output import answer, day, json_option, listing, open_repository, time_head
from artstore.domain.names import collection_named
from artstore.domain.properties import Properties
from artstore.domain.wording import count, human


@click.group("pending", cls=Commands)
def pending_command() -> None:
    """List, finish and drop unfinished multi-process versions.

    Several processes add parts of one version with `run.upsert_artifact`. It is pending until `run.finish_artifact` or
    `finish` makes the version.
    """


@pending_command.command("ls")
@click.argument("name", required=False, type=SPEC)
@json_option
def ls_command(name: str | None, as_json: bool) -> None:
    """List unfinished versions and their parts."""
    with open_repository() as repository:
        states = [repository.collection(collection_named(name))] if name is not None else list(repository.collections())
        short = repository.lookup.short
        found = [(state, id, parts) for state in states for id, parts in state.upserts.items()]
    values = [{"collection": str(state.path), "id": id, "parts": parts} for state, id, parts in found]
    rows = [
        (
            short(state.path), id, f"{len(parts):,}", f"{sum(part['files'] for part in parts):,}",
            human(sum(part["size"] for part in parts)), day(max(part["time"] for part in parts)),
        )
        for state, id, parts in found
    ]  # fmt: skip
    head = ("NAME", "ID", "PARTS", "FILES", "SIZE", time_head("LAST PART"))
    listing(as_json, values, rows, head, "nothing is pending", right=(2, 3, 4))


@pending_command.command("finish")
@click.argument("name", type=SPEC)
@click.argument("id")
@click.option("-a", "--alias", "aliases", multiple=True, help="Alias for the version; may be repeated.")
@click.option("-d", "--description", help="Description of the version.")
@click.option("--metadata", help="JSON object, or @FILE to read it from.")
@json_option
def finish_command(
    name: str, id: str, aliases: tuple[str, ...], description: str | None, metadata: str | None, as_json: bool
) -> None:
    """Make one version from all parts that were added under ID."""
    with open_repository() as repository:
        properties = Properties(aliases, (), description, metadata_from(metadata)).checked()
        saved = repository.finish(name, id, properties)
        spec = f"{repository.lookup.short(saved.path)}:v{saved.number}"
    whole = f"{saved.path}:v{saved.number}"
    value = {"spec": whole, "files": saved.files, "size": saved.size, "is_new": saved.is_new}
    answer(as_json, value, f"finished {spec}: {count(saved.files, 'file')}, {human(saved.size)}")


@pending_command.command("drop")
@click.argument("name", type=SPEC)
@click.argument("id")
@json_option
def drop_command(name: str, id: str, as_json: bool) -> None:
    """Drop all parts that were added under ID; `gc` frees their space."""
    with open_repository() as repository:
        state = repository.drop(name, id)
    value = {"collection": str(state.path), "dropped": id}
    answer(as_json, value, f"dropped the parts of {id} in {repository.lookup.short(state.path)}")

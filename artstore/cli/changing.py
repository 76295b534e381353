"""alias, tag, rm, undelete: what moves around versions that stay as they are."""

import click

from artstore.cli.output import count, human, json_option, open_repository, print_json
from artstore.errors import InvalidValue


@click.command("alias")
@click.argument("spec")
@click.argument("aliases", nargs=-1)
@click.option("-d", "--delete", "removed", multiple=True, help="Alias to take off; may be repeated.")
@json_option
def alias_command(spec: str, aliases: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> None:
    """Make ALIASES name this version, wherever they were before; without any, list the version's."""
    with open_repository() as repository:
        found = repository.set_aliases(spec, aliases, removed) if aliases or removed else repository.find(spec)
    named = found.state.aliases_of(found.version["id"])
    if as_json:
        print_json({"spec": f"{found.state.path}:v{found.version['number']}", "aliases": named})
    else:
        click.echo(f"{found.name}: {', '.join(named) or 'no alias'}")


@click.command("tag")
@click.argument("spec")
@click.argument("tags", nargs=-1)
@click.option("-d", "--delete", "removed", multiple=True, help="Tag to take off; may be repeated.")
@json_option
def tag_command(spec: str, tags: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> None:
    """Add TAGS to a version; without any, list the version's."""
    with open_repository() as repository:
        found = repository.set_tags(spec, tags, removed) if tags or removed else repository.find(spec)
    has = found.version.get("tags", [])
    if as_json:
        print_json({"spec": f"{found.state.path}:v{found.version['number']}", "tags": has})
    else:
        click.echo(f"{found.name}: {', '.join(has) or 'no tag'}")


@click.command("rm")
@click.argument("spec")
@click.option("--collection", is_flag=True, help="Delete the artifact with all its versions.")
@click.option("--force", is_flag=True, help="Delete though aliases name it: they go, too.")
@json_option
def rm_command(spec: str, collection: bool, force: bool, as_json: bool) -> None:
    """Delete one version (NAME:vN, NAME:ALIAS, NAME@DIGEST), or with --collection an artifact.

    Names, numbers and dates stay on record, and the number is never used again. `gc` frees the space; until then
    `undelete` brings the version back.
    """
    with open_repository() as repository:
        path, parsed = repository.path_of(spec)
        named = parsed.alias is not None or parsed.number is not None or parsed.digest is not None
        if collection:
            if named:
                raise InvalidValue(f"'{spec}' names a version; --collection takes an artifact: {parsed.name}")
            before = len(repository.collection(spec).live())
            repository.delete_collection(spec, delete_aliases=force)
            deleted = [str(path)]
            back = f"`artstore undelete {path.name}:vN` brings one back, `artstore gc` frees their space"
            text = f"deleted {path.name} with {count(before, 'version')}; {back}"
        else:
            if not named:
                raise InvalidValue(
                    f"'{spec}' does not say which version",
                    hint=f"`artstore rm {spec}:vN` deletes one, `artstore rm --collection {spec}` all",
                )
            found = repository.delete(spec, delete_aliases=force)
            deleted = [f"{found.state.path}:v{found.version['number']}"]
            back = f"`artstore undelete {found.name}` brings it back, `artstore gc` frees its space"
            text = f"deleted {found.name} ({human(found.version['size'])}); {back}"
    if as_json:
        print_json({"deleted": deleted})
    else:
        click.echo(text)


@click.command("undelete")
@click.argument("spec")
@json_option
def undelete_command(spec: str, as_json: bool) -> None:
    """Bring back a deleted version (NAME:vN), if gc has not freed it."""
    with open_repository() as repository:
        found = repository.undelete(spec)
    if as_json:
        print_json({"spec": f"{found.state.path}:v{found.version['number']}"})
    else:
        click.echo(f"{found.name} is back: {count(found.version['files'], 'file')}, {human(found.version['size'])}")

"""alias, tag, edit, rm, undelete, mv, cp: change names and properties. Versions themselves never change."""

import click

from artstore.cli.arguments import SPEC, metadata_from, pairs
from artstore.cli.output import answer, json_option, open_repository
from artstore.domain.collection import INHERIT, State
from artstore.domain.metadata import normalise
from artstore.domain.names import parse_spec, printable
from artstore.domain.properties import NEVER, Properties
from artstore.domain.retention import seconds
from artstore.domain.wording import count, human, near, typed
from artstore.errors import InvalidValue, NotFound
from artstore.repository import Repository


@click.command("alias")
@click.argument("spec", type=SPEC)
@click.argument("aliases", nargs=-1)
@click.option("-d", "--delete", "removed", multiple=True, help="Alias to remove; may be repeated.")
@json_option
def alias_command(spec: str, aliases: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> None:
    """Move aliases to a version, or list its aliases.

    An alias names one version of an artifact at a time. `latest` always names the newest version and can't be moved.
    """
    with open_repository() as repository:
        found = repository.set_aliases(spec, aliases, removed) if aliases or removed else repository.find(spec)
        name = repository.lookup.named(found)
    named = found.state.aliases_of(found.id)
    answer(as_json, {"spec": found.spec, "aliases": named}, f"{name}: {', '.join(named) or 'no aliases'}")


@click.command("tag")
@click.argument("spec", type=SPEC)
@click.argument("tags", nargs=-1)
@click.option("-d", "--delete", "removed", multiple=True, help="Tag to remove; may be repeated.")
@json_option
def tag_command(spec: str, tags: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> None:
    """Add tags to a version, or list its tags."""
    with open_repository() as repository:
        found = repository.set_tags(spec, tags, removed) if tags or removed else repository.find(spec)
        name = repository.lookup.named(found)
    has = found.version.get("tags", [])
    answer(as_json, {"spec": found.spec, "tags": has}, f"{name}: {', '.join(has) or 'no tags'}")


@click.command("edit")
@click.argument("spec", type=SPEC)
@click.option("-d", "--description", help="New description; '' removes it.")
@click.option("--set", "given", metavar="KEY=VALUE", multiple=True, help="Set a metadata key (VALUE: JSON, or text).")
@click.option("--unset", metavar="KEY", multiple=True, help="Remove a metadata key.")
@click.option("--metadata", help="JSON object with keys to set, or @FILE to read it from.")
@click.option("--ttl", metavar="TIME", help="How long to keep the version: 12h, 30d, never, inherit.")
@click.option("--collection", is_flag=True, help="Edit the artifact's description or type instead.")
@click.option("-t", "--type", help="With --collection: the artifact's new type.")
@json_option
def edit_command(
    spec: str, description: str | None, given: tuple[str, ...], unset: tuple[str, ...], metadata: str | None,
    ttl: str | None, collection: bool, type: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Change a version's description, metadata or ttl.

    With --collection, it changes an artifact's description or type instead. Metadata keys that you don't name stay as
    they are.
    """
    of_version = bool(given or unset or metadata is not None or ttl is not None)
    if collection and of_version:
        raise InvalidValue("--collection can be combined with --description and --type only")
    if type is not None and not collection:
        raise InvalidValue(
            "--type needs --collection: only an artifact has a type",
            hint="`artstore edit --collection NAME --type TYPE`",
        )
    if description is None and type is None and not of_version:
        raise InvalidValue(
            "there is nothing to change",
            hint=f"`artstore edit --help` lists the options; {typed('show', spec)} shows the current values",
        )
    with open_repository() as repository:
        if collection:
            state = repository.edit_collection(spec, description=description, type=type)
            name, value = repository.lookup.short(state.path), {"collection": str(state.path)}
        else:
            keys = (normalise(metadata_from(metadata)) if metadata is not None else {}) | pairs(given)
            properties = Properties(description=description, metadata=keys, no_metadata=unset, ttl=_ttl(ttl))
            if gone := [key for key in unset if key not in keys]:
                _check_keys(repository, spec, gone)
            found = repository.edit(spec, properties)
            name, value = repository.lookup.named(found), {"spec": found.spec}
    answer(as_json, value, f"edited {name}")


def _check_keys(repository: Repository, spec: str, keys: list[str]) -> None:
    """Raises NotFound if a version's metadata lacks one of these keys, as `tag -d` does for a tag."""
    found = repository.find(spec)
    known = repository.properties(found)[1]
    if missing := [key for key in keys if key not in known]:
        what = f"{repository.lookup.named(found)} has no metadata key '{printable(missing[0])}'"
        raise NotFound(what, hint=near(missing[0], known))


def _ttl(text: str | None) -> int | str | None:
    return text if text in (None, NEVER, INHERIT) else seconds(text)


@click.command("rm")
@click.argument("spec", type=SPEC)
@click.option("--collection", is_flag=True, help="Delete the artifact with all its versions.")
@click.option("--force", is_flag=True, help="Delete it even if aliases name it; the aliases are deleted too.")
@json_option
def rm_command(spec: str, collection: bool, force: bool, as_json: bool) -> None:
    """Delete a version, or with --collection an artifact.

    Its name, number and date stay on record, and the number is never used again. `gc` frees the space; until then
    `undelete` brings the version back.
    """
    if not (collection or parse_spec(spec).names_version):
        raise InvalidValue(
            f"'{spec}' does not say which version",
            hint=f"{typed('rm', f'{spec}:vN')} deletes one, {typed('rm --collection', spec)} all",
        )
    with open_repository() as repository:
        before = repository.lookup.collection(spec)
        gone, named = before.live(), before.all_aliases()
        if collection:
            state = repository.delete_collection(spec, delete_aliases=force)
            ending, what = "", f"with {count(len(gone), 'version')}"
        else:
            state, version = repository.delete(spec, delete_aliases=force)
            gone, ending, what = [version], f":v{version['number']}", f"({human(version['size'])})"
        name = repository.lookup.short(state.path)
    back = f"{typed('undelete', name + ending)} brings it back, `artstore gc` frees its space after the grace period"
    lines = [f"deleted {name}{ending} {what}; {back}"]
    for version in gone:
        if aliases := [alias for alias in named.get(version["id"], ()) if alias != "latest"]:
            spec = f"{name}:v{version['number']}"
            kind, them = ("alias", "it") if len(aliases) == 1 else ("aliases", "them")
            again = f"after an undelete, {typed('alias', spec, *aliases)} sets {them} again"
            lines.append(f"{spec} had the {kind} {', '.join(aliases)}; {again}")
    answer(as_json, {"deleted": [f"{state.path}{ending}"]}, *lines)


@click.command("undelete")
@click.argument("spec", type=SPEC)
@json_option
def undelete_command(spec: str, as_json: bool) -> None:
    """Bring back a deleted version or artifact.

    NAME:vN brings back one version; NAME brings back all versions that were deleted with the artifact. This works until
    `gc` frees their space, and after that if a remote still has them. They keep their numbers, tags and metadata, but
    lose their aliases.
    """
    with open_repository() as repository:
        one = parse_spec(spec).names_version
        back = [repository.undelete(spec)] if one else repository.undelete_collection(spec)
        sizes = [f"{count(found.version['files'], 'file')}, {human(found.version['size'])}" for found in back]
        lines = [f"{repository.lookup.named(found)} is back: {size}" for found, size in zip(back, sizes, strict=True)]
    answer(as_json, {"undeleted": [found.spec for found in back]}, *lines)


@click.command("mv")
@click.argument("spec", type=SPEC)
@click.argument("new")
@json_option
def mv_command(spec: str, new: str, as_json: bool) -> None:
    """Rename an artifact, or move a version to another artifact.

    An artifact keeps its whole history, and its old name still finds it. A version becomes the newest version of NEW.
    No files are copied.
    """
    with open_repository() as repository:
        state = repository.move(spec, new)
        _say(repository, "moved", spec, state, as_json)


@click.command("cp")
@click.argument("spec", type=SPEC)
@click.argument("new")
@json_option
def cp_command(spec: str, new: str, as_json: bool) -> None:
    """Copy a version, or a whole artifact, to another name.

    Tags, metadata and descriptions are copied too, and the aliases of a whole artifact. The copies get new numbers. No
    files are copied.
    """
    with open_repository() as repository:
        state = repository.copy(spec, new)
        _say(repository, "copied", spec, state, as_json)


def _say(repository: Repository, verb: str, spec: str, state: State, as_json: bool) -> None:
    latest = state.latest
    newest = f"v{latest['number']}" if latest else None
    value = {"collection": str(state.path), "versions": len(state.live()), "latest": newest}
    held = f"{count(len(state.live()), 'version')}, latest {newest or 'none'}"
    answer(as_json, value, f"{verb} {spec} to {repository.lookup.short(state.path)}: {held}")

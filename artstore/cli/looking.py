"""ls, show, log, cat: what is stored, without changing anything."""

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

import click

from artstore.cli.arguments import SPEC
from artstore.cli.output import (
    day,
    from_option,
    json_option,
    open_repository,
    open_view,
    print_json,
    report_damage,
    table,
)
from artstore.digest import short
from artstore.errors import Damage, InvalidValue
from artstore.hints import typed
from artstore.lookup import Found
from artstore.names import as_project, check_project, check_type, printable
from artstore.sizes import count, human, moment
from artstore.state import INHERIT, State, VersionState
from artstore.tree import DIRECTORY, EXECUTABLE, REFERENCE, Entry
from artstore.view import View

_KINDS = ("file", "executable", "directory", "part", "reference")


@click.command("ls")
@click.argument("spec", required=False, type=SPEC)
@click.argument("path", required=False)
@click.option("-r", "--recursive", is_flag=True, help="List files at all levels.")
@click.option("--project", help="Only artifacts of this [ENTITY/]PROJECT.")
@click.option("-t", "--type", help="Only artifacts of this type.")
@from_option
@json_option
def ls_command(
    spec: str | None,
    path: str | None,
    recursive: bool,
    project: str | None,
    type: str | None,
    place: str | None,
    as_json: bool,
) -> None:
    """List artifacts; with SPEC, the files of a version (below PATH).

    PROJECT/ as SPEC lists the artifacts of a project, as --project does.
    """
    with open_view(place) as repository:
        if spec is None:
            list_collections(repository, project, type, as_json)
        elif spec.endswith("/"):
            list_collections(repository, spec[:-1], type, as_json)
        else:
            _list_files(repository, repository.find(spec), path, recursive, as_json)


def list_collections(repository: View, project: str | None, type: str | None, as_json: bool) -> None:
    entity = None
    if project is not None:
        above, _, project = project.rpartition("/")
        entity = check_project(above, "entity") if above else repository.settings.entity
        project = as_project(project)
    if type is not None:
        check_type(type)
    damaged: list[Damage] = []
    states = repository.collections(entity, project, damaged=damaged)
    chosen = [state for state in states if type is None or state.type == type]
    if as_json:
        print_json([_collection(state) for state in chosen])
    elif chosen:
        short = repository.lookup.short
        rows = [(short(state.path), state.type, *_latest(state), _aliases(state)) for state in chosen]
        table(rows, ("NAME", "TYPE", "LATEST", "SIZE", "SAVED (UTC)", "ALIASES"), right=(3,))
    elif project or type:
        of_type = f" of type '{type}'" if type else ""
        where = f" in project {printable(project)}" if project else ""
        click.echo(f"there are no artifacts{of_type}{where}", err=True)
    elif not damaged:
        click.echo("nothing is stored here yet; `artstore put PATH --name NAME` saves something", err=True)
    report_damage(damaged)


def _aliases(state: State) -> str:
    """Those of the newest version by name, others with the version that they name."""
    latest = state.latest["id"] if state.latest else None
    return ", ".join(
        alias if id == latest else f"{alias}→v{state.versions[id]['number']}" for alias, id in state.aliases.items()
    )


def _latest(state: State) -> tuple[str, str, str]:
    latest = state.latest
    if latest is None:
        return "-", "-", "-"
    return f"v{latest['number']}", human(latest["size"]), day(moment(latest["created"]))


def _collection(state: State) -> dict[str, Any]:
    latest = state.latest
    return {
        "collection": str(state.path),
        "type": state.type,
        "versions": len(state.live()),
        "latest": f"v{latest['number']}" if latest else None,
        "size": latest["size"] if latest else None,
        "aliases": {alias: f"v{state.versions[id]['number']}" for alias, id in state.aliases.items()},
        "tags": state.tags,
        "description": state.description,
    }


def _list_files(repository: View, found: Found, path: str | None, recursive: bool, as_json: bool) -> None:
    tree, prefix = found.tree, b""
    path = (path or "").removeprefix("./").strip("/")
    if path not in ("", "."):
        entry = repository.entry(found, path)
        if entry[1] != DIRECTORY:
            _print_entries([(os.fsencode(path), entry)], as_json)
            return
        tree, prefix = entry[3], os.fsencode(path) + b"/"
    if recursive:
        walk = repository.walk(tree)
        entries = ((prefix + name, entry) for name, entry in walk if entry[1] != DIRECTORY or not entry[4])
    else:
        entries = ((prefix + entry[0], entry) for entry in repository.folder(tree))
    _print_entries(entries, as_json)


def _print_entries(entries: Iterable[tuple[bytes, Entry]], as_json: bool) -> None:
    """A line per entry as it comes: a million of them take no memory."""
    write = sys.stdout.write
    if as_json:
        write("[")
        for number, (path, entry) in enumerate(entries):
            write(("," if number else "") + "\n  " + json.dumps(_entry(path, entry)))
        write("\n]\n")
        return
    marks = {DIRECTORY: "/", EXECUTABLE: "*", REFERENCE: "@"}
    for path, entry in entries:
        size = "-" if entry[2] is None else human(entry[2])
        write(f"{size:>10}  {printable(path)}{marks.get(entry[1], '')}\n")


def _entry(path: bytes, entry: Entry) -> dict[str, Any]:
    value: dict[str, Any] = {"path": os.fsdecode(path), "kind": _KINDS[entry[1]], "size": entry[2]}
    if entry[1] == REFERENCE:
        return value | {"uri": entry[3]}
    return value | {"digest": entry[3].hex()} | ({"files": entry[4]} if entry[1] == DIRECTORY else {})


@click.command("show")
@click.argument("spec", type=SPEC)
@from_option
@json_option
def show_command(spec: str, place: str | None, as_json: bool) -> None:
    """Show all that is known of one version."""
    with open_view(place) as repository:
        found = repository.find(spec)
        value = _version(repository, found.state, found.version, found.state.aliases_of(found.version["id"]))
    if as_json:
        print_json(value)
        return
    who = f"by {value['user']}" if value["user"] else ""
    where = f"on {value['host']}" if value["host"] else ""
    lines = {
        "version": value["spec"],
        "type": value["type"],
        "aliases": ", ".join(value["aliases"]),
        "tags": ", ".join(value["tags"]),
        "digest": value["digest"],
        "id": value["id"],
        "size": f"{human(value['size'])} in {count(value['files'], 'file')}",
        "saved": " ".join(filter(None, (value["created"], who, where))),
        "run": value["run"] or "",
        "parents": ", ".join(_parent(found.state, parent) for parent in value["parents"]),
        "ttl": _duration(value["ttl"]),
        "description": value["description"] or "",
        "metadata": json.dumps(value["metadata"], indent=2, ensure_ascii=False) if value["metadata"] else "",
    }
    for key, text in lines.items():
        if text:
            click.echo(f"{key:12} " + "\n             ".join(map(printable, text.split("\n"))))


def _parent(state: State, id: str) -> str:
    version = state.versions.get(id)
    return id[:12] if version is None else f"v{version['number']}"


def _duration(ttl: int | str | None) -> str:
    if ttl == INHERIT or isinstance(ttl, str):
        return ""
    if ttl is None:
        return "never"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if ttl % size == 0:
            return f"{ttl // size}{unit}"
    return f"{ttl}s"


def _version(repository: View, state: State, version: VersionState, aliases: list[str]) -> dict[str, Any]:
    description, metadata = repository.properties(Found(state, version))
    return {
        "spec": f"{state.path}:v{version['number']}",
        "type": state.type,
        "aliases": aliases,
        "tags": version.get("tags", []),
        "digest": version["digest"],
        "id": version["id"],
        "size": version["size"],
        "files": version["files"],
        "created": moment(version["created"]),
        "updated": version["updated"],
        "user": version["user"],
        "host": version["host"],
        "run": version["run"],
        "parents": version["parents"],
        "ttl": version.get("ttl", INHERIT),
        "deleted": version.get("deleted"),
        "description": description,
        "metadata": metadata,
    }


@click.command("log")
@click.argument("name", type=SPEC)
@click.option("--aliases", is_flag=True, help="Every move of every alias instead.")
@click.option("--deleted", is_flag=True, help="Deleted versions too, also of a deleted artifact.")
@json_option
def log_command(name: str, aliases: bool, deleted: bool, as_json: bool) -> None:
    """List the versions of an artifact, newest first."""
    with open_repository() as repository:
        path, spec = repository.path_of(name)
        if spec.names_version:
            raise InvalidValue(f"'{name}' names a version; log takes an artifact: {spec.name}")
        state = repository.refs.read(path) if deleted else repository.collection(name)
        if not state.versions:
            state = repository.collection(name)
        if aliases:
            _alias_moves(repository, state, as_json)
            return
        versions = sorted(state.versions.values(), key=lambda version: -version["number"])
        versions = [version for version in versions if deleted or "deleted" not in version]
        named = state.all_aliases()
        if as_json:
            print_json([_version(repository, state, version, named.get(version["id"], [])) for version in versions])
            return
    rows = [_log_row(version, named.get(version["id"], [])) for version in versions]
    table(rows, ("VERSION", "SAVED (UTC)", "SIZE", "FILES", "DIGEST", "BY", "ALIASES", "TAGS"), right=(2, 3))


def _log_row(version: VersionState, aliases: list[str]) -> tuple[str, ...]:
    return (
        f"v{version['number']}",
        day(moment(version["created"])),
        human(version["size"]),
        f"{version['files']:,}",
        short(bytes.fromhex(version["digest"])),
        version["user"] or "-",
        "deleted" if "deleted" in version else ", ".join(aliases),
        ", ".join(version.get("tags", [])),
    )


def _alias_moves(repository: View, state: State, as_json: bool) -> None:
    numbers = {id: f"v{version['number']}" for id, version in state.versions.items()}
    moves = [
        {
            "time": entry.time, "user": entry.user, "alias": change["alias"],
            "from": numbers.get(change["old"]), "to": numbers.get(change["id"]),
        }
        for entry in repository.refs.history(state.path)
        for change in entry.changes
        if change["kind"] == "alias"
    ][::-1]  # fmt: skip
    if as_json:
        print_json(moves)
        return
    rows = [
        (day(move["time"] or ""), move["alias"], move["from"] or "-", move["to"] or "-", move["user"] or "-")
        for move in moves
    ]
    table(rows, ("MOVED (UTC)", "ALIAS", "FROM", "TO", "BY"))


@click.command("cat")
@click.argument("spec", type=SPEC)
@click.argument("path")
@from_option
def cat_command(spec: str, path: str, place: str | None) -> None:
    """Write one file of a version to standard output, checked."""
    with open_view(place) as repository:
        found = repository.find(spec)
        path = path.removeprefix("./")
        entry = repository.entry(found, path)
        if entry[1] == DIRECTORY:
            raise InvalidValue(
                f"'{printable(path)}' in {found.name} is a folder", hint=f"{typed('ls', spec, path)} lists it"
            )
        out = sys.stdout.buffer
        for piece in repository.content(entry):
            out.write(piece)
        out.flush()

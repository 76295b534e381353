"""ls, show, log, cat: show what is stored, without changing anything."""

import json
import os
import sys
from collections.abc import Iterable
from itertools import islice
from typing import Any

import click

from artstore.api.progress.bar import Bar
from artstore.api.tables.naming import is_group, is_table, with_suffixes
from artstore.cli import output
from artstore.cli.arguments import SPEC, home_of, is_project, nothing_matches, of_type
from artstore.cli.output import from_option, json_option, open_view, print_json, report_damage, table
from artstore.cli.streams import Long
from artstore.domain.collection import INHERIT, Path, State, VersionState, author_of, id_of_state, is_live
from artstore.domain.digest import short
from artstore.domain.extras import Extras
from artstore.domain.names import check_type, collection_named, is_run_table, printable
from artstore.domain.tree import DIRECTORY, EXECUTABLE, REFERENCE, UNKNOWN, Entry
from artstore.domain.wording import count, first_of, human, moment, typed
from artstore.errors import Damage, InvalidValue, NotFound
from artstore.operations.finding.lookup import Version
from artstore.view import View

_MOST_USERS = 5
"""How many runs `show` names."""
_KINDS = ("file", "executable", "directory", "part", "reference")


@click.command("ls")
@click.argument("spec", required=False, type=SPEC)
@click.argument("path", required=False)
@click.option("-r", "--recursive", is_flag=True, help="List the files in all subfolders.")
@click.option("--project", help="Only artifacts of this [ENTITY/]PROJECT.")
@click.option("-t", "--type", help="Only artifacts of this type.")
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="List matching versions instead: 'metadata.acc>=0.9', 'tags=best', or a filter as JSON; may be repeated.",
)
@click.option("--all", "every", is_flag=True, help="List tables of runs too, as --json, --type and --where do.")
@click.option("--deleted", is_flag=True, help="List deleted versions that can be brought back instead.")
@from_option
@json_option
def ls_command(
    spec: str | None, path: str | None, recursive: bool, project: str | None, type: str | None, where: tuple[str, ...],
    every: bool, deleted: bool, place: str | None, as_json: bool,
) -> None:  # fmt: skip
    """List artifacts; with SPEC, the files of a version (below PATH).

    With PROJECT/ as SPEC, it lists the artifacts of a project, as --project does. The tables that runs logged are
    counted in a last line, and listed with --all. Fields for --where: name, version,
    type, aliases, tags, metadata.KEY, description, created_at, size, file_count, run.
    """
    if deleted and (where or path or recursive):
        raise InvalidValue("--deleted can be combined with SPEC, --project, --type and --from only")
    if where and (path or recursive):
        raise InvalidValue("--where lists versions: it can't be combined with PATH or --recursive")
    if (path or recursive) and (spec is None or spec.endswith("/")):
        raise InvalidValue("PATH and --recursive need a version as SPEC", hint="`artstore ls -r NAME` lists its files")
    if project and spec:
        raise InvalidValue("--project can't be combined with SPEC", hint="put it before the name: PROJECT/NAME")
    with open_view(place) as repository:
        if deleted:
            _list_deleted(repository, spec, project, type, place, as_json)
        elif where:
            _list_versions(repository, spec, project, type, where, as_json)
        elif spec is None or spec.endswith("/"):
            list_collections(repository, spec[:-1] if spec else project, type, as_json, every=every or type is not None)
        else:
            try:
                found = of_type(repository.find(spec), type)
            except NotFound:
                if path is not None or recursive or not _names_a_project(repository, spec):
                    raise
                list_collections(repository, spec, type, as_json, every=every or type is not None)
                return
            _list_files(repository, found, path, recursive, as_json)


def _names_a_project(repository: View, spec: str) -> bool:
    """Whether the name of an artifact that isn't there is that of a project, or of an entity."""
    if not set(spec).isdisjoint(":@") or spec.count("/") > 1:
        return False
    state = repository.refs.read(repository.path_of(spec)[0])
    return not state.versions and is_project(repository, spec)


def _list_versions(
    repository: View, spec: str | None, project: str | None, type: str | None, where: tuple[str, ...], as_json: bool
) -> None:
    """List the versions that match `where`, of one artifact, of a project, or of all."""
    from artstore.domain.filters import Asked, parsed
    from artstore.operations.finding.matching import fitting_versions

    condition, damaged, asked = parsed(where), list[Damage](), Asked()
    if spec is not None and not spec.endswith("/"):
        state = repository.collection(collection_named(spec))
        states = [state] if type in (None, state.type) else []
    else:
        states = collections_of(repository, spec[:-1] if spec else project, type, damaged)
    found = fitting_versions(repository.lookup, states, condition, asked)
    named = {state.path: state.all_aliases() for state in states}
    if as_json:
        print_json([_version(repository, *one, named[one.state.path].get(one.id, [])) for one in found])
    elif found:
        rows = [
            (
                repository.lookup.named(one), one.state.type, human(one.version["size"]),
                output.day(moment(one.version["created"])), ", ".join(named[one.state.path].get(one.id, [])),
                ", ".join(repository.lookup.said_of(one).get("tags", [])),
            )
            for one in found
        ]  # fmt: skip
        table(rows, ("VERSION", "TYPE", "SIZE", output.time_head("SAVED"), "ALIASES", "TAGS"), right=(2,))
    if not found:
        nothing_matches("versions", where, asked, plain=not as_json)
    report_damage(damaged)


def _list_deleted(
    repository: View, spec: str | None, project: str | None, type: str | None, place: str | None, as_json: bool
) -> None:
    """List the deleted versions of one artifact, of a project, or of all, whose files `gc` hasn't removed yet."""
    damaged: list[Damage] = []
    if type is not None:
        check_type(type)
    if spec is not None and not spec.endswith("/"):
        state = repository.refs.read(repository.path_of(collection_named(spec))[0])
        states = [state if state.versions else repository.collection(collection_named(spec))]
    else:
        states = list(
            repository.refs.with_deleted(*home_of(repository, spec[:-1] if spec else project), damaged=damaged)
        )
    found = _restorable(repository, [state for state in states if type in (None, state.type)])
    if as_json:
        print_json([_version(repository, *one, []) for one in found])
    elif found:
        rows = [
            (
                repository.lookup.named(one),
                one.state.type,
                human(one.version["size"]),
                output.day(one.version["deleted"]),
            )
            for one in found
        ]
        table(rows, ("VERSION", "TYPE", "SIZE", output.time_head("DELETED")), right=(2,))
        if place is None:
            click.echo(f"{typed('undelete', rows[0][0]).strip('`')} brings the first one back", err=True)
    else:
        click.echo("no deleted version can be brought back", err=True)
    report_damage(damaged)


def _restorable(repository: View, states: list[State]) -> list[Version]:
    """The deleted versions whose record and root folder are here still. `gc` removes them with a version's files."""
    gone = [Version(state, version) for state in states for version in state.versions.values() if not is_live(version)]
    here = repository.objects.readable({digest for one in gone for digest in (id_of_state(one.version), one.tree)})
    return [one for one in gone if id_of_state(one.version) in here and one.tree in here]


def collections_of(repository: View, project: str | None, type: str | None, damaged: list[Damage]) -> list[State]:
    if type is not None:
        check_type(type)
    states = repository.collections(*home_of(repository, project), damaged=damaged)
    return [state for state in states if type is None or state.type == type]


def list_collections(
    repository: View, project: str | None, type: str | None, as_json: bool, *, every: bool = True
) -> None:
    """List the artifacts of a project, or of all. Without `every`, a table for people counts the tables of runs."""
    damaged: list[Damage] = []
    found = collections_of(repository, project, type, damaged)
    chosen = [state for state in found if every or as_json or not is_run_table(state.type)]
    tables = len(found) - len(chosen)
    if as_json:
        print_json([_collection(state) for state in chosen])
    elif chosen:
        short, home = repository.lookup.short, repository.lookup.home()
        rows = [(short(state.path, home), state.type, *_latest(state), _aliases(state)) for state in chosen]
        table(rows, ("NAME", "TYPE", "LATEST", "SIZE", output.time_head("SAVED"), "ALIASES"), right=(3,))
    elif (project or type) and not tables:
        of_type = f" of type '{type}'" if type else ""
        where = f" in project {printable(project)}" if project else ""
        click.echo(f"there are no artifacts{of_type}{where}", err=True)
    elif not damaged and not tables:
        click.echo("nothing is stored here yet; `artstore put PATH --name NAME` saves something", err=True)
    if tables:
        more = "and " if chosen else ""
        click.echo(
            f"{more}{count(tables, 'table')} of runs (--all lists {'it' if tables == 1 else 'them'})",
            err=True,
        )
    report_damage(damaged)


def _aliases(state: State) -> str:
    """The aliases as text. An alias of an older version is followed by that version."""
    latest = state.latest["id"] if state.latest else None
    return ", ".join(
        alias if id == latest else f"{alias}→v{state.versions[id]['number']}" for alias, id in state.aliases.items()
    )


def _latest(state: State) -> tuple[str, str, str]:
    latest = state.latest
    if latest is None:
        return "-", "-", "-"
    return f"v{latest['number']}", human(latest["size"]), output.day(moment(latest["created"]))


def _collection(state: State) -> dict[str, Any]:
    latest = state.latest
    return {
        "collection": str(state.path), "type": state.type, "versions": len(state.live()),
        "latest": f"v{latest['number']}" if latest else None, "size": latest["size"] if latest else None,
        "aliases": {alias: f"v{state.versions[id]['number']}" for alias, id in state.aliases.items()},
        "tags": state.tags, "description": state.description,
    }  # fmt: skip


def _list_files(repository: View, found: Version, path: str | None, recursive: bool, as_json: bool) -> None:
    tree, prefix, extras = found.tree, b"", repository.lookup.extras(found) if as_json else {}
    path = (path or "").removeprefix("./").strip("/")
    if path not in ("", "."):
        entry = repository.entry(found, path)
        if entry.kind != DIRECTORY:
            _print_entries([(os.fsencode(path), entry)], extras, as_json)
            return
        tree, prefix = entry.digest, os.fsencode(path) + b"/"
    if recursive:
        walk = repository.walk(tree)
        entries = ((prefix + name, entry) for name, entry in walk if entry.kind != DIRECTORY or not entry.files)
    else:
        entries = ((prefix + entry.name, entry) for entry in repository.folder(tree))
    _print_entries(entries, extras, as_json)


def _print_entries(entries: Iterable[tuple[bytes, Entry]], extras: Extras, as_json: bool) -> None:
    """Print one line for each entry at once, so that a million entries take no memory."""
    if as_json:
        output.print_each(_entry(os.fsdecode(path), entry, extras) for path, entry in entries)
        return
    marks = {DIRECTORY: "/", EXECUTABLE: "*", REFERENCE: "@"}
    out = Long()
    for path, entry in entries:
        size = "-" if entry.size is None else human(entry.size)
        out.write(f"{size:>10}  {printable(path)}{marks.get(entry.kind, '')}\n")


def _entry(path: str, entry: Entry, extras: Extras) -> dict[str, Any]:
    value: dict[str, Any] = {"path": path, "kind": _KINDS[entry.kind], "size": entry.size}
    value |= {"extra": extras[path]} if path in extras else {}
    if entry.kind == REFERENCE:
        return value | {"uri": entry.uri}
    return (
        value
        | {"digest": None if entry.digest == UNKNOWN else entry.digest.hex()}
        | ({"files": entry.files} if entry.kind == DIRECTORY else {})
    )


@click.command("show")
@click.argument("spec", type=SPEC)
@click.option("--disk", is_flag=True, help="Show the disk use too, for which the folders of all versions are read.")
@from_option
@json_option
def show_command(spec: str, disk: bool, place: str | None, as_json: bool) -> None:
    """Show everything about one version.

    With --disk, also what its files take as they are stored: what other versions or runs have too is shared; the rest
    is its own, and can be freed once it is deleted.
    """
    from artstore.operations.finding.catalog import decoded_run

    with Bar() as bar, open_view(place) as repository:
        found = repository.find(spec)
        value = _version(repository, found.state, found.version, found.state.aliases_of(found.id))
        users = repository.catalog(damaged=[]).users_of(found.id)
        value["used_by"] = [decoded_run(row).path for row in users]
        if disk:
            value |= repository.usage_of(found, monitor=bar).as_dict()
    if as_json:
        print_json(value)
        return
    claimed = output.claimed(value)
    lines = {
        "version": value["spec"],
        "type": value["type"],
        "aliases": ", ".join(value["aliases"]),
        "tags": ", ".join(value["tags"]),
        "digest": value["digest"],
        "id": value["id"],
        "size": f"{human(value['size'])} in {count(value['files'], 'file')}",
        "on disk": _on_disk(value) if disk else "",
        "saved": " ".join(filter(None, (value["created"], "" if value["source"] else claimed))),
        "linked": claimed if value["source"] else "",
        "author": value["author"] or "",
        "link to": value["source"] or "",
        "run": value["run"] or "",
        "used by": first_of(value["used_by"], _MOST_USERS),
        "parents": ", ".join(_parent(found.state, parent) for parent in value["parents"]),
        "ttl": _duration(value["ttl"]),
        "rule": value["keep"] or "",
        "description": value["description"] or "",
        "metadata": json.dumps(value["metadata"], indent=2, ensure_ascii=False) if value["metadata"] else "",
    }
    output.fields(lines, 12)


def _on_disk(value: dict[str, Any]) -> str:
    shared, own = human(value["shared_bytes"]), human(value["own_bytes"])
    return f"{human(value['disk_bytes'])}: {shared} shared, {own} its own"


def _parent(state: State, id: str) -> str:
    version = state.versions.get(id)
    return id[:12] if version is None else f"v{version['number']}"


def _duration(ttl: int | str | None) -> str:
    if isinstance(ttl, str):  # it is inherited
        return ""
    if ttl is None:
        return "never"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if ttl % size == 0:
            return f"{ttl // size}{unit}"
    return f"{ttl}s"


def _version(repository: View, state: State, version: VersionState, aliases: list[str]) -> dict[str, Any]:
    found, noted = Version(state, version), version.get("source")
    description, metadata = repository.properties(found)
    said, source = repository.lookup.said_of(found), repository.lookup.source_of_any_time(found)
    made_at = source.spec if source is not None else f"{Path.named_by(noted)}:v{noted['number']}" if noted else None
    return {
        "spec": f"{state.path}:v{version['number']}", "type": state.type, "aliases": aliases,
        "tags": said.get("tags", []), "source": made_at, "digest": version["digest"], "id": version["id"],
        "size": version["size"], "files": version["files"], "created": moment(version["created"]),
        "updated": version["updated"], "user": version["user"], "host": version["host"],
        "author": author_of(version), "run": version["run"],
        "parents": version["parents"], "ttl": said.get("ttl", INHERIT), "deleted": version.get("deleted"),
        "description": description, "metadata": metadata, "keep": found.state.keep,
    }  # fmt: skip


@click.command("log")
@click.argument("name", type=SPEC)
@click.option("--aliases", is_flag=True, help="List every move of every alias instead.")
@click.option("--deleted", is_flag=True, help="Include deleted versions, even of a deleted artifact.")
@from_option
@json_option
def log_command(name: str, aliases: bool, deleted: bool, place: str | None, as_json: bool) -> None:
    """List the versions of an artifact, newest first."""
    with open_view(place) as repository:
        path, _ = repository.path_of(collection_named(name))
        state = repository.refs.read(path) if deleted else repository.collection(name)
        if not state.versions:
            state = repository.collection(name)
        if aliases:
            _alias_moves(repository, state, as_json)
            return
        versions = sorted(state.versions.values(), key=lambda version: -version["number"])
        versions = [version for version in versions if deleted or is_live(version)]
        named = state.all_aliases()
        if as_json:
            print_json([_version(repository, state, version, named.get(version["id"], [])) for version in versions])
            return
    rows = [_log_row(version, named.get(version["id"], [])) for version in versions]
    head = ("VERSION", output.time_head("SAVED"), "SIZE", "FILES", "DIGEST", "BY", "ALIASES", "TAGS")
    table(*output.with_authors(rows, head, [author_of(version) for version in versions]), right=(2, 3))


def _log_row(version: VersionState, aliases: list[str]) -> tuple[str, ...]:
    return (
        f"v{version['number']}", output.day(moment(version["created"])), human(version["size"]), f"{version['files']:,}",
        short(bytes.fromhex(version["digest"])), version["user"] or "-",
        ", ".join(aliases) if is_live(version) else "deleted", ", ".join(version.get("tags", [])),
    )  # fmt: skip


def _alias_moves(repository: View, state: State, as_json: bool) -> None:
    numbers = {id: f"v{version['number']}" for id, version in state.versions.items()}
    moves = [
        {
            "time": entry.time, "user": entry.user, "author": entry.author, "alias": change["alias"],
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
        (output.day(move["time"] or ""), move["alias"], move["from"] or "-", move["to"] or "-", move["user"] or "-")
        for move in moves
    ]
    head = (output.time_head("MOVED"), "ALIAS", "FROM", "TO", "BY")
    table(*output.with_authors(rows, head, [move["author"] for move in moves]))


def _only_file(repository: View, found: Version) -> str:
    """The path of a version's only file. Raises InvalidValue if it has several, or none."""
    files = (path for path, entry in repository.walk(found.tree) if entry.kind != DIRECTORY)
    paths = list(islice(files, 2))
    if len(paths) == 1:
        return os.fsdecode(paths[0])
    hint = f"name one; {typed('ls -r', found.name)} lists them"
    raise InvalidValue(f"{found.name} has {count(found.version['files'], 'file')}", hint=hint if paths else None)


@click.command("cat")
@click.argument("spec", type=SPEC)
@click.argument("path", required=False)
@click.option("--raw", is_flag=True, help="Write a table's file as it is stored.")
@click.option("-n", "rows", type=click.IntRange(min=0), metavar="N", help="Show at most N rows of a table.")
@from_option
def cat_command(spec: str, path: str | None, raw: bool, rows: int | None, place: str | None) -> None:
    """Write one file of a version to standard output, checked.

    A version that has only one file needs no PATH. A table (NAME.table.json, or just NAME) is printed with aligned
    columns, one row per line. So are joined and partitioned tables.
    """
    out = sys.stdout.buffer
    with open_view(place) as repository:
        found = repository.find(spec)
        path = _only_file(repository, found) if path is None else path.removeprefix("./")
        path = next((one for one in with_suffixes(path) if repository.find_entry(found, one) is not None), path)
        entry = repository.entry(found, path)
        as_table = not raw and (is_table(path) or is_group(path))
        if rows is not None and not as_table:
            raise InvalidValue("-n counts the rows of a table that is printed: leave out -n, or --raw")
        if as_table and entry.kind != DIRECTORY:
            from artstore.cli.tables import print_group, print_table

            if is_group(path):
                print_group(repository, found, path, entry, rows)
            else:
                print_table(repository, found, entry, f"'{printable(path)}' of {found.name}", rows)
            return
        if entry.kind == DIRECTORY:
            raise InvalidValue(
                f"'{printable(path)}' in {found.name} is a folder", hint=f"{typed('ls', spec, path)} lists it"
            )
        for piece in repository.content(entry):
            out.write(piece)
        out.flush()

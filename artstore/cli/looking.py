"""ls, show, log, cat, diff: what is stored, without changing anything."""

import os
import sys
from typing import Any

import click

from artstore.cli.output import count, day, human, json_option, moment, open_repository, print_json, table
from artstore.digest import short
from artstore.errors import InvalidValue
from artstore.names import check_project, printable
from artstore.repository import Found, Repository
from artstore.state import Path, State, VersionState
from artstore.tree import DIRECTORY, EXECUTABLE, REFERENCE, Change, Entry

_KINDS = ("file", "executable", "directory", "part", "reference")
_RENAMES = 10_000
"""Added plus removed files up to which `diff` looks for renames: it has to hold them."""


@click.command("ls")
@click.argument("spec", required=False)
@click.argument("path", required=False)
@click.option("-r", "--recursive", is_flag=True, help="List files at all levels.")
@click.option("--project", help="Only artifacts of this [ENTITY/]PROJECT.")
@json_option
def ls_command(spec: str | None, path: str | None, recursive: bool, project: str | None, as_json: bool) -> None:
    """List artifacts; with SPEC, the files of a version (below PATH)."""
    with open_repository() as repository:
        if spec is None:
            _list_collections(repository, project, as_json)
        else:
            _list_files(repository, repository.find(spec), path, recursive, as_json)


def _list_collections(repository: Repository, project: str | None, as_json: bool) -> None:
    entity, _, name = (project or "").rpartition("/")
    for part in filter(None, (entity, name)):
        check_project(part)
    states = list(repository.collections((entity or repository.settings.entity) if project else None, name or None))
    if as_json:
        print_json([_collection(state) for state in states])
        return
    home = (repository.settings.entity, repository.settings.project)
    rows = []
    for state in states:
        latest = state.latest
        about = (
            (f"v{latest['number']}", human(latest["size"]), day(moment(latest["created"])))
            if latest
            else ("-", "-", "-")
        )
        rows.append((_name(state.path, home), state.type, *about, ", ".join(state.aliases)))
    if project and not rows:
        click.echo(f"there are no artifacts in project {printable(project)}", err=True)
    elif rows:
        table(rows, ("NAME", "TYPE", "LATEST", "SIZE", "SAVED (UTC)", "ALIASES"), right=(3,))
    else:
        click.echo("nothing is stored here yet; `artstore put PATH --name NAME` saves something", err=True)


def _name(path: Path, home: tuple[str, str]) -> str:
    """As short as a spec may be."""
    if path[:2] == home:
        return path.name
    return f"{path.project}/{path.name}" if path.entity == home[0] else str(path)


def _collection(state: State) -> dict[str, Any]:
    latest = state.latest
    return {
        "name": str(state.path),
        "type": state.type,
        "versions": len(state.live()),
        "latest": f"v{latest['number']}" if latest else None,
        "size": latest["size"] if latest else None,
        "aliases": {alias: f"v{state.versions[id]['number']}" for alias, id in state.aliases.items()},
        "tags": state.tags,
    }


def _list_files(repository: Repository, found: Found, path: str | None, recursive: bool, as_json: bool) -> None:
    tree, prefix = found.tree, b""
    if path and path.strip("/"):
        entry = repository.entry(found, path)
        if entry[1] != DIRECTORY:
            _print_entries([(path.encode("utf-8", "surrogateescape"), entry)], as_json)
            return
        tree, prefix = entry[3], path.strip("/").encode("utf-8", "surrogateescape") + b"/"
    if recursive:
        entries = (
            (prefix + name, entry) for name, entry in repository.walk(tree) if entry[1] != DIRECTORY or not entry[4]
        )
    else:
        entries = ((prefix + entry[0], entry) for entry in repository.folder(tree))
    _print_entries(entries, as_json)


def _print_entries(entries: Any, as_json: bool) -> None:
    """A line per entry as it comes: a million of them take no memory."""
    write = sys.stdout.write
    if as_json:
        import json

        write("[")
        for number, (path, entry) in enumerate(entries):
            write(("," if number else "") + "\n  " + json.dumps(_entry(path, entry)))
        write("\n]\n")
        return
    for path, entry in entries:
        mark = "/" if entry[1] == DIRECTORY else "*" if entry[1] == EXECUTABLE else "@" if entry[1] == REFERENCE else ""
        write(f"{'-' if entry[2] is None else human(entry[2]):>10}  {printable(path)}{mark}\n")


def _entry(path: bytes, entry: Entry) -> dict[str, Any]:
    value: dict[str, Any] = {"path": os.fsdecode(path), "kind": _KINDS[entry[1]], "size": entry[2]}
    if entry[1] == REFERENCE:
        return value | {"uri": entry[3]}
    return value | {"digest": entry[3].hex()} | ({"files": entry[4]} if entry[1] == DIRECTORY else {})


@click.command("show")
@click.argument("spec")
@json_option
def show_command(spec: str, as_json: bool) -> None:
    """Show all that is known of one version."""
    with open_repository() as repository:
        found = repository.find(spec)
        record = repository.objects.read_version(bytes.fromhex(found.version["id"]))  # type: ignore[arg-type]  # hex of an id
        value = _version(repository, found)
        value |= {"type": record.type, "parents": [parent.hex() for parent in record.parents]}
    if as_json:
        print_json(value)
        return
    lines = {
        "version": value["spec"],
        "type": value["type"],
        "aliases": ", ".join(value["aliases"]),
        "tags": ", ".join(value["tags"]),
        "digest": value["digest"],
        "id": value["id"],
        "size": f"{human(value['size'])} in {count(value['files'], 'file')}",
        "saved": " ".join(
            part
            for part in (
                value["created"],
                f"by {value['user']}" if value["user"] else "",
                f"on {value['host']}" if value["host"] else "",
            )
            if part
        ),
        "run": value["run"] or "",
        "parents": ", ".join(parent[:12] for parent in value["parents"]),
        "description": printable(value["description"] or ""),
    }
    for key, text in lines.items():
        if text:
            click.echo(f"{key:12} {printable(text)}")
    if value["metadata"]:
        import json

        click.echo(
            "metadata     " + json.dumps(value["metadata"], indent=2, ensure_ascii=False).replace("\n", "\n" + " " * 13)
        )


def _version(repository: Repository, found: Found) -> dict[str, Any]:
    description, metadata = repository.properties(found)
    return _summary(found.state, found.version, found.state.aliases_of(found.version["id"])) | {
        "description": description,
        "metadata": metadata,
    }


def _summary(state: State, version: VersionState, aliases: list[str]) -> dict[str, Any]:
    return {
        "spec": f"{state.path}:v{version['number']}",
        "aliases": aliases,
        "tags": version.get("tags", []),
        "digest": version["digest"],
        "id": version["id"],
        "size": version["size"],
        "files": version["files"],
        "created": moment(version["created"]),
        "user": version["user"],
        "host": version["host"],
        "run": version["run"],
        "deleted": version.get("deleted"),
    }


@click.command("log")
@click.argument("name")
@click.option("--aliases", is_flag=True, help="Every move of every alias instead.")
@click.option("--deleted", is_flag=True, help="Deleted versions too.")
@json_option
def log_command(name: str, aliases: bool, deleted: bool, as_json: bool) -> None:
    """List the versions of an artifact, newest first."""
    with open_repository() as repository:
        if aliases:
            _alias_moves(repository, name, as_json)
            return
        _, spec = repository.path_of(name)
        if spec.alias or spec.number is not None or spec.digest:
            raise InvalidValue(f"'{name}' names a version; log takes an artifact: {spec.name}")
        state = repository.collection(name)
    versions = sorted(state.versions.values(), key=lambda version: -version["number"])
    versions = [version for version in versions if deleted or "deleted" not in version]
    named = state.all_aliases()
    if as_json:
        print_json([_summary(state, version, named.get(version["id"], [])) for version in versions])
        return
    rows = []
    for version in versions:
        names = ", ".join(named.get(version["id"], [])) + ("deleted" if "deleted" in version else "")
        who = version["user"] or "-"
        size = human(version["size"])
        rows.append(
            (
                f"v{version['number']}",
                day(moment(version["created"])),
                size,
                f"{version['files']:,}",
                short(bytes.fromhex(version["digest"])),
                who,
                names,
                ", ".join(version.get("tags", [])),
            )
        )
    table(rows, ("VERSION", "SAVED (UTC)", "SIZE", "FILES", "DIGEST", "BY", "ALIASES", "TAGS"), right=(2, 3))


def _alias_moves(repository: Repository, name: str, as_json: bool) -> None:
    numbers: dict[str, int] = {}
    moves = []
    for entry in repository.history(name):
        for change in entry.changes:
            if change["kind"] == "version":
                numbers[change["id"]] = change["number"]
            elif change["kind"] == "alias":
                old, new = (f"v{numbers[id]}" if id in numbers else None for id in (change["old"], change["id"]))
                moves.append({"time": entry.time, "user": entry.user, "alias": change["alias"], "from": old, "to": new})
    moves.reverse()
    if as_json:
        print_json(moves)
    else:
        table(
            [
                (day(move["time"]), move["alias"], move["from"] or "-", move["to"] or "-", move["user"] or "-")
                for move in moves
            ],
            ("MOVED (UTC)", "ALIAS", "FROM", "TO", "BY"),
        )


@click.command("cat")
@click.argument("spec")
@click.argument("path")
def cat_command(spec: str, path: str) -> None:
    """Write one file of a version to standard output, checked."""
    with open_repository() as repository:
        found = repository.find(spec)
        entry = repository.entry(found, path)
        if entry[1] == DIRECTORY:
            raise InvalidValue(
                f"'{printable(path)}' in {found.name} is a folder", hint=f"`artstore ls {spec} {path}` lists it"
            )
        out = sys.stdout.buffer
        for piece in repository.content(entry):
            out.write(piece)
        out.flush()


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when there are differences, as git does.")
@json_option
@click.pass_context
def diff_command(ctx: click.Context, old: str, new: str, exit_code: bool, as_json: bool) -> None:
    """Show what differs between two versions: A added, D removed, M changed, R renamed files; then metadata."""
    with open_repository() as repository:
        a, b = repository.find(old), repository.find(new)
        changes = repository.diff(a, b)
        metadata = [repository.properties(found)[1] for found in (a, b)]
        keys = sorted(
            key for key in metadata[0].keys() | metadata[1].keys() if metadata[0].get(key) != metadata[1].get(key)
        )
        shown = _Differences(as_json)
        for change in changes:
            shown.add(change)
        shown.flush()
    if as_json:
        differing = {key: {"old": metadata[0].get(key), "new": metadata[1].get(key)} for key in keys}
        print_json(
            {
                "old": f"{a.state.path}:v{a.version['number']}",
                "new": f"{b.state.path}:v{b.version['number']}",
                "files": shown.listed,
                "metadata": differing,
            }
        )
    else:
        import json

        for key in keys:
            before, after = (json.dumps(m.get(key), ensure_ascii=False) if key in m else "-" for m in metadata)
            click.echo(f"metadata {printable(key)}: {before} → {after}")
        click.echo(shown.summary())
    if exit_code and (shown.total or keys):
        ctx.exit(1)


class _Differences:
    """Prints changes in path order, once it is clear which added and removed files are one renamed file."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._waiting: list[Change] = []
        self._streaming = False
        self._counts = {"A": 0, "D": 0, "M": 0, "R": 0}
        self._bytes = 0
        self.listed: list[dict[str, Any]] = []

    @property
    def total(self) -> int:
        return sum(self._counts.values())

    def add(self, change: Change) -> None:
        if self._streaming:
            self._print(change, None)
            return
        self._waiting.append(change)
        if len(self._waiting) > _RENAMES:
            self.flush(renames=False)
            self._streaming = True

    def flush(self, *, renames: bool = True) -> None:
        removed: dict[Any, list[Change]] = {}
        for change in self._waiting if renames else ():
            if change.new is None and change.old is not None and change.old[1] < DIRECTORY and change.old[2]:
                removed.setdefault(change.old[3], []).append(change)
        origin: dict[bytes, Change] = {}
        for change in self._waiting if renames else ():
            if (
                change.old is None
                and change.new is not None
                and change.new[1] < DIRECTORY
                and removed.get(change.new[3])
            ):
                origin[change.path] = removed[change.new[3]].pop(0)
        gone = {change.path for change in origin.values()}
        for change in self._waiting:
            if not (change.new is None and change.path in gone):
                self._print(change, origin.get(change.path))
        self._waiting = []

    def _print(self, change: Change, renamed: Change | None) -> None:
        letter = "R" if renamed else "A" if change.old is None else "D" if change.new is None else "M"
        self._counts[letter] += 1
        old, new = (renamed or change).old, change.new
        sizes = [entry[2] or 0 if entry else 0 for entry in (old, new)]
        self._bytes += sizes[1] - sizes[0]
        where = printable(change.path)
        if self._as_json:
            words = {"A": "added", "D": "removed", "M": "changed", "R": "renamed"}
            self.listed.append(
                {
                    "change": words[letter],
                    "path": where,
                    "from": printable(renamed.path) if renamed else None,
                    "old_size": sizes[0] if old else None,
                    "new_size": sizes[1] if new else None,
                }
            )
            return
        size = (
            human(sizes[1])
            if old is None
            else human(sizes[0])
            if new is None
            else f"{human(sizes[0])} → {human(sizes[1])}"
        )
        sys.stdout.write(f"{letter}  {printable(renamed.path) + ' → ' if renamed else ''}{where}  {size}\n")

    def summary(self) -> str:
        words = [
            f"{number:,} {word}"
            for (letter, number), word in zip(
                self._counts.items(), ("added", "removed", "changed", "renamed"), strict=True
            )
            if number
        ]
        return (
            ", ".join(words) + f", {'+' if self._bytes >= 0 else '-'}{human(abs(self._bytes))}"
            if words
            else "no files differ"
        )

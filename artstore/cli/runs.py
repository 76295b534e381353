"""runs: list, show, compare and delete runs, and their files."""

import csv
import json
import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

import click

from artstore.cli import output
from artstore.cli.arguments import home_of, nothing_matches
from artstore.cli.commands import Commands
from artstore.cli.output import claimed, day, from_option, json_option, open_repository, open_view, print_json, table
from artstore.cli.streams import Long
from artstore.domain.codec import same_json
from artstore.domain.filters import ABSENT, Asked, parsed
from artstore.domain.names import file_name_of, printable, shortened
from artstore.domain.recorded_media import in_short, text_of_value
from artstore.domain.run import RunPath, RunState
from artstore.domain.wording import count, first_of, human, near, typed
from artstore.errors import Damage, InvalidValue, NoEntry, Refused
from artstore.operations.finding.columns import column, ordered
from artstore.operations.finding.matching import RunFields, fitting_runs
from artstore.store.runs import RunFile, may_live
from artstore.view import View


@click.group("runs", cls=Commands)
def runs_command() -> None:
    """List, show, compare and delete runs, with their config and metrics."""


def _one_form(as_csv: bool, as_json: bool) -> None:
    """Raise InvalidValue if two forms of output are asked for."""
    if as_csv and as_json:
        raise InvalidValue("--csv and --json can't be combined")


@runs_command.command("ls")
@click.argument("project", required=False)
@click.option(
    "--where", multiple=True, metavar="CONDITION", help="Matching runs only: 'config.lr<0.1', 'state=failed', or JSON."
)
@click.option(
    "-n", "number", type=click.IntRange(min=1), metavar="N", help="Show N  [default: 100 in a table, else all]"
)
@click.option(
    "--columns", multiple=True, metavar="NAMES", help="Show these instead: 'state,config.lr,val/acc'; may be repeated."
)
@click.option(
    "--sort",
    multiple=True,
    metavar="NAME",
    help="In this order: 'config.lr', or from the largest '-val/acc'; may be repeated.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with config and summary.")
@from_option
@json_option
def ls_command(
    project: str | None, where: tuple[str, ...], number: int | None, columns: tuple[str, ...], sort: tuple[str, ...],
    as_csv: bool, place: str | None, as_json: bool,
) -> None:  # fmt: skip
    """List the runs of [ENTITY/]PROJECT, or all runs, latest first.

    Fields for --where: name (the id), display_name, state, group, job_type, tags, username, created_at,
    config.KEY, summary_metrics.KEY. --columns and --sort take these, and the name of a metric or config key alone.
    """
    _one_form(as_csv, as_json)
    damaged, asked = list[Damage](), Asked()
    with open_view(place) as repository:
        home = home_of(repository, project)
        rows: Iterable[tuple[Any, ...]]
        if as_json or as_csv or where or columns or sort:
            runs = repository.runs
            values = repository.run_fields()
            states = fitting_runs(values, parsed(where), *home, damaged=damaged, asked=asked)
            number_of = len(states)
            for name in reversed(sort):  # each keeps the order of equals
                states = ordered(states, name, values)
            if columns:
                _print_columns(repository, values, states, ",".join(columns).split(","), number, as_csv, as_json)
            elif as_json:
                print_json([_plain(repository, state) for state in states[:number]])
            elif as_csv:
                _print_csv([_flat(_plain(repository, state)) for state in states[:number]])
            else:
                rows = (
                    (s.path, s.name, runs.status(s), s.started, s.job_type, s.user, s.used, s.logged) for s in states
                )
                _print_rows(repository, rows, number_of, number)
        else:
            below = "/".join(["runs", *(file_name_of(part) for part in home if part)])
            number_of, found = repository.catalog(damaged=damaged).latest_runs(below)
            local = repository.storage.local
            rows = (
                (
                    RunPath(*row[1:4]), row.name, row.finished or ("running" if may_live(row.owner, local) else "crashed"),
                    row.started, row.job_type, row.user, row.used, row.logged,
                )
                for row in found
            )  # fmt: skip
            _print_rows(repository, rows, number_of, number)
    if not number_of:
        nothing_matches("runs", where, asked, plain=not (as_json or as_csv))
    output.report_damage(damaged)


def _print_rows(repository: View, rows: Iterable[tuple[Any, ...]], count: int, number: int | None) -> None:
    """Print the first rows, and on stderr how many more there are."""
    if not count:
        return
    home = repository.settings.entity, repository.settings.project
    most = number or output.MOST_ROWS
    shown = []
    for path, name, state, started, job_type, user, used, logged in islice(rows, most):
        short = shortened(path, home)
        own_name = name if name != path.id else ""
        edges = f"{len(used):,}", f"{len(logged):,}"
        shown.append((short, own_name, state, day(started), job_type or "", user or "-", *edges))
    table(
        shown, ("RUN", "NAME", "STATE", output.time_head("STARTED"), "JOB TYPE", "BY", "USED", "LOGGED"), right=(6, 7)
    )
    if count > most:
        click.echo(f"{count - most:,} more: -n {count} lists all", err=True)


def _print_columns(
    repository: View, values: RunFields, states: list[RunState], names: list[str], number: int | None, as_csv: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Print these columns of runs as a table, CSV or JSON."""
    names = [name.strip() for name in names]
    columns = [column(name, states, values) for name in names]
    rows = [
        {name: None if (value := one(state)) is ABSENT else value for name, one in zip(names, columns, strict=True)}
        for state in states[:number]
    ]
    if as_json:
        print_json([{"run": str(state.path), **row} for state, row in zip(states, rows, strict=False)])
    elif as_csv:
        flat = [{key: _cell(value) for key, value in row.items()} for row in rows]
        shown = ({"run": str(state.path), **row} for state, row in zip(states, flat, strict=False))
        _write_csv(["run", *names], shown)
    elif states:
        home = repository.settings.entity, repository.settings.project
        most = number or output.MOST_ROWS
        lines = [
            (shortened(state.path, home), *(in_short(value) or str(_cell(value)) for value in row.values()))
            for state, row in zip(states, rows[:most], strict=False)
        ]
        table(lines, ("RUN", *map(printable, names)))
        if len(states) > most:
            click.echo(f"{len(states) - most:,} more: -n {len(states)} lists all", err=True)


@runs_command.command("diff")
@click.argument("old", metavar="RUN")
@click.argument("new", metavar="OTHER")
@from_option
@json_option
def diff_command(old: str, new: str, place: str | None, as_json: bool) -> None:
    """Compare two runs: their config, their summary, and the versions that they used and logged."""
    with open_view(place) as repository:
        values = [_compared(repository, _find(repository, text)) for text in (old, new)]
    before, after = values
    differing = {
        kind: {key: (before[kind].get(key), after[kind].get(key)) for key in before[kind] | after[kind]}
        for kind in before
    }
    differing = {
        kind: {key: pair for key, pair in found.items() if not same_json(*pair)} for kind, found in differing.items()
    }
    if as_json:
        plain = {kind: {k: {"old": a, "new": b} for k, (a, b) in found.items()} for kind, found in differing.items()}
        print_json({"old": old, "new": new, **plain})
        return
    lines = [
        f"{kind} {printable(key)}: {' → '.join('-' if one is None else _shown(kind, one) for one in pair)}"
        for kind, found in differing.items()
        for key, pair in found.items()
    ]
    click.echo("\n".join(lines) if lines else "no differences")


def _compared(repository: View, state: RunState) -> dict[str, dict[str, Any]]:
    """What is compared of a run."""
    value = _plain(repository, state)
    edges: dict[str, dict[str, list[str]]] = {"used": {}, "logged": {}}
    for kind, versions in edges.items():
        specs = [edge["spec"].rpartition(":v") for edge in value[kind]]
        for name, _, number in sorted(specs, key=lambda spec: int(spec[2])):
            versions.setdefault(name, []).append(f"{name}:v{number}")
    return {"config": value["config"], "summary": value["summary"], **edges}


def _shown(kind: str, value: Any) -> str:
    if kind in ("used", "logged"):
        return ", ".join(value)
    return printable(value if isinstance(value, str) else text_of_value(value))


def _plain(repository: View, state: RunState) -> dict[str, Any]:
    def edges(found: dict[str, Any]) -> list[dict[str, Any]]:
        name = "{entity}/{project}/{name}:v{number}".format_map
        return [{"spec": name(edge), "id": id, "type": edge["type"]} for id, edge in found.items()]

    return {
        "run": str(state.path), "name": state.name, "state": repository.runs.status(state), "started": state.started,
        "seen": state.seen, "exit_code": state.exit_code, "job_type": state.job_type, "group": state.group,
        "tags": state.tags, "notes": state.notes, "user": state.user, "host": state.host, "author": state.author,
        "command": state.command, "git": state.git, "config": state.parameters, "summary": repository.run_summary(state),
        "used": edges(state.used), "logged": edges(state.logged),
    }  # fmt: skip


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    """A run's values as cells of one row: one for each key of config and summary; lists become text."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if key in ("config", "summary"):
            flat |= {f"{key}.{name}": _cell(inner) for name, inner in item.items()}
        elif key in ("used", "logged"):
            flat[key] = " ".join(edge["spec"] for edge in item)
        else:
            flat[key] = _cell(item)
    return flat


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value) if value else ""
    return "" if value is None else value


def _print_csv(rows: list[dict[str, Any]]) -> None:
    """Print rows as CSV: first the columns that every run has, then config and summary."""
    columns = list(dict.fromkeys(key for row in rows for key in row)) or ["run"]
    columns.sort(key=lambda key: key.startswith(("config.", "summary.")) + key.startswith("summary."))
    _write_csv(columns, rows)


def _write_csv(columns: list[str], rows: Iterable[dict[str, Any]]) -> None:
    writer = csv.DictWriter(Long(), columns, restval="", lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)


@runs_command.command("show")
@click.argument("run")
@click.option("--history", is_flag=True, help="Print its metrics step by step instead, as CSV or with --json as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print everything as one row of CSV.")
@from_option
@json_option
def show_command(run: str, history: bool, as_csv: bool, place: str | None, as_json: bool) -> None:
    """Show everything about one run, [[ENTITY/]PROJECT/]ID, or its name in place of ID if no other run has it."""
    _one_form(as_csv, as_json)
    with open_view(place) as repository:
        state = _find(repository, run)
        if history:
            _print_history(repository, state, as_json)
        elif as_json:
            print_json(_plain(repository, state))
        elif as_csv:
            _print_csv([_flat(_plain(repository, state))])
        else:
            rows = sum(part["rows"] for part in state.history.values())
            files = repository.run_files(state)
            _print_run(_plain(repository, state), rows, bool(repository.runs.open_parts(state)), files)


def _find(repository: View, text: str) -> RunState:
    """Find a run by its id or its display name. Raises NotFound."""
    from artstore.operations.finding.naming import find_run

    return find_run(repository.runs, repository.catalog(damaged=[]), repository.lookup.home(), text)


def _print_run(value: dict[str, Any], rows: int, more: bool, files: dict[str, RunFile]) -> None:
    """Print a run. `rows` is the length of its sealed history; `more` says that unsealed rows may follow."""
    size = human(sum(file.size for file in files.values()))
    git = value["git"]
    lines = {
        "run": value["run"], "name": value["name"] if value["name"] != value["run"].rpartition("/")[2] else "",
        "state": value["state"] + (f", exit code {value['exit_code']}" if value["exit_code"] else ""),
        "started": " ".join(filter(None, (day(value["started"]), claimed(value)))), "author": value["author"] or "",
        "last seen": day(value["seen"]), "job type": value["job_type"] or "", "group": value["group"] or "",
        "tags": ", ".join(value["tags"]), "notes": value["notes"] or "", "command": " ".join(value["command"]),
        "git": f"{git['commit'] or 'no commit'}{' (changed)' if git['dirty'] else ''}" if git else "",
        "used": "\n".join(f"{edge['spec']}  {edge['type']}" for edge in value["used"]),
        "logged": "\n".join(f"{edge['spec']}  {edge['type']}" for edge in value["logged"]),
        "config": "\n".join(f"{key} = {json.dumps(item, ensure_ascii=False)}" for key, item in value["config"].items()),
        "summary": "\n".join(f"{key} = {text_of_value(item)}" for key, item in value["summary"].items()),
        "history": (f"{rows:,} steps{' and more' if more else ''}: " if rows else "")
        + (typed("runs show --history", value["run"]).strip("`") if rows or more else ""),
        "files": f"{len(files):,}, {size}: {typed('runs files', value['run']).strip('`')}" if files else "",
    }  # fmt: skip
    output.fields(lines, 10)


def _print_history(repository: View, state: RunState, as_json: bool) -> None:
    """Print a run's history row by row, so that a long one takes no memory. CSV reads it twice: columns come first."""
    if as_json:
        output.print_each(repository.run_history(state))
        return
    columns = list(dict.fromkeys(key for row in repository.run_history(state) for key in row))
    rows = ({key: _cell(value) for key, value in row.items()} for row in repository.run_history(state))
    _write_csv(columns, rows)


@runs_command.command("files")
@click.argument("run")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--root", metavar="FOLDER", help="Restore the files to this folder.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@from_option
@json_option
def files_command(
    run: str, paths: tuple[str, ...], root: str | None, force: bool, place: str | None, as_json: bool
) -> None:  # fmt: skip
    """List the files of a run, or restore them to a folder.

    PATH is a file, a folder, or a glob such as '*.log'; by default all files.
    """
    if force and root is None:
        raise InvalidValue("--force needs --root FOLDER")
    with open_view(place) as repository:
        state = _find(repository, run)
        found = _chosen(repository.run_files(state), paths, state)
        if root is not None:
            there = [path for path in found if os.path.lexists(os.path.join(root, path))]
            if there and not force:
                raise Refused(
                    f"{first_of(there, 3)} in {printable(root)} would be replaced", hint="--force replaces them"
                )
            for path in found:
                repository.get_run_file(state, path, root)
    values = [{"path": path, "size": file.size} for path, file in found.items()]
    if root is not None:
        size = human(sum(file.size for file in found.values()))
        output.answer(
            as_json, {"root": root, "files": values}, f"{count(len(found), 'file')}, {size} → {printable(root)}"
        )
    else:
        rows = [(path, human(file.size)) for path, file in found.items()]
        output.listing(as_json, values, rows, ("PATH", "SIZE"), f"run {state.path} has no files", right=(1,))


def _chosen(files: dict[str, RunFile], paths: tuple[str, ...], state: RunState) -> dict[str, RunFile]:
    """The files that the paths, folders and globs name. Raises NoEntry for one that names none."""
    chosen = set[str]()
    for wanted in paths:
        name = wanted.rstrip("/")
        matching = {path for path in files if path == name or path.startswith(f"{name}/") or fnmatchcase(path, name)}
        if not matching:
            raise NoEntry(
                f"run {state.path} has no file '{printable(wanted)}'",
                hint=near(wanted, files) or typed("runs files", str(state.path)) + " lists them",
            )
        chosen |= matching
    return {path: file for path, file in files.items() if not paths or path in chosen}


@runs_command.command("rm")
@click.argument("run")
@json_option
def rm_command(run: str, as_json: bool) -> None:
    """Delete a run; the versions that it logged stay.

    Its name, and which versions it used and logged, stay on record. `gc` frees its history.
    """
    with open_repository() as repository:
        state = _find(repository, run)
        if repository.runs.status(state) == "running":
            raise InvalidValue(f"run {state.path} is running", hint="finish it first")
        repository.delete_run(state.path)
    text = f"deleted run {state.path}; the versions that it logged stay"
    output.answer(as_json, {"deleted": str(state.path)}, text)

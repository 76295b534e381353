"""remote, push, pull, fetch, clone: exchange versions with other repositories."""

import os
import time
from collections.abc import Callable
from typing import Any

import click

from artstore.api.progress.bar import Bar
from artstore.cli.arguments import FOLDER, SPEC
from artstore.cli.commands import Commands
from artstore.cli.output import F, answer, json_option, listing, open_repository, print_json
from artstore.domain.collection import Path
from artstore.domain.copies import REGISTRY_RECORD
from artstore.domain.ignore import PathFilter
from artstore.domain.names import printable
from artstore.domain.selection import EVERYTHING, Selection
from artstore.domain.wording import count, first_of, human, typed
from artstore.errors import ArtstoreError, InvalidValue
from artstore.repository import Repository
from artstore.store.settings import FOLDER as REPOSITORY
from artstore.sync.exchange import Exchanged, Moved
from artstore.sync.transfer import NOTHING

_MERGE_FROM = 64
"""How many small packs a remote has before `push` suggests a gc there."""

_TOLD = 10
"""Most changes of an artifact that a push or pull lists."""

_REMOTE_OR_SPECS = click.argument("names", nargs=-1, type=SPEC, metavar="[REMOTE] [SPEC]...")
_dry_run = click.option("-n", "--dry-run", is_flag=True, help="Show what would be transferred; change nothing.")
jobs_option = click.option(
    "-j", "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Large files to transfer at once."
)


def _partly(command: F) -> F:
    """Add the options that select the files whose content is downloaded. `_selection` reads them."""
    for option in (
        click.option("--exclude", multiple=True, help="No content of files that match this glob; may be repeated."),
        click.option("--include", multiple=True, help="Only content of files that match this glob; may be repeated."),
        click.option("--path-prefix", default="", help="Only content of files whose path starts with this."),
        click.option("--no-blobs", is_flag=True, help="Download no files' content now, but later when it is needed."),
    ):
        command = option(command)
    return command


@click.group("remote", cls=Commands)
def remote_command() -> None:
    """Manage the remotes that this repository pushes to and pulls from.

    A remote is a repository in a folder (such as a network share), in a bucket (s3://BUCKET/PATH, gs://…, az://…), or
    one that `artstore serve` serves: https://HOST.
    """


@remote_command.command("add")
@click.argument("name")
@click.argument("url", required=False)
@click.option("--init", "make", is_flag=True, help="Make an empty repository there first.")
@click.option(
    "--shared", is_flag=True, help="With --init, in a folder: let its group write to it, whatever the umask is."
)
@click.option("--record", is_flag=True, help="Write it to artstore.remotes: whoever has that file can leave out URL.")
@json_option
@click.pass_context
def add_command(
    ctx: click.Context, name: str, url: str | None, make: bool, shared: bool, record: bool, as_json: bool
) -> None:
    """Add a remote, and check that it can be used.

    Without URL, it is the remote of this name in artstore.remotes, a text file in the project that you commit to git.

    A bucket's URL may name its endpoint and region: 's3://BUCKET/PATH?endpoint=URL&region=NAME'. Quote it, because a
    shell interprets ? and &. Credentials come from the environment or the service's own login; artstore doesn't
    store them.
    """
    if shared and not make:
        raise InvalidValue("--shared needs --init: it is for a new repository")
    with open_repository() as repository:
        remotes, writable = repository.remotes, True
        if url is not None or not record or name not in remotes.all():
            if url is None and not remotes.of_project():
                raise click.MissingParameter(ctx=ctx, param_hint="'URL'", param_type="argument")
            place = remotes.named_by_project(name) if url is None else url
            writable = remotes.add(name, place, make=make, shared=shared, named=url is not None)
        if record:
            remotes.record(name)
        known = remotes.all()[name]
    text = f"added remote {name}: {printable(known.url)}{'' if writable else ' (read-only)'}"
    answer(as_json, {"remote": name, **known._asdict()}, text)


@remote_command.command("ls")
@json_option
def ls_command(as_json: bool) -> None:
    """List the remotes."""
    with open_repository() as repository:
        remotes = repository.remotes.all()
    values = [{"remote": name, **remote._asdict()} for name, remote in remotes.items()]
    rows = [(name, remote.url, "partial" if remote.partial else "") for name, remote in remotes.items()]
    nothing = "there are no remotes; `artstore remote add NAME URL` adds one"
    listing(as_json, values, rows, ("NAME", "PLACE", ""), nothing)


@remote_command.command("rm")
@click.argument("name")
@json_option
def rm_command(name: str, as_json: bool) -> None:
    """Remove a remote from the list. Nothing changes at the remote."""
    with open_repository() as repository:
        repository.remotes.remove(name)
    answer(as_json, {"removed": name}, f"removed remote {name}")


@remote_command.command("allow")
@json_option
def allow_command(as_json: bool) -> None:
    """Allow contact with the remotes of a repository that someone else made."""
    with open_repository() as repository:
        repository.settings.allow_contact()
        root = repository.root
    answer(as_json, {"allowed": root}, f"the remotes of {printable(root)} may be contacted")


@click.command("push")
@_REMOTE_OR_SPECS
@_dry_run
@jobs_option
@json_option
@click.pass_context
def push_command(ctx: click.Context, names: tuple[str, ...], dry_run: bool, jobs: int, as_json: bool) -> None:
    """Send new versions and changes to a remote.

    SPECs select versions, artifacts or projects (PROJECT/); without SPEC, all are sent. Without REMOTE, they go to
    origin or to the only remote. If both sides changed the same value, the remote keeps its own, and the command
    reports it.
    """
    with Bar() as bar, open_repository() as repository:
        remote, specs = _split(repository, names)
        start = time.monotonic()
        done = repository.push(remote, specs, dry_run=dry_run, jobs=jobs, monitor=bar)
        short = repository.lookup.short
    report(ctx, done, short, ("pushed", "would push"), dry_run, as_json, time.monotonic() - start)


@click.command("pull")
@_REMOTE_OR_SPECS
@_partly
@_dry_run
@jobs_option
@json_option
@click.pass_context
def pull_command(
    ctx: click.Context, /, names: tuple[str, ...], dry_run: bool, jobs: int, as_json: bool, **options: Any
) -> None:
    """Get new versions and changes from a remote.

    If others pushed versions with the same numbers first, all of yours that the remote lacks get numbers behind its
    own. If both sides changed the same value, the remote's overwrites yours. The command lists both.
    """
    selection = _selection(**options)
    with Bar() as bar, open_repository() as repository:
        remote, specs = _split(repository, names)
        start = time.monotonic()
        done = repository.pull(remote, specs, selection=selection, dry_run=dry_run, jobs=jobs, monitor=bar)
        short = repository.lookup.short
    _warn_of_unmatched(done, selection, as_json)
    report(ctx, done, short, ("pulled", "would pull"), dry_run, as_json, time.monotonic() - start)


@click.command("fetch")
@_REMOTE_OR_SPECS
@json_option
def fetch_command(names: tuple[str, ...], as_json: bool) -> None:
    """Show what a remote has, without downloading it."""
    with Bar() as bar, open_repository() as repository:
        remote, specs = _split(repository, names)
        remotes = repository.remotes
        name = remotes.default(remote)
        repository.fetch(remote, specs, monitor=bar)
        found = [(state, apart) for state in repository.refs.collections(damaged=[]) for apart in remotes.apart(state)]
        found = [(state, apart) for state, apart in found if apart.remote == name]
        unknown = remotes.only_there(name)
        short = repository.lookup.short
    if as_json:
        behind = [{"collection": str(state.path), **apart._asdict()} for state, apart in found]
        print_json({"remote": name, "collections": behind, "only_there": [str(path) for path in unknown]})
        return
    for state, apart in found:
        click.echo(f"{_shown(state.path, short)}: {apart.in_words}")
    for path in unknown:
        click.echo(f"{_shown(path, short)}: only at {name}; {typed('pull', name, short(path))} gets it")
    if not found and not unknown:
        click.echo(f"{name} has no artifacts yet", err=True)


@click.command("clone")
@click.argument("url")
@click.argument("folder", required=False, type=FOLDER)
@_partly
@jobs_option
@json_option
@click.pass_context
def clone_command(
    ctx: click.Context, /, url: str, folder: str | None, jobs: int, as_json: bool, **options: Any
) -> None:
    """Copy a remote to a new repository.

    The repository is made in FOLDER/.artifacts; FOLDER is by default the last part of the URL. The remote becomes its
    `origin`. To continue an interrupted clone, run the command again.
    """
    place = folder if folder is not None else _folder_for(url)
    root, selection = os.path.join(os.path.abspath(place), REPOSITORY), _selection(**options)
    start = time.monotonic()
    with Bar() as bar:
        repository, done = Repository.clone(url, root, selection=selection, jobs=jobs, monitor=bar)
        short = repository.lookup.short
        repository.close()
    if not as_json:
        click.echo(f"cloned into {printable(os.path.relpath(place))}")
    _warn_of_unmatched(done, selection, as_json)
    report(ctx, done, short, ("got", "would get"), False, as_json, time.monotonic() - start)


def _folder_for(url: str) -> str:
    parts = [part for part in url.partition("?")[0].split("/") if part not in ("", ".")]
    if len(parts) > 1 and parts[-1] == REPOSITORY:
        parts.pop()
    name = parts[-1] if parts else ""
    if not name or name.endswith(":") or name == "..":
        raise InvalidValue(f"can't name a folder after '{printable(url)}'", hint="give the FOLDER to clone to")
    return name


def _selection(no_blobs: bool, path_prefix: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> Selection:
    if no_blobs:
        if path_prefix or include or exclude:
            raise InvalidValue("--no-blobs can't be combined with --path-prefix, --include or --exclude")
        return NOTHING
    if not (path_prefix or include or exclude):
        return EVERYTHING
    return Selection(path_prefix, PathFilter(include or None, exclude or None))


def _warn_of_unmatched(done: Exchanged, selection: Selection, as_json: bool) -> None:
    for glob in () if as_json else done.unmatched:
        click.echo(f"warning: {selection.chosen.told(glob, '--')}", err=True)


def _split(repository: Repository, names: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The remote, if the first name is a remote's, and the specs."""
    if names and names[0] in repository.remotes.all():
        return names[0], names[1:]
    return None, names


def report(
    ctx: click.Context, done: Exchanged, short: Callable[[Path], str], words: tuple[str, str], dry_run: bool, as_json: bool,
    seconds: float,
) -> None:  # fmt: skip
    """Print the result of a transfer, and exit with the worst code of its refused collections and runs.

    `words` are the verb for a transfer and the one for a dry run; `seconds` is how long it took.
    """
    problems = [(short(moved.path), moved.problem) for moved in done.refused if moved.problem is not None]
    problems += [(f"run {run.path}", run.problem) for run in done.refused_runs]
    code = max((problem.exit_code for _, problem in problems), default=0)
    if as_json:
        collections = [_plain(moved) for moved in done.collections]
        runs = [{"run": run.path, "error": _error(run.problem)} for run in done.refused_runs]
        print_json({"dry_run": dry_run, **done._asdict(), "collections": collections, "refused_runs": runs})
        ctx.exit(code)
    for moved in done.collections:
        for line in _lines(moved, _shown(moved.path, short), words[dry_run], dry_run):
            click.echo(line)
        if moved.renamed_apart is not None and moved.problem is None:
            name, other = short(moved.path), short(moved.renamed_apart)
            side = f"at {done.remote}" if words[0] == "pushed" else "here"
            are = "would be two artifacts" if dry_run else "are two artifacts now"
            click.echo(f"  {side} it was renamed to {other}: {name} and {other} {are}")
    moved_some = done.runs or any(moved.outcome == "moved" or moved.declined for moved in done.collections)
    if not moved_some and not problems:
        click.echo(f"up to date with {done.remote}")
    elif done.objects:
        rate = f", {human(int(done.bytes / seconds))}/s" if done.bytes > 1 << 20 and seconds > 1 and not dry_run else ""
        click.echo(f"{words[dry_run]} {human(done.bytes)} in {count(done.objects, 'object')}{rate}")
    if done.runs:
        click.echo(f"and {count(done.runs, 'run')}")
    if done.due >= _MERGE_FROM:
        hint = typed("gc", done.remote)
        click.echo(f"{done.remote} has {done.due} small packs: {hint} would merge them", err=True)
    if words[0] == "pushed" and (lost := [short(moved.path) for moved in done.collections if moved.declined]):
        pull = typed("pull", done.remote, *lost)
        click.echo(f"hint: {pull} brings what they set; set yours again after it, and push", err=True)
    for name, problem in problems:
        click.echo(f"error: {printable(name)}: {printable(problem.message)}", err=True)
        if problem.hint:
            click.echo(f"hint: {printable(problem.hint)}", err=True)
    ctx.exit(code)


def _shown(path: Path, short: Callable[[Path], str]) -> str:
    """The name to show for a collection: a registry has one that only artstore knows."""
    return f"registry {path.project}" if path.name == REGISTRY_RECORD else short(path)


def _lines(moved: Moved, name: str, word: str, dry_run: bool) -> list[str]:
    if moved.outcome == "refused":
        return []
    if moved.path.name == REGISTRY_RECORD:
        return [f"{name}: {word}"] if moved.changes else []
    lines = []
    if moved.renamed_from is not None:
        old, new = moved.renamed_from, moved.path
        lines.append(f"{old.name if old[:2] == new[:2] else old}: {'would become' if dry_run else 'is now'} {name}")
    if moved.versions:
        numbers = [version.rpartition(":")[2] for version in moved.versions]
        lines.append(f"{name}: {word} {first_of(numbers, 6)}")
    elif moved.changes or moved.declined:
        lines.append(f"{name}: {word} {count(moved.changes, 'change')}")
    lines += [f"  {text}" for text in moved.told[:_TOLD]]
    if len(moved.told) > _TOLD:
        lines.append(f"  and {len(moved.told) - _TOLD} more")
    is_now = "would become" if dry_run else "is now"
    lines += [f"  your v{old} {is_now} v{new}" for old, new in moved.renumbered]
    return lines + [f"  {printable(text)}" for text in moved.declined]


def _plain(moved: Moved) -> dict[str, Any]:
    value: dict[str, Any] = {**moved._asdict(), "path": str(moved.path)}
    value["renamed_from"] = str(moved.renamed_from) if moved.renamed_from is not None else None
    value["renamed_apart"] = str(moved.renamed_apart) if moved.renamed_apart is not None else None
    value["renumbered"] = [{"from": old, "to": new} for old, new in moved.renumbered]
    problem = value.pop("problem")
    if problem is not None:
        value["error"] = _error(problem)
    return value


def _error(problem: ArtstoreError) -> dict[str, Any]:
    return {
        "kind": type(problem).__name__, "message": problem.message, "hint": problem.hint, "exit_code": problem.exit_code,
    }  # fmt: skip

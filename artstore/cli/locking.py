"""lock: record the versions that a project uses in a text file; `get --locked` restores them."""

import os
from collections.abc import Iterator

import click

from artstore.api.locked import Restoring
from artstore.api.progress.bar import Bar
from artstore.cli.arguments import FOLDER, SPEC, lock_option
from artstore.cli.output import json_option, open_repository, print_json, table
from artstore.domain.names import LOCK_FILE, printable
from artstore.domain.tree import DIRECTORY
from artstore.domain.wording import count, human, typed
from artstore.errors import InvalidValue, NotFound, Refused
from artstore.operations.finding.lookup import Version
from artstore.operations.restoring import lockfile
from artstore.operations.restoring.lockfile import Locked, folder_of, url_for
from artstore.operations.restoring.status import Status
from artstore.repository import Repository


@click.command("lock")
@click.argument("specs", nargs=-1, type=SPEC, metavar="[SPEC]...")
@click.option("--root", type=FOLDER, help="With one SPEC: folder to restore it to  [default: artifacts/NAME]")
@lock_option
@json_option
def lock_command(specs: tuple[str, ...], root: str | None, lock: str | None, as_json: bool) -> None:
    """Record in a lock file which versions this project uses.

    Without SPEC, it records all folders below the lock file that were saved or restored, as `status` lists them. It
    fails if one of them has changed. With SPECs, it adds or replaces their entries and keeps the others. Commit the
    file with your code: `artstore get --locked` restores exactly these versions, from the remotes that have them.
    The lock file of the project is also found from its subfolders.
    """
    lock = lockfile.nearest() if lock is None else lock
    if os.path.isdir(lock) or not lock:
        raise InvalidValue(f"--file '{printable(lock)}' is not a file", hint=f"the default is {LOCK_FILE}")
    if root is not None and len(specs) != 1:
        raise InvalidValue("--root needs exactly one SPEC", hint="lock them one by one")
    with Bar() as bar, open_repository() as repository:
        bar.start("comparing")
        if specs:
            named = [repository.find(spec, for_good=True) for spec in specs]
            new = [
                _locked(repository, found, root or os.path.join(_above(lock), "artifacts", found.state.path.name), lock)
                for found in named
            ]
            known = lockfile.read(lock) if os.path.isfile(lock) else []
            entries = {one.path: one for one in [*known, *new]}
        else:
            new = list(_in_use(repository, lock, bar))
            entries = {one.path: one for one in new}
    for one in entries.values():
        folder_of(one, lock)
    lockfile.write(lock, entries.values())
    rows = sorted(entries.values())
    if as_json:
        print_json([one._asdict() for one in rows])
        return
    table([(one.path, one.spec, one.digest[:12]) for one in rows], ("PATH", "VERSION", "DIGEST"))
    click.echo(f"locked {count(len(rows), 'artifact')} in {printable(lock)}")
    if lonely := [one for one in new if one.remote is None]:
        what, them = f"{len(lonely)} of these versions are", "them"
        if len(lonely) == 1:
            what, them = f"{lonely[0].spec} is", "it"
        click.echo(f"{what} not at a remote, so nobody else can get {them}: `artstore push`, then lock again", err=True)


def _in_use(repository: Repository, lock: str, bar: Bar) -> Iterator[Locked]:
    """The folders below the lock file that were saved or restored. Raises Refused if one differs from its version."""
    above = _above(lock)
    found = [one for one in repository.status(above, monitor=bar) if f"{one.noted.folder}/".startswith(f"{above}/")]
    if not found:
        raise NotFound(
            f"no folder below {printable(above)} was saved or restored", hint="name a version: `artstore lock SPEC`"
        )
    for status in [status for status in found if status.noted.name is not None]:
        where = printable(os.path.relpath(status.noted.folder))
        name = repository.lookup.short(status.noted.collection)
        click.echo(f"skipped {where}: only folders can be locked; {typed('lock', name)} adds one for it", err=True)
    found = [status for status in found if status.noted.name is None]
    if not found:
        raise NotFound(f"only files were saved below {printable(above)}", hint="name a version: `artstore lock SPEC`")
    if partly := [status for status in found if not _is_whole(repository, status)]:
        where = printable(os.path.relpath(partly[0].noted.folder))
        raise Refused(
            f"{where} holds only a part of a version", hint="name a version: `artstore lock SPEC --root FOLDER`"
        )
    if changed := [status for status in found if status.verified is None or not status.verified.ok]:
        where = printable(os.path.relpath(changed[0].noted.folder))
        raise Refused(
            f"{where} has unsaved changes" + (f", and so have {len(changed) - 1} others" if changed[1:] else ""),
            hint=f"`artstore status` lists the changes; {typed('put', where)} saves them",
        )
    for status in found:
        if status.found is not None:
            yield _locked(repository, status.found, status.noted.folder, lock)


def _is_whole(repository: Repository, status: Status) -> bool:
    """Whether a folder holds all of its version. What `put --exclude` left out is not in the version."""
    selection, found = status.noted.selection, status.found
    if selection.everything or found is None:
        return selection.everything
    files = (path for path, entry in repository.walk(found.tree) if entry.kind != DIRECTORY)
    return all(map(selection.takes, files))


def _above(lock: str) -> str:
    return os.path.dirname(os.path.abspath(lock))


def _locked(repository: Repository, found: Version, folder: str, lock: str) -> Locked:
    path = os.path.relpath(folder, _above(lock))
    if path == "." or path.startswith(".."):
        raise InvalidValue(
            f"{printable(os.path.relpath(folder))} is not below {printable(_above(lock))}, the folder of the lock file",
            hint="choose a --root below it",
        )
    version = found.version
    spec = f"{found.state.path}:v{version['number']}"
    remotes = repository.remotes
    remote = remotes.having(found.state.path, version["id"])
    if remote is None:
        return Locked(path, spec, version["id"], version["digest"])
    known = remotes.all()[remote]
    return Locked(path, spec, version["id"], version["digest"], remote, url_for(known.url, known.relative, lock))


def get_locked(lock: str | None, place: str | None, force: bool, as_json: bool) -> None:
    """Make each folder equal to its version. All versions are found before the first folder changes."""
    lock = lockfile.nearest() if lock is None else lock
    wanted = lockfile.require(lock)
    with Bar() as bar, Restoring(lock, place, bar) as restoring:
        done = restoring.run(wanted, force=force)
    if as_json:
        print_json([{**one._asdict(), **result._asdict()} for one, result in done.got])
        return
    if done.created is not None:
        click.echo(f"made a repository in {printable(done.created)}")
    for brought in done.brought:
        click.echo(f"got {count(brought.versions, 'version')} from {brought.remote}: {printable(brought.url)}")
        if not brought.kept:
            hint = typed("remote add", brought.remote, brought.url)
            click.echo(
                f"that is not a remote of this repository, so only files were restored; {hint} adds it", err=True
            )
    for one, result in done.got:
        changed = f"{human(result.written_bytes)} written" if result.written or result.removed else "unchanged"
        click.echo(f"{printable(one.path)}: {one.spec}, {count(result.files, 'file')}, {changed}")

"""diff, verify, status: compare versions with each other, and with folders."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from artstore.api.progress.bar import Bar
from artstore.cli.arguments import SPEC
from artstore.cli.output import folder_shown, json_option, open_repository, paint, print_json
from artstore.cli.streams import Long
from artstore.domain.codec import same_json
from artstore.domain.names import parse_spec, printable
from artstore.domain.wording import count, human, typed
from artstore.errors import InvalidValue, NotFound
from artstore.operations.finding.lookup import Version

if TYPE_CHECKING:
    from artstore.domain.difference import Difference
    from artstore.operations.restoring.status import Status
    from artstore.operations.restoring.verify import Verified
    from artstore.repository import Repository
    from artstore.sync.remotes import Divergence

_LETTERS = {"added": ("A", "green"), "removed": ("D", "red"), "changed": ("M", "yellow"), "renamed": ("R", "cyan")}


@click.command("diff")
@click.argument("old", type=SPEC)
@click.argument("new", type=SPEC, required=False)
@click.option("--table", metavar="PATH", help="Compare the rows of this table instead; needs --key.")
@click.option(
    "--key", multiple=True, metavar="COLUMN", help="With --table: column that identifies a row; may be repeated."
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if there are differences, as git does.")
@json_option
@click.pass_context
def diff_command(
    ctx: click.Context,
    old: str,
    new: str | None,
    table: str | None,
    key: tuple[str, ...],
    exit_code: bool,
    as_json: bool,
) -> None:
    """Show the differences between two versions.

    With OLD alone, it is compared with the version before it. Files are marked A (added), D (removed), M (changed) or
    R (renamed); changed metadata follows. With --table, the rows of a table are compared instead.
    """
    if bool(key) != (table is not None):
        raise InvalidValue("--table PATH and --key COLUMN must be used together")
    with open_repository() as repository:
        a, b = _sides(repository, old, new)
        if table is not None:
            from artstore.cli.tables import print_difference, tables_differ

            rows = tables_differ(repository, a, b, table, key)
            if as_json:
                print_json({"old": a.spec, "new": b.spec, "key": list(key), **rows._asdict()})
            else:
                print_difference(rows, key)
            ctx.exit(1 if exit_code and rows else 0)
        metadata = [repository.properties(found)[1] for found in (a, b)]
        before, after = metadata
        keys = sorted(k for k in before.keys() | after.keys() if not same_json(before.get(k), after.get(k)))
        from artstore.domain.difference import differences

        found = _Counted(differences(repository.diff(a, b)))
        if as_json:
            files = [_plain(difference) for difference in found]
            changed = {key: {"old": before.get(key), "new": after.get(key)} for key in keys}
            print_json({"old": a.spec, "new": b.spec, "files": files, "metadata": changed})
        else:
            out = Long()
            for difference in found:
                out.write(_line(difference))
            for name in keys:
                texts = [json.dumps(m[name], ensure_ascii=False) if name in m else "-" for m in metadata]
                click.echo(f"metadata {printable(name)}: {printable(texts[0])} → {printable(texts[1])}")
            click.echo(found.summary())
    if exit_code and (found.files or keys):
        ctx.exit(1)


def _sides(repository: Repository, old: str, new: str | None) -> tuple[Version, Version]:
    """The two versions to compare. The side that isn't given is the version before the other."""
    found = repository.find(old)
    if new is not None:
        if not parse_spec(new).names_version and os.path.exists(new):
            hint = f"{typed('verify', old, new)} compares the folder"
            click.echo(f"comparing with version {new}:latest, not with the folder {printable(new)}; {hint}", err=True)
        return found, repository.find(new)
    before = [version for version in found.state.live() if version["number"] < found.number]
    if not before:
        raise InvalidValue(f"{found.name} has no version before it to compare with", hint="name two versions")
    return Version(found.state, before[-1]), found


class _Counted:
    """Yields differences one by one and counts them."""

    def __init__(self, found: Iterable[Difference]) -> None:
        self._found = found
        self._kinds = dict.fromkeys(_LETTERS, 0)
        self._bytes = 0

    @property
    def files(self) -> int:
        return sum(self._kinds.values())

    def __iter__(self) -> Iterator[Difference]:
        for difference in self._found:
            self._kinds[difference.kind] += 1
            self._bytes += (difference.new_size or 0) - (difference.old_size or 0)
            yield difference

    def summary(self) -> str:
        if not self.files:
            return "no files differ"
        words = ", ".join(f"{number:,} {kind}" for kind, number in self._kinds.items() if number)
        return f"{words}, {'-' if self._bytes < 0 else '+'}{human(abs(self._bytes))}"


def _line(difference: Difference) -> str:
    sizes = [human(size) for size in (difference.old_size, difference.new_size) if size is not None]
    shown = " → ".join(sizes) if difference.kind == "changed" else sizes[-1] if sizes else "-"
    origin = f"{printable(difference.origin)} → " if difference.origin is not None else ""
    letter = paint(*_LETTERS[difference.kind])
    return f"{letter}  {origin}{printable(difference.path)}  {shown}\n"


def _plain(difference: Difference) -> dict[str, Any]:
    return {
        "change": difference.kind, "path": os.fsdecode(difference.path),
        "from": None if difference.origin is None else os.fsdecode(difference.origin),
        "old_size": difference.old_size, "new_size": difference.new_size,
    }  # fmt: skip


@click.command("verify")
@click.argument("spec", type=SPEC)
@click.argument("path", required=False, type=click.Path())
@json_option
@click.pass_context
def verify_command(ctx: click.Context, spec: str, path: str | None, as_json: bool) -> None:
    """Compare a folder with a version, by content.

    PATH is by default ./artifacts/NAME-vN, where `get` restores to. Every file is read. Exits with 1 if a file is
    missing, changed or extra. Files that match the folder's .artifactsignore don't count as extra.
    """
    with Bar() as bar, open_repository() as repository:
        found = repository.find(spec)
        bar.start(f"verifying {found.name}")
        result = repository.verify(found, path, monitor=bar)
        name = repository.lookup.named(found)
    if as_json:
        print_json({"spec": found.spec, "ok": result.ok, **result._asdict()})
    elif result.ok:
        click.echo(f"{count(result.files, 'file')} match{'es' if result.files == 1 else ''} {name}")
    else:
        _print_differing(result, "extra", "")
        click.echo(f"differs from {name}: {_sum(result, 'extra')}")
    if not result.ok:
        ctx.exit(1)


def _print_differing(result: Verified, extra: str, indent: str) -> None:
    words = (("changed", result.changed, "yellow"), (extra, result.extra, "green"), ("missing", result.missing, "red"))
    for word, paths, colour in words:
        for path in paths:
            click.echo(f"{indent}{paint(f'{word:7}', colour)}  {printable(path)}")


def _sum(result: Verified, extra: str) -> str:
    words = (("changed", result.changed), (extra, result.extra), ("missing", result.missing))
    return ", ".join(f"{len(paths):,} {word}" for word, paths in words if paths)


@click.command("status")
@click.argument("path", required=False, type=click.Path())
@json_option
@click.pass_context
def status_command(ctx: click.Context, path: str | None, as_json: bool) -> None:
    """Compare folders with the versions that they came from.

    These are the folders that `put` saved or `get` restored; with PATH, only those at, below or around it. It shows
    changed, new and missing files, whether there is a newer version, and how far remotes were ahead or behind at the
    last `fetch`. Files whose size and times haven't changed aren't read again.
    """
    with Bar() as bar, open_repository() as repository:
        bar.start("comparing")
        found: list[dict[str, Any]] = []
        code = 0
        for status in repository.status(path, monitor=bar):
            if as_json:
                remotes = [apart._asdict() for apart in _apart(repository, status)]
                found.append(_status(status) | ({"remotes": remotes} if remotes else {}))
            else:
                _print_status(repository, status)
                found.append({})
            code = code or (status.problem.exit_code if status.problem is not None else 0)
    if not found and path and not os.path.lexists(path):
        raise NotFound(f"there is no file or folder '{printable(path)}'")
    if as_json:
        print_json(found)
    elif not found:
        where = f"at {printable(path)}" if path else "here"
        click.echo(f"no folder {where} was saved with `put` or restored with `get`", err=True)
    ctx.exit(code)


def _print_status(repository: Repository, status: Status) -> None:
    noted = status.noted
    if status.problem is not None:
        click.echo(f"{folder_shown(noted.folder)}: can't be compared: {printable(status.problem.message)}")
        return
    name = f"{repository.lookup.short(noted.collection)}:v{noted.number}"
    if status.found is None or status.verified is None:
        click.echo(f"{folder_shown(noted.folder)}: was {name}, which is deleted")
        return
    latest = status.found.state.latest
    newest = latest is None or latest["id"] == noted.id
    name = f"{repository.lookup.short(status.found.state.path)}:v{status.found.number}"
    news = "the newest" if newest else f"v{latest['number']} is newer"  # type: ignore[index]  # there is a newer one
    state = "unchanged" if status.verified.ok else _sum(status.verified, "new")
    click.echo(f"{folder_shown(noted.folder)}: {name} ({news}), {state}")
    for apart in _apart(repository, status):
        if apart.ahead or apart.behind or apart.changes:
            click.echo(f"  {apart.in_words}")
    _print_differing(status.verified, "new", "  ")


def _apart(repository: Repository, status: Status) -> list[Divergence]:
    """How far each remote was ahead or behind when it was last contacted."""
    if status.found is None or not repository.settings.remotes():
        return []
    return repository.remotes.apart(status.found.state)


def _status(status: Status) -> dict[str, Any]:
    noted, verified = status.noted, status.verified
    latest = status.found.state.latest if status.found is not None else None
    value = {
        "place": noted.folder,
        "spec": status.found.spec if status.found is not None else f"{noted.collection}:v{noted.number}",
        "collection": str(status.found.state.path if status.found is not None else noted.collection),
        "id": noted.id, "deleted": verified is None, "latest": f"v{latest['number']}" if latest else None,
    }  # fmt: skip
    if status.problem is not None:
        return value | {"deleted": False, "problem": status.problem.message}
    if verified is None:
        return value
    lists = {"changed": verified.changed, "new": verified.extra, "missing": verified.missing}
    return value | {"ok": verified.ok, "files": verified.files} | lists

"""export: a version's files as one archive, or as a plain folder."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple, cast, get_args

import click

from artstore.api.progress.bar import Bar
from artstore.cli.arguments import FILE, SPEC, selecting
from artstore.cli.output import answer, from_option, json_option, open_view
from artstore.domain.names import printable
from artstore.domain.selection import Selection
from artstore.domain.wording import count, human
from artstore.errors import InvalidValue, Refused, translated
from artstore.operations.restoring.archive import ArchiveKind
from artstore.operations.restoring.options import Restore
from artstore.store.outside import new_file_outside
from artstore.view import View

_COMPRESSED_TARS = {
    ".tar.gz": "gzip", ".tgz": "gzip", ".tar.bz2": "bz2", ".tbz2": "bz2", ".tbz": "bz2", ".tar.xz": "lzma", ".txz": "lzma",
}  # fmt: skip
"""By ending: the module that compresses."""
_OTHERS = (".gz", ".bz2", ".xz", ".zst", ".tzst", ".lz", ".tlz", ".lz4", ".lzma", ".br", ".z", ".7z", ".rar")
"""Endings that promise a compression which isn't there."""
_KINDS = (*get_args(ArchiveKind), "dir")


class _Form(NamedTuple):
    """What is written."""

    kind: str
    module: str | None
    """the one that compresses it, if any"""


@click.command("export")
@click.argument("spec", type=SPEC)
@click.option("-o", "--output", type=FILE, help="File or folder to write; - is standard output  [default: NAME-vN.tar]")
@click.option("--format", "kind", type=click.Choice(_KINDS), help="[default: from the file's extension, else tar]")
@selecting
@click.option("--force", is_flag=True, help="Replace an existing file.")
@from_option
@json_option
def export_command(
    spec: str, output: str | None, kind: str | None, selection: Selection, force: bool, place: str | None, as_json: bool
) -> None:
    """Write a version's files to a tar or zip, or to a new folder, every byte checked.

    A tar is compressed as its name says: .tar.gz (.tgz), .tar.bz2 (.tbz2, .tbz) or .tar.xz (.txz).

    The same version always gives the same bytes: no times, owners or file order of this machine get into the archive.
    `status` doesn't check exported files.
    """
    if output == "":
        raise InvalidValue("--output is empty", hint="`--output -` writes to standard output")
    kind, module = _form(output or "", kind)
    if kind != "dir" and output is not None and output.endswith("/"):
        raise InvalidValue(f"{printable(output)} names a folder", hint="--format dir writes a folder")
    if output == "-" and kind == "dir":
        raise InvalidValue("a folder can't be written to standard output", hint="use --format tar or zip")
    with Bar() as bar, open_view(place) as view:
        found = view.find(spec)
        bar.start(f"exporting {found.name}")
        name = view.lookup.named(found)
        base = f"{found.state.path.name}-v{found.number}"
        target = output or (base if kind == "dir" else f"{base}.{kind}")
        if kind == "dir":
            if os.path.lexists(target):
                raise Refused(f"{printable(target)} exists already", hint="choose another --output, or `get` into it")
            got = View.get(view, found, target, Restore(selection, monitor=bar))  # it leaves no note for `status`
            files, size = got.files, got.written_bytes
        else:
            with _target(target, force, view) as file, _compressed(file, module) as out:
                files, size = view.export(found, out, kind, selection=selection, monitor=bar)  # type: ignore[arg-type]
        unmatched = selection.unmatched([found.tree], view.objects.read_tree)
    for glob in () if as_json else unmatched:
        click.echo(f"warning: {selection.chosen.told(glob, '--')}", err=True)
    if output == "-":
        return
    value = {"spec": found.spec, "output": os.path.abspath(target), "format": kind, "files": files, "bytes": size}
    value["unmatched"] = unmatched
    answer(as_json, value, f"exported {name}: {count(files, 'file')}, {human(size)}, to {printable(target)}")


def _form(name: str, kind: str | None) -> _Form:
    """The form that was asked for, or that the name of the file promises. Raises InvalidValue if these are two."""
    if kind == "dir":
        return _Form(kind, None)
    lower = name.lower()
    module = next((module for ending, module in _COMPRESSED_TARS.items() if lower.endswith(ending)), None)
    if module is None and lower.endswith(_OTHERS):
        raise InvalidValue(
            f"{printable(name)}: artstore compresses only .tar.gz, .tar.bz2 and .tar.xz",
            hint="`export -o - SPEC | zstd > FILE` compresses with another tool",
        )
    ending = "tar" if module else os.path.splitext(lower)[1][1:]
    promised = ending if ending in get_args(ArchiveKind) else None
    if kind is not None and promised not in (None, kind):
        raise InvalidValue(f"{printable(name)} is the name of a {promised}, not of a {kind}", hint="leave out --format")
    if module is not None:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise InvalidValue(f"{printable(name)}: this Python has no module '{module}'", hint=_PLAIN) from error
    return _Form(kind or promised or "tar", module)


_PLAIN = "`-o NAME.tar` doesn't compress"


@contextmanager
def _target(path: str, force: bool, view: View) -> Iterator[BinaryIO]:
    """Open the output: a new file, or standard output for `-`."""
    if path == "-":
        yield sys.stdout.buffer
        return
    if os.path.lexists(path) and not (force and os.path.isfile(path)):
        hint = "--force replaces it" if os.path.isfile(path) else "choose another --output"
        raise Refused(f"{printable(path)} exists already", hint=hint)
    with translated(f"write {printable(path)}"), new_file_outside(path, view.objects.here) as out:
        yield out


@contextmanager
def _compressed(file: BinaryIO, module: str | None) -> Iterator[BinaryIO]:
    """A stream that compresses what is written to it into a file; the file itself without a `module`."""
    if module is None:
        yield file
        return
    library = importlib.import_module(module)
    # Without a name and a time, the bytes of a gzip are the same each time.
    stream = library.GzipFile("", "wb", 6, file, 0) if module == "gzip" else library.open(file, "wb")
    with stream as out:
        yield cast(BinaryIO, out)

"""export: a version's files as one archive, or as a plain folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast, get_args

import click

from artstore.cli.arguments import FILE, SPEC, selecting
from artstore.cli.output import Bar, answer, from_option, json_option, open_view
from artstore.domain.names import printable
from artstore.domain.selection import Selection
from artstore.domain.wording import count, human
from artstore.errors import InvalidValue, Refused, translated
from artstore.operations.restoring.archive import ArchiveKind
from artstore.operations.restoring.options import Restore
from artstore.store.outside import new_file_outside
from artstore.view import View

_GZIPPED = (".tar.gz", ".tgz")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".7z")
_KINDS = (*get_args(ArchiveKind), "dir")


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

    A tar whose name ends in .tar.gz or .tgz is compressed.

    The same version always gives the same bytes: no times, owners or file order of this machine get into the archive.
    `status` doesn't check exported files.
    """
    if output == "":
        raise InvalidValue("--output is empty", hint="`--output -` writes to standard output")
    gzipped = kind in (None, "tar") and (output or "").lower().endswith(_GZIPPED)
    if kind is None and not gzipped and (output or "").lower().endswith(_COMPRESSED):
        raise InvalidValue(
            f"{printable(output or '')}: artstore compresses only .tar.gz",
            hint="`export -o - SPEC | zstd > FILE` compresses with another tool",
        )
    kind = kind or _kind_of(output or "")
    if kind != "dir" and output is not None and output.endswith("/"):
        raise InvalidValue(f"{printable(output)} names a folder", hint="--format dir writes a folder")
    if output == "-" and kind == "dir":
        raise InvalidValue("a folder can't be written to standard output", hint="use --format tar or zip")
    with Bar() as bar, open_view(place) as view:
        bar.start("exporting")
        found = view.find(spec)
        name = view.lookup.named(found)
        base = f"{found.state.path.name}-v{found.number}"
        target = output or (base if kind == "dir" else f"{base}.{kind}")
        if kind == "dir":
            if os.path.lexists(target):
                raise Refused(f"{printable(target)} exists already", hint="choose another --output, or `get` into it")
            got = View.get(view, found, target, Restore(selection, monitor=bar))  # it leaves no note for `status`
            files, size = got.files, got.written_bytes
        else:
            with _target(target, force, view) as file, _compressed(file, gzipped) as out:
                files, size = view.export(found, out, kind, selection=selection, monitor=bar)  # type: ignore[arg-type]
    if output == "-":
        return
    value = {"spec": found.spec, "output": os.path.abspath(target), "format": kind, "files": files, "bytes": size}
    answer(as_json, value, f"exported {name}: {count(files, 'file')}, {human(size)}, to {printable(target)}")


def _kind_of(name: str) -> str:
    ending = os.path.splitext(name)[1][1:].lower()
    return ending if ending in get_args(ArchiveKind) else "tar"


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
def _compressed(file: BinaryIO, gzipped: bool) -> Iterator[BinaryIO]:
    """A stream that compresses what is written to it into a file; the file itself if not `gzipped`."""
    if not gzipped:
        yield file
        return
    import gzip

    # Without a name and a time, the bytes are the same each time.
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as out:
        yield cast(BinaryIO, out)

"""init, put, get, verify: content in, content out."""

import json
import os
from typing import Any

import click

from artstore.cli.output import Bar, count, human, json_option, open_repository, print_json
from artstore.errors import InvalidValue, NotFound
from artstore.ignore import Filter
from artstore.names import printable
from artstore.repository import Repository
from artstore.selection import Selection
from artstore.settings import root_to_create


@click.command("init")
@click.argument("folder", required=False, type=click.Path())
@json_option
def init_command(folder: str | None, as_json: bool) -> None:
    """Make a repository: .artifacts/ here, or in FOLDER.

    Where one exists already it is left as it is. `put` makes one by itself.
    """
    root = os.path.join(os.path.abspath(folder), ".artifacts") if folder else root_to_create()
    existed = os.path.exists(os.path.join(root, "format"))
    Repository.init(root).close()
    if as_json:
        print_json({"repository": root, "created": not existed})
    else:
        click.echo(f"{'found' if existed else 'made'} a repository in {printable(root)}")


@click.command("put")
@click.argument("path", type=click.Path())
@click.option("-n", "--name", help="[[ENTITY/]PROJECT/]NAME to save to  [default: PATH's last part]")
@click.option("-t", "--type", help="Type of the artifact, such as dataset or model.")
@click.option("-a", "--alias", "aliases", multiple=True, help="Alias that the version gets; may be repeated.")
@click.option("--tag", "tags", multiple=True, help="Tag of the version; may be repeated.")
@click.option("-d", "--description", help="What the version is.")
@click.option("--metadata", help="JSON object, or @FILE that holds one.")
@json_option
def put_command(
    path: str, name: str | None, type: str | None, aliases: tuple[str, ...], tags: tuple[str, ...],
    description: str | None, metadata: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Save the file or folder PATH as the next version of an artifact.

    Returns when the version is safe on disk. Content that the latest version has already makes no new one. Files that
    .artifactsignore names (gitignore patterns) are left out, and so are .git and .artifacts.
    """
    if not os.path.lexists(path):
        raise NotFound(f"there is no file or folder '{printable(path)}'")
    root = root_to_create()
    created = not os.path.exists(os.path.join(root, "format"))
    target = name or os.path.basename(os.path.abspath(path))
    with Bar() as bar, Repository.init(root) as repository:
        bar.start("saving")
        saved = repository.put(
            path,
            target,
            type=type,
            aliases=aliases,
            tags=tags,
            description=description,
            metadata=_metadata(metadata),
            monitor=bar,
        )
    spec = f"{target}:v{saved.number}"
    if as_json:
        print_json(
            saved._asdict()
            | {
                "path": str(saved.path),
                "spec": f"{saved.path}:v{saved.number}",
                "repository": root,
                "left_out": list(saved.left_out),
            }
        )
        return
    if created:
        click.echo(f"made a repository in {printable(root)}")
    for folder in saved.left_out:
        click.echo(f"left out {folder}", err=True)
    if saved.is_new:
        click.echo(
            f"saved {spec}: {count(saved.files, 'file')}, {human(saved.size)}, {human(saved.new_bytes)} of it new"
        )
    else:
        also = f"; it got its {' and '.join(saved.changed)}" if saved.changed else ""
        click.echo(f"{spec} has this content already: no new version{also}")
    click.echo(f"get it back with: artstore get {'-- ' if spec.startswith('-') else ''}{_quoted(spec)}")


def _metadata(text: str | None) -> Any:
    if text is None or not text.startswith("@"):
        return text
    try:
        with open(text[1:], encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise InvalidValue(
            f"cannot read metadata from {printable(text[1:])}: {(error.strerror or '').lower()}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{printable(text[1:])} is not JSON: {error}") from error


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


@click.command("get")
@click.argument("spec")
@click.option("--root", type=click.Path(), help="Folder to put the files in  [default: ./artifacts/NAME-vN]")
@click.option("--path-prefix", default="", help="Only files whose path begins so: bike.png, images/bikes/.")
@click.option("--include", multiple=True, help="Only files that match this glob; may be repeated.")
@click.option("--exclude", multiple=True, help="No files that match this glob; may be repeated.")
@click.option(
    "--link",
    type=click.Choice(["copy", "hardlink", "symlink"]),
    default="copy",
    show_default=True,
    help="How files of 1 MiB and more get there; linked ones are the store's own: never edit them.",
)
@click.option("--force", is_flag=True, help="Overwrite files that no version here holds.")
@json_option
def get_command(
    spec: str,
    root: str | None,
    path_prefix: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    link: Any,
    force: bool,
    as_json: bool,
) -> None:
    """Put a version's files into a folder, every byte checked.

    Files that are right already stay untouched, wrong ones are replaced, others in the folder are left alone.
    """
    selection = Selection(path_prefix, Filter(include or None, exclude or None))
    with Bar() as bar, open_repository() as repository:
        bar.start("getting")
        found = repository.find(spec)
        result = repository.get(found, root, selection=selection, link=link, force=force, monitor=bar)
    if as_json:
        print_json(result._asdict() | {"spec": f"{found.state.path}:v{found.version['number']}"})
        return
    same = f", {result.files - result.written:,} there already" if result.written < result.files else ""
    shown = os.path.relpath(result.root) if not os.path.relpath(result.root).startswith("..") else result.root
    click.echo(
        f"got {found.name}: {count(result.files, 'file')} in {printable(shown)}, {human(result.written_bytes)} written{same}"
    )


@click.command("verify")
@click.argument("spec")
@click.argument("path", required=False, type=click.Path())
@json_option
@click.pass_context
def verify_command(ctx: click.Context, spec: str, path: str | None, as_json: bool) -> None:
    """Compare the folder PATH with a version, by content.

    PATH is where `get` puts the version when it isn't told otherwise. Exits with 1 when anything is missing, changed
    or extra.
    """
    with Bar() as bar, open_repository() as repository:
        bar.start("verifying")
        found = repository.find(spec)
        result = repository.verify(found, path, monitor=bar)
    if as_json:
        print_json({"spec": f"{found.state.path}:v{found.version['number']}", "ok": result.ok, **result._asdict()})
    else:
        for word, paths in (("missing", result.missing), ("changed", result.changed), ("extra", result.extra)):
            for name in paths:
                click.echo(f"{word:8} {name}")
        if result.ok:
            click.echo(f"{count(result.files, 'file')} as in {found.name}")
    if not result.ok:
        ctx.exit(1)

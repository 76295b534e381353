"""init, put, get: make a repository, save files and restore them."""

import os
import re
from contextlib import ExitStack
from typing import Any

import click

from artstore.api.progress.bar import Bar
from artstore.backends.addresses import spelled
from artstore.backends.storage import is_url
from artstore.cli.arguments import FOLDER, SPEC, lock_option, metadata_from, of_type, pairs, selecting
from artstore.cli.output import answer, folder_shown, from_option, hint_at_packing, json_option, open_view, print_json
from artstore.cli.streams import Long
from artstore.domain.hub import hub_id, kind_of, revisions_of
from artstore.domain.metadata import normalise
from artstore.domain.names import name_from, parse_spec, printable
from artstore.domain.properties import Properties
from artstore.domain.selection import Selection
from artstore.domain.wording import count, first_of, human, typed
from artstore.errors import Conflict, InvalidValue, NotFound
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from artstore.store.packs import LARGE
from artstore.store.settings import is_repository, root_to_create


@click.command("init")
@click.argument("folder", required=False, type=FOLDER)
@click.option("--shared", is_flag=True, help="Let the folder's group write to it, whatever the umask is.")
@json_option
def init_command(folder: str | None, shared: bool, as_json: bool) -> None:
    """Make a repository in .artifacts/, here or in FOLDER.

    An existing repository stays as it is. You rarely need this command: the first `put` makes a repository.
    """
    root = os.path.join(os.path.abspath(folder), ".artifacts") if folder is not None else root_to_create()
    existed = os.path.exists(os.path.join(root, "format"))
    if existed and shared and not os.stat(root).st_mode & 0o020:
        told = f"{printable(root)} exists, and its group may not write to it"
        raise Conflict(told, hint="--shared is for a new repository")
    Repository.init(root, shared=shared).close()
    text = f"{'found' if existed else 'made'} a repository in {printable(root)}"
    answer(as_json, {"repository": root, "created": not existed}, text)


@click.command("put")
@click.argument("path", type=click.Path())
@click.option("-n", "--name", help="[[ENTITY/]PROJECT/]NAME to save to  [default: PATH's last part]")
@click.option("-t", "--type", help="Such as dataset or model  [default: its current type; artifact if new]")
@click.option("-a", "--alias", "aliases", multiple=True, help="Alias for the version; may be repeated.")
@click.option("--tag", "tags", multiple=True, help="Tag for the version; may be repeated.")
@click.option("-d", "--description", help="Description of the version.")
@click.option("--metadata", help="JSON object, or @FILE to read it from.")
@click.option("--set", "given", metavar="KEY=VALUE", multiple=True, help="Set a metadata key (VALUE: JSON, or text).")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Leave these files out; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Only show what would be saved.")
@json_option
def put_command(path: str, name: str | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Save a file or folder as the next version of an artifact.

    PATH may be a URI (file://, https://, s3://, …): then the version refers to that content, which stays where it is.

    When `put` returns, the version is safe on disk. If nothing has changed since the latest version, it makes no new
    one. It skips .git, .artifacts, and files that match .artifactsignore (gitignore patterns).
    """
    if dry_run:
        values = _metadata(options["metadata"], options["given"])
        Properties(options["aliases"], options["tags"], options["description"], values).checked()
        _show_plan(path, name, options["exclude"], as_json)
    else:
        save(path, name, as_json, **options)


def _show_plan(path: str, name: str | None, exclude: tuple[str, ...], as_json: bool) -> None:
    """Print what `put` would save. The files are read, and staged as for a save, on the disk that would hold them."""
    from tempfile import TemporaryDirectory  # 3 ms, which no other command needs

    target = target_of(path, name)
    with Bar() as bar, ExitStack() as stack:
        bar.start(f"reading {target}")
        root = root_to_create()
        if not is_repository(root):  # compare with an empty one, and leave none behind
            scratch = TemporaryDirectory(prefix=".artstore-", dir=os.path.dirname(root))
            root = os.path.join(stack.enter_context(scratch), ".artifacts")
        repository = stack.enter_context(Repository.init(root))
        target, _ = _new_or_known(repository, path, target, name)
        plan = repository.plan(path, target, exclude=exclude, monitor=bar)
        spec = f"{repository.path_of(target)[0]}:v{plan.number}"
    if as_json:
        value = plan._asdict()
        del value["number"]
        print_json({"spec": spec, "dry_run": True, **value})
        return
    _warn_of(plan.unmatched, path)
    out = Long()
    for letter, paths in zip("AMD", (plan.added, plan.changed, plan.removed), strict=True):
        out.write("".join(f"{letter}  {printable(one)}\n" for one in paths))
    shown = f"{target}:v{plan.number}"
    size = f"{count(plan.files, 'file')}, {human(plan.size)}"
    click.echo(f"would save {shown}: {size}" if plan.is_new else f"no changes: same content as {shown}")


def target_of(path: str, name: str | None) -> str:
    """The artifact to save a path to. Raises NotFound if there is no such path."""
    if not os.path.lexists(path) and not is_url(path):
        hint = spelled(path) if re.match("(s3|gs|az|file):", path) else None
        raise NotFound(f"there is no file or folder '{printable(path)}'", hint=hint)
    return _name_for(path) if name is None else name


def save(
    path: str, name: str | None, as_json: bool, *, type: str | None, aliases: tuple[str, ...], tags: tuple[str, ...] = (),
    description: str | None = None, metadata: str | None = None, given: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (), default_type: str | None = None,
) -> None:  # fmt: skip
    """Save a path and print the result. `default_type` is the type of a new artifact if no type is given."""
    target = target_of(path, name)
    values = _metadata(metadata, given)
    root = root_to_create()
    created = not os.path.exists(os.path.join(root, "format"))
    with Bar() as bar, Repository.init(root) as repository:
        bar.start(f"saving {target}")
        target, hint = _new_or_known(repository, path, target, name)
        if type is None and default_type and not repository.refs.read(repository.path_of(target)[0]).exists:
            type = default_type
        saved = repository.put(
            path, target, type=type, aliases=aliases, tags=tags, description=description,
            metadata=values, exclude=exclude, monitor=bar,
        )  # fmt: skip
        freed = repository.pack_later() if saved.new_bytes >= LARGE else 0
    if as_json:
        value = saved._asdict()
        del value["path"], value["number"], value["collection"]
        spec = f"{saved.path}:v{saved.number}"
        print_json({"spec": spec, "collection": str(saved.path), **value, "repository": root})
        return
    spec = f"{target}:v{saved.number}"
    if created:
        click.echo(f"made a repository in {printable(root)}")
    for folder in saved.left_out:
        click.echo(f"skipped {folder}", err=True)
    _warn_of(saved.unmatched, path)
    if saved.is_new:
        new = f"{human(saved.new_bytes)} stored"
        click.echo(f"saved {spec}: {count(saved.files, 'file')}, {human(saved.size)}, {new}")
    else:
        also = f"; updated its {' and '.join(saved.changed)}" if saved.changed else ""
        click.echo(f"no changes: same content as {spec}{also}")
    if saved.deleted:
        names = first_of([f"v{number}" for number in saved.deleted])
        click.echo(f"deleted {names}, which '{printable(saved.collection.keep or '')}' doesn't keep")
    if saved.is_new and len(saved.collection.versions) == 1:
        click.echo(f"get it back with: {typed('get', spec).strip('`')}")
    if hint is not None:
        click.echo(f"hint: {hint}", err=True)
    hint_at_packing(freed)


def _warn_of(unmatched: tuple[str, ...], path: str) -> None:
    for glob in unmatched:
        below = f"; globs are relative to {printable(path)}" if "/" in glob.rstrip("/") else ""
        click.echo(f"warning: --exclude '{printable(glob)}' matches nothing{below}", err=True)


def _metadata(metadata: str | None, given: tuple[str, ...]) -> Any:
    """The metadata of --metadata and --set; None if neither is there."""
    values = metadata_from(metadata)
    return (normalise(values) if values is not None else {}) | pairs(given) if given else values


def _new_or_known(repository: Repository, path: str, target: str, name: str | None) -> tuple[str, str | None]:
    """The artifact to save to, by its name of today, and a hint if another one may be meant: none if it exists.

    A folder with the name that `get` gave it, such as data-v3, is of the artifact that it came from.
    """
    folder, short = os.path.abspath(path), repository.lookup.short
    named, spec = repository.path_of(target)
    state = repository.refs.read(named)
    if state.exists:
        was_renamed = state.path != named and not spec.names_version  # a save to a version is refused
        return short(state.path) if was_renamed else target, None
    noted = next((noted for noted in repository.checkouts.all() if noted.folder == folder), None)
    if noted is not None and name is None:
        known = short(noted.collection)
        if os.path.basename(folder) == f"{noted.collection.name}-v{noted.number}":
            return known, None
        adds = typed("put", path, name=known)
        return target, f"{printable(path)} was {known}:v{noted.number}; {adds} saves to that artifact"
    others = repository.lookup.same_name(named) if "/" not in target else []
    if others:
        other = typed("put", path, name=others[0])
        return target, f"{target} is new in its project; {other} saves to the other one"
    return target, None


def _name_for(path: str) -> str:
    """An artifact's name from a path's last part. Raises InvalidValue if that can't be a name."""
    name = os.path.basename(os.path.abspath(path))
    try:
        if parse_spec(name).names_version:
            raise InvalidValue(f"'{printable(name)}' would name a version")
    except InvalidValue as error:
        import shlex

        hint = f"give it a name: --name {shlex.quote(name_from(name))}"
        raise InvalidValue(f"can't name the artifact after {printable(path)}: {error}", hint=hint) from error
    return name


@click.command("get")
@click.argument("spec", type=SPEC, required=False)
@click.option("--root", type=FOLDER, help="Folder to restore to  [default: ./artifacts/NAME-vN]")
@selecting
@click.option(
    "--link",
    type=click.Choice(["copy", "hardlink", "symlink"]),
    default="copy",
    show_default=True,
    help="How to restore files of 1 MiB and more. Never edit linked ones: they are the store's own files.",
)
@click.option("--delete", is_flag=True, help="Remove files that aren't in the version or in .artifactsignore.")
@click.option("--force", is_flag=True, help="Overwrite or remove even files that aren't saved in any version here.")
@click.option("--allow-missing-references", is_flag=True, help="Skip references whose content is gone.")
@click.option(
    "--hf-cache",
    is_flag=True,
    help="Restore to the cache of Hugging Face's libraries, or to another one with --root, where they find the version.",
)
@click.option("--locked", is_flag=True, help="Restore everything in the lock file, instead of a SPEC.")
@lock_option
@from_option
@json_option
@click.pass_context
def get_command(
    ctx: click.Context, spec: str | None, root: str | None, selection: Selection, link: Any, delete: bool, force: bool,
    allow_missing_references: bool, hf_cache: bool, locked: bool, lock: str | None, place: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Restore a version's files to a folder, every byte checked.

    Files that already match aren't touched, files that differ are replaced, and other files in the folder stay.

    With --locked, each folder in the lock file becomes exactly its version, and other files in it are removed, except
    those that its .artifactsignore names. Versions that aren't here come from the remotes in the lock file, or from
    --from. If there is no repository, one is made.
    """
    if not locked:
        if lock is not None:
            raise InvalidValue("--file needs --locked")
        if spec is None:
            raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
        how = Restore(selection, link, force, delete, allow_missing_references)
        if hf_cache:
            fetch_for_hub(spec, root, as_json, how, place)
        else:
            fetch(spec, root, as_json, how, place=place)
        return
    if spec or root or delete or not selection.everything or link != "copy" or allow_missing_references or hf_cache:
        raise InvalidValue("--locked can be combined with --file, --from and --force only")
    from artstore.cli.locking import get_locked

    get_locked(lock, place, force, as_json)


def fetch(
    spec: str, root: str | None, as_json: bool, how: Restore, *, type: str | None = None, place: str | None = None
) -> None:
    if root == "":
        raise InvalidValue("--root is empty", hint="`--root .` is this folder")
    with Bar() as bar, open_view(place) as repository:
        found = of_type(repository.find(spec), type)
        bar.start(f"getting {found.name}")
        result = repository.get(found, root, how._replace(monitor=bar))
        unmatched = how.selection.unmatched([found.tree], repository.objects.read_tree)
        name = repository.lookup.named(found)
    if as_json:
        value = {"spec": found.spec, **result._asdict(), "unmatched": unmatched}
        del value["others"]
        print_json(value)
        return
    for glob in unmatched:
        click.echo(f"warning: {how.selection.chosen.told(glob, '--')}", err=True)
    same = f", {result.files - result.written:,} already there" if result.written < result.files else ""
    removed = f", {result.removed:,} removed" if result.removed else ""
    written = f"{human(result.written_bytes)} written"
    for path in result.missing:
        click.echo(f"warning: skipped {printable(path)}: the content that it refers to is gone", err=True)
    click.echo(f"got {name}: {count(result.files, 'file')} in {folder_shown(result.root)}, {written}{same}{removed}")
    if result.others:
        stay, them = ("file or folder stays", "it") if result.others == 1 else ("files and folders stay", "them")
        click.echo(f"{result.others:,} other {stay} there; `--delete` removes {them}")


def fetch_for_hub(spec: str, root: str | None, as_json: bool, how: Restore, place: str | None) -> None:
    """Restore a version to a cache of Hugging Face's libraries."""
    if how.link != "copy" or how.delete:
        raise InvalidValue("--hf-cache can't be combined with --link and --delete")
    with Bar() as bar, open_view(place) as repository:
        found = repository.find(spec)
        id, kind = hub_id(found.state.path), kind_of(found.state).removesuffix("s")
        bar.start(f"getting {found.name}")
        result = repository.get_into_hub_cache(found, root, how._replace(monitor=bar))
        name, revisions = repository.lookup.named(found), revisions_of(found.state, found.id)
    if as_json:
        told = {"spec": found.spec, "id": id, "kind": kind, "revisions": revisions, **result._asdict()}
        print_json({key: value for key, value in told.items() if key not in ("others", "removed")})
        return
    for path in result.missing:
        click.echo(f"warning: skipped {printable(path)}: the content that it refers to is gone", err=True)
    written = f"{human(result.written_bytes)} written"
    click.echo(f"got {name}: {count(result.files, 'file')} in {folder_shown(result.root)}, {written}")
    click.echo(
        f"with HF_HUB_OFFLINE=1 it is found as the {kind} {id}, revision {' or '.join(map(printable, revisions))}"
    )

"""bundle: versions in one file, for hosts without a network."""

import os
import time

import click

from artstore.api.progress.bar import Bar
from artstore.cli.arguments import FILE, SPEC
from artstore.cli.commands import Commands
from artstore.cli.output import json_option, open_repository
from artstore.cli.remotes import jobs_option, report
from artstore.domain.names import printable
from artstore.domain.wording import human
from artstore.errors import NotFound
from artstore.repository import Repository
from artstore.store.settings import root_to_create


@click.group("bundle", cls=Commands)
def bundle_command() -> None:
    """Copy versions in one file, for hosts without a network."""


@bundle_command.command("create")
@click.argument("file", type=FILE)
@click.argument("specs", nargs=-1, type=SPEC, metavar="[SPEC]...")
@click.option("--base", multiple=True, type=SPEC, help="Version that the other repository has; may be repeated.")
@jobs_option
@json_option
@click.pass_context
def create_command(
    ctx: click.Context, file: str, specs: tuple[str, ...], base: tuple[str, ...], jobs: int, as_json: bool
) -> None:
    """Write versions, artifacts or projects to a new FILE; without SPEC, all of them.

    FILE holds what a push to an empty remote would send, including runs. With --base, it leaves out the content of
    these versions; the repository that applies FILE must already have them.
    """
    start = time.monotonic()
    with Bar() as bar, open_repository() as repository:
        done = repository.create_bundle(file, specs, base=base, jobs=jobs, monitor=bar)
        short = repository.lookup.short
    if not as_json:
        click.echo(f"wrote {printable(file)}: {human(done.bytes)}")
        for need in done.needs:
            click.echo(f"  needs {short(need.path)}:v{need.number}")
    report(ctx, done.exchanged, short, ("bundled", ""), False, as_json, time.monotonic() - start)


@bundle_command.command("apply")
@click.argument("file", type=FILE)
@jobs_option
@json_option
@click.pass_context
def apply_command(ctx: click.Context, file: str, jobs: int, as_json: bool) -> None:
    """Import a bundle, every object checked.

    It does the same as a pull from the repository that made FILE. If a version that FILE needs isn't here,
    nothing changes.
    """
    if not os.path.isfile(file):
        raise NotFound(f"there is no file {printable(file)}", hint="`artstore bundle create` makes one")
    start = time.monotonic()
    with Bar() as bar, Repository.init(root_to_create()) as repository:
        done = repository.apply_bundle(file, jobs=jobs, monitor=bar)
        short = repository.lookup.short
    report(ctx, done.exchanged, short, ("got", ""), False, as_json, time.monotonic() - start)

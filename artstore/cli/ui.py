"""ui: the repository as pages in a browser."""

import click

from artstore.cli.output import open_repository
from artstore.errors import NotFound, StorageError


@click.command("ui")
@click.option("--port", type=click.IntRange(1, 65535), help="[default: 8642, or another if that is taken]")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def ui_command(port: int | None, no_browser: bool) -> None:
    """Show this repository in a browser, until interrupted.

    The pages show artifacts, files with previews, differences between versions, lineage, and runs with charts. They
    can't change anything. They open only on this host and only with the address that is printed. From another host, use
    `ssh -L 8642:localhost:8642 HOST`.
    """
    with open_repository() as repository:
        root = repository.storage.root
    try:
        from artstore.web.server import serve
    except ImportError as error:
        raise NotFound(
            f"the pages need {error.name}, which is not installed here", hint="`pip install 'artstore[ui]'`"
        ) from error
    try:
        serve(root, port, browser=not no_browser, told=lambda address: click.echo(f"{address}  (Ctrl-C stops it)"))
    except KeyboardInterrupt:
        pass  # this is how users stop it
    except OSError as error:
        what = f"port {port}" if port is not None else "the loopback address"
        raise StorageError(f"{what} can't be used: {error.strerror}", hint="choose another --port") from error

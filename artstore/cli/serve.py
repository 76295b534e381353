"""serve: the repository for clients and browsers whose tokens have roles."""

import click

from artstore.cli.served import served_option, served_place
from artstore.errors import NotFound, StorageError


@click.command("serve")
@click.option(
    "--listen", default="127.0.0.1:8650", show_default=True, metavar="HOST:PORT",
    help="Where to listen. unix:PATH is a socket that only a proxy may open.",
)  # fmt: skip
@click.option("--group", metavar="NAME", help="Also let this group open the socket, such as the proxy's.")
@click.option(
    "--protect", multiple=True, metavar="ALIAS", help="An alias that promoters move. [default: prod, production]"
)
@click.option(
    "--accel", metavar="LOCATION", help="Let nginx send large files: its internal location of this repository."
)
@click.option("--previews", multiple=True, metavar="PROJECT", help="Show viewers of this project its files on pages.")
@click.option(
    "--proxy", metavar="HOST", help="The IP address of the proxy with TLS. What it says of clients is believed."
)
@click.option("--proxy-user", metavar="HEADER", help="The header in which the proxy names the user of pages.")
@served_option
def serve_command(
    listen: str,
    group: str | None,
    protect: tuple[str, ...],
    accel: str | None,
    previews: tuple[str, ...],
    proxy: str | None,
    proxy_user: str | None,
    place: str | None,
) -> None:
    """Serve this repository to clients with tokens, until interrupted.

    `artstore token create` makes tokens. For other hosts put a proxy with TLS in front, or clients refuse to send
    their tokens.

    People log in on its pages with the same tokens. Viewers see names, metrics and lists of files, and not a byte of a
    file. With --previews PROJECT they also see what is in that project's files, which gives these away.

    With --listen unix:PATH, every process that may open the socket counts as the proxy: those of this user and of
    --group. With --proxy, every process at that address does.

    --from serves another folder, or a bucket. Clients get a bucket's large files from the bucket itself. Its tokens and
    audit are kept for this user on this host, so `token` and `audit` need the same --from.
    """
    try:
        from artstore.server.serving import Serving
    except ImportError as error:
        raise NotFound(
            f"serving needs {error.name}, which is not installed here", hint="`pip install 'artstore[server]'`"
        ) from error
    of = served_place(place)
    serving = Serving(of.place, of.settings, protect, accel, previews=previews, proxy=proxy, proxy_user=proxy_user)
    try:
        serving.run(
            listen, told=lambda address: click.echo(f"{address}  (Ctrl-C stops it)"), group=group, say=click.echo
        )
    except KeyboardInterrupt:
        pass  # this is how users stop it
    except OSError as error:
        raise StorageError(f"{listen} can't be used: {error.strerror}", hint="choose another --listen") from error

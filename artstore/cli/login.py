"""login, logout: store a token for a repository that is served."""

import sys

import click

from artstore.backends.credentials import Origin, check_token, forget, remember
from artstore.backends.served.opening import hello_to
from artstore.cli.commands import UsageError
from artstore.cli.output import answer, json_option
from artstore.domain.names import printable
from artstore.errors import InvalidValue

_MOST = 1 << 16
"""Characters of standard input that are read for a token."""


@click.command("login")
@click.argument("url", required=False)
@click.option("--token-stdin", "from_stdin", is_flag=True, help="Read the token from standard input.")
@json_option
def login_command(url: str | None, from_stdin: bool, as_json: bool) -> None:
    """Check a token with the served repository at URL, and store it.

    The token is kept in the system's keyring if the package `keyring` is installed and finds one, else in a file that
    only you can read. It is sent to this server alone. Without a login, ARTSTORE_TOKEN is sent to addresses that you
    type or gave to `remote add` or `clone`, and to the one in ARTSTORE_URL.
    """
    if url is None:
        hint = "folders and buckets need no login: `artstore remote add NAME URL` adds one to share with"
        raise UsageError("missing argument 'URL'", hint)
    origin = Origin.of(url)
    origin.check_secrecy()
    token = check_token(_read(from_stdin), "what was given")
    hello = hello_to(url, token)
    place = remember(url, token)
    value = {"server": str(origin), "name": hello.author, "role": hello.role, "kept_in": place}
    who = f"{printable(hello.author)} ({hello.role})"
    answer(as_json, value, f"logged in to {origin} as {who}; the token is in {printable(place)}")


def _read(from_stdin: bool) -> str:
    """The token: a line of standard input, or typed by a person, without an echo."""
    if from_stdin:
        return sys.stdin.read(_MOST).strip()
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidValue(
            "there is no terminal to ask for the token", hint="--token-stdin reads it from a file or pipe"
        )
    return str(click.prompt("Token", hide_input=True, err=True)).strip()


@click.command("logout")
@click.argument("url")
@json_option
def logout_command(url: str, as_json: bool) -> None:
    """Remove the token that `login` stored for the served repository at URL.

    The token itself stays valid until an admin revokes it or it expires.
    """
    forget(url)
    origin = str(Origin.of(url))
    answer(as_json, {"removed": origin}, f"removed the token for {origin}")

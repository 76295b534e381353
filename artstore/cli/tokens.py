"""token, audit: who may do what in a repository that is served, and what was done."""

import re
import time
from collections import deque
from typing import Any

import click

from artstore.cli import output
from artstore.cli.commands import Commands
from artstore.cli.output import answer, json_option, listing, print_json, table
from artstore.cli.served import served_option, served_place
from artstore.domain.names import printable
from artstore.domain.retention import seconds
from artstore.domain.roles import Role, pattern_of
from artstore.domain.wording import count, first_of, human, moment
from artstore.errors import Damage, InvalidValue
from artstore.server.audit import Audit, Head, Record
from artstore.server.folder import server_folder
from artstore.server.tokens import Token, Tokens


@click.group("token", cls=Commands)
def token_command() -> None:
    """Make, list and revoke the tokens of a repository that is served.

    A token has a role: a viewer sees names, metadata, file lists, runs and lineage, but no file's content; a reader
    gets files, too; a writer saves and changes its own versions and runs, and deletes nothing; a promoter also moves
    protected aliases, such as prod, and links into registries; an admin may do everything.

    Tokens are kept beside the repository, not in it, so nobody who has a copy of the repository has them.
    """


@token_command.command("create")
@click.argument("name")
@click.option("--role", required=True, type=click.Choice([str(role) for role in Role]), help="What the token allows.")
@click.option(
    "--project",
    "projects",
    multiple=True,
    metavar="PATTERN",
    help="Only in projects that match [ENTITY/]PROJECT, with * for any text; may be repeated.  [default: all]",
)
@click.option("--expires", metavar="TIME", help="When it ends, such as 12h, 30d or 52w from now.  [default: never]")
@click.option("--note", default="", help="What it is for.")
@served_option
@json_option
def create_command(
    name: str, role: str, projects: tuple[str, ...], expires: str | None, note: str, place: str | None, as_json: bool
) -> None:
    """Make a token, and print its secret, which is never shown again.

    NAME becomes the author of what is done with the token. The holder of a token that was revoked or has expired may
    get another one with the same name.
    """
    served = served_place(place)
    patterns = tuple(pattern_of(pattern, served.settings.entity) for pattern in projects)
    tokens = Tokens(server_folder(served.storage))
    life = seconds(expires) if expires is not None else None
    secret = tokens.create(name, Role.named(role), patterns, life, note)
    token = tokens.find(secret)
    assert token is not None
    if as_json:
        print_json({**_plain(token), "token": secret})
        return
    click.echo(secret)
    until = f" until {output.day(token.expires)}" if token.expires else ""
    click.echo(f"this is the token of {name}, {role} of {_projects(token)}{until}; it is not shown again", err=True)


@token_command.command("ls")
@served_option
@json_option
def ls_command(place: str | None, as_json: bool) -> None:
    """List the tokens, also those that expired or were revoked."""
    tokens = Tokens(server_folder(served_place(place).storage)).all()
    rows = [
        (
            token.name, str(token.grant.role), _projects(token), token.status(), output.day(token.created),
            output.day(token.expires) if token.expires else "-", token.note,
        )
        for token in tokens
    ]  # fmt: skip
    head = ("NAME", "ROLE", "PROJECTS", "STATUS", output.time_head("CREATED"), output.time_head("EXPIRES"), "NOTE")
    nothing = "there are no tokens; `artstore token create NAME --role ROLE` makes one"
    listing(as_json, [_plain(token) for token in tokens], rows, head, nothing)


@token_command.command("revoke")
@click.argument("name")
@served_option
@json_option
def revoke_command(name: str, place: str | None, as_json: bool) -> None:
    """End a token: the server refuses the next request with it."""
    token = Tokens(server_folder(served_place(place).storage)).revoke(name)
    answer(as_json, _plain(token), f"revoked the token of {name}")


def _projects(token: Token) -> str:
    return first_of(token.grant.patterns, 3) or "all projects"


def _plain(token: Token) -> dict[str, Any]:
    return {
        "name": token.name, "id": token.id, "role": str(token.grant.role), "projects": list(token.grant.patterns),
        "status": token.status(), "created": token.created, "expires": token.expires, "revoked": token.revoked,
        "note": token.note,
    }  # fmt: skip


@click.command("audit")
@click.option("--token", metavar="NAME", help="Only what was done with the token of this name.")
@click.option("--since", metavar="TIME", help="Only since then: 12h, 7d, or a date and time in UTC (2026-12-24T18:00).")
@click.option(
    "-n", "number", type=click.IntRange(min=1), metavar="N", help="Show the last N  [default: 100 in a table]"
)
@click.option("--check", is_flag=True, help="Check that no record was changed, and print where each file ends.")
@click.option("--head", "heads", multiple=True, metavar="HEAD", help="With --check: an end that was printed before.")
@served_option
@json_option
@click.pass_context
def audit_command(
    ctx: click.Context, token: str | None, since: str | None, number: int | None, check: bool, heads: tuple[str, ...],
    place: str | None, as_json: bool,
) -> None:  # fmt: skip
    """List what was asked of the server: who, when, from where, for what, and what came of it.

    Each record has the digest of the one before it, so --check finds a record that was changed or removed. It finds
    a file that was cut, or written anew as a whole, only by an end that was kept elsewhere, which --head names. The
    server prints the ends daily, and --check prints them, too. Exits with 7 if anything is wrong.
    """
    if heads and not check:
        raise InvalidValue("--head can be used with --check only")
    if check and (token or since or number):
        raise InvalidValue("--check checks all records: it can't be combined with --token, --since and -n")
    audit = Audit(server_folder(served_place(place).storage))
    if check:
        _check(ctx, audit, [_head(text) for text in heads], as_json)
        return
    records = audit.records(since=_moment(since) if since is not None else None, token=token)
    if as_json:
        output.print_each(record._asdict() for record in (deque(records, number) if number else records))
        return
    last, found = deque[Record](maxlen=number or output.MOST_ROWS), 0
    for record in records:
        last.append(record)
        found += 1
    if not found:
        click.echo("there are no records", err=True)
        return
    rows = [
        (
            output.day(one.time, to_second=True), one.token or "-", one.address, one.operation, one.project or "-",
            one.subject or "-", one.outcome, human(one.bytes),
        )
        for one in last
    ]  # fmt: skip
    head = (output.time_head("TIME"), "TOKEN", "ADDRESS", "OPERATION", "PROJECT", "SUBJECT", "OUTCOME", "SIZE")
    table(rows, head, right=(7,))
    if found > len(last):
        click.echo(f"{found - len(last):,} older: -n {found} lists all", err=True)


def _check(ctx: click.Context, audit: Audit, heads: list[Head], as_json: bool) -> None:
    problems, ends = audit.check(heads), audit.heads()
    if as_json:
        print_json({"ok": not problems, "problems": problems, "heads": [str(end) for end in ends]})
    else:
        for problem in problems:
            click.echo(f"problem: {problem}")
        for end in ends:
            click.echo(f"head: {end}")
        verdict = count(len(problems), "problem") if problems else "no problems found"
        click.echo(f"{verdict}: {count(sum(end.records for end in ends), 'record')} in {count(len(ends), 'file')}")
    if problems:
        ctx.exit(Damage.exit_code)


def _head(text: str) -> Head:
    if (head := Head.parsed(text)) is None:
        what = f"'{printable(text)}' is not an end of the audit"
        raise InvalidValue(what, hint="it is FILE:NUMBER:DIGEST, as `artstore audit --check` prints it")
    return head


_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d)?)?)?Z?")


def _moment(text: str) -> str:
    """A moment as records have it: a date and time in UTC, or how long ago."""
    if _DATE.fullmatch(text):
        return text.replace(" ", "T").removesuffix("Z")
    try:
        return moment(time.time_ns() - seconds(text) * 1_000_000_000).removesuffix("Z")
    except InvalidValue:
        what = (
            f"'{printable(text)}' is neither a time such as 12h or 7d nor a date such as 2026-12-24 or 2026-12-24T18:00"
        )
        raise InvalidValue(what) from None

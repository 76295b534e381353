"""The command line: one file for each family of commands, loaded when called. Only this package prints."""

import gc
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import click

from artstore._version import __version__
from artstore.cli.commands import Commands, UsageError
from artstore.cli.streams import Output, ReaderGone, open_streams
from artstore.errors import ArtstoreError, InvalidValue, NotFound, storage_error

_FAMILIES: dict[str, dict[str, tuple[str, ...]]] = {
    "Save and restore": {"saving": ("init", "put", "get"), "exporting": ("export",), "locking": ("lock",)},
    "List and show": {"looking": ("ls", "show", "log", "cat"), "ui": ("ui",)},
    "Compare": {"comparing": ("diff", "status", "verify")},
    "Change names and descriptions": {"changing": ("alias", "tag", "edit", "rm", "undelete", "mv", "cp")},
    "Links and registries": {"linking": ("link", "unlink", "registry")},
    "Runs": {"running": ("run",), "runs": ("runs",), "lineage": ("lineage",)},
    "Automations": {"automation": ("automation",)},
    "Multi-process saves": {"pending": ("pending",)},
    "Share": {
        "remotes": ("remote", "push", "pull", "fetch", "clone"), "bundling": ("bundle",), "importing": ("import",),
        "serve": ("serve",),
    },
    "Serve": {"tokens": ("token", "audit"), "login": ("login", "logout")},
    "Maintenance": {"keeping": ("fsck", "doctor", "gc", "pack", "keep", "prune", "du")},
    "Set up": {"settings": ("config", "completion", "help")},
    "W&B's own commands": {"artifact": ("artifact",)},
}  # fmt: skip
"""The commands of each family: title in the help, then module, then the commands in that module."""
_HOMES = {
    command: module for family in _FAMILIES.values() for module, commands in family.items() for command in commands
}
BUG = 70
"""Exit code of an error that isn't an ArtstoreError, which is a bug (EX_SOFTWARE in sysexits.h)."""
READER_GONE = 141
"""Exit code when the reader of standard output went away: what shells report for SIGPIPE."""
COMPLETE = "_ARTSTORE_COMPLETE"
"""The environment variable with which a shell asks for completions."""


class _Commands(Commands):
    """The commands by name. A family is imported when one of its commands is called, so a start loads little but click."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOMES:
            return None
        import importlib

        home = importlib.import_module(f"artstore.cli.{_HOMES[cmd_name]}")
        command: click.Command = getattr(home, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under their family's title, each with the whole first paragraph of its help."""
        for title, family in _FAMILIES.items():
            commands = [(name, self.get_command(ctx, name)) for names in family.values() for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, _sentence(command)) for name, command in commands], col_max=12)


def _sentence(command: click.Command | None) -> str:
    return (command.help or "").split("\n\n")[0].replace("\n", " ") if command is not None else ""


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="artstore", message="%(prog)s %(version)s")
def cli() -> None:
    """Keep versions of datasets, models and tables: save, restore, compare.

    A version's name is [[ENTITY/]PROJECT/]NAME[:ALIAS | :vN | @DIGEST]; NAME alone means its latest version. artstore
    uses the repository that ARTSTORE_DIR names, or the nearest .artifacts/ folder, here or in a parent folder.
    """


def main() -> NoReturn:
    """Run the command line. Print every error as a sentence and a hint, and exit with its code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wants_json = "--json" in sys.argv[2:]
    warnings.showwarning = _warn
    out = open_streams()
    try:
        code = cli.main(prog_name="artstore", complete_var=COMPLETE, standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 0
    except (KeyboardInterrupt, click.Abort):
        code = _fail(wants_json, _Failure("Interrupted", "interrupted; nothing was lost", None, 130))
        if "obstore" in sys.modules or "artstore.operations.restoring.fetching" in sys.modules:
            sys.stdout.flush()
            os._exit(code)  # threads may still wait for a silent server
    except ReaderGone:
        code = READER_GONE
    except Exception as error:
        failure = _failure_of(error)
        if failure.code == BUG:
            from artstore.store.settings import debugging

            if debugging():
                raise
        code = _fail(wants_json and out.failure is None, failure)
    code = _told(out, code)
    gc.freeze()  # or Python looks for cycles in all that was loaded before it ends: 9 of the 60 ms of an `ls`
    sys.exit(code)


def _told(out: Output, code: int) -> int:
    """Write the rest of the output. The exit code says if some of it was lost, unless the command itself failed."""
    out.flush()
    try:
        out.check()
    except ReaderGone:
        return code or READER_GONE
    except ArtstoreError as error:
        done = _failure_of(error)._replace(hint="the command did its work; only its output is lost")
        return code or _fail(False, done)
    return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {_safe(str(message))}", err=True)


def _as_ours(error: click.ClickException) -> str:
    """click's message in our style, such as `missing argument 'SPEC'`. What click suggests goes into the hint."""
    message = error.format_message().split("\n")[0]
    if isinstance(error, click.NoSuchOption):
        message = f"there is no option '{error.option_name}'"
    first = message[:1].lower() if message[1:2].islower() else message[:1]
    return (first + message[1:]).removesuffix(".").removesuffix(" Choose from:")


def _usage_hint(error: click.ClickException) -> str:
    if isinstance(error, UsageError):
        return error.hint
    if isinstance(error, click.NoSuchOption) and error.ctx is not None and error.ctx.parent is None:
        return "options go after the command; `artstore --help` lists the commands"
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        from artstore.cli.habits import HINTS

        command = error.ctx.command_path.removeprefix(error.ctx.find_root().command_path).lstrip()
        if hint := HINTS.get(f"{command} {error.option_name}"):
            return hint
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        return f"did you mean {' or '.join(sorted(error.possibilities))}?"
    context = getattr(error, "ctx", None)
    extra = error.message.partition(" extra argument (")[2][:-1]
    if extra and context is not None and any(option.name == "root" for option in context.command.params):
        return f"`--root {extra}` restores to that folder"
    return f"see `{context.command_path if context is not None else 'artstore'} --help`"


class _Failure(NamedTuple):
    """Why a command failed."""

    kind: str
    message: str
    hint: str | None
    code: int
    problems: Sequence[tuple[str, str]] = ()
    """(path, reason) of each file that caused the failure."""


def _failure_of(error: Exception) -> _Failure:
    """The message, hint and exit code of an error. This is the only place that gives errors their exit codes."""
    if isinstance(error, click.ClickException):
        return _Failure("UsageError", _as_ours(error), _usage_hint(error), error.exit_code)
    if isinstance(error, FileNotFoundError) and error.filename is None:
        error = _without_folder(error)
    if isinstance(error, OSError) and not isinstance(error, ArtstoreError):
        error = storage_error(error, f"use {error.filename}" if error.filename else "go on")
    if isinstance(error, UnicodeEncodeError) and sys.getfilesystemencoding() != "utf-8" != error.encoding:
        lacking = _safe(error.object[error.start : error.end])
        error = InvalidValue(f"the encoding of this locale has no '{lacking}'", hint="set LC_ALL=C.UTF-8")
    if isinstance(error, ArtstoreError):
        problems = getattr(error, "problems", None) or ()
        hint = (_locale_hint() if isinstance(error, InvalidValue) else None) or error.hint
        return _Failure(type(error).__name__, error.message, hint, error.exit_code, problems)
    what = f"{type(error).__name__}: {error}"
    hint = "please report it; ARTSTORE_DEBUG=1 shows where it failed"
    return _Failure("Bug", f"this is a bug in artstore: {what}", hint, BUG)


def _locale_hint() -> str | None:
    """The hint for words of the command line that aren't text in this locale's encoding. None if all are."""
    if not any("\udc80" <= character <= "\udcff" for word in sys.argv[1:] for character in word):
        return None
    import locale

    encoding, name = sys.getfilesystemencoding(), locale.setlocale(locale.LC_CTYPE)
    if encoding == "utf-8":
        return "it was typed in another encoding than UTF-8"
    return f"this locale ({name}) takes names in {encoding} only: set LC_ALL=C.UTF-8"


def _without_folder(error: Exception) -> Exception:
    """The error for a path that is relative to a working folder that was deleted, else the same error."""
    from artstore.store.settings import working_folder

    try:
        working_folder()
    except NotFound as gone:
        return gone
    return error


def _fail(wants_json: bool, failure: _Failure) -> int:
    """Print a failure, as text or JSON, and return its exit code."""
    kind, message, hint, code, problems = failure
    if wants_json:
        import json

        body: dict[str, Any] = {"kind": kind, "message": message, "hint": hint, "exit_code": code}
        if problems:
            body["problems"] = [list(problem) for problem in problems]
        click.echo(json.dumps({"error": body}))
        return code
    click.echo(f"error: {_safe(message)}", err=True)
    if len(problems) > 1:
        for path, reason in problems[:50]:
            click.echo(f"  {_safe(path)}: {_safe(reason)}", err=True)
        if len(problems) > 50:
            click.echo(f"  and {len(problems) - 50} more", err=True)
    if hint:
        click.echo(f"hint: {_safe(hint)}", err=True)
    return code


def _safe(text: str) -> str:
    """Escape an error's text once more, so that no stored text reaches a terminal unescaped."""
    from artstore.domain.names import printable

    return printable(text)

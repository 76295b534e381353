"""config, completion, help: settings, completion scripts for shells, and the help of commands."""

import click

from artstore.cli.commands import UsageError
from artstore.cli.output import json_option, open_repository, print_json, table
from artstore.errors import InvalidValue
from artstore.store.settings import KEYS


@click.command("config")
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.option("--unset", is_flag=True, help="Go back to the default.")
@json_option
def config_command(key: str | None, value: str | None, unset: bool, as_json: bool) -> None:
    """Show or change the settings of this repository.

    \b
    core.entity      entity for names that don't give one
    core.project     project for names that don't give one
    core.auto_fetch  on: pull a version that only a remote has when it is used
    core.identity    off: don't record which user on which host made a change
    core.pack        off: large files are packed by `artstore pack` only, not in the background after saves
    gc.grace         how long deleted data stays in the trash, such as 12h or 7d
    """
    if unset and (key is None or value is not None):
        raise InvalidValue("--unset takes one setting and no value")
    with open_repository() as repository:
        settings = repository.settings
        if key is None:
            found = {name: settings.value(name) for name in KEYS}
            if as_json:
                print_json(found)
            else:
                table([(name, text or KEYS[name].default) for name, text in found.items()], ("SETTING", "VALUE"))
            return
        if unset or value is not None:
            settings.set(key, value)
        text = settings.value(key)
        if as_json:
            print_json({key: text})
        elif not unset and value is None:
            click.echo(text or KEYS[key].default)


@click.command("completion")
@click.argument("shell", metavar="SHELL", type=click.Choice(("bash", "zsh", "fish")))
def completion_command(shell: str) -> None:
    """Print a completion script for bash, zsh or fish.

    \b
    bash  eval "$(artstore completion bash)"         in ~/.bashrc
    zsh   eval "$(artstore completion zsh)"          in ~/.zshrc
    fish  artstore completion fish | source          in ~/.config/fish/config.fish
    """
    from artstore.cli.completion import source

    click.echo(source(shell))


@click.command("help")
@click.argument("command", nargs=-1)
@click.pass_context
def help_command(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of a command, as its --help does."""
    context: click.Context = ctx.parent or ctx
    for name in command:
        group = context.command
        if not isinstance(group, click.Group):
            raise UsageError(
                f"`{context.command_path}` has no commands", f"`{context.command_path} --help` shows its help"
            )
        _, found, _ = group.resolve_command(context, [name])
        context = click.Context(found or group, info_name=name, parent=context)
    click.echo(context.get_help())
